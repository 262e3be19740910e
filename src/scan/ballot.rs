//! Whether what DNS denies in a scan is likely: by how many domains have no answer, and by how many hosts
//! would fall.
//!
//! Each open host and its sender domains are counted once all answers are there; [`Believed`] is what is left
//! of them. Whoever sends mail chooses how many hosts, domains and names there are, so nobody may have more
//! than one vote: neither keep others safe by a broken zone of his own, nor tip the scales against them.
//! Source: none in the original; design.

use super::answers::{Answers, Confirmation, DomainVerdict, Doubt};
use super::rules::dns;
use crate::dns::failure::Failure;
use crate::name;
use crate::spamd::Tuple;
use std::collections::HashSet;
use std::net::IpAddr;

/// Hosts with a definite answer up to which their share says nothing.
const FEW: u64 = 20;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Ballot {
    /// Hosts with a definite answer, and those of them that would be trapped.
    hosts: u64,
    bad: u64,
    /// Hosts whose answers are still to come: all of them might be trapped.
    open: u64,
    failed: Pairs,
    known: Pairs,
}

/// Pairs of a host and a registrable domain, none of which has either in common with another: as good as the
/// largest number of such pairs, and never less than half of it. So one host with many broken domains counts
/// once, as does one broken domain that many hosts use.
#[derive(Debug, Default)]
struct Pairs {
    domains: HashSet<Vec<u8>>,
}

impl Pairs {
    /// Pairs a host with what somebody registered to have this domain, if that is still free.
    fn add(&mut self, domain: &[u8]) -> bool {
        let mut registered = Vec::new();
        name::registrable(domain, &mut registered);
        self.domains.insert(registered)
    }

    fn count(&self) -> u64 {
        self.domains.len() as u64
    }
}

impl Ballot {
    /// Counts one host by the domains of its tuples.
    pub fn count<'t>(&mut self, tuples: impl Iterator<Item = Tuple<'t>>, answers: &dyn Answers) {
        let (mut is_good, mut is_bad, mut is_lacking) = (false, false, false);
        let (mut has_failed, mut has_known, mut is_open) = (false, false, false);
        let (mut lower, mut last) = (Vec::new(), Vec::new());
        for domain in tuples.filter_map(|tuple| dns::domain(&tuple)) {
            lower.clear();
            name::lower(domain, &mut lower);
            if lower == last {
                continue;
            }
            match answers.domain(&lower) {
                Some(DomainVerdict::Good(_)) => is_good = true,
                Some(DomainVerdict::Bad(_)) => is_bad = true,
                Some(DomainVerdict::Unknown(Failure::Name(_))) => continue,
                // Nobody was asked, or the answer is doubted for itself.
                None | Some(DomainVerdict::Unknown(Failure::Share | Failure::Unproven)) => {
                    is_lacking = true;
                    continue;
                }
                Some(DomainVerdict::Unknown(failure)) => {
                    is_open = is_open || failure == Failure::Deadline;
                    is_lacking = true;
                    has_failed = has_failed || self.failed.add(&lower);
                    std::mem::swap(&mut lower, &mut last);
                    continue;
                }
            }
            has_known = has_known || self.known.add(&lower);
            std::mem::swap(&mut lower, &mut last);
        }
        self.hosts = self.hosts.saturating_add((is_bad || is_good && !is_lacking).into());
        self.bad = self.bad.saturating_add(is_bad.into());
        self.open = self.open.saturating_add((is_open && !is_bad).into());
    }

    /// Why denials do not count, if so.
    pub fn doubts(&self) -> impl Iterator<Item = Doubt> + use<> {
        let failed = self.failed.count();
        let (of, (bad, hosts)) = (failed.saturating_add(self.known.count()), self.at_worst());
        let failed = self.has_failed().then_some(Doubt::Failed { failed, of });
        let outvoted = self.is_outvoted().then_some(Doubt::Outvoted { bad, of: hosts });
        failed.into_iter().chain(outvoted)
    }

    /// More than a third had no definite answer.
    fn has_failed(&self) -> bool {
        let (failed, known) = (self.failed.count(), self.known.count());
        failed.saturating_mul(2) > known
    }

    /// More than half of the hosts would be trapped.
    fn is_outvoted(&self) -> bool {
        let (bad, hosts) = self.at_worst();
        hosts > FEW && bad.saturating_mul(2) > hosts
    }

    /// How many hosts would be trapped, and of how many, if that becomes of all that are open.
    fn at_worst(&self) -> (u64, u64) {
        (self.bad.saturating_add(self.open), self.hosts.saturating_add(self.open))
    }
}

/// Answers, less what the ballot takes from them.
pub(super) struct Believed<'a> {
    pub answers: &'a dyn Answers,
    pub ballot: &'a Ballot,
}

