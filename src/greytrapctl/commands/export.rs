//! `export`: the hosts in the trap, in a form for another program ([`export`](crate::export)).
//!
//! With `-o` a file is replaced if the text has changed, and then a command is run. What the daemon no longer
//! has a reason for in its last traps is asked of its memory.
#![forbid(unsafe_code)]

use super::history;
use super::input;
use crate::config::{Network, Networks};
use crate::control::client::Answer;
use crate::control::protocol::{Reply, Request};
use crate::errno::reason;
use crate::escape::{escaped, escaped_path, harmless};
use crate::export::{Announced, Cause, Form, Listed, Selection, Settings, Url};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Clock, Export, Source, Whose};
use crate::greytrapctl::output::Output;
use crate::machine::{self, Own};
use crate::memory::{Deed, Query, Record};
use crate::plural::counted;
use crate::scan::{Rule, Verdict};
use crate::spamd::TrapRecord;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output as Ran, Stdio};

/// The largest routing table that is read, in bytes: more than a million routes.
const RIB_MAX: u64 = 1 << 30;

/// Exports the hosts in the trap.
pub fn run(console: &mut Console<'_>, export: &Export) -> Result<(), Failure> {
    let now = clock(export).now();
    let url = export.url.as_deref().map(url).transpose()?;
    let community = export.community.as_deref().map(community).transpose()?;
    let selection = selection(export, now)?;
    let site = machine::host_name();
    let output = export.output.as_deref().map(Output::open).transpose()?;
    let announced = match export.form {
        Form::Bgpctl => announced()?,
        _ => Announced::default(),
    };
    let directory = output.as_ref().map(Output::directory);
    let runs = export.command.is_some();
    match &export.source {
        Source::Daemon(socket) => Task::Ask { socket, directory, runs }.lock_in()?,
        Source::File(database, _) => Task::ExportFile { database, directory, runs }.lock_in()?,
    }
    let traps = match &export.source {
        Source::Daemon(socket) => from_daemon(console, socket, export.whose)?,
        Source::File(file, _) => from_file(console, file)?,
    };
    let standing = traps.into_iter().filter(|host| host.until > now).collect();
    let (mut hosts, beyond) = selection.of(standing);
    report(console, (&mut hosts, beyond), export.form);
    let previous = output.as_ref().map_or(&[][..], |output| &output.previous);
    let settings = Settings { now, site: &site, url: url.as_ref(), community, announced, previous };
    let text = export.form.write(&hosts, &settings);
    match (output, text) {
        (None, text) => console.put(|buffer| buffer.extend(text.unwrap_or_default())),
        (Some(_), None) => Err(Failure::Unchanged),
        (Some(output), Some(text)) => {
            output.replace(&text)?;
            export.command.as_deref().map_or(Ok(()), execute)
        }
    }
}

/// Says how many hosts are left out, and removes those for which the form has no room.
fn report(console: &mut Console<'_>, (hosts, beyond): (&mut Vec<Listed>, usize), form: Form) {
    let all = hosts.len();
    hosts.retain(|host| form.has_room(host.address));
    let without_room = all.saturating_sub(hosts.len());
    if beyond > 0 {
        console.tell(format_args!("{} left out, the oldest", counted(beyond as u64, "host")));
    }
    if without_room > 0 && console.verbose {
        let hosts = counted(without_room as u64, "IPv6 host");
        console.tell(format_args!("{hosts} left out, for which the form has no room"));
    }
    if console.verbose {
        console.tell(format_args!("{} exported", counted(hosts.len() as u64, "host")));
    }
}

fn clock(export: &Export) -> Clock {
    match export.source {
        Source::Daemon(_) => Clock::System,
        Source::File(_, clock) => clock,
    }
}

fn url(typed: &OsStr) -> Result<Url, Failure> {
    let because = |what: &dyn std::fmt::Display| {
        Failure::Because(format!("{}: {what}", escaped(typed.as_bytes())))
    };
    let text = typed.to_str().ok_or_else(|| because(&"not a link"))?;
    Url::parse(text).map_err(|error| because(&error))
}

/// A community as bgpctl(8) takes it: `65066:666`, or a name such as `NO_EXPORT`. It becomes a word of a
/// script.
fn community(typed: &OsStr) -> Result<&str, Failure> {
    let is_word = |text: &&str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b':' || byte == b'_';
        !text.is_empty() && text.bytes().all(is_allowed)
    };
    typed
        .to_str()
        .filter(is_word)
        .ok_or_else(|| Failure::Because(format!("{}: not a community", escaped(typed.as_bytes()))))
}

fn selection(export: &Export, now: i64) -> Result<Selection, Failure> {
    let rules = export.rules.iter().map(named).collect::<Result<_, _>>()?;
    let seconds = |age: std::time::Duration| i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    Ok(Selection {
        rules,
        since: export.age.map(|age| now.saturating_sub(seconds(age))),
        excluded: export.excluded.as_deref().map_or(Ok(Networks::default()), excluded)?,
        own: Own::of_machine(),
        most: export.most,
    })
}

fn named(typed: &OsString) -> Result<Rule, Failure> {
    let rule = typed.to_str().and_then(Rule::named);
    rule.ok_or_else(|| Failure::Because(format!("{}: no such rule", escaped(typed.as_bytes()))))
}

