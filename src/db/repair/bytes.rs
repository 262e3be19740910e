//! A file in memory, in which a new database is written before it takes the place of the old one.
#![forbid(unsafe_code)]

use crate::db::file::PageFile;
use std::io;

/// The bytes of the file.
#[derive(Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl PageFile for Bytes {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..));
        let rest = rest.unwrap_or_default();
        let there = rest.len().min(buffer.len());
        let (from, beyond) = buffer.split_at_mut(there);
        from.copy_from_slice(rest.get(..there).unwrap_or_default());
        beyond.fill(0);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
        let from = usize::try_from(offset).map_err(|_| too_large())?;
        let to = from.checked_add(bytes.len()).ok_or_else(too_large)?;
        if to > self.0.len() {
            self.0.resize(to, 0);
        }
        if let Some(place) = self.0.get_mut(from..to) {
            place.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length);
        self.0.resize(length.map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
