//! The numbers at which processes find their descriptors.
#![forbid(unsafe_code)]

use crate::process::spawn;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

/// The number at which a process finds a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Slot {
    /// The channel to the parent; for the parent, to the process that waits in the foreground until all are
    /// ready.
    Parent = 3,
    /// For store, resolver, checker and memory, the channel to the engine; for sync, the channel to the store.
    Asker = 4,
    /// For the engine, the channel to the store.
    Store = 5,
    /// For the engine, the channel to the resolver.
    Resolver = 6,
    /// For the engine, the channel to the checker.
    Checker = 7,
    /// For the store, the channel to sync.
    Sync = 8,
    /// For the store, the way of the database's image to the engine ([`crate::process::image`]).
    ImageToWrite = 9,
    /// For the engine, its other end.
    ImageToRead = 10,
    /// For the engine, the control socket, which is already listening.
    Control = 11,
    /// For the engine, the channel to memory.
    Memory = 12,
}

impl Slot {
    const ALL: [Slot; 10] = [
        Slot::Parent,
        Slot::Asker,
        Slot::Store,
        Slot::Resolver,
        Slot::Checker,
        Slot::Sync,
        Slot::ImageToWrite,
        Slot::ImageToRead,
        Slot::Control,
        Slot::Memory,
    ];
}

/// The descriptor that this process inherited in `slot`; it can be taken once.
///
/// The first call takes all slots: it must come before the process opens anything.
///
/// # Errors
/// There is none, or it has been taken.
pub fn inherited(slot: Slot) -> io::Result<OwnedFd> {
    let numbers = Slot::ALL.map(|slot| slot as RawFd);
    spawn::inherited(slot as RawFd, &numbers)
}
