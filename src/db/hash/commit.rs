//! Writes the batch, in an order in which no record is lost whichever write is the last.
//!
//! The header decides whether a new bucket is part of the table, so the bucket's page must be written
//! before the header, and the old bucket may drop pairs that have moved only after that. But when libc
//! splits the same bucket, it reads the new bucket's page from the file and puts pairs after those it finds
//! there, without checking whether they fit, unless the old bucket has overflow pages (`__split_page()`,
//! `ugly_split()` in lib/libc/db/hash/hash_page.c). So the old bucket's own page is emptied before the new
//! page is written. The batch is written in groups (see [`crate::db::transaction`]):
//!
//! 1. bitmaps with the allocated pages; the header with these pages, and with a [`Note`] if there are new
//!    buckets;
//! 2. the allocated pages, to which nothing leads; a copy of the page of each old bucket that gives away
//!    pairs;
//! 3. changed pages in use, independently; the page of each such old bucket, now only a link to its copy;
//! 4. the new buckets' pages with their pairs, but without a link, which would hide what libc puts after
//!    it;
//! 5. the header, with the new buckets in the table;
//! 6. the new buckets' pages that have a link;
//! 7. the old buckets' pages, with the pairs that stay;
//! 8. bitmaps without the freed pages; the header without the note, with the right number of keys.
//!
//! A batch that only changes pages in use has only group 3, beginning with the header, and no fdatasync(2).
//! The number of keys is written before the keys, since libc counts down from it.
//!
//! If a kill comes between 5 and 6, a walk finds every pair, but a search misses those on the further pages
//! of a new bucket. This cannot be avoided: the page and the header cannot be written at once.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::edit::PageBuf;
use super::header::{Header, generation};
use super::note::{self, Note};
use super::store::Writer;
use crate::db::file::PageFile;
use crate::db::transaction::{self, Plan, Write};
use crate::db::{EngineError, Fault};
use std::collections::BTreeMap;

/// An old bucket that gives away pairs.
struct Giver {
    /// The number of its own page.
    number: u32,
    /// That page as it is in the file.
    before: PageBuf,
    after: PageBuf,
    /// The page to which it is copied.
    copy: Copy,
}

/// An overflow page, by its number and its address.
struct Copy {
    address: u16,
    page: u32,
}

/// Pages by number.
type Images = BTreeMap<u32, PageBuf>;

/// The pages of a batch.
struct Batch {
    /// Overflow pages to which nothing in the file leads.
    taken: Images,
    /// Pages that are in use in the file.
    in_use: Images,
    /// Pages of new buckets.
    made: Images,
    givers: Vec<Giver>,
}

impl<F: PageFile> Writer<F> {
    /// Writes the batch.
    ///
    /// # Errors
    ///
    /// The disk is full, or a write failed; the file is as it was before, unless it cannot be written at
    /// all.
    pub fn commit(&mut self) -> Result<(), EngineError> {
        if !self.is_known || (self.length > 0 && self.is_unchanged()) {
            return Ok(());
        }
        self.is_known = false;
        let before = self.length;
        if before == 0 {
            self.write_empty_table()?;
        }
        let plan = self.plan()?;
        let (file, size) = (&mut self.file, plan.page_size as u64);
        if let Err(error) = transaction::write(file, self.length, &plan) {
            // An empty file becomes empty again.
            if before == 0 {
                let _as_after_a_kill = file.set_length(0);
            }
            return Err(error.into());
        }
        let written = plan.groups.iter().flatten().map(|(offset, _)| offset.saturating_add(size));
        self.length = written.max().unwrap_or(0).max(self.length);
        self.written = self.header.clone();
        self.pages.maps.iter_mut().for_each(|map| map.changed = false);
        self.fresh.clear();
        self.note = self.note_left();
        self.is_mended = false;
        self.is_known = true;
        Ok(())
    }

    /// The note while the batch is being written.
    fn note_of(&self, givers: &[Giver]) -> Option<Note> {
        if givers.is_empty() {
            return self.note;
        }
        let (from, to) = (self.written.max_bucket, self.header.max_bucket);
        Some(self.note.map_or(Note { from, to }, |note| Note {
            from: from.min(note.from),
            to: to.max(note.to),
        }))
    }

    /// The note after the batch has been written.
    fn note_left(&self) -> Option<Note> {
        if self.is_mended { None } else { self.note }
    }

    fn is_unchanged(&self) -> bool {
        self.changed.is_empty()
            && self.freed.is_empty()
            && !self.is_mended
            && self.header == self.written
    }

