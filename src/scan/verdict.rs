//! What a scan finds about a host: the rule that hit and its ground, or why nothing did.
//!
//! `judge` makes them, small and `Copy` since there is one for every waiting host; `report` shows
//! them with the bytes they are about.

use super::answers::Bad;
use super::rules::Rule;
use super::sender::Fault;
use std::fmt;

/// What is to be done with a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    Trap(Ground),
    Pass(Why),
    /// The host does not wait: nothing to judge.
    Absent,
}

impl Outcome {
    /// Whether a later rule may still hit.
    pub fn is_open(&self) -> bool {
        use Why::{DomainUnknown, Identity, IdentityUnknown, Nothing};
        matches!(self, Outcome::Pass(Nothing | Identity | IdentityUnknown | DomainUnknown))
    }
}

/// Why a host is trapped; `tuple` is the number of the tuple that did it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ground {
    Sender { tuple: u32, fault: Fault },
    Domains { domains: u32, max: u32 },
    Senders { senders: u32, max: f64 },
    Helo { domains: u32, max: u32 },
    Recipient { tuple: u32 },
    Checked { tuple: u32 },
    Domain { tuple: u32, bad: Bad },
}

impl Ground {
    pub fn rule(self) -> Rule {
        match self {
            Ground::Sender { .. } => Rule::Syntax,
            Ground::Domains { .. } => Rule::Domains,
            Ground::Senders { .. } => Rule::Senders,
            Ground::Helo { .. } => Rule::Helo,
            Ground::Recipient { .. } => Rule::Rcpt,
            Ground::Checked { .. } => Rule::Checker,
            Ground::Domain { .. } => Rule::Dns,
        }
    }
}

/// Why a host passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has a WHITE record.
    Whitelisted,
    /// It has a TRAPPED record.
    Trapped,
    /// `allow` holds its address.
    Allowed,
    /// Nominated, but DNS confirms its HELO names.
    Identity,
    /// Nominated, but DNS was not asked or had no definite answer.
    IdentityUnknown,
    /// No rule hit, but DNS had no definite answer about one of its sender domains.
    DomainUnknown,
    /// No rule hit.
    Nothing,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Whitelisted => "whitelisted",
            Why::Trapped => "trapped already",
            Why::Allowed => "in allow",
            Why::Identity => "identity confirmed",
            Why::IdentityUnknown => "identity not known",
            Why::DomainUnknown => "sender domain not known",
            Why::Nothing => "nothing against it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_small() {
        assert_eq!(size_of::<Outcome>(), 16);
    }
}