/// Addresses and networks in a file: separated by blanks and commas, with comments that begin with `#`.
fn excluded(path: &Path) -> Result<Networks, Failure> {
    let text = fs::read(path)
        .map_err(|error| Failure::Because(format!("{}: {}", escaped_path(path), reason(&error))))?;
    let mut networks = Vec::new();
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let words = line.split(|byte| byte.is_ascii_whitespace() || *byte == b',');
        for word in words.filter(|word| !word.is_empty()) {
            let because = |what: &dyn std::fmt::Display| {
                Failure::Because(format!("{}:{number}: {what}", escaped_path(path)))
            };
            let text = std::str::from_utf8(word).map_err(|_| because(&"not an address"))?;
            networks.push(Network::parse(text).map_err(|error| because(&error))?);
        }
    }
    Ok(Networks::new(networks))
}

fn announced() -> Result<Announced, Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::Because(format!("standard input: {what}"));
    let mut json = Vec::new();
    io::stdin().take(RIB_MAX).read_to_end(&mut json).map_err(|error| failed(&reason(&error)))?;
    Announced::read(&json).map_err(|error| failed(&harmless(&error.to_string())))
}

fn from_file(console: &mut Console<'_>, file: &Path) -> Result<Vec<Listed>, Failure> {
    let image = input::read(console, file)?;
    let snapshot = input::snapshot(file, &image)?;
    let order = snapshot.byte_order();
    let read = snapshot.read(|records| {
        let mut traps = Vec::new();
        for record in records {
            let record = record?;
            let trapped = TrapRecord::decode(&record.key, &record.value, order);
            let Some(TrapRecord { address, first, expire }) = trapped else { continue };
            let cause = Cause::Unknown;
            traps.push(Listed { address, since: first, until: expire, cause });
        }
        Ok(traps)
    });
    read.map_err(|damage| input::error(file, damage))
}

/// The traps in the daemon's database, without those that it would not set.
fn from_daemon(
    console: &mut Console<'_>,
    socket: &Path,
    whose: Whose,
) -> Result<Vec<Listed>, Failure> {
    let mut traps = Vec::new();
    let mut answer = Answer::to(&Request::ShowTraps, socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Trap(trap) = reply else { return Err(answer.unexpected().into()) };
        if !trap.is_spared {
            let (address, since, until) = (trap.address, trap.first, trap.expire);
            traps.push(Listed { address, since, until, cause: cause(trap.verdict.as_ref()) });
        }
    }
    traps.sort_unstable_by_key(|trap| trap.address);
    if let Err(Failure::Because(why)) = recall(socket, &mut traps) {
        console.tell(format_args!("not all reasons are known: {why}"));
    }
    if whose == Whose::Ours {
        traps.retain(|trap| trap.cause != Cause::Unknown);
    }
    Ok(traps)
}

fn cause(verdict: Option<&Verdict>) -> Cause {
    match verdict {
        Some(verdict) => verdict.rule.map_or(Cause::Hand, Cause::Rule),
        None => Cause::Unknown,
    }
}

/// Finds causes in the daemon's memory; the traps are in order of their addresses.
fn recall(socket: &Path, traps: &mut [Listed]) -> Result<(), Failure> {
    let unknown = traps.iter().filter(|trap| trap.cause == Cause::Unknown);
    let Some(since) = unknown.map(|trap| trap.since).min() else { return Ok(()) };
    let deeds = vec![Deed::Trapped, Deed::TrappedByHand];
    history::ask(socket, Query { since, deeds, ..Query::default() }, |record| {
        note(traps, &record);
        Ok(())
    })
}

/// Notes the cause of a trap in its host, unless the trap is not the one that stands.
fn note(traps: &mut [Listed], record: &Record) {
    let Some(address) = record.address else { return };
    let Ok(place) = traps.binary_search_by_key(&address, |trap| trap.address) else { return };
    let Some(trap) = traps.get_mut(place) else { return };
    trap.cause = match (record.deed, record.rule.as_deref().and_then(Rule::named)) {
        (Deed::TrappedByHand, _) => Cause::Hand,
        (Deed::Trapped, Some(rule)) => Cause::Rule(rule),
        _ => trap.cause,
    };
}

/// Runs the operator's command. What it prints is told only if it fails.
fn execute(command: &OsStr) -> Result<(), Failure> {
    let shown = escaped(command.as_bytes());
    let failed = |what: &dyn std::fmt::Display| Failure::Because(format!("{shown}: {what}"));
    let mut shell = Command::new("/bin/sh");
    let ran = shell.arg("-c").arg(command).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| failed(&reason(&error)))?;
    if ran.status.success() { Ok(()) } else { Err(failed(&ending(&ran))) }
}

/// How a command ended, with the last line that it printed.
fn ending(ran: &Ran) -> String {
    let text = if ran.stderr.trim_ascii().is_empty() { &ran.stdout } else { &ran.stderr };
    let last = text.trim_ascii_end().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    match last.is_empty() {
        true => ran.status.to_string(),
        false => format!("{}: {}", ran.status, escaped(last)),
    }
}
