//! Restores a sound table from what libc has left ([`super::leftover`]).
//!
//! Chains that are not sound are rewritten on pages to which nothing leads, and a single write of the
//! bucket's own page switches to each. Buckets that get records from elsewhere are written before those
//! that drop them, and pages that belong to no bucket yet are kept until the end: after a kill in between
//! the table can be restored again.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::alloc::Map;
use super::edit::PageBuf;
use super::header::{MAX_PAGES_PER_SPLIT, split_address};
use super::leftover::{Contents, Leftovers};
use super::note::{self, Note};
use super::read::Table;
use super::store::Writer;
use crate::db::EngineError;
use crate::db::file::PageFile;
use crate::db::transaction::{self, Plan, Write};
use std::collections::HashSet;

const NO_ROOM: EngineError = EngineError::Refused(
    "interrupted update of another program, and no overflow pages left to repair it",
);

impl<F: PageFile> Writer<F> {
    /// Opens and restores a file that another program left when it was killed or the disk was full. `image`
    /// is the whole file.
    ///
    /// # Errors
    ///
    /// The file is damaged, or there is no room to restore it.
    pub fn restore(file: F, image: &[u8]) -> Result<Self, EngineError> {
        let table = Table::new(image)?;
        let leftovers = table.leftovers()?;
        let mut writer = Self::new(file, table.header.clone());
        writer.length = image.len() as u64;
        writer.pages.maps = writer.maps_left();
        // Once the bitmaps are right, only the note distinguishes the leftovers from damage.
        let to = table.header.max_bucket.saturating_mul(2).saturating_add(1);
        let note = Some(Note { from: 0, to });
        let noted = vec![(0, note::append(&writer.header.encode(), note))];
        writer.make_known(&leftovers)?;
        let [tails, gaining, others] = writer.rewritten(&leftovers.buckets)?;
        let blank = |number: &u32| (writer.offset(*number), writer.blank().into_bytes());
        let unmade: Vec<Write> = leftovers.unmade.iter().map(blank).collect();
        let known = writer.frame(note);
        writer.drop_old(&leftovers.buckets)?;
        let records =
            leftovers.buckets.iter().map(|contents| contents.records.len()).sum::<usize>();
        writer.header.nkeys = i32::try_from(records).unwrap_or(i32::MAX);
        let groups = vec![noted, known, tails, gaining, others, unmade, writer.frame(None)];
        let mut rooms: Vec<u64> = groups.iter().flatten().map(|(offset, _)| *offset).collect();
        rooms.retain(|offset| *offset > 0);
        rooms.sort_unstable();
        rooms.dedup();
        let plan = Plan { page_size: writer.page_size(), rooms, groups };
        transaction::write(&mut writer.file, writer.length, &plan)?;
        Self::open(writer.file)
    }

    /// The bitmaps, and the header with or without a note.
    fn frame(&self, note: Option<Note>) -> Vec<Write> {
        let write = |(map, at): (&Map, usize)| {
            let page = self.header.map_page(at).ok()?.page;
            Some((self.offset(page), map.bytes.clone()))
        };
        let mut writes: Vec<Write> = self.pages.maps.iter().zip(0..).filter_map(write).collect();
        let head = note::append(&self.header.encode(), note);
        writes.push((0, head));
        writes
    }

    /// The bitmaps; if one was not written, all its pages count as in use.
    fn maps_left(&self) -> Vec<Map> {
        let read = |map: usize| {
            let page = self.header.map_page(map).ok()?.page;
            self.read_bytes(page).ok().filter(|bytes| bytes.iter().any(|byte| *byte != 0))
        };
        let filled = || vec![0xff; self.page_size()];
        let maps = (0..self.header.maps()).map(|number| read(number).unwrap_or_else(filled));
        maps.map(|bytes| Map { bytes, changed: false }).collect()
    }

    /// Counts the pages that the header did not know, and marks those on chains as in use, so that they are
    /// not allocated.
    fn make_known(&mut self, leftovers: &Leftovers<'_>) -> Result<(), EngineError> {
        let split = self.header.ovfl_point;
        let at = usize::try_from(split).map_err(|_| NO_ROOM)?;
        let before = at.checked_sub(1).and_then(|at| self.header.spares.get(at)).copied();
        let before = before.unwrap_or(0);
        let linked = leftovers.linked.iter().map(|address| split_address(*address));
        let linked = linked.filter(|(of, _)| *of == split).map(|(_, number)| number);
        let first = 1_u32.checked_shl(split).ok_or(NO_ROOM)?.saturating_add(before);
        let unmade = leftovers.unmade.iter().map(|page| page.saturating_sub(first));
        let most = linked.chain(unmade).max().unwrap_or(0);
        let made = self.header.spares.get_mut(at).ok_or(NO_ROOM)?;
        *made = before.saturating_add(most).max(*made);
        if most > MAX_PAGES_PER_SPLIT || self.header.maps() != self.pages.maps.len() {
            return Err(NO_ROOM);
        }
        for address in &leftovers.linked {
            self.pages.keep(&self.header, *address)?;
        }
        Ok(())
    }

    /// The rewritten chains: their further pages, then the buckets' own pages, beginning with buckets that
    /// get records from elsewhere.
    fn rewritten(&mut self, buckets: &[Contents<'_>]) -> Result<[Vec<Write>; 3], EngineError> {
        let [mut tails, mut gaining, mut others] = [const { Vec::new() }; 3];
        for (contents, bucket) in buckets.iter().zip(0..).filter(|(contents, _)| !contents.sound) {
            let (head, tail) = self.pack(contents.records.iter())?;
            let addresses = self.given_out(tail.len())?;
            self.lay_chain(tail, &addresses, &mut tails);
            let head = self.linked(head, &addresses).into_bytes();
            let to = if contents.gains { &mut gaining } else { &mut others };
            to.push((self.offset(self.header.bucket_page(bucket)), head));
        }
        Ok([tails, gaining, others])
    }

    fn given_out(&mut self, count: usize) -> Result<Vec<u16>, EngineError> {
        (0..count).map(|_| self.pages.take(&mut self.header)).collect()
    }

    fn lay_chain(&self, pages: Vec<PageBuf>, addresses: &[u16], writes: &mut Vec<Write>) {
        let mut addresses = addresses.iter().copied().peekable();
        for mut page in pages {
            let place = addresses.next().and_then(|address| self.header.overflow_page(address));
            if let Some(next) = addresses.peek() {
                page.set_next(*next);
            }
            writes.extend(place.map(|place| (self.offset(place.page), page.into_bytes())));
        }
    }

    /// Frees pages that were only on rewritten chains.
    fn drop_old(&mut self, buckets: &[Contents<'_>]) -> Result<(), EngineError> {
        let of = |sound: bool| {
            let buckets = buckets.iter().filter(move |contents| contents.sound == sound);
            buckets.flat_map(|contents| contents.addresses.iter().copied())
        };
        let kept: HashSet<u16> = of(true).collect();
        let old: HashSet<u16> = of(false).filter(|address| !kept.contains(address)).collect();
        for address in old {
            self.pages.free(&mut self.header, address)?;
        }
        Ok(())
    }
}
