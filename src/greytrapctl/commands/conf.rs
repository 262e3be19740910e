//! Loads the configuration of a command, and prints its faults as greytrapper(8) does.
#![forbid(unsafe_code)]

use crate::config::{self, Config, Diagnostic, Disk, Loaded};
use crate::greytrapctl::console::{Console, Failure};
use std::io::{self, IsTerminal};
use std::path::Path;

/// Reads `file`, or the default one, which may be missing.
pub fn load(console: &mut Console<'_>, file: Option<&Path>) -> Result<Config, Failure> {
    match config::load(file, &[], &Disk) {
        Ok(Loaded { config, warnings }) => {
            warnings.iter().for_each(|fault| show(console, fault));
            Ok(config)
        }
        Err(faults) => Err(told(console, &faults)),
    }
}

/// The failure of a command that was told these faults.
pub fn told(console: &mut Console<'_>, faults: &[Diagnostic]) -> Failure {
    faults.iter().for_each(|fault| show(console, fault));
    Failure::Told
}

/// `file:line: message`, and on a terminal the line itself.
pub fn show(console: &mut Console<'_>, fault: &Diagnostic) {
    console.scribble(format_args!("{fault}\n"));
    if let Some(excerpt) = fault.excerpt()
        && io::stderr().is_terminal()
    {
        console.scribble(format_args!("{excerpt}\n"));
    }
}
