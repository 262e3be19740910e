//! The JSON objects about verdicts: of `simulate`, `show hosts` and `explain`.
//!
//! In: verdicts of a scan or of the daemon. What they have in common has the same names in all of them.
#![forbid(unsafe_code)]

use super::commands::history::Past;
use super::json::{Bytes, Why, cause};
use crate::config::Written;
use crate::control::protocol;
use crate::memory::{Deed, Record};
use crate::scan::{Amount, Check, Evidence, Field, Given, Measure, Verdict};
use crate::spamd::Address;
use serde::Serialize;
use std::net::IpAddr;

/// A verdict in short.
#[derive(Debug, Serialize)]
pub struct Host<'a> {
    address: &'a Address,
    state: &'static str,
    verdict: &'static str,
    /// `null` if nothing speaks against the host.
    rule: Option<&'static str>,
    reason: &'a str,
    not_checked: Vec<&'static str>,
    /// How many of its tuples live.
    tuple_count: u32,
}

/// A verdict with its evidence.
#[derive(Debug, Serialize)]
pub struct Judged<'a> {
    #[serde(flatten)]
    host: Host<'a>,
    #[serde(flatten)]
    grounds: Grounds<'a>,
    tuples: Vec<Tuple<'a>>,
}

/// A verdict of the daemon with its evidence, and what the database says.
#[derive(Debug, Serialize)]
pub struct Explained<'a> {
    /// When it was judged, in seconds since 1970.
    judged: i64,
    /// `null` if the host is in none.
    trap: Option<Span>,
    #[serde(flatten)]
    verdict: Judged<'a>,
    /// What is remembered of the host besides, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    past: Vec<Remembered<'a>>,
}

/// A host of which there is nothing but what is remembered.
#[derive(Debug, Serialize)]
pub struct OnlyPast<'a> {
    address: IpAddr,
    past: Vec<Remembered<'a>>,
}

/// Something that is remembered.
#[derive(Debug, Serialize)]
pub struct Remembered<'a> {
    /// When, in seconds since 1970.
    time: i64,
    deed: Deed,
    /// `null` for what happened to the daemon.
    address: Option<IpAddr>,
    rule: Option<&'a str>,
    reason: &'a str,
    /// When a trap ends.
    expire: Option<i64>,
    #[serde(flatten)]
    grounds: Grounds<'a>,
    /// Those that the verdict rests on, as long as they are remembered.
    tuples: Vec<Tuple<'a>>,
}

/// The evidence of a verdict but the tuples.
#[derive(Debug, Serialize)]
struct Grounds<'a> {
    statements: Vec<Statement<'a>>,
    limits: Vec<Limit>,
    answers: Vec<Answer<'a>>,
}

/// The times of a record, in seconds since 1970.
#[derive(Clone, Copy, Debug, Serialize)]
struct Span {
    first: i64,
    expire: i64,
}

/// A statement of the configuration, and where it is.
#[derive(Debug, Serialize)]
struct Statement<'a> {
    statement: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
}

/// A value, and the limit in the configuration.
#[derive(Debug, Serialize)]
struct Limit {
    setting: &'static str,
    value: f64,
    limit: f64,
}

/// An answer: about what, and which.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    helo: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ptr: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exemption: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<Bytes<'a>>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A tuple; its times are there if they are known.
#[derive(Debug, Serialize)]
struct Tuple<'a> {
    helo: Bytes<'a>,
    from: Bytes<'a>,
    to: Bytes<'a>,
    #[serde(flatten)]
    times: Option<Span>,
}

impl<'a> From<&'a Verdict> for Host<'a> {
    fn from(verdict: &'a Verdict) -> Host<'a> {
        let Verdict { address, reason, evidence, .. } = verdict;
        Host {
            address,
            state: verdict.state().word(),
            verdict: verdict.word(),
            rule: cause(verdict),
            reason,
            not_checked: evidence.unasked.iter().map(Check::text).collect(),
            tuple_count: evidence.count,
        }
    }
}

