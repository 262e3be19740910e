//! `show` and `explain`: what the daemon knows. Tables have tabs between their fields.
#![forbid(unsafe_code)]

use super::history::{self, Past};
use crate::config::Written;
use crate::control::client::{Answer, Error};
use crate::control::protocol::{Excepted, Explained, Reply, Request, Span, Trap};
use crate::control::status::Status;
use crate::date::Date;
use crate::escape::{escaped, harmless};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::openmetrics::metrics as openmetrics;
use crate::greytrapctl::options::Format;
use crate::greytrapctl::output::Output;
use crate::greytrapctl::text::{self, Detail};
use crate::greytrapctl::{json, judged, rule_table};
use crate::memory::Hold;
use crate::scan::{Evidence, Given, Measure, Verdict};
use crate::spamd::{Address, Tuple};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `show`: the daemon's state.
pub fn state(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    let status = status(socket)?;
    let detail = if console.verbose { Detail::All } else { Detail::Screen };
    match console.format {
        Format::Text => {
            console.put(|buffer| buffer.extend(text::status(&status, detail).to_string().bytes()))
        }
        Format::Json => console.json(&status),
    }
}

/// `show metrics`: the same for machines, in a form of its own whatever was asked for; with a file, into it.
pub fn metrics(
    console: &mut Console<'_>,
    socket: &Path,
    output: Option<Output>,
) -> Result<(), Failure> {
    let text = openmetrics(&*status(socket)?).to_string();
    match output {
        Some(output) => output.replace(text.as_bytes()),
        None => console.put(|buffer| buffer.extend(text.bytes())),
    }
}

/// `show holds`: hosts that were released, each with its times and the reason, and exceptions.
pub fn holds(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::ShowHolds, socket)?;
    let date = |time: Option<i64>| time.map_or("-".into(), |time| Date(time).to_string());
    while let Some(reply) = answer.part()? {
        match (reply, console.format) {
            (Reply::Held(hold), Format::Json) => console.json(&json::Held::from(&hold))?,
            (Reply::Excepted(excepted), Format::Json) => {
                console.json(&json::Excepted::from(&excepted))?
            }
            (Reply::Held(Hold { address, since, until, reason }), Format::Text) => {
                let (since, until) = (Date(since), date(Some(until).filter(|until| *until != 0)));
                let reason = harmless(&reason);
                console.line(format_args!("hold\t{address}\t{since}\t{until}\t{reason}"))?;
            }
            (Reply::Excepted(Excepted { written, end }), Format::Text) => {
                let Written { statement, origin } = written;
                let place = origin.map_or("-".into(), |(file, line)| format!("{file}:{line}"));
                let (statement, place) = (harmless(&statement), harmless(&place));
                console.line(format_args!("exception\t{statement}\t{}\t{place}", date(end)))?;
            }
            _ => return Err(answer.unexpected().into()),
        }
    }
    Ok(())
}

/// `show rules`: what each rule does, and how often it was wrong.
pub fn rules(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    let status = status(socket)?;
    match console.format {
        Format::Text => console
            .put(|buffer| buffer.extend(rule_table::rules(&status.rules).to_string().bytes())),
        Format::Json => status.rules.iter().try_for_each(|rule| console.json(rule)),
    }
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
                let rule = verdict.as_ref().and_then(json::cause).unwrap_or(json::UNKNOWN);
                let expire = Date(*expire);
                let reason = harmless(verdict.as_ref().map_or("", |verdict| &verdict.reason));
                console.line(format_args!("{address}\t{expire}\t{rule}\t{reason}"))?;
            }
        }
    }
    Ok(())
}

/// `show hosts`: address, state, live tuples, verdict, rule and reason of each.
pub fn hosts(console: &mut Console<'_>, socket: &Path) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::ShowHosts, socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Host(host) = reply else { return Err(answer.unexpected().into()) };
        match console.format {
            Format::Json => console.json(&judged::Host::from(&host))?,
            Format::Text => {
                let (address, tuples) = (host.address.ip(), host.evidence.count);
                let (state, verdict) = (host.state().word(), host.word());
                let (rule, reason) = (json::cause(&host).unwrap_or("-"), harmless(&host.reason));
                console.line(format_args!(
                    "{address}\t{state}\t{tuples}\t{verdict}\t{rule}\t{reason}"
                ))?;
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
            Reply::Record(record) => past.push(Past::from(record)),
            _ => return Err(answer.unexpected().into()),
        }
    }
    if explained.is_none() && past.is_empty() {
        return Err(answer.unexpected().into());
    }
    if let Some(Explained { judged, verdict, .. }) = &explained {
        // The record of the trap that stands.
        past.retain(|Past { record, .. }| {
            record.time != *judged || record.reason != verdict.reason
        });
    }
    match (console.format, explained) {
        (Format::Text, Some(explained)) => evidence(console, &explained)?,
        (Format::Text, None) => console.line(format_args!("address\t{address}"))?,
        (Format::Json, Some(explained)) => {
            return console.json(&judged::Explained::from(&explained).with_past(&past));
        }
        (Format::Json, None) => return console.json(&judged::OnlyPast::new(address, &past)),
    }
    past.iter().try_for_each(|past| history::past(console, past))
}

