//! Exemptions: whether a sender's domain says that a host may send its mail.
//!
//! The domain's own mail hosts are asked about first, and SPF (RFC 7208) only if they do not include the
//! host. Strangers choose all parts of a [`Claim`].
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use domain::base::Rtype;

use super::answer::Answer;
use super::failure::Failure;
use super::identity::Ask;
use super::mail_hosts::{MailHosts, Membership};
use super::name::Name;
use super::spf::{Check, Explain, Report, SpfResult};
use crate::escape::escaped;

/// Octets of a mechanism that are shown.
const MAX_MECHANISM: usize = 200;

/// A host that sends mail in the name of a domain: what `check_host()` takes (RFC 7208 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The host's address.
    pub address: IpAddr,
    /// Its HELO string, as it was sent.
    pub helo: Vec<u8>,
    /// The sender's local part, as it was sent; empty stands for `postmaster` (RFC 7208 4.3).
    pub local: Vec<u8>,
    /// The sender's domain, in lower case and without a trailing dot.
    pub domain: Vec<u8>,
}

impl Claim {
    /// The claim of a message with this sender, with or without brackets. The null sender stands for the
    /// postmaster of the HELO name (RFC 7208 2.4), and so does a text without `@`.
    pub fn new(address: IpAddr, helo: &[u8], sender: &[u8]) -> Self {
        let sender = match sender {
            [b'<', inner @ .., b'>'] => inner,
            _ => sender,
        };
        let mut parts = sender.rsplitn(2, |byte| *byte == b'@');
        let (domain, local) = match (parts.next(), parts.next()) {
            (Some(domain), Some(local)) => (domain, local),
            _ => (helo, &[][..]),
        };
        let domain = domain.strip_suffix(b".").unwrap_or(domain).to_ascii_lowercase();
        Self { address, helo: helo.to_vec(), local: local.to_vec(), domain }
    }
}

/// What a domain says of a host that sends in its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exemption {
    /// The host may send for it, and is not trapped for a message from it.
    Exempt(Ground),
    /// It definitely does not say so.
    NotExempt,
    /// It is unknown: no trap this time.
    Unknown,
}

/// Why a host is exempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ground {
    /// An MX of the domain has its address.
    Mx,
    /// The domain itself has its address.
    Address,
    /// An SPF pass, and not by a mechanism that is as good as `+all`: the mechanism, escaped.
    Spf(String),
}

/// What was found out about a [`Claim`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endorsement {
    /// Whether the host is exempt.
    pub exemption: Exemption,
    /// What `check_host()` returned, if it was asked and is believed.
    pub spf: Option<SpfResult>,
}

impl Endorsement {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { exemption: Exemption::Unknown, spf: None };

    /// What several messages of one host with one sender domain, but different local parts or HELO names,
    /// say together: whatever is best for the host.
    pub fn or(self, other: Self) -> Self {
        let kinder = |endorsement: &Self| match (&endorsement.exemption, endorsement.spf) {
            (Exemption::Exempt(_), _) => 0,
            (Exemption::Unknown, _) => 1,
            (Exemption::NotExempt, Some(SpfResult::Fail)) => 4,
            (Exemption::NotExempt, Some(SpfResult::SoftFail)) => 3,
            (Exemption::NotExempt, _) => 2,
        };
        if kinder(&other) < kinder(&self) { other } else { self }
    }
}

/// An inquiry about one claim. In: answers. Out: questions, and an [`Endorsement`].
#[derive(Debug)]
pub struct Inquiry {
    claim: Claim,
    stage: Stage,
    /// Whether the mail hosts are known.
    membership: Membership,
    /// For how many seconds all answers are valid.
    ttl: u32,
    is_for_message: bool,
}

#[derive(Debug)]
enum Stage {
    Hosts(MailHosts),
    Spf(Box<Check>),
    Done(Endorsement),
}

/// The number of SPF's first question; so an answer never belongs to another stage.
const SPF: usize = 1000;

/// The end of an inquiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The result.
    pub endorsement: Endorsement,
    /// For how many seconds it is valid.
    pub ttl: u32,
    /// Whether it holds only for this local part and HELO name.
    pub is_for_message: bool,
}

