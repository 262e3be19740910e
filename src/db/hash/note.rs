//! A note in the file that buckets are being made, for the case that the writer is killed meanwhile.
//!
//! That cannot be one write (see `commit`), and what a kill leaves of it must be told from damage. The
//! header takes 260 of the bytes of its page, of which there are 512 at least; libc neither reads nor
//! writes the others. The note is written there, together with the header, in one write:
//!
//! | offset | what |
//! |---|---|
//! | 260 | `gtsp` |
//! | 264 | the last of the buckets that there were, big-endian |
//! | 268 | the last of the new ones, big-endian |
//! | 272 | 2; a writer of one split at a time had 0 or 1 here, and the two buckets of the split before it |

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::header;
use crate::db::ByteOrder;

const MARK: [u8; 4] = *b"gtsp";
/// Where the note ends.
pub const END: usize = header::SIZE + 16;

/// Buckets that were about to be made. A hint where to look, and no proof of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The last of the old buckets.
    pub from: u32,
    /// The last of the new ones.
    pub to: u32,
}

/// What a note of a whole batch ends with.
const BATCH: u32 = 2;

impl Note {
    /// The note in the first bytes of a file, if there is one.
    pub fn decode(head: &[u8]) -> Option<Note> {
        let mark = head.get(header::SIZE..header::SIZE + MARK.len())?;
        let from = ByteOrder::Big.u32_at(head, header::SIZE + 4)?;
        let to = ByteOrder::Big.u32_at(head, header::SIZE + 8)?;
        // Of an older note only this much is taken: it may be any bucket.
        let is_of_batch = ByteOrder::Big.u32_at(head, header::SIZE + 12)? == BATCH;
        let from = if is_of_batch { from } else { 0 };
        (mark == MARK && from < to).then_some(Note { from, to })
    }
}

/// The header's bytes, with the note behind them, or zeros.
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
