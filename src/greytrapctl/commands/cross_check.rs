//! `check -x`: compares our reader's records with those of libc's own walk.
//!
//! Built where dbopen(3) is available. libc trusts the file, so it is called only on a sound file, while
//! the lock is held.
#![forbid(unsafe_code)]

use super::{check, input};
use crate::db::compare::Difference;
use crate::db::snapshot::Condition;
use crate::db::{Error, libc, lock};
use crate::escape::escaped_path;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::options::Format;
use std::path::Path;

/// Checks the structure, then compares. Fails if either finds a fault; known bugs in libc's walk are not
/// faults.
pub fn run(console: &mut Console<'_>, file: &Path) -> Result<(), Failure> {
    let locked = input::open(console, file)?;
    let failed = |kind| Error { path: file.to_path_buf(), kind };
    let image = lock::image_of(&locked).map_err(failed)?;
    match check::structure(console, file, &image) {
        Ok(Condition::Leftover) => {
            not_compared(console, file, "libc misses records in what a killed program has left");
            return Ok(());
        }
        Ok(_) => {}
        Err(failure) => {
            if matches!(failure, Failure::Told) {
                not_compared(console, file, "libc's walk is not safe on a damaged file");
            }
            return Err(failure);
        }
    }
    let differences = libc::compare(file, &locked, &image).map_err(|error| {
        not_compared(console, file, &error.to_string());
        Failure::Told
    })?;
    drop(locked);
    for difference in &differences {
        report(console, file, difference)?;
    }
    if differences.iter().all(Difference::is_known) { Ok(()) } else { Err(Failure::Told) }
}

fn not_compared(console: &mut Console<'_>, file: &Path, why: &str) {
    console.tell(format_args!("{}: not compared: {why}", escaped_path(file)));
}

/// Known bugs in libc are reported on the standard error: they are faults of neither the file nor our
/// reader.
fn report(
    console: &mut Console<'_>,
    file: &Path,
    difference: &Difference<'_>,
) -> Result<(), Failure> {
    let file = escaped_path(file);
    if difference.is_known() {
        console.tell(format_args!("{file}: {difference}"));
        return Ok(());
    }
    match console.format {
        Format::Text => console.line(format_args!("{file}: {difference}")),
        Format::Json => console.json(&json::Difference::from(difference)),
    }
}
