//! Memory that one process fills and another reads, so that nothing is copied between them.
//!
//! The parent of both creates it ([`create`]) and passes a descriptor to each: one for writing, and one for
//! reading. The writer fills the memory before it announces it, the reader reads it after that until it says
//! that it is done, and then the memory is returned to the system.
//!
//! `unsafe` is needed for mapping the memory.

use crate::db::ErrorKind;
use crate::db::lock::Room;
use memmap2::{Mmap, MmapMut, MmapOptions};
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// Zeros to allocate memory before it is mapped: if a page could not be allocated when it is touched, the
/// process would be killed.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

/// New memory of no length: a descriptor to write to it, and one to read it.
///
/// # Errors
/// The system has none that is not a file.
#[cfg(target_os = "linux")]
pub fn create() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::fd::AsRawFd;
    let writer = memfd_create(c"greytrapper", MFdFlags::MFD_CLOEXEC)?;
    let reader = File::open(format!("/proc/self/fd/{}", writer.as_raw_fd()))?;
    Ok((writer, reader.into()))
}

/// New memory of no length: a descriptor to write to it, and one to read it.
///
/// # Errors
/// The system has none that is not a file.
#[cfg(not(target_os = "linux"))]
pub fn create() -> io::Result<(OwnedFd, OwnedFd)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The store's end.
#[derive(Debug)]
pub struct Writer {
    file: File,
    mapping: Option<MmapMut>,
    length: usize,
}

impl Writer {
    /// Takes the first descriptor from [`create`].
    pub fn new(descriptor: OwnedFd) -> Writer {
        Writer { file: descriptor.into(), mapping: None, length: 0 }
    }

    /// Ends writing: the memory stays, but no longer counts towards this process.
    pub fn unmap(&mut self) {
        self.mapping = None;
    }

    /// Returns the memory to the system.
    pub fn free(&mut self) -> io::Result<()> {
        self.mapping = None;
        self.length = 0;
        self.file.set_len(0)
    }
}

impl Room for Writer {
    fn set_length(&mut self, length: usize) -> Result<(), ErrorKind> {
        let room = self.mapping.as_ref().map_or(0, |mapping| mapping.len());
        if length > room || self.mapping.is_none() {
            self.mapping = None;
            provide(&self.file, length.max(1)).map_err(ErrorKind::Io)?;
            let mut options = MmapOptions::new();
            // SAFETY: only this process can write to the memory, through this mapping alone, and
            // nobody but this type makes it shorter, after the mapping is gone. The engine reads what it
            // gets as bytes of any value, and does so only once it is told that they are written.
            let mapping = unsafe { options.len(length.max(1)).populate().map_mut(&self.file) };
            self.mapping = Some(mapping.map_err(ErrorKind::Io)?);
        }
        self.length = length;
        Ok(())
    }
}

/// Allocates memory of this length.
fn provide(file: &File, length: usize) -> io::Result<()> {
    let length = length as u64;
    let mut done = file.metadata()?.len();
    while done < length {
        let count = ZEROES.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
        file.write_all_at(&ZEROES[..count], done)?;
        done += count as u64;
    }
    Ok(())
}

impl Deref for Writer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.mapping.as_deref().and_then(|bytes| bytes.get(..self.length)).unwrap_or_default()
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let length = self.length;
        self.mapping.as_deref_mut().and_then(|bytes| bytes.get_mut(..length)).unwrap_or_default()
    }
}

/// The engine's end.
#[derive(Debug)]
pub struct Reader(File);

/// An image while it is being read.
#[derive(Debug)]
pub struct View {
    mapping: Mmap,
    length: usize,
}

impl Reader {
    /// Takes the second descriptor from [`create`].
    pub fn new(descriptor: OwnedFd) -> Reader {
        Reader(descriptor.into())
    }

    /// The first `length` bytes, as just announced by the store.
    ///
    /// # Errors
    /// There are fewer, or the system cannot map them.
    pub fn view(&self, length: u64) -> Result<View, ErrorKind> {
        if self.0.metadata().map_err(ErrorKind::Io)?.len() < length.max(1) {
            return Err(ErrorKind::Refused("less memory than announced"));
        }
        let length = usize::try_from(length)
            .map_err(|_| ErrorKind::Io(io::ErrorKind::OutOfMemory.into()))?;
        // SAFETY: the memory is long enough, and the store neither writes to it nor makes it shorter before it
        // is told to, which happens after the view is dropped.
        let mapping = unsafe { MmapOptions::new().len(length.max(1)).map(&self.0) };
        Ok(View { mapping: mapping.map_err(ErrorKind::Io)?, length })
    }
}

impl Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.mapping.get(..self.length).unwrap_or_default()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_must_be_there() {
        let (writer, reader) = create().unwrap();
        let (mut writer, reader) = (Writer::new(writer), Reader::new(reader));
        assert!(reader.view(1).is_err());
        writer.set_length(10).unwrap();
        assert!(reader.view(10).is_ok());
        assert!(reader.view(11).is_err());
        writer.free().unwrap();
        assert!(reader.view(10).is_err());
    }

    #[test]
    fn the_reader_cannot_write() {
        let (_writer, reader) = create().unwrap();
        assert!(File::from(reader).write_at(b"x", 0).is_err());
    }
}
