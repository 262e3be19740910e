//! The file formats of db(3) 1.85, in which spamd keeps its database: hash(3) since OpenBSD 4.1, btree(3)
//! before.
//!
//! * [`snapshot`] reads: it takes the bytes of a whole file and walks them; it never sees a path.
//! * An [`Engine`] writes: one batch of changes in place, under the lock. [`database`] opens it, with our
//!   code or with dbopen(3) where available (`libc`).
//! * [`lock`] opens a file with its lock and reads it in one pass.
//! * [`hash`] and [`btree`] have the two formats, each with its page layout, reader, checker and writer.
//!
//! All bytes are untrusted: they may be damaged, and strangers chose most of them.

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
pub mod repair;
pub mod snapshot;
mod transaction;
mod wait;

pub use bytes::ByteOrder;
pub use damage::{Damage, Fault};

/// The two formats of db(3) that spamd has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// hash(3), which spamd uses since OpenBSD 4.1.
    Hash,
    /// btree(3), which spamd used before.
    Btree,
}

/// One key and its value, as they are in the file.
///
/// Both borrow from the image if they are contiguous there, as all pairs are except the few that are too
/// large for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The key's bytes.
    pub key: Cow<'a, [u8]>,
    /// The value's bytes.
    pub value: Cow<'a, [u8]>,
}

/// A database opened for writing, locked until it is closed or dropped.
///
/// Every method leaves the file in a state in which another program can read it without missing a record,
/// even if this process dies between two writes.
pub trait Engine {
    /// The byte order of the machine that made the file, for both pages and spamd's values.
    fn byte_order(&self) -> ByteOrder;

    /// The value of `key`, if there is one.
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// Enters `key` with `value`, replacing any value it has.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError>;

    /// Removes `key`; false if it was not there.
    fn delete(&mut self, key: &[u8]) -> Result<bool, EngineError>;

    /// Writes everything that is still unwritten and releases the lock.
    fn close(self: Box<Self>) -> Result<(), EngineError>;

    /// Ends a batch in which a change has failed, and releases the lock. True if the changes before that one
    /// are in the file, false if none of them is.
    fn give_up(self: Box<Self>) -> Result<bool, EngineError> {
        Ok(false)
    }
}

/// Why an engine failed; [`Error`] adds the path.
#[derive(Debug)]
pub enum EngineError {
    /// The system refused a read or a write.
    Io(io::Error),
    /// The system refused a write of dbopen(3), which may have lost records.
    Torn(io::Error),
    /// The file is damaged; nothing was written.
    Damaged(Damage),
    /// The file is sound, but the operation is not possible; the text says why.
    Refused(&'static str),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::Io(error) => reason(error).fmt(f),
            EngineError::Torn(error) => fmt_torn(error, f),
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
    /// The system refused a write of dbopen(3), which may have lost records.
    Torn(io::Error),
    /// There is not enough memory for a file of so many bytes.
    NoMemory(u64),
    /// Neither a hash nor a btree of db(3).
    NotADatabase,
    /// Not a regular file; the text says what it is (`is a directory`).
    NotAFile(&'static str),
    /// Another process held the lock for as long as we were willing to wait.
    Locked,
    /// The lock was given up, perhaps before anybody waited for it.
    GivenUp,
    /// The file shrank while it was read.
    Shrank,
    /// The file is damaged.
    Damaged(Damage),
    /// The file is sound, but the operation is not possible.
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
            ErrorKind::Torn(error) => fmt_torn(error, f),
            ErrorKind::NoMemory(length) => write!(
                f,
                "not enough memory for a database of {} (datasize of the login class)",
                Megabytes(*length)
            ),
            ErrorKind::NotADatabase => f.write_str("not a spamd database (neither hash nor btree)"),
            ErrorKind::NotAFile(what) => f.write_str(what),
            ErrorKind::Locked => f.write_str("locked by another process"),
            ErrorKind::GivenUp => f.write_str("given up before it was locked"),
            ErrorKind::Shrank => f.write_str("file shrank while it was read"),
            ErrorKind::Damaged(damage) if damage.fault == Fault::Hole => {
                write!(f, "{damage}; greytrapctl check -r may repair it")
            }
            ErrorKind::Damaged(damage) => damage.fmt(f),
            ErrorKind::Refused(why) => f.write_str(why),
        }
    }
}

fn fmt_torn(error: &io::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let reason = reason(error);
    write!(f, "{reason}; the file may be damaged now, greytrapctl check -r may repair it")
}

impl ErrorKind {
    /// The same of a file of this length: a lack of memory is one for that file.
    pub fn of_file(self, length: u64) -> ErrorKind {
        match self {
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                ErrorKind::NoMemory(length)
            }
            other => other,
        }
    }
}

/// A number of bytes as `10.3 MB`, in millions.
#[derive(Clone, Copy, Debug)]
pub struct Megabytes(pub u64);

impl fmt::Display for Megabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.div_ceil(100_000);
        write!(f, "{}.{} MB", tenths / 10, tenths % 10)
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
            EngineError::Torn(error) => ErrorKind::Torn(error),
            EngineError::Damaged(damage) => damage.into(),
            EngineError::Refused(why) => ErrorKind::Refused(why),
        }
    }
}
