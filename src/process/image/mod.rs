//! The way of a file's image from the process that reads the file to the one that decodes it.
//!
//! In: what the store has read under the lock. Out: the same bytes in the engine. Where the system has memory
//! without a file system (Linux), both map it and nothing is copied ([`shared`]). Elsewhere, and if there is
//! none, the bytes go through a socketpair into the engine's own memory ([`sent`]): OpenBSD's shm_open(3) makes
//! a file in /tmp, which would be as large as the database. Each end tells by its descriptor which way it is.
//!
//! Messages between the two decide whose turn it is: the store announces an image, and the engine says that it
//! has read it.
#![deny(unsafe_code)]

pub mod sent;
#[allow(unsafe_code)]
pub mod shared;

use crate::db::ErrorKind;
use crate::db::lock::Room;
use crate::db::memory::Memory;
use mio::{Registry, Token};
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

/// The store's end.
#[derive(Debug)]
pub enum Writer {
    /// Of memory that the engine maps.
    Shared(shared::Writer),
    /// Of a socketpair.
    Sent(sent::Sender),
}

impl Writer {
    /// Takes its descriptor.
    pub fn new(descriptor: OwnedFd) -> io::Result<Writer> {
        let (descriptor, is_socket) = look_at(descriptor)?;
        Ok(match is_socket {
            true => Writer::Sent(sent::Sender::new(descriptor)?),
            false => Writer::Shared(shared::Writer::new(descriptor)),
        })
    }

    /// Passes the image on, after it was announced. `wait` waits until the socket takes more; false: nobody
    /// wants the rest.
    ///
    /// # Errors
    /// The socket is broken, and cannot be used any more.
    pub fn pass_on(
        &mut self,
        wait: impl FnMut(BorrowedFd<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        match self {
            Writer::Shared(_) => Ok(()),
            Writer::Sent(sender) => sender.send(wait),
        }
    }

    /// Ends writing: from now on the memory does not count towards this process, unless it has to send it.
    pub fn end(&mut self) {
        if let Writer::Shared(writer) = self {
            writer.unmap();
        }
    }

    /// Returns the memory to the system.
    pub fn free(&mut self) -> io::Result<()> {
        match self {
            Writer::Shared(writer) => writer.free(),
            Writer::Sent(sender) => {
                sender.free();
                Ok(())
            }
        }
    }
}

impl Room for Writer {
    fn set_length(&mut self, length: usize) -> Result<(), ErrorKind> {
        match self {
            Writer::Shared(writer) => writer.set_length(length),
            Writer::Sent(sender) => sender.set_length(length),
        }
    }
}

impl Deref for Writer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Writer::Shared(writer) => writer,
            Writer::Sent(sender) => sender,
        }
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Writer::Shared(writer) => writer,
            Writer::Sent(sender) => sender,
        }
    }
}

/// The engine's end.
#[derive(Debug)]
pub enum Reader {
    /// Of memory that the store fills, and the image that was announced.
    Shared(shared::Reader, Option<shared::View>),
    /// Of a socketpair.
    Sent(sent::Receiver),
}

/// An image while it is being read.
#[derive(Debug)]
pub enum View {
    /// In the memory that the store has filled.
    Shared(shared::View),
    /// In this process's own.
    Own(Memory),
}

impl Reader {
    /// Takes its descriptor; events with `token` mean that there may be something to [`take`](Self::take).
    pub fn new(descriptor: OwnedFd, registry: &Registry, token: Token) -> io::Result<Reader> {
        let (descriptor, is_socket) = look_at(descriptor)?;
        Ok(match is_socket {
            true => Reader::Sent(sent::Receiver::new(descriptor, registry, token)?),
            false => Reader::Shared(shared::Reader::new(descriptor), None),
        })
    }

    /// An image of this length was announced.
    ///
    /// # Errors
    /// There is no memory for it; what is sent of it is dropped.
    pub fn expect(&mut self, length: u64) -> Result<(), ErrorKind> {
        match self {
            Reader::Shared(reader, view) => {
                *view = Some(reader.view(length)?);
                Ok(())
            }
            Reader::Sent(receiver) => receiver.expect(length),
        }
    }

