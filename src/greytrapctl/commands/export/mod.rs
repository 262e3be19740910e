//! `export`: the hosts in the trap, in a form for another program ([`export`](crate::export)).
//!
//! With `-o` a file is replaced if the text has changed, and then a command is run. `traps` has the hosts.
#![forbid(unsafe_code)]

mod traps;

use super::{conf, history};
use crate::config::{self, Disk, Networks};
use crate::errno::reason;
use crate::escape::{escaped, harmless};
use crate::export::{Announced, Form, Listed, Selection, Settings, Url};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Clock, Export, Source};
use crate::greytrapctl::output::Output;
use crate::machine::{self, Own};
use crate::plural::counted;
use std::ffi::OsStr;
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
    let selection = selection(console, export, now)?;
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
        Source::Daemon(socket) => traps::from_daemon(console, socket, export)?,
        Source::File(file, _) => traps::from_file(console, file)?,
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

fn selection(console: &mut Console<'_>, export: &Export, now: i64) -> Result<Selection, Failure> {
    let rules = export.rules.iter().map(|typed| history::rule(typed)).collect::<Result<_, _>>()?;
    let seconds = |age: std::time::Duration| i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    let excluded = export.excluded.as_deref().map(|path| excluded(console, path)).transpose()?;
    Ok(Selection {
        rules,
        since: export.age.map(|age| now.saturating_sub(seconds(age))),
        excluded: excluded.unwrap_or_default(),
        own: Own::of_machine(),
        most: export.most,
    })
}

/// The addresses and networks in a file, which has the form of that of `allow file`.
fn excluded(console: &mut Console<'_>, path: &Path) -> Result<Networks, Failure> {
    let (networks, warnings) =
        config::networks(path, &Disk).map_err(|faults| conf::told(console, &faults))?;
    warnings.iter().for_each(|fault| conf::show(console, fault));
    Ok(networks)
}

fn announced() -> Result<Announced, Failure> {
    let failed = |what: &dyn std::fmt::Display| Failure::Because(format!("standard input: {what}"));
    let mut json = Vec::new();
    io::stdin().take(RIB_MAX).read_to_end(&mut json).map_err(|error| failed(&reason(&error)))?;
    Announced::read(&json).map_err(|error| failed(&harmless(&error.to_string())))
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