impl Inquiry {
    /// Begins an inquiry. A sender domain that cannot be a name, or that any network may give to its hosts,
    /// endorses nobody.
    pub fn new(claim: &Claim) -> (Self, Vec<Ask>) {
        let is_local = crate::name::is_local(&claim.domain);
        let domain = Name::from_domain(&claim.domain).ok().filter(|_| !is_local);
        let Some(domain) = domain else {
            let none = Endorsement { exemption: Exemption::NotExempt, spf: Some(SpfResult::None) };
            let stage = Stage::Done(none);
            return (Self::at(claim, stage), Vec::new());
        };
        let (hosts, mut asks) = MailHosts::new(claim.address, &domain);
        let mut inquiry = Self::at(claim, Stage::Hosts(hosts));
        if asks.is_empty() {
            asks = inquiry.go_on();
        }
        (inquiry, asks)
    }

    fn at(claim: &Claim, stage: Stage) -> Self {
        let (claim, membership) = (claim.clone(), Membership::No);
        Self { claim, stage, membership, ttl: u32::MAX, is_for_message: false }
    }

    /// Takes the answer to question `number`; returns what to ask next.
    pub fn answered(&mut self, number: usize, answer: Result<&Answer, Failure>) -> Vec<Ask> {
        let mut asks = match (&mut self.stage, number) {
            (Stage::Hosts(hosts), ..SPF) => hosts.answered(number, answer),
            (Stage::Spf(check), SPF..) => renumbered(check.answered(number - SPF, answer)),
            _ => return Vec::new(),
        };
        if asks.is_empty() {
            asks = self.go_on();
        }
        asks
    }

    /// The question with this number.
    pub fn question(&self, number: usize) -> Option<(&Name, Rtype)> {
        match (&self.stage, number) {
            (Stage::Hosts(hosts), ..SPF) => hosts.question(number),
            (Stage::Spf(check), SPF..) => check.question(number - SPF),
            _ => None,
        }
    }

    /// The result, once there is one.
    pub fn end(&self) -> Option<End> {
        let Stage::Done(endorsement) = &self.stage else { return None };
        Some(End {
            endorsement: endorsement.clone(),
            ttl: self.ttl,
            is_for_message: self.is_for_message,
        })
    }

    /// Goes to the next stage if this one has come to its end.
    fn go_on(&mut self) -> Vec<Ask> {
        match &self.stage {
            Stage::Hosts(hosts) => match hosts.end() {
                None => Vec::new(),
                Some((membership, ttl)) => self.know_hosts(membership, ttl),
            },
            Stage::Spf(check) => {
                if let Some(report) = check.end() {
                    self.ttl = self.ttl.min(report.ttl);
                    self.is_for_message = report.is_for_message;
                    self.stage = Stage::Done(self.weigh(report));
                }
                Vec::new()
            }
            Stage::Done(_) => Vec::new(),
        }
    }

    fn know_hosts(&mut self, membership: Membership, ttl: u32) -> Vec<Ask> {
        (self.membership, self.ttl) = (membership, ttl);
        let ground = match membership {
            Membership::Mx => Ground::Mx,
            Membership::Address => Ground::Address,
            Membership::No | Membership::Unknown => return self.ask_spf(),
        };
        let exemption = Exemption::Exempt(ground);
        self.stage = Stage::Done(Endorsement { exemption, spf: None });
        Vec::new()
    }

    fn ask_spf(&mut self) -> Vec<Ask> {
        let (check, asks) = Check::new(&self.claim, Explain::No);
        self.stage = Stage::Spf(Box::new(check));
        if asks.is_empty() { self.go_on() } else { renumbered(asks) }
    }

    /// What mail hosts and SPF say together.
    fn weigh(&self, report: &Report) -> Endorsement {
        if let Some(matched) = report.narrow_pass() {
            let text = matched.mechanism.as_bytes();
            let text = text.get(..MAX_MECHANISM).unwrap_or(text);
            let ground = Ground::Spf(escaped(text).to_string());
            let exemption = Exemption::Exempt(ground);
            return Endorsement { exemption, spf: Some(report.result) };
        }
        let is_known = self.membership == Membership::No
            && report.result != SpfResult::TempError
            && report.is_sure;
        let exemption = if is_known { Exemption::NotExempt } else { Exemption::Unknown };
        Endorsement { exemption, spf: Some(report.result).filter(|_| report.is_sure) }
    }
}

