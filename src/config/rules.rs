//! What is judged, and how strictly: the part of the configuration that `scan` works by.
//!
//! Made by `check`, printed by `print`. Two patterns are equal when their texts are.

use super::Networks;
use crate::machine::Own;
use regex::bytes::{Regex, RegexSet};

/// Every rule's setting. `None` switches a rule off.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Only hosts with more tuples than this are judged by how many senders and domains they have.
    pub suspect_tuples: u32,
    /// More registrable sender domains than this nominate a host.
    pub max_sender_domains: Option<u32>,
    /// A higher ratio of senders to tuples than this nominates a host.
    pub max_sender_ratio: Option<f64>,
    /// More registrable domains than this among unconfirmed HELO names nominate a host.
    pub max_helo_domains: Option<u32>,
    /// Whether a nominated host whose HELO name DNS confirms goes free.
    pub identity: bool,
    /// Whether the syntax of senders is judged.
    pub sender_syntax: bool,
    /// Whether sender domains are asked about in DNS.
    pub sender_dns: bool,
    /// What recipients give a host away.
    pub rcpt: RcptRules,
    /// Hosts that are never judged.
    pub allow: Networks,
    /// The machine's own addresses, which no statement names.
    pub own: Own,
}

impl Rules {
    /// Whether name servers are asked about anything.
    pub fn ask_dns(&self) -> bool {
        self.sender_dns || self.identity
    }
}

/// `pass rcpt`, `trap rcpt` and `trap rcpt unlisted`. Patterns ignore case and match anywhere in the
/// address without its angle brackets.
#[derive(Clone, Debug)]
pub struct RcptRules {
    /// Recipients that never give a host away.
    pub pass: RegexSet,
    /// Recipients that do, each pattern in the order written.
    pub trap: Vec<Regex>,
    /// Whether every recipient that no `pass` names does.
    pub unlisted: bool,
}

impl PartialEq for RcptRules {
    fn eq(&self, other: &Self) -> bool {
        self.unlisted == other.unlisted
            && self.pass.patterns() == other.pass.patterns()
            && self.trap.iter().map(Regex::as_str).eq(other.trap.iter().map(Regex::as_str))
    }
}

impl Default for RcptRules {
    fn default() -> Self {
        RcptRules { pass: RegexSet::empty(), trap: Vec::new(), unlisted: false }
    }
}

impl Default for Rules {
    /// The values of greytrapper.conf(5), which are the original's.
    fn default() -> Self {
        Rules {
            suspect_tuples: 5,
            max_sender_domains: Some(3),
            max_sender_ratio: Some(0.75),
            max_helo_domains: Some(1),
            identity: true,
            sender_syntax: true,
            sender_dns: true,
            rcpt: RcptRules::default(),
            allow: Networks::default(),
            own: Own::default(),
        }
    }
}
