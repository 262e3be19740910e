//! The file under a writer: reads and writes at an offset, nothing else.
//!
//! A trait so that tests can record every write and replay any prefix of them; real life has one
//! implementor, [`std::fs::File`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Something that can be read and written at any offset, and grows when written beyond its end.
pub trait PageFile {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on; what lies beyond the end reads as zeros, as pages that a db(3)
    /// file has not yet written do.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, in one write(2) wherever the system allows it: a writer's
    /// order of writes is its promise to survive a kill between any two of them.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Gives it that length.
    fn set_length(&mut self, length: u64) -> io::Result<()>;

    /// Returns when all that was written is on the disk: fdatasync(2).
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
