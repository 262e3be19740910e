//! `trap` and `release` on a file: the same writes that the daemon makes.
//!
//! Silent when all went well; `-v` and `-j` tell what became of each address. For an address that could not
//! be trapped or released there is a message on standard error; the others are changed all the same.
#![forbid(unsafe_code)]

use crate::db::Engine;
use crate::db::database::{Cost, Database};
use crate::db::lock::{Creation, Wait};
use crate::db::{EngineError, Error};
use crate::escape::escaped_path;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Action, Change, Format};
use crate::spamd::Address;
use crate::spamd::trap::{self, Outcome, TRAP_SECONDS};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Traps or releases every address of `change`; nothing is written unless all of them are addresses.
pub fn run(console: &mut Console<'_>, change: &Change) -> Result<(), Failure> {
    let addresses = parse(&change.addresses)?;
    Task::Write { database: &change.file }.lock_in()?;
    let mut outcomes = Vec::with_capacity(addresses.len());
    let cost = write(console, change, &addresses, &mut outcomes)?;
    let mut all_done = true;
    for (address, outcome) in addresses.iter().zip(&outcomes) {
        all_done &= outcome.is_done();
        report(console, Some(&change.file), &address.to_string(), *outcome)?;
    }
    if console.verbose {
        let longest = cost.longest.as_secs_f64() * 1e3;
        let (file, batches) = (escaped_path(&change.file), cost.batches);
        console.tell(format_args!("{file}: {batches} batches, lock held {longest:.1} ms at most"));
    }
    if all_done { Ok(()) } else { Err(Failure::Told) }
}

pub(super) fn parse(typed: &[OsString]) -> Result<Vec<Address>, Failure> {
    let addresses = typed.iter().map(|typed| Address::parse(typed.as_bytes()));
    addresses.collect::<Result<_, _>>().map_err(|invalid| Failure::Because(invalid.to_string()))
}

fn write(
    console: &mut Console<'_>,
    change: &Change,
    addresses: &[Address],
    outcomes: &mut Vec<Outcome>,
) -> Result<Cost, Error> {
    let now = change.clock.now();
    let missing = match change.action {
        Action::Trap(_) => Creation::IfMissing,
        Action::Release => Creation::Never,
    };
    let mut notice =
        || console.tell(format_args!("{}: waiting for its lock", escaped_path(&change.file)));
    let mut work = |engine: &mut dyn Engine, address: &Address| {
        outcomes.push(change_one(engine, address, change.action, now)?);
        Ok(())
    };
    Database::new(&change.file, missing).in_batches(
        addresses,
        &mut Wait::usual(&mut notice),
        &mut work,
    )
}

fn change_one(
    engine: &mut dyn Engine,
    address: &Address,
    action: Action,
    now: i64,
) -> Result<Outcome, EngineError> {
    match action {
        Action::Trap(over) => trap::trap(engine, address, now, TRAP_SECONDS, over),
        Action::Release => trap::release(engine, address),
    }
}

/// Tells what became of an address in the file, or in that of the daemon.
pub(super) fn report(
    console: &mut Console<'_>,
    file: Option<&Path>,
    address: &str,
    outcome: Outcome,
) -> Result<(), Failure> {
    let (done, text) = (outcome.is_done(), outcome.to_string());
    if !done {
        let place = file.map_or(String::new(), |file| format!("{}: ", escaped_path(file)));
        console.tell(format_args!("{place}{address}: {text}"));
    }
    match console.format {
        Format::Json => console.json(&json::Change { address, done, text: &text }),
        Format::Text if done && console.verbose => console.line(format_args!("{address}: {text}")),
        Format::Text => Ok(()),
    }
}
