//! `check`: walks the whole structure of a file; silent if it is sound. With `-x` goes on to
//! `cross_check`.
//!
//! The state that a program leaves when it is killed or the disk is full is not a fault; it is reported
//! with `-v`.
#![forbid(unsafe_code)]

use super::input;
use crate::db::snapshot::{Condition, Snapshot};
use crate::db::{Damage, Fault};
use crate::escape::escaped_path;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Check, Format, Readers};
use std::path::Path;

/// Prints a line for each fault in the file, and fails if there is one. A file that is not a database has
/// no faults to list.
pub fn run(console: &mut Console<'_>, check: &Check) -> Result<(), Failure> {
    let file = &check.file;
    Task::Read { database: file }.lock_in()?;
    match check.readers {
        Readers::Ours => {
            let image = input::read(console, file)?;
            structure(console, file, &image).map(drop)
        }
        #[cfg(libc_db)]
        Readers::OursAndLibcs => super::cross_check::run(console, file),
        #[cfg(not(libc_db))]
        Readers::OursAndLibcs => {
            Err(Failure::Because("check -x: dbopen(3) is not available".to_owned()))
        }
    }
}

/// The same for an image of the file; its condition, which is not [`Condition::Damaged`].
pub fn structure(
    console: &mut Console<'_>,
    file: &Path,
    image: &[u8],
) -> Result<Condition, Failure> {
    let mut faults = Vec::new();
    let condition = match Snapshot::new(image) {
        Ok(snapshot) => snapshot.condition(&mut |damage| faults.push(damage)),
        Err(damage) if damage.fault == Fault::NotADatabase => {
            return Err(input::error(file, damage));
        }
        Err(damage) => {
            faults.push(damage);
            Condition::Damaged
        }
    };
    match condition {
        Condition::Sound => Ok(condition),
        Condition::Leftover => {
            let named = if console.verbose { faults } else { Vec::new() };
            for damage in named {
                console.tell(format_args!("{}: {damage} (left over)", escaped_path(file)));
            }
            Ok(condition)
        }
        Condition::Damaged => {
            faults.into_iter().try_for_each(|damage| print(console, file, damage))?;
            Err(Failure::Told)
        }
    }
}

fn print(console: &mut Console<'_>, file: &Path, damage: Damage) -> Result<(), Failure> {
    match console.format {
        Format::Text => console.line(format_args!("{}: {damage}", escaped_path(file))),
        Format::Json => console.json(&json::Fault::from(damage)),
    }
}
