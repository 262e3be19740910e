//! The JSON objects that `-j` prints, one a line; those about verdicts are in `judged`.
//!
//! Whatever comes from strangers is always [`escaped`]: printable UTF-8 as it is, a backslash doubled, any
//! other byte as a backslash and three octal digits. So every byte can be recovered, and none can harm a
//! terminal.
#![forbid(unsafe_code)]

use crate::control::protocol;
use crate::control::status::Scan;
use crate::db::{Damage, compare};
use crate::dns::failure::Failure;
use crate::dns::spf::Report;
use crate::dns::verdict::DomainVerdict;
use crate::escape::{escaped, harmless};
use crate::memory::{self, Hold};
use crate::scan::Verdict;
use crate::spamd::{Entry, Gdata};
use serde::{Serialize, Serializer};
use serde_json::ser::{CharEscape, Formatter};
use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;

/// Appends `object` to `buffer`.
///
/// Text in it is harmless even if whoever made it, such as the daemon, did not escape it.
pub fn write(buffer: &mut Vec<u8>, object: &impl Serialize) -> Result<(), serde_json::Error> {
    object.serialize(&mut serde_json::Serializer::with_formatter(buffer, Harmless))
}

/// serde_json's compact form, with everything that could disturb a terminal escaped.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        // A fragment has no backslash, so each one in the output begins an escape.
        to.write_all(harmless(text).to_string().replace('\\', "\\\\").as_bytes())
    }

    fn write_char_escape<W: Write + ?Sized>(
        &mut self,
        to: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        let byte = match escape {
            CharEscape::Quote => return to.write_all(b"\\\""),
            CharEscape::ReverseSolidus => return to.write_all(b"\\\\"),
            CharEscape::Solidus => b'/',
            CharEscape::Backspace => 8,
            CharEscape::FormFeed => 12,
            CharEscape::LineFeed => b'\n',
            CharEscape::CarriageReturn => b'\r',
            CharEscape::Tab => b'\t',
            CharEscape::AsciiControl(byte) => byte,
        };
        write!(to, "\\\\{byte:03o}")
    }
}

/// One record of the database.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum Record<'a> {
    /// A greylisted delivery.
    Grey {
        /// The host.
        address: Bytes<'a>,
        /// Its HELO name; empty in records of 2007 and older.
        helo: Bytes<'a>,
        /// The envelope sender.
        from: Bytes<'a>,
        /// The envelope recipient.
        to: Bytes<'a>,
        /// Times and counts.
        #[serde(flatten)]
        data: Data,
    },
    /// A whitelisted host.
    White {
        /// The host.
        address: Bytes<'a>,
        /// Times and counts.
        #[serde(flatten)]
        data: Data,
    },
    /// A trapped host.
    Trapped {
        /// The host.
        address: Bytes<'a>,
        /// When it was first trapped, in seconds since 1970.
        first: i64,
        /// When the trap ends.
        expire: i64,
    },
    /// A recipient; spamd traps whoever writes to it.
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

/// A trapped host.
#[derive(Debug, Serialize)]
pub struct Trap<'a> {
    address: IpAddr,
    /// When it was first trapped, in seconds since 1970.
    first: i64,
    /// When the trap ends.
    expire: i64,
    rule: &'static str,
    /// Empty if the daemon does not know.
    reason: &'a str,
}

/// A host that was released and is held.
#[derive(Debug, Serialize)]
pub struct Held<'a> {
    address: IpAddr,
    /// When it was released, in seconds since 1970.
    time: i64,
    /// Until when nothing traps it; `null` as long as its tuples live.
    expire: Option<i64>,
    reason: &'a str,
}

/// What `allow` says.
#[derive(Debug, Serialize)]
pub struct Excepted<'a> {
    statement: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    /// When it no longer counts; `null` if that is never.
    expire: Option<i64>,
}

