//! The answers to a scan's questions, in the form in which the scan needs them.

use super::Questions;
use super::lists::Lists;
use crate::config::Networks;
use crate::dns::exemption::{Claim, Endorsement, Exemption};
use crate::dns::identity::{Confirmation, Identity};
use crate::dns::listing::{Listed, Oddity};
use crate::dns::spf::SpfResult;
use crate::dns::verdict::{DomainVerdict, Tally};
use crate::scan::answers::{Answers, Doubt};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The answers to a scan's questions, in their order: plain data that can cross a socket.
#[derive(Debug, Default)]
pub struct Answered {
    /// For each host one; without names if nothing is known about the host.
    pub hosts: Vec<Identity>,
    /// For each domain one.
    pub domains: Vec<DomainVerdict>,
    /// For each claim of an exemption one.
    pub endorsements: Vec<Endorsement>,
    /// For each question to a DNS list one.
    pub listings: Vec<Listed>,
    /// How the lookups of sender domains ended.
    pub tally: Tally,
    /// What the name servers have proved.
    pub shown: Shown,
}

/// What the name servers have proved in a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Whether one of them has found something.
    pub is_given: bool,
    /// The domains that must exist and were asked for, escaped.
    pub controls: Vec<String>,
    /// How many verdicts are unknown because they rest on answers that are not believed.
    pub dropped: u64,
}

/// The answers to a scan's questions.
#[derive(Debug)]
pub struct Findings {
    questions: Questions,
    /// The numbers of the hosts.
    by_address: HashMap<IpAddr, usize>,
    /// What is known of an address and a sender domain.
    endorsed: HashMap<IpAddr, HashMap<Vec<u8>, Endorsement>>,
    lists: Lists,
    answered: Answered,
    /// Hosts whose identity could not be found out in the previous scans either.
    overdue: HashSet<IpAddr>,
}

impl Findings {
    /// Combines questions and answers. A name of an `overdue` host that has no answer counts as not
    /// confirmed if the name servers have proved that they can find something.
    pub fn new(questions: Questions, mut answered: Answered, overdue: HashSet<IpAddr>) -> Findings {
        let numbered = questions.hosts.iter().enumerate();
        let by_address = numbered.map(|(number, host)| (host.address, number)).collect();
        let endorsed = endorsed(&questions.exemptions, &mut answered.endorsements);
        let lists = Lists::new(&questions.listings, std::mem::take(&mut answered.listings));
        Findings { questions, by_address, endorsed, lists, answered, overdue }
    }

    fn endorsement(&self, address: IpAddr, domain: &[u8]) -> Option<&Endorsement> {
        self.endorsed.get(&address)?.get(domain)
    }

    /// How the lookups of sender domains ended.
    pub fn tally(&self) -> Tally {
        self.answered.tally
    }

    /// The hosts with a name that has no answer; `None` if this may be the name servers' fault.
    pub fn unanswered(&self) -> Option<Vec<IpAddr>> {
        let hosts = self.questions.hosts.iter().zip(&self.answered.hosts);
        let lacking = hosts.filter(|(_, host)| host.names.contains(&Confirmation::Unknown));
        self.answered.shown.is_given.then(|| lacking.map(|(host, _)| host.address).collect())
    }
}

impl Findings {
    fn identity(&self, address: IpAddr) -> Option<&Identity> {
        self.answered.hosts.get(*self.by_address.get(&address)?)
    }

    /// What is known about a name of this host: one of these.
    fn of_name<T: Copy>(
        &self,
        address: IpAddr,
        name: &str,
        of: fn(&Identity) -> &[T],
    ) -> Option<T> {
        let number = *self.by_address.get(&address)?;
        let names = &self.questions.hosts.get(number)?.names;
        let place = names.iter().position(|asked| asked == name)?;
        of(self.answered.hosts.get(number)?).get(place).copied()
    }
}

