//! Decides whether the denials by DNS in a scan are plausible, judging by how many domains have no answer
//! and how many hosts would be trapped.
//!
//! Each open host and its sender domains are counted once all answers have arrived; [`Believed`] is the
//! part of the answers that is believed. Senders choose the number of hosts, domains and names, so nobody
//! may have more than one vote, neither to protect others by breaking a zone nor to tip the scales against
//! them. Source: none in the original; design.

use super::answers::{Answers, Confirmation, DomainVerdict, Doubt, Exemption, Listed, SpfResult};
use super::rules::{Rule, dns};
use super::sender;
use crate::dns::failure::Failure;
use crate::name;
use crate::spamd::Tuple;
use std::collections::HashSet;
use std::net::IpAddr;

/// With fewer hosts that have a definite answer, their share means nothing for the rule `checker`,
const RECIPIENTS: u64 = 20;
/// and for the rule `dns`, where there are other reasons to believe the answers.
const SENDERS: u64 = 21;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Ballot {
    /// Hosts, by what DNS says about their sender domains,
    senders: Share,
    /// and by what the external program says about their recipients.
    recipients: Share,
    failed: Pairs,
    /// Registrable domains with a definite answer.
    known: HashSet<Vec<u8>>,
    /// Domains that have been counted there.
    seen: HashSet<Vec<u8>>,
}

/// The number of hosts with a definite answer, and of those that a rule would trap.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    of: u64,
    bad: u64,
    /// Hosts whose answers may still come: all of them might be trapped.
    open: u64,
}

impl Share {
    /// Counts a host.
    fn count(&mut self, is_bad: bool, is_good: bool, is_open: bool) {
        self.of = self.of.saturating_add((is_bad || is_good).into());
        self.bad = self.bad.saturating_add(is_bad.into());
        self.open = self.open.saturating_add((is_open && !is_bad).into());
    }

    /// Whether more than half of the hosts would be trapped if all open ones were, and there are at least
    /// `least`.
    fn is_outvoted(self, least: u64) -> bool {
        let Share { of, bad, open } = self;
        let (of, bad) = (of.saturating_add(open), bad.saturating_add(open));
        of >= least && bad.saturating_mul(2) > of
    }

    /// The doubt about a rule that is outvoted; none if it would trap no host.
    fn doubt(self, rule: Rule, is_outvoted: bool) -> Option<Doubt> {
        let Share { of, bad, open } = self;
        (is_outvoted && bad > 0).then_some(Doubt::Outvoted { rule, bad, of, open })
    }
}

/// Registrable domains without a definite answer, each paired with a different host: as many pairs as
/// possible, or at least half as many. So a host with many broken domains counts once, and so does a broken
/// domain that many hosts use.
#[derive(Debug, Default)]
struct Pairs(HashSet<Vec<u8>>);

impl Pairs {
    /// Pairs a host with the registrable domain of this domain, if that is not paired yet.
    fn add(&mut self, domain: &[u8]) -> bool {
        self.0.insert(registered(domain))
    }

    fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

fn registered(domain: &[u8]) -> Vec<u8> {
    let mut registered = Vec::new();
    name::registrable(domain, &mut registered);
    registered
}

/// The verdicts on the domains of one host.
#[derive(Default)]
struct Vote {
    is_good: bool,
    is_bad: bool,
    is_lacking: bool,
    is_open: bool,
    has_pair: bool,
}

impl Ballot {
    /// Counts one host by the recipients of its tuples.
    pub fn count_recipients<'t>(
        &mut self,
        tuples: impl Iterator<Item = Tuple<'t>>,
        answers: &dyn Answers,
    ) {
        let (mut is_good, mut is_bad, mut is_open) = (false, false, false);
        for to in tuples.filter_map(|tuple| sender::recipient(tuple.to)) {
            match answers.is_recipient(&to) {
                Some(true) => is_good = true,
                Some(false) => is_bad = true,
                None => is_open = is_open || answers.is_awaited(&to),
            }
        }
        self.recipients.count(is_bad, is_good, is_open);
    }

    /// Counts one host by the domains of its tuples.
    pub fn count<'t>(&mut self, tuples: impl Iterator<Item = Tuple<'t>>, answers: &dyn Answers) {
        let (mut vote, mut lower) = (Vote::default(), Vec::new());
        for domain in tuples.filter_map(|tuple| dns::domain(&tuple)) {
            lower.clear();
            name::lower(domain, &mut lower);
            self.count_domain(&lower, answers.domain(&lower), &mut vote);
        }
        self.senders.count(vote.is_bad, vote.is_good && !vote.is_lacking, vote.is_open);
    }

    fn count_domain(&mut self, domain: &[u8], verdict: Option<DomainVerdict>, vote: &mut Vote) {
        match verdict {
            Some(DomainVerdict::Good(_)) => vote.is_good = true,
            Some(DomainVerdict::Bad(_)) => vote.is_bad = true,
            Some(DomainVerdict::Unknown(Failure::Name(_))) => return,
            // It was not asked for, or this answer is doubted for a reason of its own.
            None | Some(DomainVerdict::Unknown(Failure::Share | Failure::Unproven)) => {
                vote.is_lacking = true;
                return;
            }
            Some(DomainVerdict::Unknown(failure)) => {
                vote.is_lacking = true;
                vote.is_open = vote.is_open || failure == Failure::Deadline;
                vote.has_pair = vote.has_pair || self.failed.add(domain);
                return;
            }
        }
        if !self.seen.contains(domain) {
            self.seen.insert(domain.to_vec());
            self.known.insert(registered(domain));
        }
    }

    /// The reasons why denials do not count.
    pub fn doubts(&self) -> impl Iterator<Item = Doubt> + use<> {
        let failed = self.failed.count();
        let of = failed.saturating_add(self.known.len() as u64);
        let failed = self.has_failed().then_some(Doubt::Failed { failed, of });
        let dns = self.senders.doubt(Rule::Dns, self.is_outvoted_by_dns());
        let checker = self.recipients.doubt(Rule::Checker, self.is_outvoted_by_checker());
        failed.into_iter().chain(dns).chain(checker)
    }

    fn is_outvoted_by_dns(&self) -> bool {
        self.senders.is_outvoted(SENDERS)
    }

    fn is_outvoted_by_checker(&self) -> bool {
        self.recipients.is_outvoted(RECIPIENTS)
    }

    /// Whether more than a third had no definite answer.
    fn has_failed(&self) -> bool {
        self.failed.count().saturating_mul(2) > self.known.len() as u64
    }
}