impl<'a> From<&'a Hold> for Held<'a> {
    fn from(Hold { address, since, until, reason }: &'a Hold) -> Held<'a> {
        let expire = Some(*until).filter(|until| *until != 0);
        Held { address: *address, time: *since, expire, reason }
    }
}

impl<'a> From<&'a protocol::Excepted> for Excepted<'a> {
    fn from(protocol::Excepted { written, end }: &'a protocol::Excepted) -> Excepted<'a> {
        let origin = written.origin.as_ref();
        let (file, line) = (origin.map(|(file, _)| &**file), origin.map(|(_, line)| *line));
        Excepted { statement: &written.statement, file, line, expire: *end }
    }
}

/// Something that happened in the daemon.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// When, in seconds since 1970.
    time: i64,
    #[serde(flatten)]
    what: What<'a>,
}

/// What happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum What<'a> {
    ScanStarted,
    ScanDone(&'a Scan),
    Verdict { address: IpAddr, verdict: &'static str, rule: Option<&'static str>, reason: &'a str },
    Trapped { address: IpAddr, rule: Option<&'static str>, reason: &'a str },
    Observed { address: IpAddr, rule: Option<&'static str>, reason: &'a str },
    Released { address: IpAddr, reason: &'a str },
    Notice { text: &'a str },
    Failure { text: &'a str },
}

/// What became of an address after `trap`, `release` or `adopt`.
#[derive(Debug, Serialize)]
pub struct Change<'a> {
    /// The address as typed.
    pub address: &'a str,
    /// Whether it is now as requested.
    pub done: bool,
    /// What was done, or why nothing was.
    pub text: &'a str,
}

/// A recipient that could be a spamtrap.
#[derive(Debug, Serialize)]
pub struct Suggestion<'a> {
    recipient: Bytes<'a>,
    /// How many networks wrote to it in the last 7 days; 11 stands for 11 or more.
    networks: usize,
    /// When a stranger first wrote to it, in seconds since 1970.
    first: i64,
}

impl<'a> From<&'a memory::Suggestion> for Suggestion<'a> {
    fn from(found: &'a memory::Suggestion) -> Suggestion<'a> {
        let memory::Suggestion { recipient, networks, first } = found;
        Suggestion { recipient: Bytes(recipient), networks: *networks, first: *first }
    }
}

/// The verdict on a sender domain.
#[derive(Debug, Serialize)]
pub struct Lookup<'a> {
    domain: Bytes<'a>,
    verdict: &'static str,
    reason: String,
}

/// What SPF says about a host and a sender.
#[derive(Debug, Serialize)]
pub struct Spf {
    result: &'static str,
    /// Whether it exempts the host from traps.
    exempts: bool,
    mechanism: Option<String>,
    domain: Option<String>,
    reason: Option<String>,
    explanation: Option<String>,
    lookup_count: usize,
    term_count: u32,
    void_term_count: u32,
}

/// The reason for the verdict on a sender domain.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a>(pub &'a DomainVerdict);

/// A fault in the structure of a database.
#[derive(Debug, Serialize)]
pub struct Fault {
    page: u32,
    fault: String,
}

/// A difference between libc's walk and ours.
#[derive(Debug, Serialize)]
pub struct Difference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Bytes<'a>>,
    difference: String,
}

/// The rule in listings for a trap that the daemon knows nothing about.
pub const UNKNOWN: &str = "unknown";

/// What speaks against a host: the name of the rule, or `hand` if an operator has trapped it; `None` if nothing
/// does.
pub fn cause(verdict: &Verdict) -> Option<&'static str> {
    match verdict.rule {
        Some(rule) => Some(rule.name()),
        None => verdict.passes().is_none().then_some("hand"),
    }
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

impl<'a> From<&'a protocol::Trap> for Trap<'a> {
    fn from(trap: &'a protocol::Trap) -> Trap<'a> {
        let protocol::Trap { address, first, expire, ref verdict, .. } = *trap;
        let rule = verdict.as_ref().and_then(cause).unwrap_or(UNKNOWN);
        let reason = verdict.as_ref().map_or("", |verdict| &verdict.reason);
        Trap { address, first, expire, rule, reason }
    }
}

