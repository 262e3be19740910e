//! The recipients' own domains: they must exist, so a name server that finds none of them is useless.
//!
//! In: the tuples of the first hosts. Out: the domains to which most hosts write. Strangers choose the
//! recipients too, so each host has one vote, and domains that cannot exist ([`name::may_exist`]) are left
//! out.

use super::sender;
use crate::name;
use crate::spamd::Tuple;
use std::collections::{HashMap, HashSet};

/// The number of hosts that are counted: enough to see where a site's mail goes.
pub(super) const HOSTS: usize = 1000;
/// The maximum number of domains.
const MOST: usize = 16;

/// Counts domains by hosts.
#[derive(Debug, Default)]
pub(super) struct Own(HashMap<Vec<u8>, u32>);

impl Own {
    /// Counts the domains to which one host writes.
    pub fn count<'t>(&mut self, tuples: impl Iterator<Item = Tuple<'t>>) {
        let mut seen = HashSet::new();
        for domain in tuples.filter_map(|tuple| domain(&tuple)).take(MOST) {
            let mut lower = Vec::new();
            name::lower(domain, &mut lower);
            if !seen.contains(&lower) {
                let hosts = self.0.entry(lower.clone()).or_default();
                *hosts = hosts.saturating_add(1);
                seen.insert(lower);
            }
        }
    }

    /// The domains that may exist, beginning with those of most hosts.
    pub fn domains(self) -> Vec<Vec<u8>> {
        let mut counted: Vec<_> = self.0.into_iter().collect();
        counted.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        let domains = counted.into_iter().map(|(domain, _)| domain);
        domains.filter(|domain| name::may_exist(domain)).take(MOST).collect()
    }
}

/// The domain of a tuple's recipient, unless spamd has cut it off.
fn domain<'t>(tuple: &Tuple<'t>) -> Option<&'t [u8]> {
    if sender::is_cut(tuple.to) {
        return None;
    }
    let address = sender::bare(tuple.to);
    let at = memchr::memrchr(b'@', address)?;
    address.get(at.saturating_add(1)..)
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::tuple;
    use super::*;

    #[test]
    fn domains_of_most_hosts_that_may_exist() {
        let mut own = Own::default();
        for to in [
            &["<u@ours.example.com>", "<v@OURS.example.com>", "<w@other.org>"][..],
            &["<a@ours.example.com>", "<a@ours.test>", "<a@[192.0.2.1]>", "postmaster"],
            &["<a@other.org>", "<a@a.lan>", "<@other.org:b@ours.example.com>", "<a@"],
        ] {
            own.count(to.iter().map(|to| tuple("a@x.example", to)));
        }
        assert_eq!(own.domains(), [&b"ours.example.com"[..], b"other.org"]);
    }
}