/// Answers, as far as they are believed after the ballot.
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

    fn helo_now(&self, address: IpAddr, name: &str) -> Confirmation {
        match self.answers.helo_now(address, name) {
            Confirmation::NotConfirmed if self.ballot.has_failed() => Confirmation::Unknown,
            confirmation => confirmation,
        }
    }

    fn is_gone(&self, address: IpAddr, name: &str) -> bool {
        self.answers.is_gone(address, name) && !self.ballot.has_failed()
    }

    fn reverse(&self, address: IpAddr) -> (Confirmation, Option<&[u8]>) {
        match self.answers.reverse(address) {
            (Confirmation::NotConfirmed, name) if self.ballot.has_failed() => {
                (Confirmation::Unknown, name)
            }
            reverse => reverse,
        }
    }

    fn exemption(&self, address: IpAddr, domain: &[u8]) -> Exemption {
        match self.answers.exemption(address, domain) {
            Exemption::NotExempt if self.ballot.has_failed() => Exemption::Unknown,
            exemption => exemption,
        }
    }

    fn spf(&self, address: IpAddr, domain: &[u8]) -> Option<SpfResult> {
        self.answers.spf(address, domain).filter(|_| !self.ballot.has_failed())
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        match self.answers.domain(domain) {
            Some(DomainVerdict::Bad(_)) if self.ballot.has_failed() => {
                Some(DomainVerdict::Unknown(Failure::Distrusted))
            }
            Some(DomainVerdict::Bad(_)) if self.ballot.is_outvoted_by_dns() => {
                Some(DomainVerdict::Unknown(Failure::Outvoted))
            }
            verdict => verdict,
        }
    }

    fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        let is_known = self.answers.is_recipient(address)?;
        (is_known || !self.ballot.is_outvoted_by_checker()).then_some(is_known)
    }

    fn listed(&self, address: IpAddr, zone: &str) -> Option<Listed> {
        match self.answers.listed(address, zone) {
            Some(Listed::Nothing) if self.ballot.has_failed() => Some(Listed::Unknown),
            listed => listed,
        }
    }

    fn is_heard(&self, address: IpAddr) -> Option<bool> {
        self.answers.is_heard(address)
    }

    fn was_spared(&self, address: IpAddr) -> bool {
        self.answers.was_spared(address)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::tuple;
    use super::super::testing::Oracle;
    use super::*;

    /// A ballot on hosts with these senders, whose domains are good, `gone.`, `dunno.` or `late.`.
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
        let wanted = "no definite answer for 3 of 7 domains, negative answers are not believed";
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
    fn none_falls_where_more_than_half_of_the_hosts_would() {
        let good = |count| many(count, |n| format!("a@mx.g{n}.example"));
        let bad = |count| many(count, |n| format!("a@gone.b{n}.example"));
        assert!(doubts(&bad(20)).is_empty(), "too few to tell");
        assert_eq!(doubts(&bad(21)).len(), 1);
        assert!(doubts(&[good(15), bad(15)].concat()).is_empty());
        let wanted = "16 of 31 hosts (51 %) would be trapped by rule dns, none is trapped";
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
    fn hosts_without_an_answer_are_told_beside_those_that_would_be_trapped() {
        let late = |count| many(count, |n| format!("a@late.l{n}.example"));
        let unanswered =
            "no definite answer for 30 of 30 domains, negative answers are not believed";
        assert_eq!(doubts(&late(30)), [unanswered]);
        let good = many(12, |n| format!("a@mx.g{n}.example"));
        let bad = many(8, |n| format!("a@gone.b{n}.example"));
        assert!(doubts(&[good.clone(), bad.clone()].concat()).is_empty());
        let wanted = "8 of 20 hosts (40 %) would be trapped by rule dns, and 6 have no answer, none is trapped";
        assert_eq!(doubts(&[good, bad, late(6)].concat()), [wanted]);
    }

    /// The directory of the checker was emptied.
    #[test]
    fn none_falls_where_the_checker_knows_no_recipient_of_most_hosts() {
        let votes = |good: usize, bad: usize| {
            let mut ballot = Ballot::default();
            let good = (0..good).map(|n| format!("<u{n}@ours.example>"));
            for to in good.chain((0..bad).map(|n| format!("<left{n}@ours.example>"))) {
                ballot.count_recipients([tuple("", &to), tuple("", "<")].into_iter(), &Oracle);
            }
            let believed = Believed { answers: &Oracle, ballot: &ballot };
            let left = believed.is_recipient(b"left@ours.example");
            (ballot.doubts().map(|doubt| doubt.to_string()).next(), left)
        };
        assert_eq!(votes(0, 19), (None, Some(false)));
        assert_eq!(votes(10, 10), (None, Some(false)));
        let text = "11 of 20 hosts (55 %) would be trapped by rule checker, none is trapped";
        assert_eq!(votes(9, 11), (Some(text.into()), None));
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
