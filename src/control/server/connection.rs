//! One client of the control socket: what it has sent, and what must still be sent to it.
//!
//! The client is not trusted: nothing here waits for it, and [`OUTPUT_MAX`] limits what is kept for it.
//! Reading and writing continue until the socket would block, since readiness is edge-triggered.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use crate::control::asker;
use crate::control::protocol::{REPLY_MAX, REQUEST_MAX, Reply, Request};
use crate::frame::{self, Decoder, FrameError};
use mio::net::UnixStream;
use nix::unistd::Uid;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Instant;

/// Bytes that may wait for a client before one more message is too much.
pub const OUTPUT_MAX: usize = 1024 * 1024;
/// Rows are made while fewer bytes than these wait.
const AHEAD: usize = 64 * 1024;
/// Bytes written to one client in one turn, so that others get theirs.
const TURN: usize = 256 * 1024;
/// Bytes read at once.
const CHUNK: usize = 4096;

/// A client.
pub struct Connection {
    /// Different for every connection there ever was.
    pub number: u64,
    /// What it is at.
    pub stage: Stage,
    /// The user who connected, if the system knows.
    pub user: Option<Uid>,
    /// When it connected, or when bytes last went to it.
    pub moved: Instant,
    stream: UnixStream,
    unsent: VecDeque<u8>,
    rows: Option<Box<dyn Iterator<Item = Reply>>>,
}

/// What a client is at.
#[derive(Debug)]
pub enum Stage {
    /// Its request is not complete.
    Asking(Decoder),
    /// Its answer is not complete.
    Waiting,
    /// It is told what happens.
    Monitoring,
    /// The last of its answer is under way.
    Leaving,
}

/// What came of reading.
#[derive(Debug)]
pub enum Input {
    /// Nothing to act on.
    Nothing,
    /// The request.
    Request(Request),
    /// The client has closed.
    Gone,
    /// It has sent what it may not.
    Broken(FrameError),
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// All that there is was written, or the socket will tell when it takes more.
    Paused,
    /// There is more, but it is the others' turn.
    Unfinished,
    /// The client has all of its answer, or has gone.
    Over,
}

/// More waits for the client than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Connection {
    /// A client that has just connected.
    pub fn new(number: u64, stream: UnixStream, now: Instant) -> Connection {
        let stage = Stage::Asking(Decoder::new(REQUEST_MAX));
        let user = asker::user_of(&stream);
        Connection { number, stage, user, moved: now, stream, unsent: VecDeque::new(), rows: None }
    }

    /// Its socket, to be registered.
    pub fn stream(&mut self) -> &mut UnixStream {
        &mut self.stream
    }

    /// Whether nothing was asked yet.
    pub fn is_silent(&self) -> bool {
        matches!(self.stage, Stage::Asking(_))
    }

    /// Whether it is being sent a table.
    pub fn has_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// Whether there is something for it that it has not taken.
    pub fn is_behind(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Reads what has arrived.
    pub fn read(&mut self) -> Input {
        let mut found = Input::Nothing;
        let mut chunk = [0; CHUNK];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Input::Gone,
                Ok(length) => match self.take(chunk.get(..length).unwrap_or_default()) {
                    Ok(None) => {}
                    Ok(Some(request)) => found = Input::Request(request),
                    Err(error) => return Input::Broken(error),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return found,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Input::Gone,
            }
        }
    }

    /// Takes bytes for a part of the request; there is nothing else to be said.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<Request>, FrameError> {
        let Stage::Asking(decoder) = &mut self.stage else {
            return Err(FrameError::Trailing(bytes.len()));
        };
        decoder.feed(bytes);
        let request = decoder.next()?;
        if request.is_some() {
            if !decoder.is_empty() {
                return Err(FrameError::Malformed);
            }
            self.stage = Stage::Waiting;
        }
        Ok(request)
    }

    /// Adds a message to what is to be sent. One too long becomes a failure in its place.
    pub fn push(&mut self, reply: &Reply) -> Result<(), Overflow> {
        let mut frame = Vec::new();
        if let Err(error) = frame::encode(reply, REPLY_MAX, &mut frame) {
            self.leave();
            // Short enough, whatever the error.
            let _ = frame::encode(&Reply::Failed(error.to_string()), REPLY_MAX, &mut frame);
        }
        self.push_frame(&frame)
    }

    /// Adds the end of the answer; rows that were to come come no more.
    pub fn push_last(&mut self, reply: &Reply) -> Result<(), Overflow> {
        self.leave();
        self.push(reply)
    }

    fn leave(&mut self) {
        self.stage = Stage::Leaving;
        self.rows = None;
    }

    /// Adds a message that was encoded already.
    pub fn push_frame(&mut self, frame: &[u8]) -> Result<(), Overflow> {
        if self.unsent.len() > OUTPUT_MAX {
            return Err(Overflow);
        }
        self.unsent.extend(frame);
        Ok(())
    }

    /// Adds messages that are made when the client takes them; then its answer is complete.
    pub fn push_rows(&mut self, rows: Box<dyn Iterator<Item = Reply>>) {
        self.rows = Some(rows);
    }

    /// Writes as much as the socket takes.
    pub fn flush(&mut self, now: Instant) -> Output {
        let mut left = TURN;
        loop {
            if self.make_rows().is_err() {
                return Output::Over;
            }
            if self.unsent.is_empty() {
                let is_over = matches!(self.stage, Stage::Leaving);
                return if is_over { Output::Over } else { Output::Paused };
            }
            if left == 0 {
                return Output::Unfinished;
            }
            let ready = self.unsent.as_slices().0;
            match self.stream.write(ready.get(..left).unwrap_or(ready)) {
                Ok(0) => return Output::Over,
                Ok(length) => {
                    self.unsent.drain(..length);
                    self.moved = now;
                    left = left.saturating_sub(length);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Output::Paused,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Output::Over,
            }
        }
    }

    fn make_rows(&mut self) -> Result<(), Overflow> {
        while self.unsent.len() < AHEAD {
            let Some(rows) = &mut self.rows else { break };
            match rows.next() {
                Some(row) => self.push(&row)?,
                None => self.push_last(&Reply::Done)?,
            }
        }
        Ok(())
    }
}
