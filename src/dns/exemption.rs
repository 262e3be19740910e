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
    /// Begins an inquiry. A sender domain that cannot be a name endorses nobody.
    pub fn new(claim: &Claim) -> (Self, Vec<Ask>) {
        let Ok(domain) = Name::from_domain(&claim.domain) else {
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
        let mut asks = match &mut self.stage {
            Stage::Hosts(hosts) => hosts.answered(number, answer),
            Stage::Spf(check) => check.answered(number, answer),
            Stage::Done(_) => Vec::new(),
        };
        if asks.is_empty() {
            asks = self.go_on();
        }
        asks
    }

    /// The question with this number.
    pub fn question(&self, number: usize) -> Option<(&Name, Rtype)> {
        match &self.stage {
            Stage::Hosts(hosts) => hosts.question(number),
            Stage::Spf(check) => check.question(number),
            Stage::Done(_) => None,
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
        if asks.is_empty() { self.go_on() } else { asks }
    }

    /// What mail hosts and SPF say together.
    fn weigh(&self, report: &Report) -> Endorsement {
        if let Some(matched) = report.narrow_pass() {
            let ground = Ground::Spf(escaped(matched.mechanism.as_bytes()).to_string());
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
