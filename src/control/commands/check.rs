//! `check`: walks the whole structure of a file; silent if it is sound.
#![forbid(unsafe_code)]

use super::input;
use crate::control::console::{Console, Failure};
use crate::control::json;
use crate::control::options::Format;
use crate::db::Damage;
use crate::escape::escaped_path;
use std::path::Path;

/// Prints a line for each fault of `file`, and fails if there is one.
pub fn run(console: &mut Console<'_>, file: &Path) -> Result<(), Failure> {
    let image = input::read(console, file)?;
    let snapshot = input::snapshot(file, &image)?;
    let mut outcome = Ok(());
    snapshot.check(&mut |damage| {
        let printed = print(console, file, damage);
        outcome = match (&outcome, printed) {
            (Err(Failure::ReaderGone), _) => Err(Failure::ReaderGone),
            (_, Err(failure)) => Err(failure),
            (_, Ok(())) => Err(Failure::Told),
        };
    });
    outcome
}

fn print(console: &mut Console<'_>, file: &Path, damage: Damage) -> Result<(), Failure> {
    match console.format {
        Format::Text => console.line(format_args!("{}: {damage}", escaped_path(file))),
        Format::Json => console.json(&json::Fault::from(damage)),
    }
}
