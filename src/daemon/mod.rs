//! greytrapper(8): its command line, and the processes that it consists of.
//!
//! ```text
//!            parent   starts, watches and stops all others; timer; signals
//!              |
//!   +----------+----------+-----------+-----------+-----------+
//!   |          |          |           |           |           |
//!  sync <- store <-> engine <-> resolver       checker     memory
//!              |          | <-------------------> |           |
//!              |          | <-------------------------------> |
//!          database   control socket                     memory.redb
//! ```
//!
//! As in OpenBSD's daemons, the configuration is checked first, and with `-n` nothing else is done. Then
//! the first process (`parent`) is executed, in a new session unless it stays in the foreground; the
//! program that started it waits until all processes are ready, or one fails.
//!
//! Every process is the same program, executed again with a hidden option that names its role (`roles`), so
//! that it has its own memory layout, descriptors and stack protection. A `generation` is all of them
//! together; `life` is what they share, `messages` are sent between them, each over its `peer`; and there
//! is a file or a folder for each role.
#![forbid(unsafe_code)]

mod checker;
mod engine;
mod generation;
mod life;
mod memory;
#[doc(hidden)]
pub mod messages;
mod options;
mod parent;
mod peer;
mod preflight;
mod reader;
mod resolver;
#[doc(hidden)]
pub mod roles;
#[doc(hidden)]
pub mod slot;
mod store;
mod sync;

use crate::config::{self, Diagnostic, Guarded, Loaded};
use crate::errno::reason;
use crate::process::spawn::{self, Program};
use generation::describe;
use options::{Answer, Options, USAGE};
use parent::Setup;
use preflight::Findings;
use reader::Sources;
use slot::Slot;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::RawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Runs greytrapper(8). Exit status: 0 fine, 1 failed, 2 usage.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            complain(&format!("greytrapper: {error}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    spawn::reset_signals();
    match options.answer {
        Some(Answer::Usage) => return say(USAGE),
        Some(Answer::Version) => return say(concat!("greytrapper ", env!("CARGO_PKG_VERSION"))),
        None => {}
    }
    let outcome = match options.process {
        Some(process) => return roles::run(process, &options.sources),
        None if env::var_os(spawn::IS_PARENT).is_some() => options.run_parent(Some(Slot::Parent)),
        None if options.checks_only => options.check(),
        None => options.start(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed) => ExitCode::FAILURE,
    }
}

/// Something failed and has been reported.
#[derive(Debug)]
struct Failed;

impl Options {
    /// `-n`: reads the configuration and says what is wrong with it or would stop the daemon, or that
    /// nothing is.
    fn check(&self) -> Result<(), Failed> {
        let Loaded { config, .. } = self.load()?;
        if self.is_verbose {
            match write!(io::stdout(), "{config}") {
                // Whoever has read it has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written.map_err(|error| fail("stdout", &error))?,
            }
        }
        let Findings { errors, warnings } = preflight::check(&config);
        for line in errors.iter().chain(&warnings) {
            complain(&format!("greytrapper: {line}"));
        }
        if !errors.is_empty() {
            return Err(Failed);
        }
        complain("configuration OK");
        Ok(())
    }

    fn load(&self) -> Result<Loaded, Failed> {
        let Sources { file, defines } = &self.sources;
        let loaded = config::load(file.as_deref(), defines, &Guarded).map_err(|faults| {
            faults.iter().for_each(show);
            Failed
        })?;
        loaded.warnings.iter().for_each(show);
        Ok(loaded)
    }

    /// Starts the daemon.
    fn start(&self) -> Result<(), Failed> {
        let Loaded { config, .. } = self.load()?;
        if let Some(lack) = preflight::lack_of_memory(&config.database) {
            complain(&format!("greytrapper: {lack}"));
        }
        if self.in_foreground { self.run_parent(None) } else { self.start_apart() }
    }

    /// Starts the daemon in a session of its own, and waits until it is ready.
    fn start_apart(&self) -> Result<(), Failed> {
        let started = spawn::pair().and_then(|(ours, theirs)| {
            let mut daemon = Program::this()?.spawn_again((Slot::Parent as RawFd, theirs))?;
            let mut ready = Vec::new();
            File::from(ours).take(1).read_to_end(&mut ready)?;
            if ready.is_empty() { daemon.wait().map(Some) } else { Ok(None) }
        });
        match started {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                // Otherwise it has said why.
                if status.signal().is_some() {
                    complain(&format!("greytrapper: parent: {}", describe(status)));
                }
                Err(Failed)
            }
            Err(error) => Err(fail("start", &error)),
        }
    }

    /// Is the daemon's first process; `waiting` is where somebody waits for it to be ready.
    fn run_parent(&self, waiting: Option<Slot>) -> Result<(), Failed> {
        let kept = waiting.map(|slot| slot as RawFd);
        spawn::close_inherited(kept.as_slice());
        let waiting = waiting.map(slot::inherited).transpose();
        let setup = Setup {
            arguments: self.source_arguments.clone(),
            foreground: self.in_foreground,
            verbose: self.is_verbose,
            waiting: waiting.map_err(|error| fail("parent", &error))?,
        };
        parent::run(setup).map_err(|parent::Failed| Failed)
    }
}

fn fail(what: &str, error: &io::Error) -> Failed {
    complain(&format!("greytrapper: {what}: {}", reason(error)));
    Failed
}

/// Shows a fault; on a terminal with the line and a caret below.
fn show(fault: &Diagnostic) {
    complain(&fault.to_string());
    if let Some(excerpt) = fault.excerpt()
        && io::stderr().is_terminal()
    {
        complain(excerpt);
    }
}

/// A line to standard output, and that was all.
fn say(line: &str) -> ExitCode {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A line to standard error. There is nobody to tell if it cannot be written.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
}
