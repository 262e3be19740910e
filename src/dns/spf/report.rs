//! What `check_host()` found out.
#![forbid(unsafe_code)]

use std::fmt;

use super::SpfResult;
use super::fault::Fault;
use crate::dns::failure::Failure;
use crate::dns::name::Name;

/// The result of `check_host()`, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The result.
    pub result: SpfResult,
    /// The mechanism that decided it; `None` if none matched.
    pub matched: Option<Match>,
    /// Why the result is an error.
    pub problem: Option<Problem>,
    /// Whether all questions that could have changed the result had definite answers.
    pub is_sure: bool,
    /// Whether the result holds only for this local part and HELO name, not for all of this sender domain.
    pub is_for_message: bool,
    /// Terms that asked DNS, of which ten are allowed (RFC 7208 4.6.4).
    pub terms: u32,
    /// Questions to DNS.
    pub lookups: usize,
    /// Terms that found nothing in DNS, of which two are allowed (RFC 7208 4.6.4).
    pub voids: u32,
    /// For how many seconds the answers are valid.
    pub ttl: u32,
    /// The domain's explanation of a fail (RFC 7208 6.2), if it was asked for and has one.
    pub explanation: Option<Vec<u8>>,
}

/// A mechanism that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The mechanism as the policy has it, without its qualifier.
    pub mechanism: String,
    /// The domain with the policy: not the sender's after `include` or `redirect`.
    pub domain: Name,
    /// How many hosts match too.
    pub width: Width,
}

/// How many hosts match a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Those of the domain.
    Narrow,
    /// So many that a match says nothing about a host: all of them, or a network wider than a /16 (IPv6: a
    /// /32).
    Wide,
}

/// Why the result is `temperror` or `permerror`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A question has no definite answer.
    Dns(Failure),
    /// The policy is wrong.
    Policy(Fault),
}

impl Report {
    /// A result that needed no question.
    pub fn unasked(result: SpfResult) -> Self {
        Self {
            result,
            matched: None,
            problem: None,
            is_sure: true,
            is_for_message: false,
            terms: 0,
            lookups: 0,
            voids: 0,
            ttl: 0,
            explanation: None,
        }
    }

    /// The match of a pass that says something about the host.
    pub fn narrow_pass(&self) -> Option<&Match> {
        let is_pass = self.result == SpfResult::Pass;
        self.matched.as_ref().filter(|matched| is_pass && matched.width == Width::Narrow)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(failure) => failure.fmt(f),
            Self::Policy(fault) => fault.fmt(f),
        }
    }
}
