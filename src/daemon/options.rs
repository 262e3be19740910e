//! The command line of greytrapper(8).
//!
//! A process with a role is started with `-x`, which is not for users.
#![forbid(unsafe_code)]

use super::reader::Sources;
use super::roles::Process;
use crate::config::Define;
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path;

/// The usage message.
pub const USAGE: &str = "usage: greytrapper [-dhnVv] [-D macro=value] [-f file]";

/// The flag that names a role.
pub const ROLE: &str = "-x";

/// The parsed command line.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    pub in_foreground: bool,
    pub checks_only: bool,
    pub is_verbose: bool,
    /// The sources of the configuration.
    pub sources: Sources,
    /// The options for these sources, to pass on to another process.
    pub source_arguments: Vec<OsString>,
    /// The role of this process, if another process started it.
    pub process: Option<Process>,
    /// What to print instead of doing anything.
    pub answer: Option<Answer>,
}

/// A message about the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `-h`
    Usage,
    /// `-V`
    Version,
}

impl Options {
    /// Reads the arguments; the first is the name of the program.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, lexopt::Error> {
        let mut options = Options::default();
        let mut parser = lexopt::Parser::from_iter(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') => options.answer = Some(Answer::Usage),
                Short('V') => options.answer = Some(Answer::Version),
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
}

fn process(name: &str) -> Result<Process, &'static str> {
    Process::named(name).ok_or("no such process")
}

fn define(text: OsString) -> Result<Define, lexopt::Error> {
    text.parse_with(|text| text.parse().map_err(|_| "expected macro=value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the arguments; the first is the name of the program.
    pub fn parse(arguments: &[&str]) -> Result<Options, String> {
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
            answer: None,
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
