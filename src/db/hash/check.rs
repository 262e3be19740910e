//! The checker. In: the image of a whole file. Out: everything that is wrong with its structure.
//!
//! A file that libc closed properly is sound, and so is a file in which a writer was killed between two
//! writes of [`super::write`]: it may have pages in use that nothing links to, keys that a split has copied
//! to their new bucket but not yet removed from the old one, and an outdated number of keys. Everything
//! else is reported: libc can write a sound file without losing a pair or accessing memory out of bounds.

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
use super::sound::{Maps, WRONG_BUCKET, require_account};
use super::walk::{Chain, Place, Source};
use crate::db::{Damage, Fault};

/// How many pages, beyond the number in the file, the search for copies of misplaced keys may visit.
const LEFTOVER_PAGES: usize = 4096;

impl Table<'_> {
    /// Walks the whole structure and reports every fault; a sound file has none.
    ///
    /// The work is at most a small multiple of the image's length, whatever it contains.
    pub fn check(&self, tell: &mut dyn FnMut(Damage)) {
        self.header.faults().for_each(|fault| tell(fault.on(0)));
        let pages = self.image.len().wrapping_shr(self.header.bshift);
        let budget = pages.saturating_add(LEFTOVER_PAGES);
        let maps = Maps::of(self, tell);
        let note = Note::decode(self.image);
        self.unmade(note, tell);
        let unfinished = note.is_some();
        let walker = Walker::new(self);
        let mut checker = Checker { table: self, walker, maps, unfinished, budget, tell };
        for bucket in 0..=self.header.max_bucket {
            match self.head(bucket) {
                Ok(head) => checker.bucket(bucket, head),
                Err(damage) => {
                    (checker.tell)(damage);
                    // Later buckets are after this one: reporting it once is enough.
                    if damage.fault == Fault::BeyondEnd {
                        break;
                    }
                }
            }
        }
    }
}

struct Checker<'s, 'a, 't> {
    table: &'s Table<'a>,
    walker: Walker<'s, 'a>,
    maps: Maps<'a>,
    /// Whether a split was not finished, so that copies of pairs may be left in their old bucket.
    unfinished: bool,
    /// How many more pages may be visited in search of copies of misplaced keys.
    budget: usize,
    tell: &'t mut dyn FnMut(Damage),
}

impl<'a> Checker<'_, 'a, '_> {
    fn bucket(&mut self, bucket: u32, head: Place<'a>) {
        if let Err(damage) = self.table.require_head(bucket, head) {
            (self.tell)(damage);
        }
        let mut chain = Chain::new(head);
        while let Some(item) = chain.next(self) {
            match item {
                Err(damage) => (self.tell)(damage),
                Ok(record) => {
                    let home = self.table.header.bucket_of(hash(&record.key));
                    if home != bucket && !self.unfinished && !self.is_copy(&record.key, home) {
                        (self.tell)(WRONG_BUCKET.on(chain.page()));
                    }
                }
            }
        }
    }

    /// Whether the key is in its own bucket too, because of an unfinished split.
    fn is_copy(&mut self, key: &[u8], home: u32) -> bool {
        let Ok(head) = self.table.head(home) else {
            return false;
        };
        let mut chain = Chain::new(head);
        let mut search = Search { table: self.table, budget: &mut self.budget };
        std::iter::from_fn(|| chain.next(&mut search)).flatten().any(|record| record.key == key)
    }
}

impl<'a> Source<'a> for Checker<'_, 'a, '_> {
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        let place = self.walker.follow(from, address)?;
        let header = &self.table.header;
        if let Err(damage) = self.maps.require_used(header, address, place) {
            (self.tell)(damage);
        }
        if let Err(damage) = require_account(place) {
            (self.tell)(damage);
        }
        Ok(place)
    }
}

/// Follows links without remembering pages, but only for a limited number of steps.
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
