//! The commands of greytrapctl(8), one file each.
//!
//! Every `run` takes the console and the parsed [`options`](super::options), and prints as it goes. `Ok`
//! means that everything was done. It enters its sandbox (`Task::lock_in`) before it reads data from
//! strangers or from the daemon.
#![forbid(unsafe_code)]

use super::console::{Console, Failure};
use super::options::Command;

mod adopt;
mod ask;
mod change;
mod check;
mod conf;
mod convert;
#[cfg(libc_db)]
mod cross_check;
mod daemon;
mod export;
pub(super) mod history;
mod input;
mod list;
mod lookup;
mod monitor;
mod remembering;
mod repair;
mod replay;
mod report;
mod show;
mod simulate;
mod spf;
mod suggest;

/// Carries a command out.
pub fn run(console: &mut Console<'_>, command: &Command) -> Result<(), Failure> {
    match command {
        Command::List(file) => list::run(console, file),
        Command::Check(check) => check::run(console, check),
        Command::Repair(file) => repair::run(console, file),
        Command::Simulate(simulate) => simulate::run(console, simulate),
        Command::Replay(replay) => replay::run(console, replay),
        Command::Convert(file) => convert::run(console, file),
        Command::Lookup(lookup) => lookup::run(console, lookup),
        Command::Spf(spf) => spf::run(console, spf),
        Command::Change(change) => change::run(console, change),
        Command::Adopt(file, clock, wish) => adopt::on_file(console, file, *clock, wish),
        Command::Export(export) => export::run(console, export),
        Command::Daemon { socket, request } => daemon::run(console, socket, request),
    }
}