fn renumbered(asks: Vec<Ask>) -> Vec<Ask> {
    asks.into_iter().map(|ask| Ask { number: ask.number + SPF, ..ask }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::answer::{Data, List};
    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_claim_has_the_sender_of_the_message_or_the_postmaster_of_its_helo() {
        for (sender, local, domain) in [
            ("u@A.Example", "u", "a.example"),
            ("<u@a.example.>", "u", "a.example"),
            ("<\"a@b\"@a.example>", "\"a@b\"", "a.example"),
            ("@a.example", "", "a.example"),
            ("<>", "", "mx.helo.example"),
            ("", "", "mx.helo.example"),
            ("nobody", "", "mx.helo.example"),
            ("u@", "u", ""),
        ] {
            let claim = Claim::new(HOST, b"MX.helo.example", sender.as_bytes());
            let wanted = (local.as_bytes().to_vec(), domain.as_bytes().to_vec());
            assert_eq!((claim.local, claim.domain), wanted, "{sender}");
            assert_eq!(claim.helo, b"MX.helo.example");
        }
    }

    /// The exemption in a world where MX, address and policy are these; `None` is a failure.
    fn inquire(answers: [Option<Data>; 3]) -> (Exemption, Option<SpfResult>) {
        let (mut inquiry, mut asks) = Inquiry::new(&Claim::new(HOST, b"x", b"u@a.example"));
        while let Some(ask) = asks.pop() {
            let place = match ask.rtype {
                Rtype::MX => 0,
                Rtype::A => 1,
                _ => 2,
            };
            let answer = answers[place].clone().map(|data| Answer { ttl: 60, data });
            let answer = answer.as_ref().ok_or(Failure::Timeout);
            asks.extend(inquiry.answered(ask.number, answer));
            assert_eq!(inquiry.answered(ask.number, answer), [], "a second answer changes nothing");
        }
        let Endorsement { exemption, spf } = inquiry.end().unwrap().endorsement;
        (exemption, spf)
    }

    #[test]
    fn mail_hosts_come_first_and_doubt_in_either_remains() {
        let nothing = || Some(Data::NxDomain);
        let policy = |text: &str| {
            Some(Data::Texts(List { items: vec![text.as_bytes().to_vec()], more: false }))
        };
        let own = || Some(Data::Addresses(List { items: vec![HOST], more: false }));
        let spf = |mechanism: &str| Exemption::Exempt(Ground::Spf(mechanism.into()));
        let long = format!("a:{}.example", "b".repeat(300));
        for (answers, exemption, result) in [
            ([nothing(), own(), None], Exemption::Exempt(Ground::Address), None),
            ([None, own(), None], Exemption::Exempt(Ground::Address), None),
            (
                [nothing(), nothing(), policy("v=spf1 ip4:192.0.2.1 -all")],
                spf("ip4:192.0.2.1"),
                Some(SpfResult::Pass),
            ),
            (
                [None, nothing(), policy("v=spf1 ip4:192.0.2.1 -all")],
                spf("ip4:192.0.2.1"),
                Some(SpfResult::Pass),
            ),
            (
                [nothing(), nothing(), policy("v=spf1 -all")],
                Exemption::NotExempt,
                Some(SpfResult::Fail),
            ),
            ([None, nothing(), policy("v=spf1 -all")], Exemption::Unknown, Some(SpfResult::Fail)),
            (
                [nothing(), nothing(), policy("v=spf1 +all")],
                Exemption::NotExempt,
                Some(SpfResult::Pass),
            ),
            ([nothing(), nothing(), None], Exemption::Unknown, Some(SpfResult::TempError)),
            (
                [nothing(), nothing(), policy(&format!("v=spf1 {long} x"))],
                Exemption::NotExempt,
                Some(SpfResult::PermError),
            ),
            ([nothing(), nothing(), nothing()], Exemption::NotExempt, Some(SpfResult::None)),
        ] {
            assert_eq!(inquire(answers.clone()), (exemption, result), "{answers:?}");
        }
    }

    #[test]
    fn of_several_messages_what_is_best_for_the_host_counts() {
        let endorsement = |exemption, spf| Endorsement { exemption, spf };
        let sorted = [
            endorsement(Exemption::Exempt(Ground::Mx), None),
            Endorsement::UNKNOWN,
            endorsement(Exemption::NotExempt, Some(SpfResult::Neutral)),
            endorsement(Exemption::NotExempt, Some(SpfResult::SoftFail)),
            endorsement(Exemption::NotExempt, Some(SpfResult::Fail)),
        ];
        for (place, one) in sorted.iter().enumerate() {
            for other in &sorted[place..] {
                assert_eq!(one.clone().or(other.clone()), *one);
                assert_eq!(other.clone().or(one.clone()), *one);
            }
        }
    }
}
