//! What is judged and how strictly: the part of the configuration that `scan` uses.
//!
//! Made by `check`; displayed as its statements. Two patterns are equal if their texts are.

use super::value::{path_text, string_text};
use super::{AllowHelo, AllowUntil, DnsList, Networks, Origins};
use crate::machine::Own;
use regex::bytes::{Regex, RegexSet};
use std::fmt;
use std::path::PathBuf;

/// The names of all rules, in the order in which they are applied; `scan` has the rules themselves.
pub const NAMES: [&str; 11] = [
    "syntax", "domains", "senders", "helo", "address", "dynamic", "stranger", "crowd", "rcpt",
    "checker", "dns",
];

/// Every rule's setting. `None` switches a rule off.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Only hosts with more tuples than this are judged by the number of their senders and domains.
    pub suspect_tuples: u32,
    /// More registrable sender domains than this nominate a host.
    pub max_sender_domains: Option<u32>,
    /// A higher ratio of senders to tuples than this nominates a host.
    pub max_sender_ratio: Option<f64>,
    /// More unconfirmed HELO names than this nominate a host.
    pub max_helo_names: Option<u32>,
    /// Whether an anonymous host that calls itself by an address or by the recipient's domain is
    /// trapped.
    pub helo_address: bool,
    /// Whether a host without a name of its own that calls itself by its address is trapped.
    pub helo_dynamic: bool,
    /// Whether anonymous hosts are judged by signs in two fields.
    pub stranger: bool,
    /// Whether a recipient that only strangers write to is such a sign.
    pub learn_recipients: bool,
    /// Whether anonymous hosts are judged by a HELO name that many use.
    pub crowd: bool,
    /// Whether a nominated host whose HELO name DNS confirms goes free. Without it nobody is known to be
    /// anonymous.
    pub identity: bool,
    /// DNS lists that are asked about hosts.
    pub lists: Vec<DnsList>,
    /// A file of hosts that other sites have in the trap.
    pub hear: Option<PathBuf>,
    /// Whether the syntax of senders is judged.
    pub sender_syntax: bool,
    /// Whether sender domains are asked about in DNS.
    pub sender_dns: bool,
    /// Which recipients trap a host.
    pub rcpt: RcptRules,
    /// Whether an external program is asked about recipients,
    pub check_rcpt: bool,
    /// and of which hosts.
    pub check_rcpt_for: Hosts,
    /// Hosts that are never judged.
    pub allow: Networks,
    /// Hosts that are not judged until a day, the earliest day first.
    pub allow_until: Vec<AllowUntil>,
    /// Hosts that are not trapped if DNS confirms their names.
    pub allow_helo: Vec<AllowHelo>,
    /// The machine's own addresses; no statement sets them.
    pub own: Own,
    /// Where the statements about recipients and `allow` were written.
    pub origins: Origins,
}

impl Rules {
    /// Whether recipients are judged at all.
    pub fn judge_recipients(&self) -> bool {
        self.check_rcpt || self.rcpt.unlisted || !self.rcpt.trap.is_empty()
    }

    /// Whether hosts are judged by single letters and by who they are.
    pub fn judge_letters(&self) -> bool {
        let Rules { helo_address, helo_dynamic, stranger, crowd, .. } = *self;
        self.identity && (helo_address || helo_dynamic || stranger || crowd)
    }

    /// Whether name servers are asked about anything.
    pub fn ask_dns(&self) -> bool {
        self.sender_dns || self.identity || !self.allow_helo.is_empty()
    }
}

/// Which hosts an external program is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// All of them.
    #[default]
    All,
    /// Those with more tuples than `suspect tuples`.
    Suspect,
}

impl Hosts {
    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Hosts::All => "all",
            Hosts::Suspect => "suspect",
        }
    }
}

/// `pass rcpt`, `trap rcpt` and `trap rcpt unlisted`. Patterns ignore case and match anywhere in the
/// address without its angle brackets.
#[derive(Clone, Debug)]
pub struct RcptRules {
    /// Recipients that never trap a host.
    pub pass: RegexSet,
    /// Recipients that do, in the order of the statements.
    pub trap: Vec<Regex>,
    /// Whether every recipient that no `pass` matches does.
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
    /// The defaults in greytrapper.conf(5); those of the original where it has the setting.
    fn default() -> Self {
        Rules {
            suspect_tuples: 5,
            max_sender_domains: Some(3),
            max_sender_ratio: Some(0.75),
            max_helo_names: Some(1),
            helo_address: true,
            helo_dynamic: true,
            stranger: true,
            learn_recipients: false,
            crowd: false,
            identity: true,
            lists: Vec::new(),
            hear: None,
            sender_syntax: true,
            sender_dns: true,
            rcpt: RcptRules::default(),
            check_rcpt: false,
            check_rcpt_for: Hosts::All,
            allow: Networks::default(),
            allow_until: Vec::new(),
            allow_helo: Vec::new(),
            own: Own::default(),
            origins: Origins::default(),
        }
    }
}

/// The statements that set the rules, without `allow`.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "suspect tuples {}", self.suspect_tuples)?;
        writeln!(f, "max sender domains {}", or_off(self.max_sender_domains))?;
        writeln!(f, "max sender ratio {}", or_off(self.max_sender_ratio))?;
        writeln!(f, "max helo names {}", or_off(self.max_helo_names))?;
        writeln!(f, "check helo address {}", yes_or_no(self.helo_address))?;
        writeln!(f, "check helo dynamic {}", yes_or_no(self.helo_dynamic))?;
        writeln!(f, "check stranger {}", yes_or_no(self.stranger))?;
        writeln!(f, "learn recipients {}", yes_or_no(self.learn_recipients))?;
        writeln!(f, "check crowd {}", yes_or_no(self.crowd))?;
        writeln!(f, "check identity {}", yes_or_no(self.identity))?;
        self.lists.iter().try_for_each(|list| writeln!(f, "{list}"))?;
        if let Some(path) = &self.hear {
            writeln!(f, "hear file {} as sign", path_text(path))?;
        }
        writeln!(f, "check sender syntax {}", yes_or_no(self.sender_syntax))?;
        writeln!(f, "check sender dns {}", yes_or_no(self.sender_dns))?;
        write!(f, "{}", self.rcpt)
    }
}

impl fmt::Display for RcptRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pattern in self.pass.patterns() {
            writeln!(f, "pass rcpt {}", string_text(pattern))?;
        }
        for pattern in &self.trap {
            writeln!(f, "trap rcpt {}", string_text(pattern.as_str()))?;
        }
        if self.unlisted {
            writeln!(f, "trap rcpt unlisted")?;
        }
        Ok(())
    }
}

fn or_off<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or("off".into(), |value| value.to_string())
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
