//! Mending: what a split that was cut short has left is put right before the next change.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::header::{generation, hash};
use super::note::{NewBucket, Note};
use super::split::{divide, grow};
use super::store::Writer;
use crate::db::file::PageFile;
use crate::db::{EngineError, Record};

impl<F: PageFile> Writer<F> {
    /// Does what is left to do of a split that was begun and not finished.
    pub(super) fn finish_split(&mut self) -> Result<(), EngineError> {
        let Some(Note { from, to, new }) = self.note else { return Ok(()) };
        if to <= self.header.max_bucket {
            self.purge(from, new)?;
            // libc may have split the old bucket once more since.
            let later = to.saturating_add(1)..=self.header.max_bucket;
            for bucket in later.filter(|bucket| descends(*bucket, from)) {
                self.purge(bucket, new)?;
            }
        } else if self.header.max_bucket.saturating_add(1) == to
            && let Some(grown) = grow(&self.header)
            && !self.is_vacant(grown.bucket_page(to))
        {
            self.write_page(grown.bucket_page(to), &self.blank())?;
        }
        self.note = None;
        self.commit()
    }

    /// Takes what belongs into other buckets out of one. Of a new bucket that was not whole, pairs may be
    /// left here alone: they are put where they belong first.
    fn purge(&mut self, bucket: u32, new: NewBucket) -> Result<(), EngineError> {
        let chain = self.load(bucket)?;
        let records: Vec<_> = chain.records()?.into_iter().map(|(_, record)| record).collect();
        let at_home = |record: &&Record<'_>| self.header.bucket_of(hash(&record.key)) == bucket;
        if records.iter().all(|record| at_home(&record)) {
            return Ok(());
        }
        let kept = self.pack(records.iter().filter(at_home))?;
        if new == NewBucket::FirstPage {
            let strays: Vec<_> = records.iter().filter(|record| !at_home(record)).collect();
            for Record { key, value } in strays {
                self.put_missing(key, value)?;
            }
        }
        let (head, tail) = divide(kept);
        let addresses = self.take(tail.len())?;
        self.commit()?;
        self.write_chain(tail, &addresses)?;
        let head = self.linked(head, &addresses);
        self.write_page(self.header.bucket_page(bucket), &head)?;
        self.free(chain.nodes.iter().filter_map(|node| node.address))
    }
}

/// Whether a bucket came to be by splitting another, or one that came of it.
fn descends(mut bucket: u32, ancestor: u32) -> bool {
    while bucket > ancestor {
        bucket &= !(1 << (generation(bucket) - 1));
    }
    bucket == ancestor
}