impl<'a> From<&'a protocol::Event> for Event<'a> {
    fn from(event: &'a protocol::Event) -> Event<'a> {
        use protocol::What as Told;
        let what = match &event.what {
            Told::ScanStarted => What::ScanStarted,
            Told::ScanDone(scan) => What::ScanDone(scan),
            Told::Verdict(verdict) => What::Verdict {
                address: verdict.address.ip(),
                verdict: verdict.word(),
                rule: cause(verdict),
                reason: &verdict.reason,
            },
            Told::Observed(verdict) => What::Observed {
                address: verdict.address.ip(),
                rule: cause(verdict),
                reason: &verdict.reason,
            },
            Told::Trapped(verdict) => What::Trapped {
                address: verdict.address.ip(),
                rule: cause(verdict),
                reason: &verdict.reason,
            },
            Told::Released { address, reason } => What::Released { address: *address, reason },
            Told::Notice(text) => What::Notice { text },
            Told::Failure(text) => What::Failure { text },
        };
        Event { time: event.time, what }
    }
}

impl<'a> Lookup<'a> {
    /// The object of a verdict.
    pub fn new(domain: &'a [u8], verdict: &DomainVerdict) -> Lookup<'a> {
        let reason = Why(verdict).to_string();
        Lookup { domain: Bytes(domain), verdict: verdict.word(), reason }
    }
}

impl Spf {
    /// The object of a report.
    pub fn new(report: &Report) -> Spf {
        let matched = report.matched.as_ref();
        let explanation = report.explanation.as_deref();
        let reason = report.problem.map(|problem| problem.to_string());
        let unsure = || (!report.is_sure).then(|| "not all names of the host are known".into());
        Spf {
            result: report.result.word(),
            exempts: report.narrow_pass().is_some(),
            mechanism: matched.map(|matched| escaped(matched.mechanism.as_bytes()).to_string()),
            domain: matched.map(|matched| escaped(&matched.domain.text()).to_string()),
            reason: reason.or_else(unsure),
            explanation: explanation.map(|text| escaped(text).to_string()),
            lookup_count: report.lookups,
            term_count: report.terms,
            void_term_count: report.voids,
        }
    }

    /// A word and a value for each line of text.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let exempts = if self.exempts { "yes" } else { "no" };
        let lines = [
            ("result", Some(self.result.into())),
            ("exempts", Some(exempts.into())),
            ("mechanism", self.mechanism.clone()),
            ("domain", self.domain.clone()),
            ("reason", self.reason.clone()),
            ("explanation", self.explanation.clone()),
            ("lookups", Some(self.lookup_count.to_string())),
            ("terms", Some(self.term_count.to_string())),
            ("void terms", Some(self.void_term_count.to_string())),
        ];
        lines.into_iter().filter_map(|(word, value)| Some((word, value?)))
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

impl<'a> From<&'a compare::Difference<'_>> for Difference<'a> {
    fn from(difference: &'a compare::Difference<'_>) -> Difference<'a> {
        match difference {
            compare::Difference::Record { key, how } => {
                Difference { record: Some(Bytes(key)), difference: how.to_string() }
            }
            compare::Difference::Order => {
                Difference { record: None, difference: difference.to_string() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_disturbs_a_terminal_and_every_byte_can_be_had_back() {
        let text = "a\\\"é\u{1b}[2J\t\n\u{8}\u{c}\r\u{7f}\u{202e}";
        let mut buffer = Vec::new();
        write(&mut buffer, &text).unwrap();
        assert!(buffer.is_ascii() || str::from_utf8(&buffer).unwrap().chars().all(|c| c >= ' '));
        let read: String = serde_json::from_slice(&buffer).unwrap();
        let escapes = "\\033[2J\\011\\012\\010\\014\\015\\177\\342\\200\\256";
        assert_eq!(read, format!("a\\\"é{escapes}"));
    }
}
