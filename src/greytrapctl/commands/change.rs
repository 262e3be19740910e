//! `trap` and `release` on a file: the same writes that the daemon makes.
//!
//! It prints nothing on success; with `-v` and `-j` it prints the result for each address. For an address
//! that could not be trapped or released there is a message on the standard error; the others are still
//! changed.
#![forbid(unsafe_code)]

use crate::db::Engine;
use crate::db::database::{Changes, Database};
use crate::db::lock::{self, Creation, Wait};
use crate::db::{EngineError, Error, ErrorKind};
use crate::escape::{escaped_path, harmless};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Action, Change, Format};
use crate::greytrapctl::output;
use crate::machine::Own;
use crate::process::user::{self, SPAMD, User};
use crate::spamd::Address;
use crate::spamd::trap::{self, Outcome, Over, Refusal, TRAP_SECONDS};
use nix::unistd::geteuid;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Traps or releases every address of `change`; nothing is written unless all of them are addresses.
pub fn run(console: &mut Console<'_>, change: &Change) -> Result<(), Failure> {
    let addresses = parse(&change.addresses)?;
    let own = Own::of_machine();
    if matches!(change.action, Action::Trap(_)) {
        make_missing(&change.file)?;
    }
    Task::Write { database: &change.file }.lock_in()?;
    let changes = write(console, change, (&addresses, &own));
    tell(console, &change.file, &addresses, changes)
}

/// Reports the result for each address, and what it has cost.
pub(super) fn tell(
    console: &mut Console<'_>,
    file: &Path,
    addresses: &[impl ToString],
    Changes { done, cost, failure }: Changes<Outcome>,
) -> Result<(), Failure> {
    let mut all_done = true;
    for (address, outcome) in addresses.iter().zip(&done) {
        all_done &= outcome.is_done();
        let address = address.to_string();
        report(console, Some(file), &harmless(&address).to_string(), *outcome)?;
    }
    if console.verbose {
        let longest = cost.longest.as_secs_f64() * 1e3;
        let (file, batches) = (escaped_path(file), cost.batches);
        let es = if batches == 1 { "" } else { "es" };
        console
            .tell(format_args!("{file}: {batches} batch{es}, lock held {longest:.1} ms at most"));
    }
    match failure {
        Some(error) => Err(error.into()),
        None if all_done => Ok(()),
        None => Err(Failure::Told),
    }
}

/// Creates the database for a record, if it is missing. If root creates it, it is owned by spamd's user, who
/// could not write it otherwise, or if there is no such user, by the owner of the directory.
pub(super) fn make_missing(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let owner = if geteuid().is_root() { Some(owner(path)?) } else { None };
    lock::create(path, owner)?;
    Ok(())
}

fn owner(path: &Path) -> Result<(u32, u32), Failure> {
    match User::named(SPAMD) {
        Ok(spamd) => Ok((spamd.uid.as_raw(), spamd.gid.as_raw())),
        Err(user::Error::NotFound(_)) => {
            let metadata = fs::metadata(output::directory(path));
            let error = |error| Error { path: path.to_path_buf(), kind: ErrorKind::Io(error) };
            metadata.map(|found| (found.uid(), found.gid())).map_err(|found| error(found).into())
        }
        Err(error) => Err(Failure::Because(error.to_string())),
    }
}

pub(super) fn parse(typed: &[OsString]) -> Result<Vec<Address>, Failure> {
    let addresses = typed.iter().map(|typed| Address::parse(typed.as_bytes()));
    addresses.collect::<Result<_, _>>().map_err(|invalid| Failure::Because(invalid.to_string()))
}

fn write(
    console: &mut Console<'_>,
    change: &Change,
    (addresses, own): (&[Address], &Own),
) -> Changes<Outcome> {
    let now = change.clock.now();
    let mut notice =
        || console.tell(format_args!("{}: waiting for the lock", escaped_path(&change.file)));
    let mut work = |engine: &mut dyn Engine, address: &Address| match change.action {
        Action::Trap(over) if over < Over::White && own.contains(address.ip()) => {
            Ok(Outcome::Refused(Refusal::Own))
        }
        action => change_one(engine, address, action, now),
    };
    let mut database = Database::new(&change.file, Creation::Never);
    database.in_batches(addresses, &mut Wait::usual(&mut notice), &mut work)
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

/// Reports the result for an address, in the file or from the daemon.
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
