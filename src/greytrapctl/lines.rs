//! Reads the lines of a stream without blocking: a thread reads a little ahead, and wakes the reader.
//!
//! For commands that must handle answers while they wait for the standard input, which may be a file, a
//! pipe or a terminal. Memory is limited to a few chunks and [`LINE_MAX`] bytes of a line.
#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

/// The number of bytes read at once.
const CHUNK: usize = 64 * 1024;
/// The maximum length of a line that is kept; no domain is that long.
pub const LINE_MAX: usize = 4096;

/// The lines of a stream.
#[derive(Debug)]
pub struct Lines {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    /// The number of bytes of `chunk` that were taken.
    taken: usize,
    /// The beginning of a line whose end has not arrived yet.
    line: Vec<u8>,
    is_over: bool,
}

impl Lines {
    /// Begins to read; `wake` is called whenever there is something new.
    ///
    /// # Errors
    /// The thread cannot be created.
    pub fn read(
        input: impl Read + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Lines> {
        let (sender, chunks) = sync_channel(1);
        let ahead = move || {
            read_ahead(input, &sender, &wake);
            // Dropping the sender marks the end.
            drop(sender);
            wake();
        };
        thread::Builder::new().spawn(ahead)?;
        let (chunk, line) = (Vec::new(), Vec::new());
        Ok(Lines { chunks, chunk, taken: 0, line, is_over: false })
    }

    /// Whether no more lines will come.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next line without its newline, if it has arrived.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while !self.is_over {
            let rest = self.chunk.get(self.taken..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest);
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let room = LINE_MAX - self.line.len();
            self.line.extend_from_slice(part.get(..room).unwrap_or(part));
            self.taken += part.len() + usize::from(end.is_some());
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
            match self.chunks.try_recv() {
                Ok(chunk) => (self.chunk, self.taken) = (chunk?, 0),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => self.is_over = true,
            }
        }
        Ok(Some(std::mem::take(&mut self.line)).filter(|line| !line.is_empty()))
    }
}

fn read_ahead(mut input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>, wake: &impl Fn()) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let result = match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => {
                chunk.truncate(length);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = result.is_err();
        if sender.send(result).is_err() || is_last {
            return;
        }
        wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// All lines of an input that is read as it comes.
    fn all(input: impl Read + Send + 'static) -> io::Result<Vec<Vec<u8>>> {
        let (waker, woken) = mpsc::channel();
        let mut lines = Lines::read(input, move || waker.send(()).unwrap())?;
        let mut found = Vec::new();
        loop {
            match lines.next()? {
                Some(line) => found.push(line),
                None if lines.is_over() => return Ok(found),
                None => woken.recv().unwrap(),
            }
        }
    }

    /// Gives one byte at a time, with interruptions.
    struct Slow(Vec<u8>, bool);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.0.is_empty() {
                return Ok(0);
            }
            buffer[0] = self.0.remove(0);
            Ok(1)
        }
    }

    #[test]
    fn lines_come_whole_however_they_are_read() {
        let text = b"one\n\ntwo\0\r\nthree";
        let wanted = [&b"one"[..], b"", b"two\0\r", b"three"];
        assert_eq!(all(&text[..]).unwrap(), wanted);
        assert_eq!(all(Slow(text.to_vec(), false)).unwrap(), wanted);
        assert_eq!(all(&b"end\n"[..]).unwrap(), [b"end"]);
        assert!(all(&b""[..]).unwrap().is_empty());
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let endless = io::repeat(b'x').take(3 * CHUNK as u64).chain(&b"\nnext\n"[..]);
        let lines = all(endless).unwrap();
        assert_eq!((lines[0].len(), &lines[1][..]), (LINE_MAX, &b"next"[..]));
    }

    #[test]
    fn errors_are_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let broken = (&b"one\n"[..]).chain(Broken);
        assert_eq!(all(broken).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