    /// Makes an empty table in an empty file. The header is written last: without it no program uses the
    /// rest.
    fn write_empty_table(&mut self) -> Result<(), EngineError> {
        let size = u64::from(self.header.bsize);
        let mut page = vec![0; self.page_size()];
        let header = &self.written;
        let map = header.fresh_map();
        page.iter_mut().zip(header.encode()).for_each(|(place, byte)| *place = byte);
        let map_page = header.map_page(0).map_err(|fault| fault.on(0))?.page;
        let plan = Plan {
            page_size: self.page_size(),
            rooms: (0..=u64::from(map_page)).map(|number| number.saturating_mul(size)).collect(),
            groups: vec![vec![(self.offset(map_page), map)], vec![(0, page)]],
        };
        transaction::write(&mut self.file, 0, &plan)?;
        self.length = u64::from(map_page).saturating_add(1).saturating_mul(size);
        Ok(())
    }

    fn plan(&mut self) -> Result<Plan, EngineError> {
        let batch = self.sort_out()?;
        let rooms = self.rooms(&batch);
        let note = self.note_of(&batch.givers);
        let (known, grown) = self.headers();
        let grows = !batch.made.is_empty();
        let is_ordered = !batch.taken.is_empty() || grows;

        let mut groups = vec![self.new_maps(), self.first(&known, note)];
        let copies = batch.givers.iter().map(|giver| (giver.copy.page, giver.before.clone()));
        let taken = self.writes(batch.taken.into_iter().chain(copies));
        let links = batch
            .givers
            .iter()
            .map(|giver| (giver.number, self.linked(self.blank(), &[giver.copy.address])));
        let in_use = self.writes(batch.in_use.into_iter().chain(links));
        if is_ordered {
            groups.extend([taken, in_use]);
        } else if let Some(first) = groups.last_mut() {
            first.extend(in_use);
        }
        if grows {
            groups.extend(self.growth(batch.made, self.head(&grown, note)));
            let kept = batch.givers.iter().map(|giver| (giver.number, giver.after.clone()));
            groups.push(self.writes(kept));
        }
        self.free_all(&batch.givers)?;
        let mut last = self.changed_maps();
        let waits = !last.is_empty() || grows || note != self.note_left();
        let before = if grows { &grown } else { &known };
        if *before != self.header || note != self.note_left() {
            last.push(self.head(&self.header, self.note_left()));
        }
        match groups.last_mut() {
            Some(group) if !waits => group.extend(last),
            _ => groups.push(last),
        }
        Ok(Plan { page_size: self.page_size(), rooms, groups })
    }

    /// The pages that the batch has changed, by kind.
    fn sort_out(&mut self) -> Result<Batch, EngineError> {
        let mut in_use = std::mem::take(&mut self.changed);
        let buckets = self.written.max_bucket.saturating_add(1)..=self.header.max_bucket;
        let made: Images = buckets
            .map(|bucket| self.header.bucket_page(bucket))
            .filter_map(|number| Some((number, in_use.remove(&number)?)))
            .collect();
        let givers = self.givers(&made, &mut in_use)?;
        let taken = self.fresh.iter();
        let taken = taken.filter_map(|number| Some((*number, in_use.remove(number)?))).collect();
        Ok(Batch { taken, in_use, made, givers })
    }

    /// The places that need room, in ascending order.
    fn rooms(&self, batch: &Batch) -> Vec<u64> {
        let images = [&batch.taken, &batch.in_use, &batch.made];
        let numbers = images.into_iter().flat_map(Images::keys).copied();
        let copies = batch.givers.iter().map(|giver| giver.copy.page);
        let maps = self.new_maps().into_iter().map(|(offset, _)| offset);
        let mut rooms: Vec<u64> =
            numbers.chain(copies).map(|number| self.offset(number)).chain(maps).collect();
        rooms.sort_unstable();
        rooms
    }

    /// The header before and after the new buckets enter the table, with the largest possible number of
    /// keys.
    fn headers(&self) -> (Header, Header) {
        let nkeys = self.written.nkeys.max(self.header.nkeys);
        let grown = Header { nkeys, ..self.header.clone() };
        let Header { max_bucket, high_mask, low_mask, .. } = self.written;
        (Header { max_bucket, high_mask, low_mask, ..grown.clone() }, grown)
    }

    /// The bitmaps, and the header if it changes.
    fn first(&mut self, known: &Header, note: Option<Note>) -> Vec<Write> {
        let mut first = self.filled_maps();
        if *known != self.written || note != self.note {
            first.push(self.head(known, note));
        }
        first
    }

