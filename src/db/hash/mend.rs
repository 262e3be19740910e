//! Repairs what an interrupted batch of ours has left, before the next change.
//!
//! The note says which buckets were being made. Other programs may have changed the file since, so it only
//! says where to look: every pair in these buckets that belongs in another is copied there unless it is
//! already there, and is removed only once that is on the disk.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::commit::ancestor;
use super::header::hash;
use super::note::Note;
use super::split::grow;
use super::store::Writer;
use crate::db::file::PageFile;
use crate::db::{EngineError, Record};
use std::collections::BTreeSet;

impl<F: PageFile> Writer<F> {
    /// Completes an interrupted batch.
    pub(super) fn mend(&mut self) -> Result<(), EngineError> {
        let Some(note) = self.note.filter(|_| !self.is_mended) else { return Ok(()) };
        let buckets = self.named_by(note);
        for &bucket in &buckets {
            self.bring_home(bucket)?;
        }
        self.commit()?;
        for bucket in buckets {
            self.drop_strays(bucket)?;
        }
        self.vacate(note)?;
        self.is_mended = true;
        Ok(())
    }

    /// The buckets that an interrupted batch may have left in disorder.
    pub(super) fn unmended(&self) -> BTreeSet<u32> {
        let note = self.note.filter(|_| !self.is_mended);
        note.map_or_else(BTreeSet::new, |note| self.named_by(note))
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

    /// Empties the pages of new buckets that were never completed: libc would put pairs after what is
    /// there.
    fn vacate(&mut self, note: Note) -> Result<(), EngineError> {
        let mut header = self.header.clone();
        while let Some(grown) = grow(&header)
            && grown.max_bucket <= note.to
        {
            let place = grown.bucket_page(grown.max_bucket);
            if self.offset(place) >= self.length {
                break;
            }
            if !self.is_vacant(place) {
                self.write_page(place, self.blank());
            }
            header = grown;
        }
        Ok(())
    }
}
