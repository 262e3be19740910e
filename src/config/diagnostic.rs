//! Places in files, and faults as an operator reads them. The first line is exactly `file:line: message`;
//! on a terminal, the source line follows with a caret below it.
//!
//! In: a [`Problem`] and its place. Out: a [`Diagnostic`], which owns everything that is shown.

use super::problem::Problem;
use crate::escape::escaped;
use std::fmt;
use std::path::{Path, PathBuf};

/// Whether a fault stops the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but is probably not what was meant.
    Warning,
}

/// One fault in a configuration. It is shown as `file:line: message` or, if it concerns no line, as `file:
/// message`; the message of a warning begins with `warning: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the configuration from being used.
    pub severity: Severity,
    /// The file, as it was named.
    pub path: PathBuf,
    /// The line, from 1; 0 stands for the whole file.
    pub line: u32,
    /// What is wrong: what was expected, what was found.
    pub message: String,
    excerpt: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(
        severity: Severity,
        path: &Path,
        text: &[u8],
        at: At,
        problem: &Problem,
    ) -> Diagnostic {
        Diagnostic {
            severity,
            path: path.to_path_buf(),
            line: at.line,
            message: problem.to_string(),
            excerpt: excerpt(text, at),
        }
    }

    /// The line of the file with a caret below the place. `None` if there is no such line, or if it is too
    /// long to be shown.
    pub fn excerpt(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", escaped(self.path.as_os_str().as_encoded_bytes()))?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if self.severity == Severity::Warning {
            f.write_str(" warning:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// A place: the number of a file, and a line and a byte in it, both from 1. Line 0 is the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) file: usize,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl At {
    /// The beginning of a file's text.
    pub(super) fn start(file: usize) -> At {
        At { file, line: 1, column: 1 }
    }

    /// A file as a whole.
    pub(super) fn whole(file: usize) -> At {
        At { file, line: 0, column: 0 }
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// A problem and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) at: At,
    pub(super) problem: Problem,
}

impl Fault {
    pub(super) fn new(at: At, problem: Problem) -> Fault {
        Fault { at, problem }
    }
}

/// Longer lines are not shown, since they would flood the terminal.
const EXCERPT_BYTES: usize = 160;

fn excerpt(text: &[u8], at: At) -> Option<String> {
    let line = line(text, usize::try_from(at.line).ok()?.checked_sub(1)?)?;
    let before = line.get(..usize::try_from(at.column).ok()?.checked_sub(1)?)?;
    if line.is_empty() || line.len() > EXCERPT_BYTES {
        return None;
    }
    let width = printable(before).chars().count();
    Some(format!("{}\n{:width$}^", printable(line), ""))
}

/// The line after so many newlines.
fn line(text: &[u8], ends: usize) -> Option<&[u8]> {
    let rest = match ends.checked_sub(1) {
        None => text,
        Some(last) => text.get(memchr::memchr_iter(b'\n', text).nth(last)?.checked_add(1)?..)?,
    };
    rest.get(..memchr::memchr(b'\n', rest).unwrap_or(rest.len()))
}

fn printable(line: &[u8]) -> String {
    let blanks: Vec<u8> = line.iter().map(|&b| if b == b'\t' { b' ' } else { b }).collect();
    escaped(blanks.strip_suffix(b"\r").unwrap_or(&blanks)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8], line: u32, column: u32) -> Option<String> {
        excerpt(text, At { file: 0, line, column })
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let text = b"first\n\ttrap fro 24h\nlast";
        assert_eq!(shown(text, 2, 7).unwrap(), " trap fro 24h\n      ^");
        assert_eq!(shown(text, 3, 5).unwrap(), "last\n    ^");
    }

    #[test]
    fn escapes_move_the_caret() {
        assert_eq!(shown(b"\x1b[mx\xff y", 1, 7).unwrap(), "\\033[mx\\377 y\n            ^");
    }

    #[test]
    fn lines_that_are_not_there_or_too_long_are_not_shown() {
        assert_eq!(shown(b"one", 2, 1), None);
        assert_eq!(shown(b"one", 0, 0), None);
        assert_eq!(shown(b"one", 1, 9), None);
        assert_eq!(shown(b"\n", 1, 1), None);
        assert_eq!(shown(&[b'a'; 161], 1, 1), None);
    }

    #[test]
    fn the_first_line_is_exact() {
        let at = At { file: 0, line: 3, column: 2 };
        let path = Path::new("/etc/mail/x\n.conf");
        let fault = Diagnostic::new(Severity::Error, path, b"", at, &Problem::NotUtf8);
        assert_eq!(fault.to_string(), "/etc/mail/x\\012.conf:3: text is not UTF-8");
        let fault =
            Diagnostic::new(Severity::Warning, path, b"", At::whole(0), &Problem::KeyUnused);
        assert_eq!(
            fault.to_string(),
            "/etc/mail/x\\012.conf: warning: sync key is not used without sync to or sync multicast"
        );
    }
}
