//! greytrapctl's side of the control socket: sends a request, and receives the daemon's answer part by
//! part.
//!
//! The daemon is not trusted: the length of its messages is limited, and they are printed escaped. There is
//! no timeout, since the operator asked for the answer.
#![forbid(unsafe_code)]

use super::protocol::{EXITING, REPLY_MAX, REQUEST_MAX, Reply, Request};
use crate::errno::reason;
use crate::escape::{escaped_path, harmless};
use crate::frame::{self, Decoder, FrameError};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Why there is no answer, or not all of it.
#[derive(Debug)]
pub enum Error {
    /// The socket could not be reached, or broke.
    Io(PathBuf, io::Error),
    /// The request cannot be encoded.
    Request(FrameError),
    /// The daemon closed the connection before the end of its answer.
    Gone(PathBuf),
    /// The answer is not a valid message.
    Foreign(PathBuf, FrameError),
    /// The answer is for another request.
    Unexpected(PathBuf),
    /// The daemon refused.
    Refused(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(path, error) => write!(f, "{}: {}", escaped_path(path), reason(error)),
            Error::Request(error) => error.fmt(f),
            Error::Gone(path) => {
                write!(f, "{}: connection closed by greytrapper", escaped_path(path))
            }
            Error::Foreign(path, error) => {
                let path = escaped_path(path);
                write!(f, "{path}: not this version of greytrapper: {error}")
            }
            Error::Unexpected(path) => {
                write!(f, "{}: unexpected answer from greytrapper", escaped_path(path))
            }
            Error::Refused(why) => harmless(why).fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// The answer to one request, as it arrives.
#[derive(Debug)]
pub struct Answer {
    path: PathBuf,
    /// The request, in case it must be sent again.
    frame: Vec<u8>,
    stream: UnixStream,
    decoder: Decoder,
    /// A part that was decoded before it was asked for.
    ready: Option<Result<Reply, FrameError>>,
    /// Whether another daemon was asked and has not answered yet.
    is_moving: bool,
    chunk: Vec<u8>,
}

impl Answer {
    /// Asks the daemon at `socket`.
    ///
    /// # Errors
    /// It is not running, or the request is too long.
    pub fn to(request: &Request, socket: &Path) -> Result<Answer, Error> {
        let mut frame = Vec::new();
        frame::encode(request, REQUEST_MAX, &mut frame).map_err(Error::Request)?;
        let stream = ask(&frame, socket)?;
        let (decoder, chunk) = (Decoder::new(REPLY_MAX), vec![0; CHUNK]);
        Ok(Answer {
            path: socket.into(),
            frame,
            stream,
            decoder,
            ready: None,
            is_moving: false,
            chunk,
        })
    }

    /// The next part of the answer; `None` after its end.
    ///
    /// # Errors
    /// The daemon refused, closed the connection, or is not greytrapper.
    pub fn part(&mut self) -> Result<Option<Reply>, Error> {
        loop {
            let reply = self.arrived().ready.take().transpose();
            match reply.map_err(|error| Error::Foreign(self.path.clone(), error))? {
                Some(Reply::Done) => return Ok(None),
                Some(Reply::Failed(why)) => return Err(Error::Refused(why)),
                Some(Reply::AskAgain) => {
                    self.stream = ask(&self.frame, &self.path).map_err(Error::if_not_there)?;
                    self.decoder = Decoder::new(REPLY_MAX);
                    self.is_moving = true;
                }
                Some(reply) => {
                    self.is_moving = false;
                    return Ok(Some(reply));
                }
                None => self.read()?,
            }
        }
    }

    /// Whether the next part has not arrived yet, so that [`Self::part`] would wait: for the rest of it, or for
    /// another daemon, if this one has handed over.
    pub fn must_wait(&mut self) -> bool {
        matches!(self.arrived().ready, None | Some(Ok(Reply::AskAgain)))
    }

    /// Decodes the next part, if all of it has arrived.
    fn arrived(&mut self) -> &mut Self {
        if self.ready.is_none() {
            self.ready = self.decoder.next().transpose();
        }
        self
    }

    /// The error for an unexpected part.
    pub fn unexpected(&self) -> Error {
        Error::Unexpected(self.path.clone())
    }

    /// The daemon has closed the connection. One that had not even accepted it was about to end.
    fn gone(&self) -> Error {
        match self.is_moving {
            true => Error::Refused(EXITING.to_owned()),
            false => Error::Gone(self.path.clone()),
        }
    }

    fn read(&mut self) -> Result<(), Error> {
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Err(self.gone()),
            Ok(length) => {
                self.decoder.feed(self.chunk.get(..length).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(self.gone()),
            Err(error) => Err(Error::Io(self.path.clone(), error)),
        }
    }
}

impl Error {
    /// A daemon that had handed over was to be asked again, but there is none: it has ended meanwhile.
    fn if_not_there(self) -> Error {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        match self {
            Error::Io(_, error) if matches!(error.kind(), NotFound | ConnectionRefused) => {
                Error::Refused(EXITING.to_owned())
            }
            other => other,
        }
    }
}

/// Connects and asks.
fn ask(frame: &[u8], socket: &Path) -> Result<UnixStream, Error> {
    let broken = |error| Error::Io(socket.into(), error);
    let mut stream = UnixStream::connect(socket).map_err(broken)?;
    match stream.write_all(frame) {
        // If the daemon closed the connection before the request, it may have sent a reason.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(broken(error)),
        _ => Ok(stream),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Event, What};
    use std::os::unix::net::UnixListener;

    /// The next daemon ended before `monitor` reached it, which said that there is no socket, or that the
    /// connection was closed.
    #[test]
    fn a_daemon_that_ends_after_a_reload_is_exiting() {
        let mut moved = Vec::new();
        frame::encode(&Reply::AskAgain, REPLY_MAX, &mut moved).unwrap();
        for is_removed in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let mut answer = Answer::to(&Request::Monitor, &path).unwrap();
            listener.accept().unwrap().0.write_all(&moved).unwrap();
            let ended = std::thread::spawn(move || {
                if is_removed {
                    drop(listener);
                    std::fs::remove_file(directory.path().join("socket")).unwrap();
                } else {
                    drop(listener.accept());
                }
            });
            if is_removed {
                ended.join().unwrap();
            }
            assert_eq!(answer.part().unwrap_err().to_string(), EXITING);
        }
    }

    /// Output of `monitor` must not stay in its buffer while it waits.
    #[test]
    fn another_daemon_and_the_rest_of_a_part_have_to_be_waited_for() {
        let event = Reply::Event(Event { time: 1, what: What::ScanStarted });
        let mut frames = Vec::new();
        frame::encode(&event, REPLY_MAX, &mut frames).unwrap();
        let one = frames.len();
        frame::encode(&event, REPLY_MAX, &mut frames).unwrap();
        let half = frames[..one + 2].to_vec();
        let mut moved = frames[..one].to_vec();
        frame::encode(&Reply::AskAgain, REPLY_MAX, &mut moved).unwrap();
        for (sent, must_wait) in [(frames, false), (half, true), (moved, true)] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let mut answer = Answer::to(&Request::Monitor, &path).unwrap();
            listener.accept().unwrap().0.write_all(&sent).unwrap();
            assert!(matches!(answer.part(), Ok(Some(Reply::Event(_)))));
            assert_eq!(answer.must_wait(), must_wait, "{} bytes", sent.len());
        }
    }
}
