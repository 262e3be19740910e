//! Limits what claims may ask in one scan.
//!
//! The owner of a policy decides which names it leads to: any number below the domain of somebody else,
//! whose name servers would get all the questions. So there is a limit for each host, and one for each
//! registrable domain; a domain whose servers do not answer is given up soon. What is not asked is unknown,
//! and spares the host.
//!
//! The administrator chooses the zone of a DNS list, and all hosts are asked about in it. So a list has a
//! limit of its own, and is given up only if it answers less often than not.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use domain::base::Rtype;

use super::name::Name;

/// The number of questions for one host in a scan. A check of RFC 7208 may have some 120.
const MOST_FOR_HOST: u32 = 300;
/// The number of different questions about one registrable domain in a scan.
const MOST_FOR_DOMAIN: u32 = 1000;
/// The number of questions about one registrable domain that may have no definite answer.
const MOST_FAILED: u32 = 20;
/// The number of questions to one DNS list in a scan.
const MOST_FOR_LIST: u32 = 20_000;
/// The number of different questions in a scan.
const MOST: usize = 300_000;

/// What was asked in a scan.
#[derive(Debug, Default)]
pub(super) struct Quota {
    hosts: HashMap<IpAddr, u32>,
    domains: HashMap<Vec<u8>, Use>,
    /// By zone.
    lists: HashMap<String, ListUse>,
    /// Hashes of questions with a secret key.
    asked: HashSet<u64>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Use {
    asked: u32,
    failed: u32,
}

#[derive(Debug, Default)]
struct ListUse {
    asked: u32,
    answered: u32,
    failed: u32,
}

impl Quota {
    /// Whether a question may be asked for this host, which is then counted. The host's own reverse name is
    /// no matter of a domain.
    pub fn may_ask(&mut self, host: IpAddr, name: &Name, rtype: Rtype) -> bool {
        let count = self.hosts.entry(host).or_default();
        *count = count.saturating_add(1);
        let may_ask = *count <= MOST_FOR_HOST;
        let question = self.hasher.hash_one((name, rtype));
        if !may_ask || rtype == Rtype::PTR || self.asked.contains(&question) {
            return may_ask;
        }
        let used = self.domains.entry(registrable(name)).or_default();
        let is_full = self.asked.len() >= MOST;
        if is_full || used.asked >= MOST_FOR_DOMAIN || used.failed >= MOST_FAILED {
            return false;
        }
        used.asked += 1;
        self.asked.insert(question);
        true
    }

    /// Whether a list may be asked about this host, which is then counted.
    pub fn may_ask_list(&mut self, host: IpAddr, zone: &str) -> bool {
        let count = self.hosts.entry(host).or_default();
        *count = count.saturating_add(1);
        let list = self.lists.entry(zone.to_owned()).or_default();
        let is_given_up = list.failed >= MOST_FAILED && list.failed > list.answered;
        if *count > MOST_FOR_HOST || list.asked >= MOST_FOR_LIST || is_given_up {
            return false;
        }
        list.asked += 1;
        true
    }

    /// Notes whether a list has given a definite answer.
    pub fn list_answered(&mut self, zone: &str, is_definite: bool) {
        let Some(list) = self.lists.get_mut(zone) else { return };
        let count = if is_definite { &mut list.answered } else { &mut list.failed };
        *count = count.saturating_add(1);
    }

    /// Notes that a question has no definite answer.
    pub fn failed(&mut self, name: &Name) {
        if let Some(used) = self.domains.get_mut(&registrable(name)) {
            used.failed = used.failed.saturating_add(1);
        }
    }
}

fn registrable(name: &Name) -> Vec<u8> {
    let mut domain = Vec::new();
    crate::name::registrable(&name.text(), &mut domain);
    domain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_octets(text.as_bytes()).unwrap()
    }

    fn host(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0xc000_0200 + number).into()
    }

    #[test]
    fn one_host_and_one_domain_get_a_bounded_number() {
        let mut quota = Quota::default();
        let ask =
            |quota: &mut Quota, n: u32, text: &str| quota.may_ask(host(n), &name(text), Rtype::A);
        let own = |n: &u32| ask(&mut quota, 0, &format!("a.d{n}.example"));
        assert_eq!((0..5000).filter(own).count(), 300);
        let third = |n: &u32| ask(&mut quota, n / 9, &format!("r{n}.deep.victim.example"));
        assert_eq!((9..5009).filter(third).count(), 1000);
        assert!(!ask(&mut quota, 700, "victim.example"));
        assert!(ask(&mut quota, 700, "r9.deep.victim.example"), "it was asked before");
        assert!(ask(&mut quota, 700, "other.example"));
        assert!(quota.may_ask(host(700), &name("1.2.0.192.in-addr.arpa"), Rtype::PTR));
    }

    #[test]
    fn a_list_that_answers_is_asked_about_every_host() {
        let mut quota = Quota::default();
        let answers = |n: &u32| {
            let may_ask = quota.may_ask_list(host(*n), "swift.example");
            quota.list_answered("swift.example", !n.is_multiple_of(3));
            may_ask
        };
        assert_eq!((0..30_000).filter(answers).count(), 20_000);
        let mute = |n: &u32| {
            let may_ask = quota.may_ask_list(host(*n), "mute.example");
            quota.list_answered("mute.example", *n < 10);
            may_ask
        };
        assert_eq!((0..1000).filter(mute).count(), 30, "10 with an answer, 20 without");
    }

    #[test]
    fn a_domain_that_does_not_answer_is_given_up() {
        let mut quota = Quota::default();
        let ask = |n: &u32| {
            let name = name(&format!("r{n}.mute.example"));
            let may_ask = quota.may_ask(host(*n), &name, Rtype::TXT);
            quota.failed(&name);
            may_ask
        };
        assert_eq!((0..100).filter(ask).count(), 20);
    }
}
