//! Where the statements were written that decide about single hosts: `allow`, `pass rcpt` and `trap rcpt`.
//!
//! `check` notes them; [`Rules`] names a statement that matches. A configuration that displays itself does
//! not say where it was written, so whoever passes the text on passes these [`Origins`] on beside it: they
//! are in the order in which the text has the statements.

use super::Rules;
use super::diagnostic::At;
use super::value::string_text;
use crate::escape::escaped_path;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A statement of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// As it could be written: one entry of a list is a statement of its own.
    pub statement: String,
    /// The file, escaped, and the line; `None` if the configuration is from no file.
    pub origin: Option<(String, u32)>,
}

/// The number of a file, and a line in it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    file: u32,
    line: u32,
}

impl From<At> for Line {
    fn from(at: At) -> Line {
        Line { file: u32::try_from(at.file).unwrap_or(u32::MAX), line: at.line }
    }
}

/// Where the statements were written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Origins {
    pub(super) files: Vec<PathBuf>,
    pub(super) pass: Vec<Line>,
    pub(super) trap: Vec<Line>,
    pub(super) unlisted: Option<Line>,
    /// One for each network, in the order of the set.
    pub(super) allow: Vec<Line>,
    /// The same of the sets that end on a day, one after the other.
    pub(super) allow_until: Vec<Line>,
    pub(super) allow_helo: Vec<Line>,
}

/// Where a statement was written makes no difference: any two are equal.
impl PartialEq for Origins {
    fn eq(&self, _: &Origins) -> bool {
        true
    }
}

impl Eq for Origins {}

impl Origins {
    pub(super) fn written(&self, statement: String, line: Option<&Line>) -> Written {
        let origin = line.and_then(|Line { file, line }| {
            let path = self.files.get(usize::try_from(*file).ok()?)?;
            Some((escaped_path(path).to_string(), *line))
        });
        Written { statement, origin }
    }
}

impl Rules {
    /// The statement that decides about this recipient, a plain address: the first `pass rcpt` that matches
    /// it, or else the first `trap rcpt`.
    pub fn about_recipient(&self, address: &[u8]) -> Option<Written> {
        let origins = &self.origins;
        if let Some(number) = self.rcpt.pass.matches(address).iter().next() {
            let pattern = self.rcpt.pass.patterns().get(number)?;
            let statement = format!("pass rcpt {}", string_text(pattern));
            return Some(origins.written(statement, origins.pass.get(number)));
        }
        let mut trap = self.rcpt.trap.iter().enumerate();
        if let Some((number, pattern)) = trap.find(|(_, pattern)| pattern.is_match(address)) {
            let statement = format!("trap rcpt {}", string_text(pattern.as_str()));
            return Some(origins.written(statement, origins.trap.get(number)));
        }
        let unlisted = || origins.written("trap rcpt unlisted".into(), origins.unlisted.as_ref());
        self.rcpt.unlisted.then(unlisted)
    }
}