impl Answers for Believed<'_> {
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
        match self.answers.helo(address, name) {
            Confirmation::NotConfirmed if self.ballot.has_failed() => Confirmation::Unknown,
            confirmation => confirmation,
        }
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        match self.answers.domain(domain) {
            Some(DomainVerdict::Bad(_)) if self.ballot.has_failed() => {
                Some(DomainVerdict::Unknown(Failure::Distrusted))
            }
            Some(DomainVerdict::Bad(_)) if self.ballot.is_outvoted() => {
                Some(DomainVerdict::Unknown(Failure::Outvoted))
            }
            verdict => verdict,
        }
    }

    fn is_bad_recipient(&self, address: &[u8]) -> bool {
        self.answers.is_bad_recipient(address)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::tuple;
    use super::super::testing::Oracle;
    use super::*;

    /// A ballot over hosts with these senders; domains are good, `gone.` or `dunno.`.
    fn ballot<S: AsRef<str>>(hosts: &[Vec<S>]) -> Ballot {
        let mut ballot = Ballot::default();
        for senders in hosts {
            ballot.count(senders.iter().map(|from| tuple(from.as_ref(), "u")), &Oracle);
        }
        ballot
    }

    fn many(count: usize, sender: impl Fn(usize) -> String) -> Vec<Vec<String>> {
        (0..count).map(|n| vec![sender(n)]).collect()
    }

    fn doubts(hosts: &[Vec<String>]) -> Vec<String> {
        ballot(hosts).doubts().map(|doubt| doubt.to_string()).collect()
    }

    #[test]
    fn more_than_a_third_without_an_answer_is_doubt() {
        let mut hosts = many(4, |n| format!("a@mx.g{n}.example"));
        hosts.extend(many(2, |n| format!("a@dunno.d{n}.example")));
        assert!(doubts(&hosts).is_empty());
        hosts.extend(many(1, |_| "a@dunno.e.example".into()));
        let wanted = "3 of 7 domains have no definite answer, negative answers are not believed";
        assert_eq!(doubts(&hosts), [wanted]);
    }

    #[test]
    fn neither_one_zone_nor_one_host_spoils_a_scan() {
        let gone = many(4, |n| format!("a@gone.g{n}.example"));
        let zone = many(60, |n| format!("a@dunno.r{n}.broken.example"));
        assert!(doubts(&[gone.clone(), zone].concat()).is_empty(), "names of one zone");
        let one = (0..60).map(|n| format!("a@dunno.d{n}.example")).collect();
        assert!(doubts(&[gone.clone(), vec![one]].concat()).is_empty(), "zones of one host");
        let both = many(60, |n| format!("a@dunno.d{n}.example"));
        assert_eq!(doubts(&[gone, both].concat()).len(), 1, "many zones of many hosts");
    }

    #[test]
    fn one_host_with_many_known_domains_does_not_vouch_for_dns() {
        let mut hosts = many(3, |n| format!("a@dunno.d{n}.example"));
        hosts.push((0..60).map(|n| format!("a@mx.g{n}.example")).collect());
        assert_eq!(doubts(&hosts).len(), 1);
    }

    #[test]
    fn none_falls_where_more_than_half_of_the_hosts_would() {
        let good = |count| many(count, |n| format!("a@mx.g{n}.example"));
        let bad = |count| many(count, |n| format!("a@gone.b{n}.example"));
        assert!(doubts(&bad(20)).is_empty(), "too few to tell");
        assert!(doubts(&[good(15), bad(15)].concat()).is_empty());
        let wanted = "16 of 31 hosts (51 %) would be trapped by rule dns, none is";
        assert_eq!(doubts(&[good(15), bad(16)].concat()), [wanted]);
        // One host has one vote, however many tuples it has.
        let one = vec![(0..500).map(|n| format!("a@gone.b{n}.example")).collect()];
        assert!(doubts(&[good(25), one].concat()).is_empty());
        // Hosts without a definite answer, or without a domain, have none.
        let mut others = many(8, |_| "a@dunno.d.example".into());
        others.extend(many(30, |_| "<>".into()));
        assert_eq!(doubts(&[good(15), bad(16), others].concat()), [wanted]);
    }

    #[test]
    fn what_is_left_of_the_answers() {
        let of = |ballot: &Ballot, domain: &str| {
            Believed { answers: &Oracle, ballot }.domain(domain.as_bytes()).map(|v| v.to_string())
        };
        let fine = ballot(&many(1, |_| "a@gone.a.example".into()));
        assert_eq!(of(&fine, "gone.a.example").as_deref(), Some("no such domain"));
        let failed = ballot(&many(1, |_| "a@dunno.a.example".into()));
        let text = "denied, but too many lookups failed";
        assert_eq!(of(&failed, "gone.a.example").as_deref(), Some(text));
        assert_eq!(of(&failed, "mx.a.example").as_deref(), Some("MX"));
        let helo = |ballot, name| {
            Believed { answers: &Oracle, ballot }.helo(IpAddr::from([10, 0, 0, 1]), name)
        };
        assert_eq!(helo(&failed, "no.x.example"), Confirmation::Unknown);
        assert_eq!(helo(&failed, "yes.x.example"), Confirmation::Confirmed);
        let outvoted = ballot(&many(30, |n| format!("a@gone.b{n}.example")));
        let text = "denied, but so are too many others";
        assert_eq!(of(&outvoted, "gone.a.example").as_deref(), Some(text));
        assert_eq!(helo(&outvoted, "no.x.example"), Confirmation::NotConfirmed);
    }
}
