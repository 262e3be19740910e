//! greytrapctl(8), the program that operators use.
//!
//! [`options`] turns the arguments into an [`options::Command`]. [`commands`] carries it out, with a file
//! for each command, and prints through a [`console`]: text, or the objects in [`json`]. Only [`main`]
//! decides the exit status: 0 for success, 1 for a failure, 2 for incorrect usage, 3 if a file that `-o` names is
//! unchanged.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

pub mod commands;
pub mod console;
mod export_options;
pub mod json;
mod judged;
mod lines;
mod locks;
mod openmetrics;
pub mod options;
mod output;
mod perl;
mod progress;
mod rule_table;
mod text;
mod time;
mod typed;
pub mod usage;
mod words;

use console::{Console, Failure};
use options::Options;
use usage::UsageError;

/// The whole of greytrapctl(8); the program's name is not among `arguments`.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(answer @ (UsageError::Help | UsageError::Version)) => {
            return match write!(out, "{answer}").and_then(|()| out.flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Err(error) => {
            let _ = write!(err, "greytrapctl: {error}\n{}", usage::USAGE);
            return ExitCode::from(2);
        }
    };
    let is_terminal = out.is_terminal();
    let mut console = Console::new(&options, &mut out, &mut err);
    console.is_terminal = is_terminal;
    let outcome = commands::run(&mut console, &options.command);
    // Output from before a failure is still printed.
    let flushed = console.flush();
    match outcome.and(flushed) {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(Failure::Unchanged) => ExitCode::from(3),
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Because(why)) => {
            console.tell(format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}
