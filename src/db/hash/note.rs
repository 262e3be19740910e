//! A note in the file that a bucket is being split, for the case that the writer is killed meanwhile.
//!
//! A split cannot be one write (see `split`), and what a kill leaves of it must be told from damage. The
//! header takes 260 of the bytes of its page, of which there are 512 at least; libc neither reads nor
//! writes the others. The note is written there, together with the header, in one write:
//!
//! | offset | what |
//! |---|---|
//! | 260 | `gtsp` |
//! | 264 | the bucket that is split, big-endian |
//! | 268 | the new bucket, big-endian |
//! | 272 | 1 if the new bucket may lack pairs that are still in the old one |

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::header;
use crate::db::ByteOrder;

const MARK: [u8; 4] = *b"gtsp";
/// Where the note ends.
pub const END: usize = header::SIZE + 16;

/// A split that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The bucket that gives pairs away.
    pub from: u32,
    /// The bucket that takes them.
    pub to: u32,
    /// What the new bucket is known to hold.
    pub new: NewBucket,
}

/// How much of what moves is in the new bucket from the moment on at which the table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewBucket {
    /// All of it.
    Whole,
    /// What goes on one page.
    FirstPage,
}

impl Note {
    /// The note in the first bytes of a file, if there is one.
    pub fn decode(head: &[u8]) -> Option<Note> {
        let mark = head.get(header::SIZE..header::SIZE + MARK.len())?;
        let from = ByteOrder::Big.u32_at(head, header::SIZE + 4)?;
        let to = ByteOrder::Big.u32_at(head, header::SIZE + 8)?;
        let new = match ByteOrder::Big.u32_at(head, header::SIZE + 12)? {
            0 => NewBucket::Whole,
            _ => NewBucket::FirstPage,
        };
        (mark == MARK && from < to).then_some(Note { from, to, new })
    }
}

/// The header's bytes, with the note or with the absence of one behind them.
pub fn append(header: &[u8], note: Option<Note>) -> Vec<u8> {
    let mut head = header.to_vec();
    match note {
        Some(Note { from, to, new }) => {
            head.extend(MARK);
            let new = u32::from(new == NewBucket::FirstPage);
            head.extend([from, to, new].into_iter().flat_map(u32::to_be_bytes));
        }
        None => head.extend([0; END - header::SIZE]),
    }
    head
}
