//! Memory for the image of a file.
//!
//! It is a separate mapping. An image may be larger than the data size limit of a daemon, where a failed
//! allocation would abort the program, while a failed mapping is an error that can be reported. Large pages
//! are requested where the system has them: faults on small ones would take longer than reading the file.
#![forbid(unsafe_code)]

use super::ErrorKind;
use crate::threads::each;
use memmap2::MmapMut;
use std::ops::{Deref, DerefMut};

/// The smallest page of memory on any system.
const PAGE: usize = 4096;

/// How much of a mapping or a file a thread takes at once: many large pages.
pub(super) const PIECE: usize = 16 << 20;

/// Bytes in a separate mapping.
#[derive(Debug)]
pub struct Memory {
    mapping: MmapMut,
    length: usize,
}

impl Memory {
    /// Memory of this length, with every page faulted in.
    pub fn prepared(length: usize) -> Result<Memory, ErrorKind> {
        // An empty mapping is an error.
        let mut mapping = MmapMut::map_anon(length.max(1)).map_err(ErrorKind::Io)?;
        #[cfg(target_os = "linux")]
        // If the kernel has no large pages, it uses small ones.
        let _ = mapping.advise(memmap2::Advice::HugePage);
        each(mapping.chunks_mut(PIECE), |piece| {
            piece.chunks_mut(PAGE).filter_map(<[u8]>::first_mut).for_each(|byte| *byte = 1);
        });
        Ok(Memory { mapping, length })
    }

    /// Makes sure that so much memory is to be had now, for what many allocations will take: one that fails
    /// would abort the program. Nothing is reserved.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoMemory`], for a file of `file_length` bytes.
    pub fn require(length: usize, file_length: u64) -> Result<(), ErrorKind> {
        let tried = MmapMut::map_anon(length.max(1));
        tried.map(drop).map_err(|_| ErrorKind::NoMemory(file_length))
    }

    /// Sets its length; its contents are lost if it must grow.
    pub fn set_length(&mut self, length: usize) -> Result<(), ErrorKind> {
        if length > self.mapping.len() {
            *self = Memory::prepared(length)?;
        }
        self.length = length;
        Ok(())
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.mapping.get(..self.length).unwrap_or_default()
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.mapping.get_mut(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_is_to_be_had_and_changed() {
        let mut memory = Memory::prepared(0).unwrap();
        assert!(memory.is_empty());
        memory.set_length(3 * PAGE + 1).unwrap();
        assert_eq!(memory.len(), 3 * PAGE + 1);
        memory.fill(7);
        memory.set_length(2).unwrap();
        assert_eq!(*memory, [7, 7]);
    }

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let refused = Memory::prepared(usize::MAX / 2);
        let refused = refused.unwrap_err().of_file(10_300_000);
        assert!(matches!(refused, ErrorKind::NoMemory(10_300_000)), "{refused:?}");
        let expected = "not enough memory for a database of 10.3 MB (datasize of the login class)";
        assert_eq!(refused.to_string(), expected);
        let refused = Memory::require(usize::MAX / 2, 10_300_000).unwrap_err();
        assert_eq!(refused.to_string(), expected);
        Memory::require(3 * PAGE, 10_300_000).unwrap();
    }
}
