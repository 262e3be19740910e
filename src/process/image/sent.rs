//! An image that goes through a socketpair, from the memory of one process into that of another.
//!
//! In: the store's memory. Out: the engine's. Nothing is between them but what the socket holds, and whoever
//! gives up an image leaves nothing behind. The bytes have no frame: a message beside them announces their
//! number, and what is not wanted any more is read and dropped.
#![forbid(unsafe_code)]

use crate::db::ErrorKind;
use crate::db::lock::Room;
use crate::db::memory::Memory;
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{setsockopt, sockopt::SndBuf};
use std::io::{self, Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net;

/// The bytes that the socket should hold: with the few thousand that OpenBSD gives it, the two processes would
/// take turns too often.
const ROOM: usize = 256 << 10;
/// The bytes of one write(2).
const PIECE: usize = 1 << 20;
/// The bytes that are dropped at a time.
const DROPPED: usize = 64 << 10;

/// The store's end.
#[derive(Debug)]
pub struct Sender {
    socket: net::UnixStream,
    memory: Option<Memory>,
}

impl Sender {
    /// Takes one end of a socketpair. It must still be allowed to change the socket's options.
    pub fn new(descriptor: OwnedFd) -> io::Result<Sender> {
        let socket = net::UnixStream::from(descriptor);
        socket.set_nonblocking(true)?;
        // With less it takes longer.
        let _ = setsockopt(&socket, SndBuf, &ROOM);
        Ok(Sender { socket, memory: None })
    }

    /// Sends what is in the memory, and gives that back whatever happens. `wait` waits until the socket takes
    /// more; false: nobody wants the rest.
    pub fn send(
        &mut self,
        mut wait: impl FnMut(BorrowedFd<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let memory = self.memory.take();
        let mut rest = memory.as_deref().unwrap_or_default();
        while let Some(piece) = rest.chunks(PIECE).next() {
            match self.socket.write(piece) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !wait(self.socket.as_fd())? {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives the memory back.
    pub fn free(&mut self) {
        self.memory = None;
    }
}

impl Room for Sender {
    fn set_length(&mut self, length: usize) -> Result<(), ErrorKind> {
        match &mut self.memory {
            Some(memory) => memory.set_length(length),
            None => {
                self.memory = Some(Memory::prepared(length)?);
                Ok(())
            }
        }
    }
}

impl Deref for Sender {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.as_deref().unwrap_or_default()
    }
}

impl DerefMut for Sender {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.as_deref_mut().unwrap_or_default()
    }
}

/// The engine's end.
#[derive(Debug)]
pub struct Receiver {
    socket: UnixStream,
    /// The number of bytes that come first, and that nobody wants.
    unwanted: u64,
    /// The image that comes then, and how much of it has come.
    image: Option<(Memory, usize)>,
}

impl Receiver {
    /// Takes the other end, and registers it.
    pub fn new(descriptor: OwnedFd, registry: &Registry, token: Token) -> io::Result<Receiver> {
        let socket = net::UnixStream::from(descriptor);
        socket.set_nonblocking(true)?;
        let mut socket = UnixStream::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Receiver { socket, unwanted: 0, image: None })
    }

    /// An image of this length comes next, in place of one that has not come completely.
    ///
    /// # Errors
    /// There is no memory for it: it will be dropped.
    pub fn expect(&mut self, length: u64) -> Result<(), ErrorKind> {
        if let Some((memory, filled)) = self.image.take() {
            self.skip(memory.len().saturating_sub(filled) as u64);
        }
        let prepared = usize::try_from(length)
            .map_err(|_| ErrorKind::Io(io::ErrorKind::OutOfMemory.into()))
            .and_then(Memory::prepared)
            .map_err(|kind| kind.of_file(length));
        match prepared {
            Ok(memory) => {
                self.image = Some((memory, 0));
                Ok(())
            }
            Err(error) => {
                self.skip(length);
                Err(error)
            }
        }
    }

    fn skip(&mut self, count: u64) {
        self.unwanted = self.unwanted.saturating_add(count);
    }

    /// Takes what has come; the image, if that was all of it.
    pub fn receive(&mut self) -> io::Result<Option<Memory>> {
        while self.unwanted > 0 {
            let mut dropped = [0; DROPPED];
            let most = usize::try_from(self.unwanted).unwrap_or(DROPPED).min(DROPPED);
            match read(&mut self.socket, dropped.get_mut(..most).unwrap_or_default())? {
                0 => return Ok(None),
                count => self.unwanted = self.unwanted.saturating_sub(count as u64),
            }
        }
        let Some((memory, filled)) = &mut self.image else { return Ok(None) };
        while let Some(rest) = memory.get_mut(*filled..).filter(|rest| !rest.is_empty()) {
            match read(&mut self.socket, rest)? {
                0 => return Ok(None),
                count => *filled = filled.saturating_add(count),
            }
        }
        Ok(self.image.take().map(|(memory, _)| memory))
    }

    /// How many bytes are still to be dropped.
    #[cfg(test)]
    pub fn unwanted(&self) -> u64 {
        self.unwanted
    }
}

/// Reads what is there. Nothing, if that is nothing now, or the other end is closed: its owner has ended, and
/// the parent sees that.
fn read(socket: &mut UnixStream, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(0);
            }
            outcome => return outcome,
        }
    }
}