impl Answers for Findings {
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
        match self.of_name(address, name, |identity| &identity.names) {
            Some(Confirmation::Unknown)
                if self.answered.shown.is_given && self.overdue.contains(&address) =>
            {
                Confirmation::NotConfirmed
            }
            found => found.unwrap_or(Confirmation::Unknown),
        }
    }

    fn helo_now(&self, address: IpAddr, name: &str) -> Confirmation {
        let found = self.of_name(address, name, |identity| &identity.names);
        found.unwrap_or(Confirmation::Unknown)
    }

    fn is_gone(&self, address: IpAddr, name: &str) -> bool {
        self.of_name(address, name, |identity| &identity.gone).unwrap_or(false)
    }

    fn reverse(&self, address: IpAddr) -> (Confirmation, Option<&[u8]>) {
        let reverse = self.identity(address).map(|identity| &identity.reverse);
        reverse.map_or((Confirmation::Unknown, None), |found| (found.own, found.name.as_deref()))
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        let number = self.questions.domains.number(domain)?;
        self.answered.domains.get(number).copied()
    }

    fn exemption(&self, address: IpAddr, domain: &[u8]) -> Exemption {
        let found = self.endorsement(address, domain);
        found.map_or(Exemption::Unknown, |found| found.exemption.clone())
    }

    fn spf(&self, address: IpAddr, domain: &[u8]) -> Option<SpfResult> {
        self.endorsement(address, domain)?.spf
    }

    fn listed(&self, address: IpAddr, zone: &str) -> Option<Listed> {
        self.lists.listed(address, zone)
    }

    fn aside(&self) -> Vec<(String, Oddity)> {
        self.lists.aside()
    }

    fn doubt(&self) -> Option<Doubt> {
        let Shown { is_given, controls, dropped } = &self.answered.shown;
        match (dropped, is_given) {
            (0, _) => None,
            (_, false) => Some(Doubt::Unproven(controls.clone())),
            (&dropped, true) => Some(Doubt::PartlyUnproven(dropped)),
        }
    }
}

/// What several rounds of questions have found.
#[derive(Debug, Default)]
pub struct Rounds {
    /// What each has found, the first one first.
    pub findings: Vec<Findings>,
    /// Hosts that an earlier scan has spared with a bad message.
    pub spared: Arc<HashSet<IpAddr>>,
    /// Hosts that other sites have in the trap, if they were heard.
    pub heard: Option<Arc<Networks>>,
}

impl Rounds {
    /// The hosts for which the domain of a sender vouches. A host may be named more than once.
    pub fn vouched(&self) -> impl Iterator<Item = IpAddr> {
        let hosts = self.findings.iter().flat_map(|findings| &findings.endorsed);
        let is_exempt = |found: &Endorsement| matches!(found.exemption, Exemption::Exempt(_));
        hosts
            .filter(move |(_, domains)| domains.values().any(is_exempt))
            .map(|(address, _)| *address)
    }

    /// The first that is known.
    fn first<T: PartialEq>(&self, unknown: T, of: impl Fn(&Findings) -> T) -> T {
        self.findings.iter().map(of).find(|found| *found != unknown).unwrap_or(unknown)
    }
}

