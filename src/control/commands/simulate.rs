//! `simulate`: one scan of a file at a chosen time, a line for each host that would be trapped, and
//! with `-v` for each that passes. Nothing is written.
#![forbid(unsafe_code)]

use super::input;
use crate::config::Rules;
use crate::control::console::{Console, Failure};
use crate::control::json;
use crate::control::options::{Format, Simulate};
use crate::db::Error;
use crate::escape::{escaped, escaped_path};
use crate::scan::{self, Report, Verdict};
use std::io::Write;
use std::path::Path;

/// What stands in the place of a rule's name for a host that passes.
const PASS: &str = "pass";

/// Judges the hosts of `simulate.file` and prints the verdicts.
pub fn run(console: &mut Console<'_>, simulate: &Simulate) -> Result<(), Failure> {
    let rules = rules(simulate.conf.as_deref())?;
    let image = input::read(console, &simulate.file)?;
    let snapshot = input::snapshot(&simulate.file, &image)?;
    let report = scan::run(&snapshot, simulate.clock.now(), &rules)
        .map_err(|damage| Error { path: simulate.file.clone(), kind: damage.into() })?;
    tell(console, &simulate.file, &report);
    for verdict in if console.verbose { report.verdicts() } else { report.traps() } {
        match console.format {
            Format::Text => console.put(|buffer| line(buffer, &verdict))?,
            Format::Json => console.json(&json::Verdict::from(&verdict))?,
        }
    }
    Ok(())
}

/// The rules of a configuration; without one, those of the defaults.
fn rules(conf: Option<&Path>) -> Result<Rules, Failure> {
    match conf {
        None => Ok(Rules::default()),
        Some(file) => Err(Failure::Because(format!("{}: not read yet", escaped_path(file)))),
    }
}

fn line(buffer: &mut Vec<u8>, verdict: &Verdict<'_>) {
    let rule = verdict.rule().map_or(PASS, |rule| rule.name());
    buffer.extend_from_slice(verdict.address());
    // Writing into memory does not fail.
    let _ = writeln!(buffer, "\t{rule}\t{}", verdict.reason());
}

/// What else is to be said of the file: foreign records, and with `-v` what was scanned.
fn tell(console: &mut Console<'_>, file: &Path, report: &Report<'_>) {
    let (file, counts) = (escaped_path(file), report.counts());
    if console.verbose {
        let (white, trapped, greys) = (counts.white, counts.trapped, counts.greys);
        console.tell(format_args!(
            "scanned {white} whitelisted, {trapped} trapped, {greys} unique greys"
        ));
        for record in report.unknown() {
            let key = escaped(&record.key);
            console.tell(format_args!("{file}: record \"{key}\" skipped: {}", record.why));
        }
    }
    let named = if console.verbose { report.unknown().len() as u64 } else { 0 };
    let hint = if console.verbose { "" } else { " (-v names them)" };
    if counts.unknown > named {
        let unknown = counts.unknown;
        console.tell(format_args!("{file}: {unknown} records not spamd's, skipped{hint}"));
    }
    if counts.no_address > 0 {
        console
            .tell(format_args!("{file}: {} greys without an address, skipped", counts.no_address));
    }
}
