//! The writes of one batch: all of them, or none.
//!
//! A writer changes pages in memory and hands over a [`Plan`]: which pages need room, and what is written in
//! which order. [`write()`] then
//!
//! 1. writes zeros where the file has no page yet, or reads as zeros and may be a hole: a full disk is met
//!    here, before anything has changed;
//! 2. writes group by group, with an fdatasync(2) in between. The writes of a group may reach the disk in any
//!    order, and not all of them: whoever makes the plan answers for every such state. A group is read back
//!    before the next one is written, which may drop what this one has: a disk may lose a write and not say so.
//!
//! If a write fails, what it and those before it wrote over is put back, the last first, and the file gets
//! its old length; the states that it passes on the way are those that it came through. If that fails too,
//! the file is as a kill would have left it, which the next writer mends.
#![forbid(unsafe_code)]

use super::file::PageFile;
use std::collections::HashMap;
use std::io;

/// The most that is written at once where zeros follow each other.
const PIECE: usize = 1 << 20;

/// What a batch is to write.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Bytes in a page.
    pub(super) page_size: usize,
    /// Where pages are that need room, in ascending order.
    pub(super) rooms: Vec<u64>,
    /// The writes, each with its place. What is in one group comes to the disk before any of the next.
    pub(super) groups: Vec<Vec<Write>>,
}

/// Where, and what.
pub(super) type Write = (u64, Vec<u8>);

/// Makes the writes of `plan`, or none of them. A file that had `length` bytes before it was begun upon has as
/// many again if that fails.
pub(super) fn write<F: PageFile>(file: &mut F, length: u64, plan: &Plan) -> io::Result<()> {
    let (known, before) = (HashMap::new(), Vec::new());
    let mut transaction = Transaction { file, length, known, before };
    let written = transaction.perform(plan);
    if written.is_err() {
        // What is left of the batch then is what a kill leaves of it.
        let _as_after_a_kill = transaction.roll_back();
    }
    written
}

struct Transaction<'f, F> {
    file: &'f mut F,
    length: u64,
    /// Pages as they are in the file.
    known: HashMap<u64, Vec<u8>>,
    /// What was written over.
    before: Vec<Write>,
}

impl<F: PageFile> Transaction<'_, F> {
    fn perform(&mut self, plan: &Plan) -> io::Result<()> {
        self.reserve(plan)?;
        let mut groups = plan.groups.iter().filter(|group| !group.is_empty()).peekable();
        while let Some(group) = groups.next() {
            for (offset, bytes) in group {
                self.write(bytes, *offset)?;
            }
            if groups.peek().is_some() {
                self.file.sync()?;
                group.iter().try_for_each(|write| self.require(write))?;
            }
        }
        Ok(())
    }

    /// What was written must be what the file has.
    fn require(&self, (offset, bytes): &Write) -> io::Result<()> {
        if self.read(bytes.len(), *offset)? == *bytes {
            Ok(())
        } else {
            Err(io::Error::other(format!("what was written at offset {offset} was lost")))
        }
    }

    /// Writes zeros wherever there may be no room yet.
    fn reserve(&mut self, plan: &Plan) -> io::Result<()> {
        let size = plan.page_size as u64;
        let mut run: Option<(u64, u64)> = None;
        for &room in &plan.rooms {
            if room.saturating_add(size) <= self.length {
                let mut page = vec![0; plan.page_size];
                self.file.read_at(&mut page, room)?;
                let is_hole = page.iter().all(|byte| *byte == 0);
                self.known.insert(room, page);
                if !is_hole {
                    continue;
                }
            }
            run = Some(match run {
                Some((from, to)) if to == room && to.saturating_sub(from) < PIECE as u64 => {
                    (from, to.saturating_add(size))
                }
                other => {
                    self.fill(other)?;
                    (room, room.saturating_add(size))
                }
            });
        }
        self.fill(run)
    }

    fn fill(&mut self, run: Option<(u64, u64)>) -> io::Result<()> {
        let Some((from, to)) = run else { return Ok(()) };
        let length = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        self.write(&vec![0; length], from)
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let there = self.length.saturating_sub(offset);
        let length = bytes.len().min(usize::try_from(there).unwrap_or(usize::MAX));
        if length > 0 {
            let known = self.known.remove(&offset).filter(|known| known.len() == length);
            let before = known.map_or_else(|| self.read(length, offset), Ok)?;
            self.before.push((offset, before));
        }
        self.file.write_at(bytes, offset)
    }

    fn read(&self, length: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn roll_back(&mut self) -> io::Result<()> {
        while let Some((offset, bytes)) = self.before.pop() {
            self.file.write_at(&bytes, offset)?;
        }
        self.file.set_length(self.length)
    }
}
