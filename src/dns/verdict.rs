//! What the answers mean for a sender domain, and for a whole scan.
//!
//! Sources: RFC 5321 5.1 (mail goes to the MX, or else to the address), RFC 7505 (null MX). Everything that
//! is not definite is unknown, and never traps a host.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::fmt;

use super::failure::Failure;

/// The verdict on a sender domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DomainVerdict {
    /// Mail can be sent to it.
    Good(Good),
    /// No mail can be sent to it.
    Bad(Bad),
    /// It is unknown.
    Unknown(Failure),
}

/// Why a domain is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Good {
    /// It has an MX record with a target.
    Mx,
    /// It has no MX record, but an address.
    Address,
}

/// Why a domain is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bad {
    /// It exists and has neither MX nor A nor AAAA.
    NoMxOrAddress,
    /// It declares that it does not accept mail (RFC 7505).
    NullMx,
    /// It, or the name that it is an alias for, does not exist.
    NxDomain,
}

impl DomainVerdict {
    /// `good`, `bad` or `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Good(_) => "good",
            Self::Bad(_) => "bad",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether it was looked up without a definite answer.
    pub fn is_lacking(&self) -> bool {
        matches!(self, Self::Unknown(failure) if !matches!(failure, Failure::Name(_)))
    }
}

/// Only the reason, as `greytrapctl lookup` shows it.
impl fmt::Display for DomainVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good(Good::Mx) => "MX",
            Self::Good(Good::Address) => "no MX, address",
            Self::Bad(Bad::NoMxOrAddress) => "no MX or A",
            Self::Bad(Bad::NullMx) => "null MX",
            Self::Bad(Bad::NxDomain) => "no such domain",
            Self::Unknown(failure) => return failure.fmt(f),
        })
    }
}

/// The results of a scan's lookups, over the network or from the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Domains that receive mail.
    pub good: u64,
    /// Domains that do not.
    pub bad: u64,
    /// Unknown domains.
    pub unknown: u64,
    /// Texts that were not names, and so were not looked up.
    pub not_asked: u64,
}

impl Tally {
    /// The counts without those of `other`.
    pub fn minus(&self, other: &Tally) -> Tally {
        Tally {
            good: self.good.saturating_sub(other.good),
            bad: self.bad.saturating_sub(other.bad),
            unknown: self.unknown.saturating_sub(other.unknown),
            not_asked: self.not_asked.saturating_sub(other.not_asked),
        }
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Tally) {
        self.good += other.good;
        self.bad += other.bad;
        self.unknown += other.unknown;
        self.not_asked += other.not_asked;
    }

    /// Counts one verdict.
    pub fn count(&mut self, verdict: &DomainVerdict) {
        match verdict {
            DomainVerdict::Good(_) => self.good += 1,
            DomainVerdict::Bad(_) => self.bad += 1,
            DomainVerdict::Unknown(Failure::Name(_)) => self.not_asked += 1,
            DomainVerdict::Unknown(_) => self.unknown += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_what_was_asked_and_what_was_not() {
        let mut tally = Tally::default();
        for verdict in [
            DomainVerdict::Bad(Bad::NxDomain),
            DomainVerdict::Good(Good::Mx),
            DomainVerdict::Unknown(Failure::Timeout),
            DomainVerdict::Unknown(Failure::Unproven),
            DomainVerdict::Unknown(Failure::Name(crate::dns::name::NameError::Empty)),
        ] {
            tally.count(&verdict);
        }
        assert_eq!(tally, Tally { good: 1, bad: 1, unknown: 2, not_asked: 1 });
    }
}