    /// The writes by which the new buckets enter the table.
    fn growth(&self, mut made: Images, head: Write) -> [Vec<Write>; 3] {
        let take_link = |(number, page): (&u32, &mut PageBuf)| Some((*number, page.take_link()?));
        let linked: Vec<_> = made.iter_mut().filter_map(take_link).collect();
        [self.writes(made), vec![head], self.writes(linked)]
    }

    /// The old buckets from which the non-empty new ones were split.
    fn givers(&mut self, made: &Images, in_use: &mut Images) -> Result<Vec<Giver>, EngineError> {
        let last = self.written.max_bucket;
        let holds = |bucket: &u32| {
            let page = made.get(&self.header.bucket_page(*bucket));
            page.is_some_and(|page| page.view().entries() > 0)
        };
        let new = last.saturating_add(1)..=self.header.max_bucket;
        let mut buckets: Vec<u32> =
            new.filter(holds).map(|bucket| ancestor(bucket, last)).collect();
        buckets.sort_unstable();
        buckets.dedup();
        let copies = std::mem::take(&mut self.copies);
        let mut givers = Vec::with_capacity(buckets.len());
        for (bucket, copy) in copies {
            if buckets.binary_search(&bucket).is_err() {
                // Nothing moves.
                self.free([copy])?;
                continue;
            }
            let number = self.header.bucket_page(bucket);
            let before = self.read_stored(number)?;
            let after = in_use.remove(&number).unwrap_or_else(|| before.clone());
            let page = self.header.overflow_page(copy).ok_or(Fault::BadLink.on(0))?.page;
            let copy = Copy { address: copy, page };
            givers.push(Giver { number, before, after, copy });
        }
        Ok(givers)
    }

    /// Frees everything to which nothing leads any more.
    fn free_all(&mut self, givers: &[Giver]) -> Result<(), EngineError> {
        let freed = std::mem::take(&mut self.freed);
        for address in freed.into_iter().chain(givers.iter().map(|giver| giver.copy.address)) {
            self.pages.free(&mut self.header, address)?;
        }
        Ok(())
    }

    fn writes(&self, pages: impl IntoIterator<Item = (u32, PageBuf)>) -> Vec<Write> {
        let write = |(number, page): (u32, PageBuf)| (self.offset(number), page.into_bytes());
        pages.into_iter().map(write).collect()
    }

    fn map_write(&self, at: usize, bytes: Vec<u8>) -> Option<Write> {
        let page = self.header.map_page(at).ok()?.page;
        Some((self.offset(page), bytes))
    }

    /// The bitmaps that are not in the file yet: they must be there before the header refers to them.
    fn new_maps(&self) -> Vec<Write> {
        let maps = self.written.maps()..self.pages.maps.len();
        maps.filter_map(|at| self.map_write(at, self.filled(at)?)).collect()
    }

    /// The bitmaps as they may be before the header: all pages that it does not know yet count as in use,
    /// even free ones.
    fn filled_maps(&mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        for at in 0..self.pages.maps.len() {
            let filled = self.filled(at);
            let changed = self.pages.maps.get_mut(at).filter(|map| map.changed);
            let (Some(map), Some(bytes)) = (changed, filled) else { continue };
            map.changed = map.bytes != bytes;
            writes.extend(self.map_write(at, bytes));
        }
        writes
    }

    /// A bitmap in which all pages that the file's header does not know are in use.
    fn filled(&self, at: usize) -> Option<Vec<u8>> {
        let mut map = self.pages.maps.get(at)?.clone();
        let made = self.written.overflow_pages().saturating_add(1)..=self.header.overflow_pages();
        for bit in made.map(|ordinal| self.header.bit_of(ordinal)).filter(|bit| bit.map == at) {
            map.set(&self.header, bit.bit, true);
        }
        Some(map.bytes)
    }

    fn changed_maps(&self) -> Vec<Write> {
        let maps = self.pages.maps.iter().enumerate().filter(|(_, map)| map.changed);
        maps.filter_map(|(at, map)| self.map_write(at, map.bytes.clone())).collect()
    }

    fn head(&self, header: &Header, note: Option<Note>) -> Write {
        (0, note::append(&header.encode(), note))
    }
}

/// The bucket up to `last` from which another bucket was split.
pub(super) fn ancestor(mut bucket: u32, last: u32) -> u32 {
    while bucket > last {
        bucket &= !(1 << (generation(bucket) - 1));
    }
    bucket
}
