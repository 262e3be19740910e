//! The commands of greytrapctl(8), one file each.
//!
//! Every `run` takes the console and what [`options`](super::options) made of the command line, and
//! prints as it goes. `Ok` means that all was done that was asked. Before it looks at what a stranger or
//! the daemon has to say, it locks itself in (`Task::lock_in`).
#![forbid(unsafe_code)]

use super::console::{Console, Failure};
use super::options::Command;

mod ask;
mod change;
mod check;
mod conf;
#[cfg(libc_db)]
mod cross_check;
mod daemon;
mod input;
mod list;
mod lookup;
mod monitor;
mod show;
mod simulate;

/// Carries a command out.
pub fn run(console: &mut Console<'_>, command: &Command) -> Result<(), Failure> {
    match command {
        Command::List(file) => list::run(console, file),
        Command::Check(check) => check::run(console, check),
        Command::Simulate(simulate) => simulate::run(console, simulate),
        Command::Lookup(lookup) => lookup::run(console, lookup),
        Command::Change(change) => change::run(console, change),
        Command::Daemon { socket, request } => daemon::run(console, socket, request),
    }
}
