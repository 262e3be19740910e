//! The file as redb sees it: read and written at offsets, and locked by us as a whole.
//!
//! redb's own locks are other system calls on each system; flock(2) is the same everywhere, and a promise of
//! pledge(2).

use super::error::Error;
use redb::StorageBackend;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// An open file that no other process has open this way.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// Opens a file for its owner alone, or makes it.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process has it.
    pub fn open(path: &Path) -> Result<Locked, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Locked(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Busy),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl StorageBackend for Locked {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn close(&self) -> io::Result<()> {
        self.0.unlock()
    }
}
