//! `check -r`: repairs a file with pages of zeros, and says on the standard error what it did.
#![forbid(unsafe_code)]

use crate::db::lock::Wait;
use crate::db::repair::{self, Gaps, Outcome, copy};
use crate::escape::escaped_path;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::locks::Task;
use std::path::Path;

/// Repairs the file, after a copy was made beside it. A sound file is left alone.
pub fn run(console: &mut Console<'_>, file: &Path) -> Result<(), Failure> {
    let copy = copy::path(file);
    Task::Repair { database: file, copy: &copy, directory: copy::directory(&copy) }.lock_in()?;
    let name = escaped_path(file);
    let mut notice = || console.tell(format_args!("{name}: waiting for the lock"));
    match repair::repair(file, &copy, &mut Wait::usual(&mut notice))? {
        Outcome::Sound => console.tell(format_args!("{name}: sound, nothing to repair")),
        Outcome::Repaired { kept, gaps } => {
            let of = gaps.counted.map_or(String::new(), |counted| format!(" of {counted}"));
            console.tell(format_args!("{name}: {}: {kept}{of} records kept", missing(gaps)));
            console.tell(format_args!("{}: the file as it was", escaped_path(&copy)));
        }
    }
    Ok(())
}

/// What was missing, in words.
fn missing(gaps: Gaps) -> String {
    let es = if gaps.zeros == 1 { "" } else { "s" };
    let beyond = match gaps.beyond {
        0 => String::new(),
        beyond => format!(", {beyond} more behind the end of the file"),
    };
    format!("{} page{es} of zeros{beyond}", gaps.zeros)
}
