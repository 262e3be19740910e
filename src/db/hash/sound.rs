//! Conditions that a table must meet in addition to being readable. The checker reports violations one by
//! one; a scan meets the first while it reads ([`Sound`]).
//!
//! Both use the same conditions, so that a file that `check` calls damaged is never judged.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::header::Header;
use super::note::Note;
use super::read::{Table, Walker};
use super::walk::{Place, Source};
use crate::db::{Damage, Fault};
use std::collections::{HashMap, HashSet};

/// A key for which libc's search looks elsewhere.
pub const WRONG_BUCKET: Fault = Fault::BadPage("key in the wrong bucket");

/// The bitmap pages, as far as they can be read.
#[derive(Debug)]
pub struct Maps<'a>(Vec<Option<&'a [u8]>>);

impl<'a> Maps<'a> {
    /// Reads them and reports what is wrong with them.
    pub fn of(table: &Table<'a>, tell: &mut dyn FnMut(Damage)) -> Maps<'a> {
        Maps((0..table.header.maps()).map(|map| table.map(map).map_err(&mut *tell).ok()).collect())
    }

    /// Checks that a page on a chain is marked as in use and is not a bitmap.
    pub fn require_used(
        &self,
        header: &Header,
        address: u16,
        place: Place<'_>,
    ) -> Result<(), Damage> {
        let bit = header.overflow_page(address).map(|overflow| header.bit_of(overflow.ordinal));
        let used = bit.is_some_and(|bit| match self.0.get(bit.map) {
            Some(Some(map)) => header.is_set(map, bit.bit) && bit.bit > 0,
            _ => true,
        });
        let fault = Fault::BadPage("in use, but not marked in use");
        if used { Ok(()) } else { Err(fault.on(place.number)) }
    }
}

/// Checks the free space of a page, which putpair() and similar functions trust.
pub fn require_account(place: Place<'_>) -> Result<(), Damage> {
    if place.page.is_hole() {
        return Err(Fault::Hole.on(place.number));
    }
    let fault = Fault::BadPage("free space does not match the pairs");
    if place.page.accounts() { Ok(()) } else { Err(fault.on(place.number)) }
}

impl<'a> Table<'a> {
    /// Checks a bucket's own page, which may never have been written if the table was created with it.
    pub(super) fn require_head(&self, bucket: u32, head: Place<'a>) -> Result<(), Damage> {
        if head.page.is_hole() && bucket < self.header.first_buckets() {
            return Ok(());
        }
        require_account(head)
    }

    /// A bitmap page.
    pub(super) fn map(&self, map: usize) -> Result<&'a [u8], Damage> {
        let page = self.header.map_page(map).map_err(|fault| fault.on(0))?.page;
        let bytes = self.bytes(page).map_err(|fault| fault.on(page))?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(Fault::Hole.on(page));
        }
        let own = self.header.is_set(bytes, 0);
        // Once libc's search reaches that word, it treats the first clear bit as a free page, whether it
        // exists or not.
        let last = self.header.bit_of(self.header.overflow_pages());
        let mut behind = last.bit.saturating_add(1)..self.header.bits_per_map();
        if !own || (last.map == map && !behind.all(|bit| self.header.is_set(bytes, bit))) {
            return Err(Fault::BadPage("bitmap marks a page free that cannot be").on(page));
        }
        Ok(bytes)
    }

    /// Checks that pages unknown to the header are empty, except those that an unfinished batch of ours may have
    /// filled: they may become pages of buckets, and libc puts pairs after what it finds there without checking
    /// whether they fit.
    pub(super) fn unmade(&self, note: Option<Note>, tell: &mut dyn FnMut(Damage)) {
        let named = self.later_places(note.map_or(0, |note| note.to));
        // Our writer gives them no link before the header knows them.
        let links = |page| self.place(page).is_ok_and(|place| place.page.next().is_some());
        let is_ours = |page: &u32| named.contains_key(page) && !links(*page);
        if let Some((page, _)) = self.filled_unmade().find(|(page, _)| !is_ours(page)) {
            tell(Fault::BadPage("not empty, but of no bucket yet").on(page));
        }
    }

    /// The pages in the file of buckets that the header does not know, up to the bucket `last`, each with its
    /// bucket.
    pub(super) fn later_places(&self, last: u32) -> HashMap<u32, u32> {
        let later = self.header.later_buckets(last).map(|(bucket, page)| (page, bucket));
        later.take_while(|(page, _)| self.bytes_from(*page).is_some()).collect()
    }

    /// Pages unknown to the header that are not empty, each with the file from there on.
    pub(super) fn filled_unmade(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        let made = self.made();
        let later = (1_u32..).map_while(|page| Some((page, self.bytes_from(page)?)));
        // The number of entries.
        let filled = |bytes: &[u8]| bytes.iter().take(2).any(|byte| *byte != 0);
        later.filter(move |(page, bytes)| !made.contains(page) && filled(bytes))
    }

    /// The pages of all buckets and the overflow pages of all split points that are in the file.
    fn made(&self) -> HashSet<u32> {
        let header = &self.header;
        let buckets = (0..=header.max_bucket).map(|bucket| header.bucket_page(bucket));
        let mut before = 0;
        let overflow = (0..=header.ovfl_point).zip(header.spares).flat_map(|(split, made)| {
            let last_bucket = 1_u32.checked_shl(split).unwrap_or(0).saturating_sub(1);
            let first = header.bucket_page(last_bucket).saturating_add(1);
            let count = made.saturating_sub(before);
            before = made;
            first..first.saturating_add(count)
        });
        let there = |page: &u32| self.bytes_from(*page).is_some();
        buckets.take_while(there).chain(overflow.filter(there)).collect()
    }

    /// Checks everything but the buckets: the header, the bitmaps, and the pages that belong to nothing
    /// yet.
    pub(super) fn frame(&self) -> Result<Maps<'a>, Damage> {
        let mut first = None;
        let mut tell = |damage| _ = first.get_or_insert(damage);
        self.header.faults().for_each(|fault| tell(fault.on(0)));
        let maps = Maps::of(self, &mut tell);
        match Note::decode(self.image) {
            Some(_) => tell(Fault::CutShort.on(0)),
            None => self.unmade(None, &mut tell),
        }
        first.map_or(Ok(maps), Err)
    }
}

/// Follows the links of a sound table; the first violation ends it.
#[derive(Debug)]
pub struct Sound<'s, 'a> {
    walker: Walker<'s, 'a>,
    table: &'s Table<'a>,
    maps: Maps<'a>,
}

impl<'s, 'a> Sound<'s, 'a> {
    /// Begins with the result of [`Table::frame`].
    pub fn new(table: &'s Table<'a>, maps: Maps<'a>) -> Sound<'s, 'a> {
        Sound { walker: Walker::new(table), table, maps }
    }
}

impl<'a> Source<'a> for Sound<'_, 'a> {
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        let place = self.walker.follow(from, address)?;
        self.maps.require_used(&self.table.header, address, place)?;
        require_account(place)?;
        Ok(place)
    }
}
