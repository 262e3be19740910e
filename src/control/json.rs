//! The JSON objects that `-j` prints, one a line.
//!
//! Whatever came from strangers stands in them as [`escaped`] text, always: printable UTF-8 as it is,
//! a backslash doubled, any other byte as a backslash and three octal digits. So every byte can be
//! had back, and none can harm a terminal.
#![forbid(unsafe_code)]

use crate::db::Damage;
use crate::dns::failure::Failure;
use crate::dns::verdict::DomainVerdict;
use crate::escape::escaped;
use crate::scan;
use crate::spamd::{Entry, Gdata};
use serde::{Serialize, Serializer};
use std::fmt;

/// One record of the database.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum Record<'a> {
    /// A delivery that was put off.
    Grey {
        /// The host.
        address: Bytes<'a>,
        /// What it said in HELO; empty in records of 2007 and older.
        helo: Bytes<'a>,
        /// The envelope sender.
        from: Bytes<'a>,
        /// The envelope recipient.
        to: Bytes<'a>,
        /// Times and counts.
        #[serde(flatten)]
        data: Data,
    },
    /// A host that may pass.
    White {
        /// The host.
        address: Bytes<'a>,
        /// Times and counts.
        #[serde(flatten)]
        data: Data,
    },
    /// A host in a trap.
    Trapped {
        /// The host.
        address: Bytes<'a>,
        /// When it was first trapped, in seconds since 1970.
        first: i64,
        /// When spamd lets it go.
        expire: i64,
    },
    /// An address whose senders spamd traps by itself.
    Spamtrap {
        /// That address.
        address: Bytes<'a>,
    },
}

/// The numbers of a record, times in seconds since 1970.
#[derive(Debug, Serialize)]
pub struct Data {
    first: i64,
    pass: i64,
    expire: i64,
    block_count: i32,
    pass_count: i32,
}

/// What became of an address that was to be trapped or released.
#[derive(Debug, Serialize)]
pub struct Change<'a> {
    /// The address as typed.
    pub address: Bytes<'a>,
    /// Whether it is as was asked.
    pub done: bool,
    /// What happened, or why nothing did.
    pub text: &'static str,
}

/// What a scan found about a host.
#[derive(Debug, Serialize)]
pub struct Verdict<'a> {
    address: Bytes<'a>,
    verdict: &'static str,
    /// `null` for a host that passes.
    rule: Option<&'static str>,
    reason: String,
    /// What DNS answered; of the rule `dns` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    /// The tuples that made the verdict.
    tuples: Vec<Tuple<'a>>,
}

/// What is thought of a sender domain.
#[derive(Debug, Serialize)]
pub struct Lookup<'a> {
    domain: Bytes<'a>,
    verdict: &'static str,
    why: String,
}

/// Why a sender domain has its verdict.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a>(pub &'a DomainVerdict);

/// A delivery that was put off, as evidence against its host.
#[derive(Debug, Serialize)]
struct Tuple<'a> {
    helo: Bytes<'a>,
    from: Bytes<'a>,
    to: Bytes<'a>,
}

/// A fault in the structure of a database.
#[derive(Debug, Serialize)]
pub struct Fault {
    page: u32,
    fault: String,
}

/// Bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Bytes(bytes)
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&escaped(self.0))
    }
}

impl<'a> Record<'a> {
    /// The object of a record.
    pub fn new(entry: Entry<'a>, data: &Gdata) -> Record<'a> {
        match entry {
            Entry::Grey(tuple) => Record::Grey {
                address: Bytes(tuple.address),
                helo: Bytes(tuple.helo),
                from: Bytes(tuple.from),
                to: Bytes(tuple.to),
                data: data.into(),
            },
            Entry::White(address) => Record::White { address: Bytes(address), data: data.into() },
            Entry::Trapped(address) => {
                Record::Trapped { address: Bytes(address), first: data.first, expire: data.expire }
            }
            Entry::Spamtrap(address) => Record::Spamtrap { address: Bytes(address) },
        }
    }
}

impl<'a> From<&scan::Verdict<'a>> for Verdict<'a> {
    fn from(verdict: &scan::Verdict<'a>) -> Verdict<'a> {
        let rule = verdict.rule().map(scan::Rule::name);
        let tuples = verdict.evidence().into_iter().map(|tuple| Tuple {
            helo: Bytes(tuple.helo),
            from: Bytes(tuple.from),
            to: Bytes(tuple.to),
        });
        Verdict {
            address: Bytes(verdict.address()),
            verdict: if rule.is_some() { "trap" } else { "pass" },
            rule,
            reason: verdict.reason().to_string(),
            answer: verdict.answer().map(|answer| answer.to_string()),
            tuples: tuples.collect(),
        }
    }
}

impl<'a> Lookup<'a> {
    /// The object of a verdict.
    pub fn new(domain: &'a [u8], verdict: &DomainVerdict) -> Lookup<'a> {
        let why = Why(verdict).to_string();
        Lookup { domain: Bytes(domain), verdict: verdict.word(), why }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            DomainVerdict::Unknown(Failure::Name(error)) => write!(f, "not asked: {error}"),
            verdict => verdict.fmt(f),
        }
    }
}

impl From<&Gdata> for Data {
    fn from(data: &Gdata) -> Data {
        Data {
            first: data.first,
            pass: data.pass,
            expire: data.expire,
            block_count: data.bcount,
            pass_count: data.pcount,
        }
    }
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Fault {
        Fault { page: damage.page, fault: damage.fault.to_string() }
    }
}
