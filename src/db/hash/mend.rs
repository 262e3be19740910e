//! Repairs what an interrupted batch of ours has left, before the next change.
//!
//! The note says which buckets were being made. Other programs may have changed the file since, so it only
//! says where to look: every pair in these buckets that belongs in another is copied there unless it is
//! already there, and is removed only once that is on the disk. The same holds for the pages of new buckets
//! that the header does not know: if libc made the same bucket and was killed too, its pairs may be nowhere
//! else.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::chain::{Bucket, Node};
use super::commit::ancestor;
use super::header::hash;
use super::note::Note;
use super::store::Writer;
use crate::db::file::PageFile;
use crate::db::{EngineError, Record};
use std::collections::BTreeSet;

impl<F: PageFile> Writer<F> {
    /// Completes an interrupted batch.
    pub(super) fn mend(&mut self) -> Result<(), EngineError> {
        let Some(note) = self.note.filter(|_| !self.is_mended) else { return Ok(()) };
        let buckets = self.named_by(note);
        let unmade = self.unmade(note);
        for &bucket in &buckets {
            self.bring_home(bucket)?;
        }
        for chain in unmade {
            for (_, Record { key, value }) in chain.records()? {
                self.put_missing(&key, &value)?;
            }
        }
        self.commit()?;
        for bucket in buckets {
            self.drop_strays(bucket)?;
        }
        self.vacate(note);
        self.is_mended = true;
        Ok(())
    }

    /// The value of a key that an interrupted batch may have left where it came from, or where it was going.
    pub(super) fn value_left(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let Some(note) = self.note.filter(|_| !self.is_mended) else { return Ok(None) };
        for bucket in self.named_by(note) {
            if let Some(value) = self.value_in(bucket, key)? {
                return Ok(Some(value));
            }
        }
        for chain in self.unmade(note) {
            let found = chain.records()?.into_iter().find(|(_, record)| *record.key == *key);
            if let Some((_, record)) = found {
                return Ok(Some(record.value.into_owned()));
            }
        }
        Ok(None)
    }

    /// The buckets that a note names: the new ones, and those from which they get their pairs.
    fn named_by(&self, note: Note) -> BTreeSet<u32> {
        let last = self.header.max_bucket;
        let made = note.from.saturating_add(1)..=last;
        // The next doubling takes pairs from all buckets.
        let to = note.to.min(last.saturating_mul(2).saturating_add(1));
        let new = note.from.saturating_add(1)..=to;
        let givers = new.map(|bucket| ancestor(bucket, note.from));
        givers.filter(|bucket| *bucket <= last).chain(made).collect()
    }

    /// Copies pairs in the wrong bucket to the right one, unless the key is already there.
    fn bring_home(&mut self, bucket: u32) -> Result<(), EngineError> {
        let chain = self.load(bucket)?;
        for (_, Record { key, value }) in chain.records()? {
            if self.header.bucket_of(hash(&key)) != bucket {
                self.put_missing(&key, &value)?;
            }
        }
        Ok(())
    }

    /// Removes pairs that belong in other buckets.
    fn drop_strays(&mut self, bucket: u32) -> Result<(), EngineError> {
        let chain = self.load(bucket)?;
        let records: Vec<_> = chain.records()?.into_iter().map(|(_, record)| record).collect();
        let at_home = |record: &&Record<'_>| self.header.bucket_of(hash(&record.key)) == bucket;
        if records.iter().all(|record| at_home(&record)) {
            return Ok(());
        }
        let (head, tail) = self.pack(records.iter().filter(at_home))?;
        self.replace_chain(&chain, head, tail)
    }

    /// The pages of new buckets that the header does not know, each as a chain, as far as they have pairs. A
    /// page that was written in part has none that are not elsewhere, and no big pair begins on one.
    fn unmade(&self, note: Note) -> Vec<Bucket> {
        let chain = |number| {
            let page = self.read_page(number).ok()?;
            let is_part = page.view().big_mark().is_some();
            let chain = Bucket { nodes: vec![Node { number, address: None, page }] };
            (!is_part && chain.records().is_ok()).then_some(chain)
        };
        self.places(note).into_iter().filter_map(chain).collect()
    }

    /// Empties the pages of new buckets that were never completed: libc would put pairs after what is
    /// there.
    fn vacate(&mut self, note: Note) {
        for place in self.places(note) {
            if !self.read_page(place).is_ok_and(|page| page.view().entries() == 0) {
                self.write_page(place, self.blank());
            }
        }
    }

    /// The pages of new buckets that the header does not know, as far as they are in the file.
    fn places(&self, note: Note) -> Vec<u32> {
        let places = self.header.later_buckets(note.to).map(|(_, place)| place);
        places.take_while(|place| self.offset(*place) < self.length).collect()
    }
}