    /// The expected image, once all of it is there.
    pub fn take(&mut self) -> io::Result<Option<View>> {
        match self {
            Reader::Shared(_, view) => Ok(view.take().map(View::Shared)),
            Reader::Sent(receiver) => Ok(receiver.receive()?.map(View::Own)),
        }
    }
}

impl Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            View::Shared(view) => view,
            View::Own(memory) => memory,
        }
    }
}

/// A descriptor, and whether it is a socket.
fn look_at(descriptor: OwnedFd) -> io::Result<(OwnedFd, bool)> {
    let file = File::from(descriptor);
    let is_socket = file.metadata()?.file_type().is_socket();
    Ok((file.into(), is_socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spawn::pair;
    use mio::{Events, Poll};
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    fn fill(writer: &mut Writer, length: usize) {
        writer.set_length(length).unwrap();
        writer.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n % 251) as u8);
        writer.end();
    }

    /// Both ends work as store and engine do, on images of these lengths.
    fn hand_over((to_write, to_read): (OwnedFd, OwnedFd), lengths: &'static [usize]) {
        let (announce, announced) = channel();
        let (done, is_done) = channel();
        let store = thread::spawn(move || {
            let mut writer = Writer::new(to_write).unwrap();
            for length in lengths {
                fill(&mut writer, *length);
                announce.send(*length).unwrap();
                let wait = |_: BorrowedFd<'_>| {
                    thread::yield_now();
                    Ok(true)
                };
                writer.pass_on(wait).unwrap();
                is_done.recv().unwrap();
                writer.free().unwrap();
                assert!(writer.is_empty());
            }
        });
        let mut poll = Poll::new().unwrap();
        let mut reader = Reader::new(to_read, poll.registry(), Token(0)).unwrap();
        let mut events = Events::with_capacity(4);
        for length in announced {
            reader.expect(length as u64).unwrap();
            let view = loop {
                if let Some(view) = reader.take().unwrap() {
                    break view;
                }
                poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
                assert!(!events.is_empty());
            };
            assert_eq!(view.len(), length);
            assert!(view.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));
            assert!(reader.take().unwrap().is_none());
            drop(view);
            done.send(()).unwrap();
        }
        store.join().unwrap();
    }

    const LENGTHS: &[usize] = &[5, 0, 3_000_001, 100];

    #[test]
    fn an_image_arrives_as_it_was_through_a_socket() {
        hand_over(pair().unwrap(), LENGTHS);
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "needs memory without a file system")]
    fn an_image_arrives_as_it_was_in_shared_memory() {
        hand_over(shared::create().unwrap(), LENGTHS);
    }

    #[test]
    fn an_image_without_memory_for_it_is_dropped_and_the_next_arrives() {
        let (to_write, to_read) = pair().unwrap();
        let poll = Poll::new().unwrap();
        let mut writer = Writer::new(to_write).unwrap();
        let mut reader = Reader::new(to_read, poll.registry(), Token(0)).unwrap();
        // As long as an address space; the store sends some of it.
        assert!(reader.expect(u64::MAX / 4).is_err());
        fill(&mut writer, 1000);
        writer.pass_on(|_| Ok(false)).unwrap();
        assert!(reader.take().unwrap().is_none());
        let Reader::Sent(receiver) = &reader else { panic!("a socket") };
        assert_eq!(receiver.unwanted(), u64::MAX / 4 - 1000);

        let (to_write, to_read) = pair().unwrap();
        let mut writer = Writer::new(to_write).unwrap();
        let mut reader = Reader::new(to_read, poll.registry(), Token(1)).unwrap();
        // This one was given up; its rest comes first.
        reader.expect(1000).unwrap();
        reader.expect(10).unwrap();
        for length in [1000, 10] {
            fill(&mut writer, length);
            writer.pass_on(|_| Ok(true)).unwrap();
        }
        let view = reader.take().unwrap().unwrap();
        assert_eq!(*view, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn whoever_sends_to_nobody_learns_it_and_keeps_nothing() {
        let (to_write, to_read) = pair().unwrap();
        let mut writer = Writer::new(to_write).unwrap();
        drop(to_read);
        fill(&mut writer, 1000);
        let sent = writer.pass_on(|_| Ok(true));
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(writer.is_empty());
    }
}
