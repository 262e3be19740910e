//! `history`: what became of hosts, from the daemon's memory, the oldest first.
#![forbid(unsafe_code)]

use super::show;
use crate::config::Network;
use crate::control::client::Answer;
use crate::control::protocol::{Reply, Request};
use crate::date::Date;
use crate::escape::{escaped, harmless};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::judged;
use crate::greytrapctl::options::{Format, History};
use crate::memory::{Query, Record, Tuple};
use crate::scan::{self, Rule};
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far back, if neither a time nor a host is given.
const USUAL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A record with its evidence.
pub struct Past {
    /// The record.
    pub record: Record,
    /// Its evidence but the tuples.
    pub evidence: scan::Evidence,
}

impl From<Record> for Past {
    fn from(record: Record) -> Past {
        let evidence = scan::Evidence::recall(record.count, &record.details, std::iter::empty());
        Past { record, evidence }
    }
}

/// Asks the daemon at `socket`, and prints every record.
pub fn run(console: &mut Console<'_>, socket: &Path, history: &History) -> Result<(), Failure> {
    ask(socket, query(history)?, |record| {
        let evidence = if console.verbose { Evidence::Shown } else { Evidence::Omitted };
        print(console, &Past::from(record), evidence)
    })
}

/// Asks the daemon at `socket` for records, and passes each on.
pub fn ask(
    socket: &Path,
    query: Query,
    mut take: impl FnMut(Record) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::History(query), socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Record(record) = reply else { return Err(answer.unexpected().into()) };
        take(record)?;
    }
    Ok(())
}

/// The question. A rule must exist; one that existed once can no longer be asked about by name.
fn query(history: &History) -> Result<Query, Failure> {
    let History { since, rule, hosts } = history;
    let rule = rule.as_deref().map(rule_name).transpose()?;
    let hosts = ranges(hosts)?;
    let since = self::since(since.or(hosts.is_empty().then_some(USUAL)));
    Ok(Query { since, rule, hosts, ..Query::default() })
}

/// The first and the last address of each network, as typed.
pub fn ranges(typed: &[OsString]) -> Result<Vec<(IpAddr, IpAddr)>, Failure> {
    let range = |typed: &OsString| {
        let text = escaped(typed.as_encoded_bytes()).to_string();
        Network::parse(&text).map(Network::range).map_err(Failure::Because)
    };
    typed.iter().map(range).collect()
}

/// So long ago, in seconds since 1970; without a time, the beginning.
pub fn since(ago: Option<Duration>) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(ago.unwrap_or(now)).as_secs().cast_signed()
}

/// The name of a rule that exists.
pub fn rule_name(typed: &OsStr) -> Result<String, Failure> {
    rule(typed).map(|rule| rule.name().to_owned())
}

/// A rule that exists.
pub fn rule(typed: &OsStr) -> Result<Rule, Failure> {
    let shown = escaped(typed.as_encoded_bytes());
    let unknown = || Failure::Because(format!("unknown rule \"{shown}\""));
    typed.to_str().and_then(Rule::named).ok_or_else(unknown)
}

/// Whether answers and tuples follow, in text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// They do.
    Shown,
    /// They do not.
    Omitted,
}

/// Prints a record.
pub fn print(console: &mut Console<'_>, past: &Past, evidence: Evidence) -> Result<(), Failure> {
    if console.format == Format::Json {
        return console.json(&judged::Remembered::from(past));
    }
    let Record { time, address, deed, rule, reason, .. } = &past.record;
    let address = address.map_or("-".into(), |address| address.to_string());
    let rule = harmless(rule.as_deref().unwrap_or("-")).to_string();
    let (date, reason, deed) = (Date(*time), harmless(reason), deed.word());
    console.line(format_args!("{date}\t{deed}\t{address}\t{rule}\t{reason}"))?;
    if evidence == Evidence::Shown { print_evidence(console, past) } else { Ok(()) }
}

/// The same for `explain`, which names the host once.
pub fn past(console: &mut Console<'_>, past: &Past) -> Result<(), Failure> {
    let Record { time, deed, rule, reason, .. } = &past.record;
    let rule = harmless(rule.as_deref().unwrap_or("-")).to_string();
    let (date, reason, deed) = (Date(*time), harmless(reason), deed.word());
    console.line(format_args!("past\t{date}\t{deed}\t{rule}\t{reason}"))?;
    print_evidence(console, past)
}

fn print_evidence(console: &mut Console<'_>, past: &Past) -> Result<(), Failure> {
    show::grounds(console, "\t", &past.evidence)?;
    for Tuple { helo, from, to } in &past.record.tuples {
        let (helo, from, to) = (escaped(helo), escaped(from), escaped(to));
        console.line(format_args!("\ttuple\t{helo}\t{from}\t{to}"))?;
    }
    Ok(())
}
