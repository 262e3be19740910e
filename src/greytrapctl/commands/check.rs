//! `check`: walks the whole structure of a file; silent if it is sound. With `-x` goes on to
//! `cross_check`.
#![forbid(unsafe_code)]

use super::input;
use crate::db::snapshot::Snapshot;
use crate::db::{Damage, Fault};
use crate::escape::escaped_path;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Check, Format, Readers};
use std::path::Path;

/// Prints a line for each fault of the file, and fails if there is one. What is no database at all has
/// no faults to list.
pub fn run(console: &mut Console<'_>, check: &Check) -> Result<(), Failure> {
    let file = &check.file;
    Task::Read { database: file }.lock_in()?;
    match check.readers {
        Readers::Ours => {
            let image = input::read(console, file)?;
            structure(console, file, &image)
        }
        #[cfg(libc_db)]
        Readers::OursAndLibcs => super::cross_check::run(console, file),
        #[cfg(not(libc_db))]
        Readers::OursAndLibcs => {
            Err(Failure::Because("check -x: there is no dbopen(3) here to compare with".to_owned()))
        }
    }
}

/// The same for an image of the file.
pub fn structure(console: &mut Console<'_>, file: &Path, image: &[u8]) -> Result<(), Failure> {
    let (mut sound, mut printed) = (true, Ok(()));
    let mut tell = |damage| {
        sound = false;
        if printed.is_ok() {
            printed = print(console, file, damage);
        }
    };
    match Snapshot::new(image) {
        Ok(snapshot) => snapshot.check(&mut tell),
        Err(damage) if damage.fault == Fault::NotADatabase => {
            return Err(input::error(file, damage));
        }
        Err(damage) => tell(damage),
    }
    printed?;
    if sound { Ok(()) } else { Err(Failure::Told) }
}

fn print(console: &mut Console<'_>, file: &Path, damage: Damage) -> Result<(), Failure> {
    match console.format {
        Format::Text => console.line(format_args!("{}: {damage}", escaped_path(file))),
        Format::Json => console.json(&json::Fault::from(damage)),
    }
}
