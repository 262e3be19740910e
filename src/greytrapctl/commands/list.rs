//! `list`: every record of a file in the file's order, as spamdb(8) prints it.
//!
//! Where spamdb stops at a record that it does not know, this skips it and says so; where spamdb hangs
//! or dies of a damaged file, this prints what can be reached, and each fault on standard error. A file that
//! a killed program has left is not damaged: it is read as a scan reads it.
#![forbid(unsafe_code)]

use super::input;
use crate::db::snapshot::Snapshot;
use crate::db::{ByteOrder, Record};
use crate::escape::{escaped, escaped_path};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::Format;
use crate::plural::counted;
use crate::spamd::{Entry, Unknown, listing};
use std::collections::HashSet;
use std::path::Path;

/// Prints the records of `file`. Fails if it is damaged; records that are none of spamd's are no
/// failure.
pub fn run(console: &mut Console<'_>, file: &Path) -> Result<(), Failure> {
    Task::Read { database: file }.lock_in()?;
    let image = input::read(console, file)?;
    let snapshot = input::snapshot(file, &image)?;
    let order = snapshot.byte_order();
    let (mut foreign, mut damaged) = (0_u64, false);
    let mut list = |console: &mut Console<'_>, record: &Record<'_>| -> Result<(), Failure> {
        if let Err(why) = print(console, record, order)? {
            foreign = foreign.saturating_add(1);
            name_foreign(console, file, record, why);
        }
        Ok(())
    };
    for (count, record) in snapshot.records().enumerate() {
        match record {
            Ok(record) => list(console, &record)?,
            Err(damage) => {
                if let Some(rest) = rest_of_leftovers(&snapshot, count).filter(|_| !damaged) {
                    rest.iter().try_for_each(|record| list(console, record))?;
                    break;
                }
                damaged = true;
                console.tell(format_args!("{}: {damage}", escaped_path(file)));
            }
        }
    }
    if foreign > 0 && !console.verbose {
        console.tell(format_args!(
            "{}: {} not spamd's, skipped (-v names them)",
            escaped_path(file),
            counted(foreign, "record")
        ));
    }
    if damaged { Err(Failure::Told) } else { Ok(()) }
}

/// The records of a file that a killed program has left, except the first `count`, which are listed
/// already; `None` if it is damaged.
fn rest_of_leftovers<'a>(snapshot: &Snapshot<'a>, count: usize) -> Option<Vec<Record<'a>>> {
    let mut rest = snapshot.leftovers().ok()?;
    let listed: HashSet<_> =
        snapshot.records().take(count).flatten().map(|record| record.key.into_owned()).collect();
    rest.retain(|record| !listed.contains(&*record.key));
    Some(rest)
}

fn print(
    console: &mut Console<'_>,
    record: &Record<'_>,
    order: ByteOrder,
) -> Result<Result<(), Unknown>, Failure> {
    let (key, value) = (&record.key, &record.value);
    match console.format {
        Format::Text => {
            let (mut outcome, is_terminal) = (Ok(()), console.is_terminal);
            console.put(|lines| {
                let start = lines.len();
                outcome = listing::append(lines, key, value, order);
                if is_terminal {
                    make_harmless(lines, start);
                }
            })?;
            Ok(outcome)
        }
        Format::Json => match Entry::decode(key, value, order) {
            Ok((entry, data)) => console.json(&json::Record::new(entry, &data)).map(Ok),
            Err(why) => Ok(Err(why)),
        },
    }
}

/// Escapes what stands behind `start`, a line that strangers have chosen the most of.
fn make_harmless(lines: &mut Vec<u8>, start: usize) {
    let line = lines.split_off(start);
    if let Some(line) = line.strip_suffix(b"\n") {
        lines.extend_from_slice(escaped(line).to_string().as_bytes());
        lines.push(b'\n');
    }
}

fn name_foreign(console: &mut Console<'_>, file: &Path, record: &Record<'_>, why: Unknown) {
    if console.verbose {
        let key = escaped(&record.key);
        console.tell(format_args!("{}: record \"{key}\" skipped: {why}", escaped_path(file)));
    }
}
