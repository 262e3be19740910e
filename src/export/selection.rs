//! Which hosts are exported.
//!
//! A list travels: others will believe it. So nobody is listed whose address says nothing outside this site
//! (this machine, private and reserved networks), nor whoever the operator has excluded. The networks are
//! those of the IANA special-purpose address registries (RFC 6890) that never reach another site; those for
//! documentation (RFC 5737, RFC 3849) are left in, since nobody has them, and examples need them.

use super::{Cause, Listed};
use crate::config::{Network, Networks};
use crate::machine::Own;
use crate::scan::Rule;
use std::cmp::Reverse;

/// Networks whose addresses mean nothing to others.
const RESERVED: [&str; 19] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
    "::/16",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// Which hosts to export.
#[derive(Debug, Default)]
pub struct Selection {
    /// Only those that one of these rules has trapped; all if there is none.
    pub rules: Vec<Rule>,
    /// Only those that were trapped at this time or later, in seconds since 1970.
    pub since: Option<i64>,
    /// None of these.
    pub excluded: Networks,
    /// This machine.
    pub own: Own,
    /// At most so many, the newest.
    pub most: Option<usize>,
}

impl Selection {
    /// The hosts that are exported, in order of their addresses, each once; and how many more there are than
    /// [`Selection::most`].
    pub fn of(&self, mut hosts: Vec<Listed>) -> (Vec<Listed>, usize) {
        let reserved = reserved();
        hosts.iter_mut().for_each(|host| host.address = host.address.to_canonical());
        hosts.retain(|host| self.takes(host) && !reserved.contains(host.address));
        hosts.sort_unstable_by_key(|host| (host.address, Reverse((host.since, host.until))));
        hosts.dedup_by_key(|host| host.address);
        let beyond = hosts.len().saturating_sub(self.most.unwrap_or(usize::MAX));
        if beyond > 0 {
            hosts.sort_unstable_by_key(|host| (Reverse(host.since), host.address));
            hosts.truncate(hosts.len().saturating_sub(beyond));
            hosts.sort_unstable_by_key(|host| host.address);
        }
        (hosts, beyond)
    }

    fn takes(&self, host: &Listed) -> bool {
        let is_of_rule = |rule| host.cause == Cause::Rule(rule);
        (self.rules.is_empty() || self.rules.iter().copied().any(is_of_rule))
            && self.since.is_none_or(|since| host.since >= since)
            && !self.excluded.contains(host.address)
            && !self.own.contains(host.address)
    }
}

fn reserved() -> Networks {
    let network = |text: &&str| Network::parse(text).ok();
    Networks::new(RESERVED.iter().filter_map(network).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOON, listed};
    use super::*;

    fn addresses(hosts: &[Listed]) -> Vec<String> {
        hosts.iter().map(|host| host.address.to_string()).collect()
    }

    #[test]
    fn addresses_that_mean_nothing_elsewhere_are_left_out() {
        assert_eq!(reserved().iter().count(), RESERVED.len());
        let left_out = [
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.2",
            "169.254.1.1",
            "172.31.0.1",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::2",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "2002:c000:201::1",
        ];
        let hosts = left_out.iter().map(|host| listed(host, Cause::Hand)).collect();
        assert_eq!(Selection::default().of(hosts), (vec![], 0));
    }

    #[test]
    fn each_host_is_listed_once_in_order() {
        let mut hosts = vec![
            listed("2001:db8::1", Cause::Hand),
            listed("192.0.2.10", Cause::Hand),
            listed("::ffff:192.0.2.9", Cause::Hand),
            listed("192.0.2.9", Cause::Rule(Rule::Dns)),
        ];
        hosts[3].since += 1;
        let (hosts, _) = Selection::default().of(hosts);
        assert_eq!(addresses(&hosts), ["192.0.2.9", "192.0.2.10", "2001:db8::1"]);
        assert_eq!(hosts[0].cause, Cause::Rule(Rule::Dns), "the newest trap");
    }

    #[test]
    fn rules_age_and_exclusions_select() {
        let mut hosts = vec![
            listed("192.0.2.1", Cause::Rule(Rule::Dns)),
            listed("192.0.2.2", Cause::Rule(Rule::Helo)),
            listed("192.0.2.3", Cause::Hand),
            listed("198.51.100.1", Cause::Rule(Rule::Dns)),
        ];
        hosts[0].since -= 60;
        let selected = |selection: Selection| addresses(&selection.of(hosts.clone()).0);
        let rules = vec![Rule::Dns, Rule::Syntax];
        let of_rules = Selection { rules, ..Selection::default() };
        assert_eq!(selected(of_rules), ["192.0.2.1", "198.51.100.1"]);
        let young = Selection { since: Some(NOON), ..Selection::default() };
        assert_eq!(selected(young), ["192.0.2.2", "192.0.2.3", "198.51.100.1"]);
        let excluded = Networks::new(vec![Network::parse("192.0.2.0/24").unwrap()]);
        let without = Selection { excluded, ..Selection::default() };
        assert_eq!(selected(without), ["198.51.100.1"]);
    }

    #[test]
    fn of_too_many_the_newest_are_exported() {
        let mut hosts: Vec<_> =
            (1..=9).map(|n| listed(&format!("192.0.2.{n}"), Cause::Hand)).collect();
        (hosts[1].since, hosts[6].since) = (NOON + 5, NOON + 4);
        let selection = Selection { most: Some(3), ..Selection::default() };
        let (hosts, beyond) = selection.of(hosts);
        assert_eq!(
            (addresses(&hosts), beyond),
            (vec!["192.0.2.1".into(), "192.0.2.2".into(), "192.0.2.7".into()], 6)
        );
    }
}
