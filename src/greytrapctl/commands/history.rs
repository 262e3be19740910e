//! `history`: what became of hosts, from the daemon's memory, the oldest first.
#![forbid(unsafe_code)]

use crate::config::Network;
use crate::control::client::Answer;
use crate::control::protocol::{Reply, Request};
use crate::date::Date;
use crate::escape::{escaped, harmless};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::options::{Format, History};
use crate::memory::{Query, Record, Tuple};
use crate::scan::Rule;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far back, if neither a time nor a host is given.
const USUAL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Asks the daemon at `socket`, and prints every record.
pub fn run(console: &mut Console<'_>, socket: &Path, history: &History) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::History(query(history)?), socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Record(record) = reply else { return Err(answer.unexpected().into()) };
        match console.format {
            Format::Json => console.json(&json::Remembered::from(&record))?,
            Format::Text => print(console, &record)?,
        }
    }
    Ok(())
}

/// The question. A rule must exist; one that existed once can no longer be asked about by name.
fn query(history: &History) -> Result<Query, Failure> {
    let History { since, rule, hosts } = history;
    let because = |text: String| Failure::Because(text);
    let rule = match rule {
        Some(typed) => {
            let known = Rule::ALL.into_iter().find(|rule| typed == rule.name());
            let unknown =
                || because(format!("unknown rule \"{}\"", escaped(typed.as_encoded_bytes())));
            Some(known.ok_or_else(unknown)?.name().to_owned())
        }
        None => None,
    };
    let hosts = hosts.iter().map(|typed| {
        let text = escaped(typed.as_encoded_bytes()).to_string();
        Network::parse(&text).map(Network::range).map_err(because)
    });
    let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ago = since.or(hosts.is_empty().then_some(USUAL)).unwrap_or(now);
    let since = now.saturating_sub(ago).as_secs().cast_signed();
    Ok(Query { since, rule, hosts, ..Query::default() })
}

/// A line, and with `-v` one for the answer and each tuple.
fn print(console: &mut Console<'_>, record: &Record) -> Result<(), Failure> {
    let Record { time, address, deed, rule, reason, answer, tuples, .. } = record;
    let address = address.map_or("-".into(), |address| address.to_string());
    let rule = harmless(rule.as_deref().unwrap_or("-")).to_string();
    let (date, reason, deed) = (Date(*time), harmless(reason), deed.word());
    console.line(format_args!("{date}\t{deed}\t{address}\t{rule}\t{reason}"))?;
    if !console.verbose {
        return Ok(());
    }
    if let Some(answer) = answer {
        console.line(format_args!("\tanswer\t{}", harmless(answer)))?;
    }
    for Tuple { helo, from, to } in tuples {
        let (helo, from, to) = (escaped(helo), escaped(from), escaped(to));
        console.line(format_args!("\ttuple\t{helo}\t{from}\t{to}"))?;
    }
    Ok(())
}
