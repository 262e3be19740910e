//! greytrapper(8) from its command line on.
//!
//! In: the program's arguments. Out: its exit status, messages on standard error, and with `-nv` the
//! configuration on standard output. Called by `bin/greytrapper`.
//! As with OpenBSD's daemons the configuration comes first, and with `-n` it is all.
#![forbid(unsafe_code)]

use crate::config::{self, Define, Diagnostic, Disk, Loaded};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
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
    if !options.checks_only {
        complain("greytrapper: the daemon is not part of this version, see greytrapctl(8)");
        return ExitCode::FAILURE;
    }
    match options.check() {
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
    checks_only: bool,
    is_verbose: bool,
    defines: Vec<Define>,
    file: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, lexopt::Error> {
        let mut options = Options::default();
        let mut parser = lexopt::Parser::from_iter(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                // Without the daemon there is nothing to keep in the foreground.
                Short('d') => {}
                Short('n') => options.checks_only = true,
                Short('v') => options.is_verbose = true,
                Short('D') => options.defines.push(define(parser.value()?)?),
                Short('f') => options.file = Some(parser.value()?.into()),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }

    /// `-n`: reads the configuration and says what is wrong with it, or that nothing is.
    fn check(&self) -> Result<(), Failed> {
        let loaded = config::load(self.file.as_deref(), &self.defines, &Disk);
        let Loaded { config, warnings } = loaded.map_err(|faults| {
            faults.iter().for_each(show);
            Failed
        })?;
        warnings.iter().for_each(show);
        if self.is_verbose {
            write!(io::stdout(), "{config}").map_err(|error| {
                complain(&format!("greytrapper: stdout: {error}"));
                Failed
            })?;
        }
        complain("configuration OK");
        Ok(())
    }
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
        let expected = Options {
            checks_only: true,
            is_verbose: true,
            defines: vec!["a=1".parse().unwrap(), "b=2".parse().unwrap()],
            file: Some("x.conf".into()),
        };
        let together = ["-dnvDa=1", "-Db=2", "-fx.conf"];
        let apart = ["-d", "-n", "-v", "-D", "a=1", "-D", "b=2", "-f", "x.conf"];
        assert_eq!(parse(&together).as_ref(), Ok(&expected));
        assert_eq!(parse(&apart).as_ref(), Ok(&expected));
        assert_eq!(parse(&[]), Ok(Options::default()));
    }

    #[test]
    fn what_is_no_option_is_named() {
        for (arguments, expected) in [
            (&["-x"][..], "invalid option '-x'"),
            (&["--check"], "invalid option '--check'"),
            (&["file"], "unexpected argument \"file\""),
            (&["-f"], "missing argument for option '-f'"),
            (&["-D", "a"], "cannot parse argument \"a\": expected macro=value"),
        ] {
            assert_eq!(parse(arguments), Err(expected.into()));
        }
    }
}
