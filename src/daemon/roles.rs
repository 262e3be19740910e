//! The daemon's processes by their names, and how each comes into its role.
//!
//! [`run`] brings a process into its role. A role opens what it needs, gives up root, locks itself in
//! ([`Life::lock_in`]), says that it is ready and works until its parent has gone.
#![forbid(unsafe_code)]

use super::life::Life;
use super::messages::ToParent;
use super::reader::Sources;
use super::{checker, engine, reader, resolver, store, sync};
use crate::errno::reason;
use crate::heap;
use crate::log;
use std::process::ExitCode;

/// Runs this process as `process` until its parent is gone; `sources` say where the configuration is.
pub fn run(process: Process, sources: &Sources) -> ExitCode {
    heap::keep_little();
    let mut life = match Life::begin(process) {
        Ok(life) => life,
        Err(error) => {
            log::error(format_args!("{}: {}", process.name(), reason(&error)));
            return ExitCode::FAILURE;
        }
    };
    let outcome = match process {
        Process::Reader => reader::run(&mut life, sources),
        Process::Store => store::run(&mut life),
        Process::Engine => engine::run(&mut life),
        Process::Resolver => resolver::run(&mut life),
        Process::Checker => checker::run(&mut life),
        Process::Sync => sync::run(&mut life),
        Process::Parent => Err("has no parent".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            life.tell(&ToParent::Failed(failure));
            ExitCode::FAILURE
        }
    }
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Starts, watches and stops the others.
    Parent,
    /// Reads the configuration and ends.
    Reader,
    /// Reads and writes the database.
    Store,
    /// Judges, and answers at the control socket.
    Engine,
    /// Asks name servers.
    Resolver,
    /// Runs the external program.
    Checker,
    /// Tells others of traps.
    Sync,
}

impl Process {
    /// All of them.
    pub const ALL: [Process; 7] = [
        Process::Parent,
        Process::Reader,
        Process::Store,
        Process::Engine,
        Process::Resolver,
        Process::Checker,
        Process::Sync,
    ];

    /// The name on its command line, in its title and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Process::Parent => "parent",
            Process::Reader => "reader",
            Process::Store => "store",
            Process::Engine => "engine",
            Process::Resolver => "resolver",
            Process::Checker => "checker",
            Process::Sync => "sync",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Process> {
        Process::ALL.into_iter().find(|process| process.name() == name)
    }
}
