//! greytrapper(8) from its command line on.
//!
//! In: the program's arguments. Out: its exit status, messages on standard error, and with `-nv` the
//! configuration on standard output. Called by `bin/greytrapper`.
//! As with OpenBSD's daemons the configuration comes first, and with `-n` it is all. Then the first process
//! ([`parent`]) starts, afresh and in a session of its own unless it is to stay in the foreground;
//! whoever started it waits until all is ready, or not. A process with a role of its own comes in here too,
//! by a flag that is not for users.
#![forbid(unsafe_code)]

use crate::config::{self, Define, Diagnostic, Disk, Loaded};
use crate::errno::reason;
use crate::privsep::Process;
use crate::privsep::generation::describe;
use crate::privsep::parent::{self, Setup};
use crate::privsep::roles::{self, Sources};
use crate::privsep::spawn::{self, Program, Slot};
use lexopt::prelude::*;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path;
use std::process::ExitCode;

/// Runs greytrapper(8). Exit status: 0 fine, 1 failed, 2 usage.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            complain(&format!("greytrapper: {error}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
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

const USAGE: &str = "usage: greytrapper [-dnv] [-D macro=value] [-f file]";

/// Something went wrong and has been said.
#[derive(Debug)]
struct Failed;

/// The command line, understood.
#[derive(Debug, Default, PartialEq)]
struct Options {
    in_foreground: bool,
    checks_only: bool,
    is_verbose: bool,
    sources: Sources,
    /// The options that say where the configuration is, for another process.
    source_arguments: Vec<OsString>,
    process: Option<Process>,
}

impl Options {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, lexopt::Error> {
        let mut options = Options::default();
        let mut parser = lexopt::Parser::from_iter(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('d') => options.in_foreground = true,
                Short('n') => options.checks_only = true,
                Short('v') => options.is_verbose = true,
                Short('D') => {
                    let text = parser.value()?;
                    options.source_arguments.extend(["-D".into(), text.clone()]);
                    options.sources.defines.push(define(text)?);
                }
                Short('f') => options.sources.file = Some(parser.value()?.into()),
                Short('x') => options.process = Some(parser.value()?.parse_with(process)?),
                _ => return Err(argument.unexpected()),
            }
        }
        if let Some(file) = &mut options.sources.file {
            // The daemon has another working directory.
            *file = path::absolute(&file).unwrap_or_else(|_| file.clone());
            options.source_arguments.extend(["-f".into(), file.clone().into()]);
        }
        Ok(options)
    }

    /// `-n`: reads the configuration and says what is wrong with it, or that nothing is.
    fn check(&self) -> Result<(), Failed> {
        let Loaded { config, .. } = self.load()?;
        if self.is_verbose {
            write!(io::stdout(), "{config}").map_err(|error| fail("stdout", &error))?;
        }
        complain("configuration OK");
        Ok(())
    }

    fn load(&self) -> Result<Loaded, Failed> {
        let Sources { file, defines } = &self.sources;
        let loaded = config::load(file.as_deref(), defines, &Disk).map_err(|faults| {
            faults.iter().for_each(show);
            Failed
        })?;
        loaded.warnings.iter().for_each(show);
        Ok(loaded)
    }

    /// Starts the daemon.
    fn start(&self) -> Result<(), Failed> {
        self.load()?;
        if self.in_foreground { self.run_parent(None) } else { self.start_apart() }
    }

    /// Starts the daemon in a session of its own, and waits until it is ready.
    fn start_apart(&self) -> Result<(), Failed> {
        let started = spawn::pair().and_then(|(ours, theirs)| {
            let mut daemon = Program::this()?.spawn_parent(theirs)?;
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
        let waiting = waiting.map(spawn::inherited).transpose();
        let setup = Setup {
            arguments: self.source_arguments.clone(),
            foreground: self.in_foreground,
            verbose: self.is_verbose,
            waiting: waiting.map_err(|error| fail("parent", &error))?,
        };
        parent::run(setup).map_err(|parent::Failed| Failed)
    }
}

fn process(name: &str) -> Result<Process, &'static str> {
    Process::named(name).ok_or("no such process")
}

fn fail(what: &str, error: &io::Error) -> Failed {
    complain(&format!("greytrapper: {what}: {}", reason(error)));
    Failed
}

fn define(text: OsString) -> Result<Define, lexopt::Error> {
    text.parse_with(|text| text.parse().map_err(|_| "expected macro=value"))
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

/// A line to standard error. There is nobody to tell if it cannot be written.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let arguments = ["greytrapper"].iter().chain(arguments).map(OsString::from);
        Options::parse(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn options_may_be_apart_or_together() {
        let sources = Sources {
            defines: vec!["a=1".parse().unwrap(), "b=2".parse().unwrap()],
            file: Some("/x.conf".into()),
        };
        let expected = Options {
            in_foreground: true,
            checks_only: true,
            is_verbose: true,
            sources,
            source_arguments: ["-D", "a=1", "-D", "b=2", "-f", "/x.conf"].map(Into::into).into(),
            process: None,
        };
        let together = ["-dnvDa=1", "-Db=2", "-f/x.conf"];
        let apart = ["-d", "-n", "-v", "-D", "a=1", "-D", "b=2", "-f", "/x.conf"];
        assert_eq!(parse(&together).as_ref(), Ok(&expected));
        assert_eq!(parse(&apart).as_ref(), Ok(&expected));
        assert_eq!(parse(&[]), Ok(Options::default()));
    }

    #[test]
    fn what_is_no_option_is_named() {
        for (arguments, expected) in [
            (&["-y"][..], "invalid option '-y'"),
            (&["-x", "king"], "cannot parse argument \"king\": no such process"),
            (&["--check"], "invalid option '--check'"),
            (&["file"], "unexpected argument \"file\""),
            (&["-f"], "missing argument for option '-f'"),
            (&["-D", "a"], "cannot parse argument \"a\": expected macro=value"),
        ] {
            assert_eq!(parse(arguments), Err(expected.into()));
        }
    }
}
