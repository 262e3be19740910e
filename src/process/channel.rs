//! One end of a socketpair between two of the daemon's processes: typed messages, without blocking.
//!
//! Messages that the socket does not take at once wait in memory ([`Channel::flush`], on every readiness
//! event). Whole messages are received. Both ends are ours, but the other process may have been
//! compromised: an invalid message breaks the channel for good.
#![forbid(unsafe_code)]

use crate::errno::reason;
use crate::frame::{self, Decoder, FrameError};
use mio::{Interest, Registry, Token, event::Source, net::UnixStream};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net;

/// The longest message in bytes: a configuration with the addresses of its `allow` files.
const LIMIT: usize = 64 << 20;
/// The number of bytes read at once.
const READ: usize = 64 << 10;
/// The maximum capacity that an empty buffer keeps.
const KEPT: usize = 4 << 10;

/// Sends `Out` and receives `In`.
#[derive(Debug)]
pub struct Channel<Out, In> {
    stream: UnixStream,
    decoder: Decoder,
    unsent: Vec<u8>,
    /// The number of bytes at the beginning of `unsent` that have been sent.
    sent: usize,
    has_ended: bool,
    messages: PhantomData<fn(Out) -> In>,
}

/// Why the channel is broken.
#[derive(Debug)]
pub enum Broken {
    /// The other end is closed.
    Ended,
    /// A system error.
    Io(io::Error),
    /// The other end sent an invalid message, or a message to it is too long.
    Frame(FrameError),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Ended => f.write_str("closed"),
            Broken::Io(error) => reason(error).fmt(f),
            Broken::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Broken {}

impl<Out: Serialize, In: DeserializeOwned> Channel<Out, In> {
    /// A channel over `socket`, the end of a socketpair.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let stream = net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(Channel {
            stream: UnixStream::from_std(stream),
            decoder: Decoder::new(LIMIT),
            unsent: Vec::new(),
            sent: 0,
            has_ended: false,
            messages: PhantomData,
        })
    }

    /// Registers the channel, so that events with `token` mean that there is something to
    /// [`receive`](Self::receive) or room to [`flush`](Self::flush).
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.stream.register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Sends a message now, or as soon as there is room.
    pub fn send(&mut self, message: &Out) -> Result<(), Broken> {
        frame::encode(message, LIMIT, &mut self.unsent).map_err(Broken::Frame)?;
        self.flush()
    }

    /// Sends waiting messages as far as there is room.
    pub fn flush(&mut self) -> Result<(), Broken> {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(count) => self.sent = self.sent.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The second error occurs if the other end was closed with unread bytes of ours.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                    ) =>
                {
                    return Err(Broken::Ended);
                }
                Err(error) => return Err(Broken::Io(error)),
            }
        }
        self.unsent.clear();
        self.unsent.shrink_to(KEPT);
        self.sent = 0;
        Ok(())
    }

    /// Stops sending: the other end sees an end of file, and may still send.
    pub fn close_writing(&self) {
        // It fails if the other end is closed, which is just as good.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends a message and waits until it has been sent.
    pub fn deliver(&mut self, message: &Out) -> Result<(), Broken> {
        self.send(message)?;
        while !self.is_flushed() {
            self.wait_for(PollFlags::POLLOUT)?;
            self.flush()?;
        }
        Ok(())
    }

    /// Waits for a message.
    pub fn wait_for_message(&mut self) -> Result<In, Broken> {
        loop {
            if let Some(message) = self.receive()? {
                return Ok(message);
            }
            self.wait_for(PollFlags::POLLIN)?;
        }
    }

    fn wait_for(&self, flags: PollFlags) -> Result<(), Broken> {
        match poll(&mut [PollFd::new(self.stream.as_fd(), flags)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(Broken::Io(error.into())),
        }
    }

    /// Whether all messages have been sent.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// The next message, if one has arrived.
    pub fn receive(&mut self) -> Result<Option<In>, Broken> {
        let mut bytes = [0; READ];
        loop {
            if let Some(message) = self.decoder.next().map_err(Broken::Frame)? {
                return Ok(Some(message));
            }
            if self.has_ended {
                return Err(Broken::Ended);
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => self.has_ended = true,
                Ok(count) => self.decoder.feed(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.has_ended = true;
                }
                Err(error) => return Err(Broken::Io(error)),
            }
        }
    }
}

/// For waiting for it together with something else.
impl<Out, In> AsFd for Channel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    type Ends<T> = (Channel<T, T>, Channel<T, T>);

    fn pair<T: Serialize + DeserializeOwned>() -> Ends<T> {
        let (one, other) = net::UnixStream::pair().unwrap();
        (Channel::new(one.into()).unwrap(), Channel::new(other.into()).unwrap())
    }

    #[test]
    fn messages_arrive_whole_and_in_order() {
        let (mut one, mut other) = pair::<(u32, String)>();
        assert!(other.receive().unwrap().is_none());
        for n in 0..3 {
            one.send(&(n, "x".repeat(n as usize))).unwrap();
        }
        for n in 0..3 {
            assert_eq!(other.receive().unwrap(), Some((n, "x".repeat(n as usize))));
        }
        assert!(other.receive().unwrap().is_none());
    }

    #[test]
    fn a_message_larger_than_the_socket_goes_piece_by_piece() {
        let (mut one, mut other) = pair::<Vec<u8>>();
        let message = vec![7; 5 << 20];
        one.send(&message).unwrap();
        assert!(!one.is_flushed());
        let start = Instant::now();
        let received = loop {
            if let Some(received) = other.receive().unwrap() {
                break received;
            }
            one.flush().unwrap();
            assert!(start.elapsed() < Duration::from_secs(10));
        };
        assert_eq!(received, message);
        assert!(one.is_flushed());
    }

    #[test]
    fn what_was_sent_before_the_end_is_received() {
        let (mut one, mut other) = pair::<u8>();
        one.send(&1).unwrap();
        drop(one);
        assert_eq!(other.receive().unwrap(), Some(1));
        assert!(matches!(other.receive(), Err(Broken::Ended)));
        assert!(matches!(other.send(&1), Err(Broken::Ended)));
    }

    #[test]
    fn an_end_that_leaves_bytes_unread_is_an_end() {
        for receives_first in [false, true] {
            let (mut one, other) = pair::<u8>();
            one.send(&1).unwrap();
            drop(other);
            if receives_first {
                assert!(matches!(one.receive(), Err(Broken::Ended)));
            }
            let sent = one.send(&1);
            assert!(matches!(sent, Err(Broken::Ended)), "{sent:?}");
        }
    }

    #[test]
    fn what_is_no_message_breaks_the_channel() {
        let (mut stranger, socket) = net::UnixStream::pair().unwrap();
        let mut channel = Channel::<u8, bool>::new(socket.into()).unwrap();
        stranger.write_all(&[1, 0, 0, 0, 7]).unwrap();
        for _ in 0..2 {
            assert!(matches!(channel.receive(), Err(Broken::Frame(FrameError::Malformed))));
        }
    }
}