impl Answers for Rounds {
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
        self.first(Confirmation::Unknown, |findings| findings.helo(address, name))
    }

    fn helo_now(&self, address: IpAddr, name: &str) -> Confirmation {
        self.first(Confirmation::Unknown, |findings| findings.helo_now(address, name))
    }

    fn is_gone(&self, address: IpAddr, name: &str) -> bool {
        self.first(false, |findings| findings.is_gone(address, name))
    }

    fn reverse(&self, address: IpAddr) -> (Confirmation, Option<&[u8]>) {
        let found = self.findings.iter().map(|findings| findings.reverse(address));
        let mut known = found.filter(|(own, _)| *own != Confirmation::Unknown);
        known.next().unwrap_or((Confirmation::Unknown, None))
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        self.findings.first()?.domain(domain)
    }

    fn exemption(&self, address: IpAddr, domain: &[u8]) -> Exemption {
        self.first(Exemption::Unknown, |findings| findings.exemption(address, domain))
    }

    fn spf(&self, address: IpAddr, domain: &[u8]) -> Option<SpfResult> {
        self.first(None, |findings| findings.spf(address, domain))
    }

    fn is_heard(&self, address: IpAddr) -> Option<bool> {
        self.heard.as_ref().map(|heard| heard.contains(address))
    }

    fn was_spared(&self, address: IpAddr) -> bool {
        self.spared.contains(&address)
    }

    fn listed(&self, address: IpAddr, zone: &str) -> Option<Listed> {
        let mut found = self.findings.iter().filter_map(|findings| findings.listed(address, zone));
        let first = found.next()?;
        match first {
            Listed::Unknown => found.find(|listed| *listed != Listed::Unknown).or(Some(first)),
            _ => Some(first),
        }
    }

    fn aside(&self) -> Vec<(String, Oddity)> {
        let mut aside = BTreeMap::new();
        for (zone, why) in self.findings.iter().flat_map(Answers::aside) {
            aside.entry(zone).or_insert(why);
        }
        aside.into_iter().collect()
    }

    fn doubt(&self) -> Option<Doubt> {
        self.findings.first()?.doubt()
    }
}

/// What is known of each address and sender domain.
fn endorsed(
    claims: &[Claim],
    found: &mut Vec<Endorsement>,
) -> HashMap<IpAddr, HashMap<Vec<u8>, Endorsement>> {
    let mut endorsed: HashMap<IpAddr, HashMap<Vec<u8>, Endorsement>> = HashMap::new();
    for (claim, endorsement) in claims.iter().zip(found.drain(..)) {
        let domains = endorsed.entry(claim.address).or_default();
        let together = match domains.remove(&claim.domain) {
            Some(other) => other.or(endorsement),
            None => endorsement,
        };
        domains.insert(claim.domain.clone(), together);
    }
    endorsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::identity::Question;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn findings(names: &[Confirmation], is_given: bool, overdue: &[IpAddr]) -> Findings {
        let texts = ["a.one.example", "b.two.example"].map(String::from).to_vec();
        let hosts = vec![Question { address: HOST, names: texts }];
        let shown = Shown { is_given, ..Shown::default() };
        let identity = Identity { names: names.to_vec(), ..Identity::default() };
        let answered = Answered { hosts: vec![identity], shown, ..Answered::default() };
        let questions = Questions { hosts, ..Questions::default() };
        Findings::new(questions, answered, overdue.iter().copied().collect())
    }

    use Confirmation::{Confirmed, NotConfirmed, Unknown};

    #[test]
    fn what_stays_unanswered_for_an_overdue_host_is_not_confirmed() {
        let names = [Unknown, Confirmed];
        for (is_given, overdue, wanted) in [
            (true, &[][..], Unknown),
            (true, &[HOST], NotConfirmed),
            (false, &[HOST], Unknown),
            (true, &[IpAddr::from([192, 0, 2, 2])], Unknown),
        ] {
            let findings = findings(&names, is_given, overdue);
            assert_eq!(findings.helo(HOST, "a.one.example"), wanted);
            assert_eq!(findings.helo(HOST, "b.two.example"), Confirmed);
            assert_eq!(findings.helo_now(HOST, "a.one.example"), Unknown, "of this scan alone");
        }
        // A name that was never asked about does not count as unanswered.
        assert_eq!(findings(&names, true, &[HOST]).helo(HOST, "c.example"), Unknown);
        assert_eq!(findings(&[], true, &[HOST]).helo(HOST, "a.one.example"), Unknown);
    }

    #[test]
    fn only_questions_that_had_no_answer_are_unanswered() {
        let unanswered = |names: &[Confirmation]| findings(names, true, &[]).unanswered();
        assert_eq!(unanswered(&[Unknown, Confirmed]), Some(vec![HOST]));
        assert_eq!(unanswered(&[NotConfirmed, Confirmed]), Some(vec![]));
        assert_eq!(unanswered(&[]), Some(vec![]), "never asked, or not believed");
        assert_eq!(findings(&[Unknown, Unknown], false, &[]).unanswered(), None);
    }
}
