//! Mending: what a batch that was cut short has left is put right before the next change.
//!
//! The note says which buckets were about to be made. It may be older than what other programs have done to
//! the file since, so it is believed in nothing but where to look: every pair of those buckets that belongs into
//! another is put there unless it is seen there, and that is on the disk before any is dropped.

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
    /// Does what is left to do of a batch that was cut short.
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

    /// The buckets that a batch which was cut short may have left in disorder.
    pub(super) fn unmended(&self) -> BTreeSet<u32> {
        let note = self.note.filter(|_| !self.is_mended);
        note.map_or_else(BTreeSet::new, |note| self.named_by(note))
    }

    /// The buckets that a note speaks of: the new ones, and those that they take their pairs from.
    fn named_by(&self, note: Note) -> BTreeSet<u32> {
        let last = self.header.max_bucket;
        let made = note.from.saturating_add(1)..=last;
        // The next doubling takes from all buckets.
        let to = note.to.min(last.saturating_mul(2).saturating_add(1));
        let new = note.from.saturating_add(1)..=to;
        let givers = new.map(|bucket| ancestor(bucket, note.from));
        givers.filter(|bucket| *bucket <= last).chain(made).collect()
    }

    /// Puts what is in the wrong bucket where it belongs, unless its key is there.
    fn bring_home(&mut self, bucket: u32) -> Result<(), EngineError> {
        let chain = self.load(bucket)?;
        for (_, Record { key, value }) in chain.records()? {
            if self.header.bucket_of(hash(&key)) != bucket {
                self.put_missing(&key, &value)?;
            }
        }
        Ok(())
    }

    /// Takes what belongs into other buckets out of one.
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

    /// Empties the pages of new buckets that did not come to be: libc would put pairs behind what is there.
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
