//! The files of one configuration and the faults found in them.
//!
//! `parse` and `check` open files here, which gives them numbers, and report faults. `load` obtains the
//! faults as diagnostics in the order of the text. The number of files, their size and the number of faults
//! are bounded.

use super::diagnostic::{At, Diagnostic, Fault, Severity, Spanned};
use super::problem::Problem;
use super::source::Source;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The size of all files of a configuration together, tables included, in bytes.
pub(super) const MAX_TEXT: usize = 32 << 20;
/// The number of files in a configuration, each counted as often as it is read.
pub(super) const MAX_FILES: usize = 1000;
/// Faults after which reading stops.
const MAX_FAULTS: usize = 50;

/// What has been read, and what was wrong with it.
pub(super) struct Input<'s> {
    source: &'s dyn Source,
    files: Vec<File>,
    faults: Vec<(Severity, Fault)>,
    left: usize,
    has_ended: bool,
}

struct File {
    path: PathBuf,
    text: Rc<[u8]>,
}

impl<'s> Input<'s> {
    pub(super) fn new(source: &'s dyn Source) -> Self {
        Input { source, files: Vec::new(), faults: Vec::new(), left: MAX_TEXT, has_ended: false }
    }

    /// Reads the main file. It has number 0, and is empty if it cannot be read.
    ///
    /// # Errors
    /// The file cannot be read; the caller reports this.
    pub(super) fn open_first(&mut self, path: &Path) -> io::Result<Rc<[u8]>> {
        let read = self.source.read(path, self.left).map(without_mark);
        let text = read.as_ref().map_or_else(|_| Rc::from([]), Rc::clone);
        self.files.push(File { path: path.into(), text: Rc::clone(&text) });
        match self.charge(&text) {
            Ok(()) => read,
            Err(problem) => {
                self.error(Fault::new(At::whole(0), problem));
                Ok(Rc::from([]))
            }
        }
    }

    /// Reads a file that another one names, and gives it the next number.
    ///
    /// # Errors
    /// What is wrong with the file, with the place that names it.
    pub(super) fn open(&mut self, path: &Spanned<PathBuf>) -> Result<(usize, Rc<[u8]>), Fault> {
        let fault = |problem| Fault::new(path.at, problem);
        let file = self.files.len();
        if file >= MAX_FILES {
            return Err(fault(Problem::TooManyFiles { limit: MAX_FILES }));
        }
        let text: Rc<[u8]> = match self.source.read(&path.value, self.left) {
            Ok(bytes) => without_mark(bytes),
            Err(error) => {
                let path = path.value.clone();
                return Err(fault(Problem::Unreadable { path, reason: reason(&error) }));
            }
        };
        self.charge(&text).map_err(fault)?;
        self.files.push(File { path: path.value.clone(), text: Rc::clone(&text) });
        Ok((file, text))
    }

    /// The paths of all files, by number.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// The path under which a file was opened.
    pub(super) fn path(&self, file: usize) -> &Path {
        self.files.get(file).map_or(Path::new(""), |f| &f.path)
    }

    /// Reports an error.
    pub(super) fn error(&mut self, fault: Fault) {
        self.report(Severity::Error, fault);
    }

    /// Reports a warning.
    pub(super) fn warn(&mut self, at: At, problem: Problem) {
        self.report(Severity::Warning, Fault::new(at, problem));
    }

    /// Whether it is useless to read on: there are too many errors, or one that would be repeated.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether any error was reported.
    pub(super) fn has_errors(&self) -> bool {
        self.faults.iter().any(|(severity, _)| *severity == Severity::Error)
    }

    /// How many faults there are, errors and warnings.
    pub(super) fn fault_count(&self) -> usize {
        self.faults.len()
    }

    /// Whether `path` is a program that can be run.
    pub(super) fn is_program(&self, path: &Path) -> bool {
        self.source.is_program(path)
    }

    /// A place as messages about the place `from` refer to it.
    pub(super) fn place(&self, at: At, from: At) -> String {
        if at.file == from.file {
            return format!("on line {}", at.line);
        }
        let path = self.path(at.file).as_os_str().as_encoded_bytes();
        format!("at {}:{}", crate::escape::escaped(path), at.line)
    }

    /// All faults, in the order of the files and their lines.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.faults.sort_by_key(|(_, fault)| fault.at);
        let shown = |(severity, fault): &(Severity, Fault)| {
            let file = self.files.get(fault.at.file);
            let path = file.map_or(Path::new(""), |f| &f.path);
            let text = file.map_or(&[][..], |f| &f.text);
            Diagnostic::new(*severity, path, text, fault.at, &fault.problem)
        };
        self.faults.iter().map(shown).collect()
    }

    /// Counts a file's text against the limit for all files.
    fn charge(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.left =
            self.left.checked_sub(text.len()).ok_or(Problem::TooMuchText { limit: MAX_TEXT })?;
        Ok(())
    }

    fn report(&mut self, severity: Severity, fault: Fault) {
        if self.has_ended {
            return;
        }
        let at = fault.at;
        self.has_ended = fault.problem.ends_reading();
        self.faults.push((severity, fault));
        if self.faults.len() == MAX_FAULTS {
            self.error(Fault::new(at, Problem::TooManyProblems));
        }
    }
}

/// The text of a file without the byte order mark that some editors put before UTF-8 (RFC 3629 section 6).
fn without_mark(bytes: Vec<u8>) -> Rc<[u8]> {
    bytes.strip_prefix(b"\xef\xbb\xbf").map_or_else(|| Rc::from(bytes.as_slice()), Rc::from)
}

/// A system error in the words of strerror(3), without the number that Rust adds.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_string(),
        None => text,
    }
}