impl<'a> Judged<'a> {
    /// The object of a verdict, with the times of its tuples as far as they are known.
    fn with_times(verdict: &'a Verdict, times: &[Option<protocol::Span>]) -> Judged<'a> {
        let evidence = &verdict.evidence;
        let times = times.iter().copied().chain(std::iter::repeat(None));
        let tuples = evidence.tuples().zip(times).map(|(tuple, times)| Tuple {
            helo: Bytes(tuple.helo),
            from: Bytes(tuple.from),
            to: Bytes(tuple.to),
            times: times.map(Span::from),
        });
        Judged { host: verdict.into(), grounds: evidence.into(), tuples: tuples.collect() }
    }
}

impl<'a> From<&'a Verdict> for Judged<'a> {
    fn from(verdict: &'a Verdict) -> Judged<'a> {
        Judged::with_times(verdict, &[])
    }
}

impl<'a> From<&'a protocol::Explained> for Explained<'a> {
    fn from(explained: &'a protocol::Explained) -> Explained<'a> {
        let protocol::Explained { judged, verdict, standing } = explained;
        let mut verdict = Judged::with_times(verdict, &standing.times);
        verdict.host.state = standing.state.word();
        let (trap, past) = (standing.trap.map(Span::from), Vec::new());
        Explained { judged: *judged, trap, verdict, past }
    }
}

impl<'a> From<&'a Evidence> for Grounds<'a> {
    fn from(evidence: &'a Evidence) -> Grounds<'a> {
        Grounds {
            statements: evidence.statements.iter().map(Statement::from).collect(),
            limits: evidence.measures.iter().map(Limit::from).collect(),
            answers: evidence.answers.iter().map(Answer::from).collect(),
        }
    }
}

impl<'a> From<&'a Written> for Statement<'a> {
    fn from(written: &'a Written) -> Statement<'a> {
        let origin = written.origin.as_ref();
        Statement {
            statement: &written.statement,
            file: origin.map(|(file, _)| &**file),
            line: origin.map(|(_, line)| *line),
        }
    }
}

impl<'a> Explained<'a> {
    /// The same with what is remembered.
    pub fn with_past(self, past: &'a [Past]) -> Explained<'a> {
        Explained { past: past.iter().map(Remembered::from).collect(), ..self }
    }
}

impl<'a> OnlyPast<'a> {
    /// The object of a host without a verdict.
    pub fn new(address: IpAddr, past: &'a [Past]) -> OnlyPast<'a> {
        OnlyPast { address, past: past.iter().map(Remembered::from).collect() }
    }
}

impl<'a> From<&'a Past> for Remembered<'a> {
    fn from(Past { record, evidence }: &'a Past) -> Remembered<'a> {
        let Record { time, address, deed, until, .. } = *record;
        let tuples = record.tuples.iter().map(|tuple| Tuple {
            helo: Bytes(&tuple.helo),
            from: Bytes(&tuple.from),
            to: Bytes(&tuple.to),
            times: None,
        });
        Remembered {
            time,
            deed,
            address,
            rule: record.rule.as_deref(),
            reason: &record.reason,
            expire: until,
            grounds: evidence.into(),
            tuples: tuples.collect(),
        }
    }
}

impl From<protocol::Span> for Span {
    fn from(protocol::Span { first, expire }: protocol::Span) -> Span {
        Span { first, expire }
    }
}

impl From<&Measure> for Limit {
    fn from(Measure { setting, value, limit }: &Measure) -> Limit {
        let number = |amount: &Amount| amount.to_string().parse().unwrap_or_default();
        Limit { setting: setting.words(), value: number(value), limit: number(limit) }
    }
}

impl<'a> From<&'a Given> for Answer<'a> {
    fn from(given: &'a Given) -> Answer<'a> {
        let about = Some(Bytes(given.about()));
        let verdict = given.word();
        let none = Answer {
            domain: None,
            helo: None,
            ptr: None,
            exemption: None,
            recipient: None,
            list: None,
            verdict,
            reason: None,
        };
        match given {
            Given::Domain(_, answer) => {
                let reason = match answer {
                    Some(answer) => Why(answer).to_string(),
                    None => NOT_ASKED.into(),
                };
                Answer { domain: about, reason: Some(reason), ..none }
            }
            Given::Helo(..) => Answer { helo: about, ..none },
            Given::Ptr(..) => Answer { ptr: about, ..none },
            Given::Exemption(..) => Answer { exemption: about, reason: given.by(), ..none },
            Given::Recipient(..) => Answer { recipient: about, ..none },
            Given::Warned => Answer { reason: Some(WARNED.into()), ..none },
            Given::List(..) => Answer { list: about, reason: given.by(), ..none },
            Given::Seen(field, ..) => {
                let seen = Answer { reason: given.by(), ..none };
                match field {
                    Field::Helo => Answer { helo: about, ..seen },
                    Field::Sender => Answer { domain: about, ..seen },
                    Field::Recipient => Answer { recipient: about, ..seen },
                }
            }
        }
    }
}

/// Why a host needs no second bad message.
pub const WARNED: &str = "one bad message in an earlier scan";

/// Why a domain that was not looked up is unknown.
pub const NOT_ASKED: &str = "not asked";
