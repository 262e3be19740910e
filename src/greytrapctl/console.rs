//! Where a command's words go: its product to standard output in large writes, everything else to
//! standard error, one line each.
//!
//! `println!` is no use here: it panics when the reader has gone (`| head`) and writes line by line.
#![forbid(unsafe_code)]

use super::json;
use super::options::{Format, Options};
use crate::db;
use crate::errno::reason;
use crate::process::sandbox;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};

/// Bytes gathered before they are written: few system calls, yet small enough for a CPU's cache.
const BUFFER: usize = 128 * 1024;

/// The end of a command that did not do all it was asked.
#[derive(Debug)]
pub enum Failure {
    /// Why, in one line that is still to be told.
    Because(String),
    /// Everything was told already.
    Told,
    /// The reader of standard output has gone: nobody is left to tell, and nothing is wrong.
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
    /// Whether more is told than was asked for.
    pub verbose: bool,
    /// Whether somebody reads along: columns are aligned, and strangers' bytes escaped.
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

    /// Lets `compose` append to the output. Whole lines only: a write may follow at once.
    pub fn put(&mut self, compose: impl FnOnce(&mut Vec<u8>)) -> Result<(), Failure> {
        compose(&mut self.buffer);
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    /// A line of text on standard output.
    pub fn line(&mut self, line: fmt::Arguments<'_>) -> Result<(), Failure> {
        self.put(|buffer| buffer.extend_from_slice(format!("{line}\n").as_bytes()))
    }

    /// A JSON object as a line on standard output.
    pub fn json(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let mut outcome = Ok(());
        self.put(|buffer| {
            outcome = json::write(buffer, object);
            buffer.push(b'\n');
        })?;
        outcome.map_err(|error| Failure::Because(error.to_string()))
    }

    /// A line on standard error. What cannot be told there cannot be told at all.
    pub fn tell(&mut self, line: fmt::Arguments<'_>) {
        let _ = self.err.write_all(format!("greytrapctl: {line}\n").as_bytes());
    }

    /// Text on standard error as it is: whoever calls has put the program's name in front, or wants none.
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
