//! Hosts with one bad message, which their identity has outweighed once.
//!
//! In: the hosts that a scan spares. Out: the hosts that the next one must not spare again. Limited in time
//! and number.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// How long a host is remembered, in seconds: longer than its tuples live (4 hours, `GREYEXP` in
/// libexec/spamd/grey.h), so that another message on the same day counts too.
const REMEMBERED: i64 = 24 * 60 * 60;
/// The maximum number of hosts; further ones are not remembered.
const MOST: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Warnings {
    /// When each was first seen.
    since: HashMap<IpAddr, i64>,
    hosts: Arc<HashSet<IpAddr>>,
    /// Whether a host was added that nobody was told of.
    has_changed: bool,
}

impl Warnings {
    /// Takes over what the previous engine knew.
    pub fn inherit(&mut self, mut since: Vec<(IpAddr, i64)>) {
        since.truncate(MOST);
        self.since = since.into_iter().collect();
        self.hosts = Arc::new(self.since.keys().copied().collect());
    }

    /// What the next engine needs to know.
    pub fn legacy(&mut self) -> Vec<(IpAddr, i64)> {
        std::mem::take(&mut self.since).into_iter().collect()
    }

    /// All hosts, each with the time when it was first spared, if any was added since this was last asked.
    pub fn changed(&mut self) -> Option<Vec<(IpAddr, i64)>> {
        let has_changed = std::mem::take(&mut self.has_changed);
        has_changed.then(|| self.since.iter().map(|(address, since)| (*address, *since)).collect())
    }

    /// The hosts that were spared before.
    pub fn hosts(&self) -> Arc<HashSet<IpAddr>> {
        Arc::clone(&self.hosts)
    }

    /// Notes the hosts that a scan which ended at `now` has spared.
    pub fn note(&mut self, spared: Vec<IpAddr>, now: i64) {
        self.since.retain(|_, since| now < since.saturating_add(REMEMBERED));
        for address in spared {
            if self.since.len() < MOST {
                self.since.entry(address).or_insert_with(|| {
                    self.has_changed = true;
                    now
                });
            }
        }
        self.hosts = Arc::new(self.since.keys().copied().collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_spared_once_a_day() {
        let [one, other] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let mut warnings = Warnings::default();
        assert!(warnings.hosts().is_empty());
        warnings.note(vec![one], 1000);
        warnings.note(vec![other], 1000 + REMEMBERED - 1);
        assert!(warnings.hosts().contains(&one) && warnings.hosts().contains(&other));
        warnings.note(Vec::new(), 1000 + REMEMBERED);
        assert_eq!(*warnings.hosts(), HashSet::from([other]));
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut warnings = Warnings::default();
        let many = (0..200_000u32).map(|n| IpAddr::from(n.to_be_bytes()));
        warnings.note(many.collect(), 1000);
        assert_eq!(warnings.hosts().len(), MOST);
    }
}
