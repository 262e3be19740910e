//! Writes a batch completely or not at all.
//!
//! A writer changes pages in memory and passes on a [`Plan`]: which pages need room, and what is written in
//! which order. [`write()`] then
//!
//! 1. writes zeros where the file has no page yet, or has zeros that may be a hole, so that a full disk is
//!    noticed before anything has changed;
//! 2. writes the groups, with an fdatasync(2) between groups. Any subset of the writes in a group may reach
//!    the disk, in any order; the plan must be safe in every such state. A group is read back before the
//!    next one is written, which may drop what this one holds: a disk may lose a write without an error.
//!
//! If a write fails, everything that was overwritten is put back, the last write first, and the file gets
//! its old length; it passes through the same states in reverse. If that fails too, the file is as a kill
//! would have left it, and the next writer repairs it.
#![forbid(unsafe_code)]

use super::file::PageFile;
use std::collections::HashMap;
use std::io;

/// The maximum number of zeros written at once.
const PIECE: usize = 1 << 20;

/// What a batch writes.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Bytes in a page.
    pub(super) page_size: usize,
    /// The places of pages that need room, in ascending order.
    pub(super) rooms: Vec<u64>,
    /// The writes, each with its place. A group is on the disk before the next is written.
    pub(super) groups: Vec<Vec<Write>>,
}

/// A place, and the bytes to write there.
pub(super) type Write = (u64, Vec<u8>);

/// Makes all writes of `plan`, or none. If it fails, the file gets back its old length, which was `length`.
pub(super) fn write<F: PageFile>(file: &mut F, length: u64, plan: &Plan) -> io::Result<()> {
    let (known, before) = (HashMap::new(), Vec::new());
    let mut transaction = Transaction { file, length, known, before };
    let written = transaction.perform(plan);
    if written.is_err() {
        // If this fails too, the file is as after a kill.
        let _as_after_a_kill = transaction.roll_back();
    }
    written
}

struct Transaction<'f, F> {
    file: &'f mut F,
    length: u64,
    /// Pages as they are in the file.
    known: HashMap<u64, Vec<u8>>,
    /// What was overwritten.
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
