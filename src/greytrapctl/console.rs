//! The output of a command: results go to the standard output in large writes, everything else to the
//! standard error, line by line.
//!
//! `println!` is not suitable: it panics when the reader has gone (`| head`), and writes line by line.
#![forbid(unsafe_code)]

use super::json;
use super::options::{Format, Options};
use crate::db;
use crate::errno::reason;
use crate::process::sandbox;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};

/// The size of the buffer: large enough for few system calls, and small enough for a CPU's cache.
const BUFFER: usize = 128 * 1024;

/// Why a command did not do everything that it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The reason, in one line that has not been printed yet.
    Because(String),
    /// The reason has been printed.
    Told,
    /// A file was to be replaced, and is already as it should be.
    Unchanged,
    /// The reader of the standard output has gone, which is not an error.
    ReaderGone,
}

impl From<db::Error> for Failure {
    fn from(error: db::Error) -> Self {
        Failure::Because(error.to_string())
    }
}

impl From<sandbox::Error> for Failure {
    fn from(error: sandbox::Error) -> Self {
        Failure::Because(error.to_string())
    }
}

/// Standard output and standard error of one command.
pub struct Console<'a> {
    /// Text or JSON.
    pub format: Format,
    /// Whether to print more.
    pub verbose: bool,
    /// Whether the output is a terminal: columns are aligned, and strangers' bytes escaped.
    pub is_terminal: bool,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    buffer: Vec<u8>,
}

impl<'a> Console<'a> {
    /// A console for a command with these options, on these streams.
    pub fn new(options: &Options, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        let (format, verbose) = (options.format, options.verbose);
        let buffer = Vec::with_capacity(2 * BUFFER);
        Console { format, verbose, is_terminal: false, out, err, buffer }
    }

    /// Lets `compose` append whole lines to the output, which may be written at once.
    pub fn put(&mut self, compose: impl FnOnce(&mut Vec<u8>)) -> Result<(), Failure> {
        compose(&mut self.buffer);
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    /// Prints a line to the standard output.
    pub fn line(&mut self, line: fmt::Arguments<'_>) -> Result<(), Failure> {
        self.put(|buffer| buffer.extend_from_slice(format!("{line}\n").as_bytes()))
    }

    /// Prints a JSON object as a line to the standard output.
    pub fn json(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let mut outcome = Ok(());
        self.put(|buffer| {
            outcome = json::write(buffer, object);
            buffer.push(b'\n');
        })?;
        outcome.map_err(|error| Failure::Because(error.to_string()))
    }

    /// Prints a line to the standard error; failures are ignored, since they could not be reported.
    pub fn tell(&mut self, line: fmt::Arguments<'_>) {
        let _ = self.err.write_all(format!("greytrapctl: {line}\n").as_bytes());
    }

    /// Prints text to the standard error unchanged, without adding the program's name.
    pub fn scribble(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.err.write_all(text.to_string().as_bytes());
        let _ = self.err.flush();
    }

    /// Writes what is still in the buffer.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::Because(format!("standard output: {}", reason(&error))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::greytrapctl::options::Options;

    /// Refuses every write, for one reason.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn options() -> Options {
        Options::parse(["list", "x"]).unwrap()
    }

    #[test]
    fn lines_wait_for_the_flush_and_keep_their_order() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new(&options(), &mut out, &mut err);
        console.line(format_args!("a {}", 1)).unwrap();
        console.tell(format_args!("trouble"));
        console.json(&["b"]).unwrap();
        console.flush().unwrap();
        assert_eq!(out, b"a 1\n[\"b\"]\n");
        assert_eq!(err, b"greytrapctl: trouble\n");
    }

    #[test]
    fn a_full_buffer_is_written_without_being_asked() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new(&options(), &mut out, &mut err);
        console.put(|buffer| buffer.resize(BUFFER, b'x')).unwrap();
        console.put(|buffer| buffer.push(b'y')).unwrap();
        drop(console);
        assert_eq!(out.len(), BUFFER);
    }

    #[test]
    fn a_reader_that_has_gone_is_told_from_a_disk_that_is_full() {
        let failure = |kind| {
            let (mut out, mut err) = (Refusing(kind), Vec::new());
            let mut console = Console::new(&options(), &mut out, &mut err);
            console.line(format_args!("x")).unwrap();
            console.flush().unwrap_err()
        };
        assert!(matches!(failure(io::ErrorKind::BrokenPipe), Failure::ReaderGone));
        let Failure::Because(why) = failure(io::ErrorKind::StorageFull) else { panic!() };
        assert_eq!(why, "standard output: no storage space");
    }
}
