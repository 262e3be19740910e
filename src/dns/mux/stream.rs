//! A TCP connection to a name server: messages preceded by their length (RFC 1035 4.2.2), several
//! outstanding questions (RFC 7766 6.2.1), and no blocking.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::super::socket;
use super::live::Lives;

/// The number of octets in one read.
const CHUNK: usize = 16 * 1024;

/// A connection, which may not be established yet.
#[derive(Debug)]
pub struct Stream {
    /// Its socket.
    pub fd: OwnedFd,
    /// The unanswered messages on it.
    pub lives: Lives,
    /// When something was last read from it, in microseconds.
    pub read_at: u64,
    output: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    taken: usize,
}

impl Stream {
    /// A connection over a socket that is connecting or connected.
    pub fn new(fd: OwnedFd) -> Self {
        let (output, input) = (Vec::new(), Vec::new());
        Self { fd, lives: Lives::default(), read_at: 0, output, written: 0, input, taken: 0 }
    }

    /// Queues a message.
    pub fn push(&mut self, message: &[u8]) {
        // A question has at most 300 octets.
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(message);
    }

    /// Writes as much as the socket takes.
    ///
    /// # Errors
    /// The connection is unusable.
    pub fn write(&mut self) -> Result<(), Errno> {
        while let Some(rest) = self.output.get(self.written..).filter(|rest| !rest.is_empty()) {
            match socket::write(&self.fd, rest) {
                Ok(count) => self.written += count,
                // Some systems return ENOTCONN while the connection is being established.
                Err(Errno::EAGAIN | Errno::ENOTCONN | Errno::ENOBUFS) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads once; false if there is nothing to read.
    ///
    /// # Errors
    /// The connection is unusable.
    pub fn read(&mut self, now: u64) -> Result<bool, Errno> {
        let start = self.input.len();
        self.input.resize(start + CHUNK, 0);
        let result = socket::read(&self.fd, &mut self.input[start..]);
        self.input.truncate(start + result.unwrap_or(0));
        match result {
            Ok(0) => Err(Errno::ECONNRESET),
            Ok(_) => {
                self.read_at = now;
                Ok(true)
            }
            Err(Errno::EAGAIN | Errno::ENOTCONN) => Ok(false),
            Err(Errno::EINTR) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next whole message.
    pub fn message(&mut self) -> Option<Vec<u8>> {
        let message = self.input.get(self.taken..).and_then(|rest| {
            let (length, rest) = rest.split_first_chunk()?;
            rest.get(..usize::from(u16::from_be_bytes(*length)))
        });
        match message {
            Some(message) => {
                self.taken += 2 + message.len();
                Some(message.to_vec())
            }
            None => {
                self.input.drain(..self.taken);
                self.taken = 0;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::socket::Promise;
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn messages_come_whole_whatever_the_pieces() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = socket::tcp(listener.local_addr().unwrap(), Promise::Inet).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_nodelay(true).unwrap();
        let mut stream = Stream::new(fd);
        stream.push(b"question");
        stream.write().unwrap();
        let mut got = [0; 10];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"\0\x08question");
        let mut messages = Vec::new();
        for piece in [&b"\0"[..], b"\x03on", b"e\0\0\0", b"\x05three"] {
            peer.write_all(piece).unwrap();
            while !stream.read(9).unwrap() {
                std::thread::yield_now();
            }
            messages.extend(std::iter::from_fn(|| stream.message()));
        }
        assert_eq!(messages, [&b"one"[..], b"", b"three"]);
        assert_eq!(stream.read_at, 9);
        drop(peer);
        while let Ok(came) = stream.read(10) {
            assert!(!came);
        }
    }
}
