//! `check -x`: our reader's records compared with those that libc's own walk gives.
//!
//! Built where there is dbopen(3). libc follows whatever it finds, so it is only let loose on a file
//! whose structure holds, and while its lock is held.
#![forbid(unsafe_code)]

use super::{check, input};
use crate::db::compare::Difference;
use crate::db::{Error, libc, lock};
use crate::escape::escaped_path;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::options::Format;
use std::path::Path;

/// Checks the structure, then compares. Fails if either finds a fault; what is known of libc's walk is
/// none.
pub fn run(console: &mut Console<'_>, file: &Path) -> Result<(), Failure> {
    let locked = input::open(console, file)?;
    let failed = |kind| Error { path: file.to_path_buf(), kind };
    let image = lock::image_of(&locked).map_err(failed)?;
    if let Err(failure) = check::structure(console, file, &image) {
        if matches!(failure, Failure::Told) {
            not_compared(console, file, "libc's walk is not safe on a damaged file");
        }
        return Err(failure);
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

/// What is known of libc is told on standard error: it is no fault of the file or of our reader.
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
