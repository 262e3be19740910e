//! How much memory a scan needs, beside the image that it judges.
//!
//! The tables of a scan grow with the file, in many allocations, and an allocation that fails ends the process.
//! Whoever scans therefore makes sure first that so much is to be had. `tests/greytrapctl/memory` compares it
//! with what a scan needs.

use crate::db::ErrorKind;
use crate::db::memory::Memory;

/// What does not depend on the file: the threads with their stacks, and the first lists of a btree's records.
/// The engine took 30 MB for a file of 1,000 tuples.
const FIXED: usize = 48 << 20;

/// Bytes for each byte of the file. The engine took 1.6 for the shortest tuples that there are, 600,000 of one
/// host, 1.3 if each was of a host of its own, and half a byte for tuples of usual length.
const FACTOR: usize = 2;

/// The memory that a scan of a file of this length may need, in bytes.
pub fn room(length: u64) -> usize {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    length.saturating_mul(FACTOR).saturating_add(FIXED)
}

/// Makes sure that there is memory for a scan of a file of this length, whose image has its own already.
///
/// # Errors
/// [`ErrorKind::NoMemory`].
pub fn require_room(length: u64) -> Result<(), ErrorKind> {
    Memory::require(room(length), length)
}
