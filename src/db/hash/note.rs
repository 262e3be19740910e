//! A note in the file that buckets are being made, in case the writer is killed meanwhile.
//!
//! Making buckets takes several writes (see `commit`), and what a kill leaves must be distinguished from
//! damage. The header takes 260 bytes of its page, which has at least 512; libc neither reads nor writes
//! the others. The note is written there, in one write with the header:
//!
//! | offset | what |
//! |---|---|
//! | 260 | `gtsp` |
//! | 264 | the last old bucket, big-endian |
//! | 268 | the last new bucket, big-endian |
//! | 272 | 2; older writers, which made one split at a time, had 0 or 1 here, and the two buckets of the split above |

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::header;
use crate::db::ByteOrder;

const MARK: [u8; 4] = *b"gtsp";
/// The end of the note.
pub const END: usize = header::SIZE + 16;

/// Buckets that were being made. This is a hint where to look, and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The last old bucket.
    pub from: u32,
    /// The last new bucket.
    pub to: u32,
}

/// The end of a note about a whole batch.
const BATCH: u32 = 2;

impl Note {
    /// Finds the note in the first bytes of a file, if there is one.
    pub fn decode(head: &[u8]) -> Option<Note> {
        let mark = head.get(header::SIZE..header::SIZE + MARK.len())?;
        let from = ByteOrder::Big.u32_at(head, header::SIZE + 4)?;
        let to = ByteOrder::Big.u32_at(head, header::SIZE + 8)?;
        // An older note only means that it may be any bucket.
        let is_of_batch = ByteOrder::Big.u32_at(head, header::SIZE + 12)? == BATCH;
        let from = if is_of_batch { from } else { 0 };
        (mark == MARK && from < to).then_some(Note { from, to })
    }
}

/// The header's bytes, followed by the note or zeros.
pub fn append(header: &[u8], note: Option<Note>) -> Vec<u8> {
    let mut head = header.to_vec();
    match note {
        Some(Note { from, to }) => {
            head.extend(MARK);
            head.extend([from, to, BATCH].into_iter().flat_map(u32::to_be_bytes));
        }
        None => head.extend([0; END - header::SIZE]),
    }
    head
}
