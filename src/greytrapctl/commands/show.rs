//! `show` and `explain`: what the daemon knows. Tables have tabs between their fields.
#![forbid(unsafe_code)]

use super::history;
use crate::control::client::{Answer, Error};
use crate::control::protocol::{Explained, Reply, Request, Trap};
use crate::control::status::Status;
use crate::date::Date;
use crate::escape::{escaped, harmless};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::openmetrics::metrics as openmetrics;
use crate::greytrapctl::options::Format;
use crate::greytrapctl::text;
use crate::scan::{Rule, Verdict};
use crate::spamd::{Address, Tuple};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `show`: the daemon's state.
pub fn state(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    let status = status(socket)?;
    match console.format {
        Format::Text => {
            console.put(|buffer| buffer.extend(text::status(&status).to_string().bytes()))
        }
        Format::Json => console.json(&status),
    }
}

/// `show metrics`: the same for machines, in a form of its own whatever was asked for.
pub fn metrics(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    let status = status(socket)?;
    console.put(|buffer| buffer.extend(openmetrics(&status).to_string().bytes()))
}

pub(super) fn status(socket: &Path) -> Result<Box<Status>, Error> {
    let mut answer = Answer::to(&Request::Show, socket)?;
    match (answer.part()?, answer.part()?) {
        (Some(Reply::Status(status)), None) => Ok(status),
        _ => Err(answer.unexpected()),
    }
}

/// `show traps`: address, end, rule and reason of each.
pub fn traps(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::ShowTraps, socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Trap(trap) = reply else { return Err(answer.unexpected().into()) };
        match console.format {
            Format::Json => console.json(&json::Trap::from(&trap))?,
            Format::Text => {
                let Trap { address, expire, verdict, .. } = &trap;
                let rule = verdict.as_ref().and_then(|verdict| verdict.rule);
                let (expire, rule) = (Date(*expire), rule.map_or("-", Rule::name));
                let reason = harmless(verdict.as_ref().map_or("", |verdict| &verdict.reason));
                console.line(format_args!("{address}\t{expire}\t{rule}\t{reason}"))?;
            }
        }
    }
    Ok(())
}

/// `show hosts`: address, live tuples, rule and reason of each.
pub fn hosts(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::ShowHosts, socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Host(host) = reply else { return Err(answer.unexpected().into()) };
        match console.format {
            Format::Json => console.json(&json::Host::from(&host))?,
            Format::Text => {
                let (address, tuples) = (host.address.ip(), host.evidence.count);
                let rule = host.rule.map_or("pass", Rule::name);
                let reason = harmless(&host.reason);
                console.line(format_args!("{address}\t{tuples}\t{rule}\t{reason}"))?;
            }
        }
    }
    Ok(())
}

/// `explain`: the verdict on a host, with its evidence.
pub fn explain(console: &mut Console<'_>, socket: &Path, typed: &OsStr) -> Result<(), Failure> {
    let address = Address::parse(typed.as_bytes())
        .map_err(|invalid| Failure::Because(invalid.to_string()))?
        .ip();
    let mut answer = Answer::to(&Request::Explain(address), socket)?;
    let (mut explained, mut past) = (None, Vec::new());
    while let Some(reply) = answer.part()? {
        match reply {
            Reply::Explained(found) if explained.is_none() && past.is_empty() => {
                explained = Some(found);
            }
            Reply::Record(record) => past.push(record),
            _ => return Err(answer.unexpected().into()),
        }
    }
    if explained.is_none() && past.is_empty() {
        return Err(answer.unexpected().into());
    }
    if let Some(Explained { judged, verdict, .. }) = &explained {
        // The record of the trap that stands.
        past.retain(|record| record.time != *judged || record.reason != verdict.reason);
    }
    match (console.format, explained) {
        (Format::Text, Some(explained)) => evidence(console, &explained)?,
        (Format::Text, None) => console.line(format_args!("address\t{address}"))?,
        (Format::Json, Some(explained)) => {
            return console.json(&json::Explained::from(&explained).with_past(&past));
        }
        (Format::Json, None) => return console.json(&json::Past::new(address, &past)),
    }
    past.iter().try_for_each(|record| history::past(console, record))
}

fn evidence(console: &mut Console<'_>, explained: &Explained) -> Result<(), Failure> {
    let Verdict { address, rule, reason, evidence, .. } = &explained.verdict;
    console.line(format_args!("address\t{address}"))?;
    console.line(format_args!("judged\t{}", Date(explained.judged)))?;
    console.line(format_args!("rule\t{}", rule.map_or("pass", Rule::name)))?;
    console.line(format_args!("reason\t{}", harmless(reason)))?;
    if let Some(answer) = &evidence.answer {
        console.line(format_args!("answer\t{}", harmless(answer)))?;
    }
    for Tuple { helo, from, to, .. } in evidence.tuples() {
        let (helo, from, to) = (escaped(helo), escaped(from), escaped(to));
        console.line(format_args!("tuple\t{helo}\t{from}\t{to}"))?;
    }
    Ok(())
}