fn evidence(console: &mut Console<'_>, explained: &Explained) -> Result<(), Failure> {
    let Explained { judged, verdict, standing } = explained;
    let Verdict { address, reason, evidence, .. } = verdict;
    console.line(format_args!("address\t{address}"))?;
    console.line(format_args!("state\t{}", standing.state.word()))?;
    if let Some(Span { first, expire }) = standing.trap {
        console.line(format_args!("trap\t{}\t{}", Date(first), Date(expire)))?;
    }
    console.line(format_args!("judged\t{}", Date(*judged)))?;
    console.line(format_args!("verdict\t{}", verdict.word()))?;
    console.line(format_args!("rule\t{}", json::cause(verdict).unwrap_or("-")))?;
    console.line(format_args!("reason\t{}", harmless(reason)))?;
    for check in evidence.unasked.iter() {
        console.line(format_args!("not checked\t{}", check.text()))?;
    }
    grounds(console, "", evidence)?;
    console.line(format_args!("tuples\t{}", evidence.count))?;
    let times = standing.times.iter().copied().chain(std::iter::repeat(None));
    for (Tuple { helo, from, to, .. }, times) in evidence.tuples().zip(times) {
        let (helo, from, to) = (escaped(helo), escaped(from), escaped(to));
        match times {
            Some(Span { first, expire }) => {
                let (first, expire) = (Date(first), Date(expire));
                console.line(format_args!("tuple\t{helo}\t{from}\t{to}\t{first}\t{expire}"))?;
            }
            None => console.line(format_args!("tuple\t{helo}\t{from}\t{to}\t-\t-"))?,
        }
    }
    Ok(())
}

/// Statements, limits and answers, each on a line that begins with `indent`.
pub(super) fn grounds(
    console: &mut Console<'_>,
    indent: &str,
    evidence: &Evidence,
) -> Result<(), Failure> {
    for Written { statement, origin } in &evidence.statements {
        let place = origin.as_ref().map(|(file, line)| format!("{file}:{line}"));
        let place = harmless(place.as_deref().unwrap_or("-"));
        console.line(format_args!("{indent}statement\t{}\t{place}", harmless(statement)))?;
    }
    for Measure { setting, value, limit } in &evidence.measures {
        console.line(format_args!("{indent}limit\t{}\t{value}\t{limit}", setting.words()))?;
    }
    evidence.answers.iter().try_for_each(|given| answer(console, indent, given))
}

/// What was answered about a domain, a HELO name or a recipient.
fn answer(console: &mut Console<'_>, indent: &str, given: &Given) -> Result<(), Failure> {
    let (about, word) = (escaped(given.about()), given.word());
    match given {
        Given::Domain(_, Some(verdict)) => {
            console.line(format_args!("{indent}domain\t{about}\t{word}\t{}", json::Why(verdict)))
        }
        Given::Domain(_, None) => {
            console.line(format_args!("{indent}domain\t{about}\t{word}\t{}", judged::NOT_ASKED))
        }
        Given::Helo(..) => console.line(format_args!("{indent}helo\t{about}\t{word}")),
        Given::Ptr(name, _) if name.is_empty() => {
            console.line(format_args!("{indent}ptr\t-\t{word}"))
        }
        Given::Ptr(..) => console.line(format_args!("{indent}ptr\t{about}\t{word}")),
        Given::Exemption(..) => {
            let by = given.by().unwrap_or_else(|| "-".into());
            let by = harmless(&by);
            console.line(format_args!("{indent}exemption\t{about}\t{word}\t{by}"))
        }
        Given::List(..) => {
            let by = given.by().unwrap_or_else(|| "-".into());
            console.line(format_args!("{indent}list\t{about}\t{word}\t{by}"))
        }
        Given::Seen(..) => {
            let by = given.by().unwrap_or_default();
            console.line(format_args!("{indent}seen\t{about}\t{word}\t{by}"))
        }
        Given::Recipient(..) => console.line(format_args!("{indent}recipient\t{about}\t{word}")),
        Given::Warned => console.line(format_args!("{indent}earlier\t{word}\t{}", judged::WARNED)),
    }
}
