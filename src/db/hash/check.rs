//! The checker: the image of a whole file in, everything that is wrong with its structure out.
//!
//! What libc leaves behind in a file that it closed properly is sound, and so is what a writer leaves
//! behind that is killed between two writes of [`super::write`]: pages in use that nothing links to,
//! keys that a split has copied to their new bucket and not yet taken from the old one, a number of keys
//! that is out of date. Everything else is told: a file that this finds sound can be written by libc
//! without losing a pair or leaving its own memory.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::header::hash;
use super::note::Note;
use super::read::{Table, Walker};
use super::walk::{Chain, Place, Source};
use crate::db::{Damage, Fault};
use std::collections::HashSet;

/// Pages that the search for copies of misplaced keys may visit beyond the number of pages in the file.
const LEFTOVER_PAGES: usize = 4096;

impl Table<'_> {
    /// Walks the whole structure and tells every fault found; a sound file has none.
    ///
    /// The work is a small multiple of the image's length at most, whatever is in it.
    pub fn check(&self, tell: &mut dyn FnMut(Damage)) {
        self.header.faults().for_each(|fault| tell(fault.on(0)));
        let pages = self.image.len().wrapping_shr(self.header.bshift);
        let budget = pages.saturating_add(LEFTOVER_PAGES);
        let maps = (0..self.header.maps()).map(|map| self.map(map, tell)).collect();
        let unfinished = Note::decode(self.image).is_some();
        if !unfinished {
            self.unmade(tell);
        }
        let walker = Walker::new(self);
        let mut checker = Checker { table: self, walker, maps, unfinished, budget, tell };
        for bucket in 0..=self.header.max_bucket {
            match self.head(bucket) {
                Ok(head) => checker.bucket(bucket, head),
                Err(damage) => {
                    (checker.tell)(damage);
                    // Later buckets lie behind this one: once is enough.
                    if damage.fault == Fault::BeyondEnd {
                        break;
                    }
                }
            }
        }
    }
}

impl<'a> Table<'a> {
    /// Pages of which the header knows nothing must be empty, wherever the file ends: they may become
    /// those of buckets, and libc puts pairs behind what it finds there, without a look whether they fit.
    fn unmade(&self, tell: &mut dyn FnMut(Damage)) {
        let made = self.made();
        let later = (1_u32..).map_while(|page| Some((page, self.bytes_from(page)?)));
        for (page, bytes) in later.filter(|(page, _)| !made.contains(page)) {
            // The number of entries.
            if bytes.iter().take(2).any(|byte| *byte != 0) {
                return tell(Fault::BadPage("not empty, and of no bucket yet").on(page));
            }
        }
    }

    /// The pages of all buckets and the overflow pages of all split points, as far as the file has them.
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

    fn map(&self, map: usize, tell: &mut dyn FnMut(Damage)) -> Option<&'a [u8]> {
        let page = self.header.map_page(map).map_err(|fault| tell(fault.on(0))).ok()?.page;
        let bytes = self.bytes(page).map_err(|fault| tell(fault.on(page))).ok()?;
        let own = self.header.is_set(bytes, 0);
        // libc takes the first clear bit for a free page, made or not, once its search comes to that word.
        let last = self.header.bit_of(self.header.overflow_pages());
        let mut behind = last.bit.saturating_add(1)..self.header.bits_per_map();
        if !own || (last.map == map && !behind.all(|bit| self.header.is_set(bytes, bit))) {
            tell(Fault::BadPage("bitmap has a page free that cannot be").on(page));
        }
        Some(bytes)
    }
}

struct Checker<'s, 'a, 't> {
    table: &'s Table<'a>,
    walker: Walker<'s, 'a>,
    maps: Vec<Option<&'a [u8]>>,
    /// Whether a split was begun and not finished: copies of pairs may be left in their old bucket.
    unfinished: bool,
    /// Pages that may yet be visited in search of copies of misplaced keys.
    budget: usize,
    tell: &'t mut dyn FnMut(Damage),
}

impl<'a> Checker<'_, 'a, '_> {
    fn bucket(&mut self, bucket: u32, head: Place<'a>) {
        if !head.page.is_hole() || bucket >= self.table.header.first_buckets() {
            self.accounts(head);
        }
        let mut chain = Chain::new(head);
        while let Some(item) = chain.next(self) {
            match item {
                Err(damage) => (self.tell)(damage),
                Ok(record) => {
                    let home = self.table.header.bucket_of(hash(&record.key));
                    if home != bucket && !self.unfinished && !self.is_copy(&record.key, home) {
                        (self.tell)(Fault::BadPage("key in the wrong bucket").on(chain.page()));
                    }
                }
            }
        }
    }

    /// Whether the key is in its own bucket too: an unfinished split.
    fn is_copy(&mut self, key: &[u8], home: u32) -> bool {
        let Ok(head) = self.table.head(home) else {
            return false;
        };
        let mut chain = Chain::new(head);
        let mut search = Search { table: self.table, budget: &mut self.budget };
        std::iter::from_fn(|| chain.next(&mut search)).flatten().any(|record| record.key == key)
    }

    /// putpair() and its like trust what a page says of its free space.
    fn accounts(&mut self, place: Place<'a>) {
        if place.page.is_hole() {
            (self.tell)(Fault::BadPage("a hole in the file").on(place.number));
        } else if !place.page.accounts() {
            (self.tell)(Fault::BadPage("free space is not what the pairs leave").on(place.number));
        }
    }
}

impl<'a> Source<'a> for Checker<'_, 'a, '_> {
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        let place = self.walker.follow(from, address)?;
        let header = &self.table.header;
        let bit = header.overflow_page(address).map(|overflow| header.bit_of(overflow.ordinal));
        let used = bit.is_some_and(|bit| match self.maps.get(bit.map) {
            Some(Some(map)) => header.is_set(map, bit.bit) && bit.bit > 0,
            _ => true,
        });
        if !used {
            (self.tell)(Fault::BadPage("in use, and not marked as a page in use").on(place.number));
        }
        self.accounts(place);
        Ok(place)
    }
}

/// Follows links without remembering where it was, but not for ever.
struct Search<'s, 'a, 'b> {
    table: &'s Table<'a>,
    budget: &'b mut usize,
}

impl<'a> Source<'a> for Search<'_, 'a, '_> {
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        *self.budget = self.budget.checked_sub(1).ok_or(Fault::Loop.on(from))?;
        self.table.linked(from, address)
    }
}
