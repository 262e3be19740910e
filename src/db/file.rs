//! The file below a writer: reads and writes at an offset, nothing else.
//!
//! It is a trait so that tests can record every write and replay any prefix; in the product only
//! [`std::fs::File`] implements it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A file that can be read and written at any offset, and grows when it is written beyond its end.
pub trait PageFile {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`; bytes beyond the end read as zeros, like pages of a db(3) file that
    /// have not been written yet.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, in one write(2) if the system allows it: a writer orders its
    /// writes so that it can be killed between any two of them.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Sets its length.
    fn set_length(&mut self, length: u64) -> io::Result<()>;

    /// Returns when everything written is on the disk: fdatasync(2).
    fn sync(&mut self) -> io::Result<()>;
}

impl PageFile for File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match FileExt::read_at(self, buffer, offset) {
                Ok(0) => {
                    buffer.fill(0);
                    return Ok(());
                }
                Ok(n) => {
                    buffer = buffer.get_mut(n..).unwrap_or_default();
                    offset = offset.saturating_add(n as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
