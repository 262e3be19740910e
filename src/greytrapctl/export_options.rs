//! The options of `export`. In: letters and values as typed. Out: [`Export`].
#![forbid(unsafe_code)]

use super::options::Clock;
use super::typed::duration;
use super::usage::UsageError;
use super::words::{Words, choose};
use crate::escape::escaped;
use crate::export::{FORMS, Form};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// `export`: the hosts in the trap, in a form for another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Where the traps are.
    pub source: Source,
    /// The form.
    pub form: Form,
    /// Which traps.
    pub whose: Whose,
    /// The file to replace; `None` means the standard output.
    pub output: Option<PathBuf>,
    /// The command to run when the file has changed, for sh(1).
    pub command: Option<OsString>,
    /// Only hosts that one of these rules has trapped; as typed.
    pub rules: Vec<OsString>,
    /// Only hosts that were trapped as long ago as this at most.
    pub age: Option<Duration>,
    /// A file of addresses and networks that are left out.
    pub excluded: Option<PathBuf>,
    /// At most so many hosts, the newest.
    pub most: Option<usize>,
    /// A link for TXT records; as typed.
    pub url: Option<OsString>,
    /// The community of announced prefixes; as typed.
    pub community: Option<OsString>,
}

/// Where the traps are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The daemon at this socket.
    Daemon(PathBuf),
    /// This database, at this time.
    File(PathBuf, Clock),
}

/// Whose traps are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those that greytrapper has set.
    Ours,
    /// All in the database.
    All,
}

/// The letters of the options.
pub const LETTERS: &str = "acefmnorux";

/// The options as typed.
#[derive(Debug, Default)]
pub struct Typed {
    form: Option<OsString>,
    all: bool,
    output: Option<OsString>,
    command: Option<OsString>,
    rules: Vec<OsString>,
    age: Option<OsString>,
    excluded: Option<OsString>,
    most: Option<OsString>,
    url: Option<OsString>,
    community: Option<OsString>,
}

impl Typed {
    /// Takes an option that is one of [`LETTERS`], with its value from `parser`.
    pub fn take(&mut self, letter: char, parser: &mut lexopt::Parser) -> Result<(), UsageError> {
        let value = match letter {
            'c' => &mut self.community,
            'e' => &mut self.excluded,
            'f' => &mut self.form,
            'm' => &mut self.age,
            'n' => &mut self.most,
            'o' => &mut self.output,
            'u' => &mut self.url,
            'x' => &mut self.command,
            'r' => {
                self.rules.push(parser.value()?);
                return Ok(());
            }
            _ => {
                self.all = true;
                return Ok(());
            }
        };
        *value = Some(parser.value()?);
        Ok(())
    }

    /// What they mean, for the traps in `source`.
    pub fn check(self, source: Source) -> Result<Export, UsageError> {
        let expected = |expected| UsageError::Arguments { command: "export", expected };
        let Some(form) = &self.form else { return Err(expected("a form after -f")) };
        let names: &Words<Form> = &FORMS;
        let is_file = matches!(source, Source::File(..));
        if is_file && !self.rules.is_empty() {
            return Err(expected("no rule with -F"));
        }
        if self.command.is_some() && self.output.is_none() {
            return Err(expected("a file after -o with -x"));
        }
        let wrong =
            |typed: &OsString| UsageError::NotANumber(escaped(typed.as_bytes()).to_string());
        let number =
            |typed: OsString| typed.to_str().and_then(|n| n.parse().ok()).ok_or(wrong(&typed));
        Ok(Export {
            form: choose("form", form, names)?,
            whose: if self.all || is_file { Whose::All } else { Whose::Ours },
            source,
            output: self.output.map(PathBuf::from),
            command: self.command,
            rules: self.rules,
            age: self.age.map(|age| duration("-m", age)).transpose()?,
            excluded: self.excluded.map(PathBuf::from),
            most: self.most.map(number).transpose()?,
            url: self.url,
            community: self.community,
        })
    }
}
