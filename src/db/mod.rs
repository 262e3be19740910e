//! The file formats of db(3) 1.85, in which spamd keeps its database: hash(3) since OpenBSD 4.1,
//! btree(3) before.
//!
//! * Reading is [`snapshot`]: it takes the bytes of a whole file and walks them; it never sees a path.
//! * Writing is an [`Engine`]: one batch of changes under the lock, in place. [`database`] opens
//!   it, with our code or, where there is dbopen(3), with that (`libc`).
//! * [`lock`] opens a file with its lock and reads it in one pass.
//! * [`hash`] and [`btree`] hold the two formats, each with its page layout, reader, checker and writer.
//!
//! All bytes are untrusted: they may be damaged, and most of them were chosen by strangers.

use crate::errno::reason;
use crate::escape::escaped_path;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

pub mod btree;
pub mod bytes;
pub mod compare;
pub mod damage;
pub mod database;
pub mod file;
pub mod hash;
#[cfg(libc_db)]
pub mod libc;
pub mod lock;
pub mod memory;

pub mod snapshot;
mod transaction;
mod wait;

pub use bytes::ByteOrder;
pub use damage::{Damage, Fault};

/// The two formats of db(3) that a spamd database may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// hash(3): what spamd uses since OpenBSD 4.1.
    Hash,
    /// btree(3): what spamd used before.
    Btree,
}

/// One key and its value, as they lie in the file.
///
/// Borrowed from the image wherever they lie there in one piece, which is all but the few pairs too
/// large for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The key's bytes.
    pub key: Cow<'a, [u8]>,
    /// The value's bytes.
    pub value: Cow<'a, [u8]>,
}

/// A database opened for writing, its lock held until it is closed or dropped.
///
/// Every method leaves the file so that another program may read it and lose no record, even if this
/// process dies between two of its writes.
pub trait Engine {
    /// The byte order in which the machine that made the file keeps its integers: pages and spamd's
    /// values alike.
    fn byte_order(&self) -> ByteOrder;

    /// The value of `key`, if there is one.
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// Enters `key` with `value`, in place of any value it has.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError>;

    /// Removes `key`; false if it was not there.
    fn delete(&mut self, key: &[u8]) -> Result<bool, EngineError>;

    /// Writes what is still to be written and gives the lock back.
    fn close(self: Box<Self>) -> Result<(), EngineError>;
}

/// Why an engine did not do what it was asked; the path is added by whoever knows it ([`Error`]).
#[derive(Debug)]
pub enum EngineError {
    /// The system refused a read or a write.
    Io(io::Error),
    /// The file's structure does not hold; nothing was written.
    Damaged(Damage),
    /// The file is sound, but this cannot be done to it; the text says why.
    Refused(&'static str),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::Io(error) => reason(error).fmt(f),
            EngineError::Damaged(damage) => damage.fmt(f),
            EngineError::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for EngineError {}

impl From<io::Error> for EngineError {
    fn from(error: io::Error) -> Self {
        EngineError::Io(error)
    }
}

impl From<Damage> for EngineError {
    fn from(damage: Damage) -> Self {
        EngineError::Damaged(damage)
    }
}

/// What went wrong with a database, and with which file.
#[derive(Debug)]
pub struct Error {
    /// The database's path.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: ErrorKind,
}

/// What can be wrong with a database.
#[derive(Debug)]
pub enum ErrorKind {
    /// The system refused to open, lock, read or write it.
    Io(io::Error),
    /// Neither a hash nor a btree of db(3).
    NotADatabase,
    /// Not a regular file; the text says what it is (`is a directory`).
    NotAFile(&'static str),
    /// Another process kept the lock for the whole time we were ready to wait.
    Locked,
    /// Whoever waited for the lock must not wait any longer.
    GivenUp,
    /// The file file shrank while it was read.
    Shrank,
    /// The structure does not hold.
    Damaged(Damage),
    /// Sound, but this cannot be done to it.
    Refused(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", escaped_path(&self.path), self.kind)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::Io(error) => reason(error).fmt(f),
            ErrorKind::NotADatabase => f.write_str("not a spamd database (neither hash nor btree)"),
            ErrorKind::NotAFile(what) => f.write_str(what),
            ErrorKind::Locked => f.write_str("locked by another process"),
            ErrorKind::GivenUp => f.write_str("locked by another process, gave up"),
            ErrorKind::Shrank => f.write_str("file shrank while it was read"),
            ErrorKind::Damaged(damage) => damage.fmt(f),
            ErrorKind::Refused(why) => f.write_str(why),
        }
    }
}

impl From<Damage> for ErrorKind {
    fn from(damage: Damage) -> Self {
        match damage.fault {
            Fault::NotADatabase => ErrorKind::NotADatabase,
            _ => ErrorKind::Damaged(damage),
        }
    }
}

impl From<EngineError> for ErrorKind {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Io(error) => ErrorKind::Io(error),
            EngineError::Damaged(damage) => damage.into(),
            EngineError::Refused(why) => ErrorKind::Refused(why),
        }
    }
}
