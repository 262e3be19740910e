//! At which number each process finds which descriptor.
#![forbid(unsafe_code)]

use crate::process::spawn;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

/// At which number a process finds a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Slot {
    /// The way to the parent, or for the parent to whoever waits in the foreground until all is ready.
    Parent = 3,
    /// For the store, resolver and checker the way to the engine, for sync that to the store.
    Asker = 4,
    /// For the engine the way to the store.
    Store = 5,
    /// For the engine the way to the resolver.
    Resolver = 6,
    /// For the engine the way to the checker.
    Checker = 7,
    /// For the store the way to sync.
    Sync = 8,
    /// For the store the memory for the database's image ([`crate::process::shared`]).
    ImageToWrite = 9,
    /// For the engine the same, to be read.
    ImageToRead = 10,
    /// For the engine the control socket, which listens already.
    Control = 11,
}

impl Slot {
    const ALL: [Slot; 9] = [
        Slot::Parent,
        Slot::Asker,
        Slot::Store,
        Slot::Resolver,
        Slot::Checker,
        Slot::Sync,
        Slot::ImageToWrite,
        Slot::ImageToRead,
        Slot::Control,
    ];
}

/// The descriptor that this process found at its start in `slot`; it can be taken once.
///
/// The first call looks at all slots: it must come before the process opens anything.
///
/// # Errors
/// There is none, or it was taken.
pub fn inherited(slot: Slot) -> io::Result<OwnedFd> {
    let numbers = Slot::ALL.map(|slot| slot as RawFd);
    spawn::inherited(slot as RawFd, &numbers)
}
