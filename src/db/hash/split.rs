//! The table grown by one bucket: linear hashing's split, in an order of writes that survives a kill.
//!
//! The header decides whether the new bucket is part of the table, so its page must be written first
//! and the old bucket may drop what has moved only afterwards. But libc, when it comes to split the
//! same bucket, reads the new bucket's page from the file and puts pairs behind those it finds there,
//! without asking whether they fit unless the old bucket has overflow pages (`__split_page()`,
//! `ugly_split()` in lib/libc/db/hash/hash_page.c). So the old bucket is made one that has nothing on its
//! own page before the new page is written. In order:
//!
//! 1. bitmaps; the header, with a [`Note`] of what is going on;
//! 2. a copy of the old bucket's page, as an overflow page, and the pages that it will need afterwards;
//! 3. the old bucket's page, now nothing but a link to the copy;
//! 4. the new bucket's page, with the pairs that move, but without a link, which would hide what libc puts
//!    behind it;
//! 5. the header, with the new bucket in the table;
//! 6. if the pairs that move take more than one page, the new bucket's page again, now with its link;
//! 7. the old bucket's page, with what stays, leading past the copy;
//! 8. bitmaps; the header without the note.
//!
//! Killed between 5 and 6, the file has every pair in the old bucket for whoever walks it, but a search
//! misses those of the further pages until the split is finished. Nothing else is to be had: the new
//! bucket and the header cannot be written at once.
//!
//! A note found at opening is acted upon before the next change ([`Writer::finish_split`]): the new
//! page is emptied if the table does not know of it, or the pairs that have moved are taken from where
//! they were.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::chain::Bucket;
use super::edit::PageBuf;
use super::header::{Header, SPLIT_POINTS, generation, hash};
use super::note::{NewBucket, Note};
use super::store::Writer;
use crate::db::file::PageFile;
use crate::db::{Damage, EngineError, Fault, Record};

/// `DSIZE = dirsize << 1` in `__expand_table()`, where `dirsize` is in bytes of 8-byte pointers.
const DIRECTORY_GROWTH: i32 = 16;

impl<F: PageFile> Writer<F> {
    /// Looks at the bucket whose turn it is to be split, before a change that may lead to it.
    pub(super) fn look_ahead(&self) -> Result<(), EngineError> {
        self.load(self.header.next_split().0).map(drop)
    }

    /// Splits the bucket whose turn it is, if that can be done safely.
    pub(super) fn expand(&mut self) -> Result<(), EngineError> {
        let Some(grown) = grow(&self.header) else { return Ok(()) };
        let (from, to) = self.header.next_split();
        let chain = self.load(from)?;
        let records: Vec<_> = chain.records()?.into_iter().map(|(_, record)| record).collect();
        let home = |record: &Record<'_>| grown.bucket_of(hash(&record.key));
        let moving = self.pack(records.iter().filter(|record| home(record) == to))?;
        let kept = self.pack(records.iter().filter(|record| home(record) == from))?;
        if records.iter().any(|record| home(record) == to) {
            let new = if moving.len() > 1 { NewBucket::FirstPage } else { NewBucket::Whole };
            return self.split(Note { from, to, new }, &chain, moving, kept);
        }
        let place = grown.bucket_page(to);
        if self.is_vacant(place) {
            self.write_page(place, &self.blank())?;
            self.header = grown;
            self.commit()?;
        }
        Ok(())
    }

    fn split(
        &mut self,
        note: Note,
        chain: &Bucket,
        moving: Vec<PageBuf>,
        kept: Vec<PageBuf>,
    ) -> Result<(), EngineError> {
        let Some(head) = chain.nodes.first() else { return Ok(()) };
        let (kept, kept_tail) = divide(kept);
        let (new, new_tail) = divide(moving);
        let copy = self.take(1)?;
        let kept_at = self.take(kept_tail.len())?;
        let new_at = self.take(new_tail.len())?;
        // Only now is the place of the new bucket known: a new generation begins behind all pages made.
        let Some(grown) = grow(&self.header) else { return Ok(()) };
        let place = grown.bucket_page(note.to);
        if !self.is_vacant(place) {
            return self.free(copy.into_iter().chain(kept_at).chain(new_at));
        }
        self.note = Some(note);
        self.commit()?;
        self.write_chain(vec![head.page.clone()], &copy)?;
        self.write_chain(kept_tail, &kept_at)?;
        self.write_chain(new_tail, &new_at)?;
        self.write_page(head.number, &self.linked(None, &copy))?;
        self.write_page(place, &self.linked(new.clone(), &[]))?;
        self.header = grown;
        self.commit()?;
        if note.new == NewBucket::FirstPage {
            self.write_page(place, &self.linked(new, &new_at))?;
        }
        self.write_page(head.number, &self.linked(kept, &kept_at))?;
        self.note = None;
        self.free(chain.nodes.iter().filter_map(|node| node.address).chain(copy))
    }

    /// A page, or a blank one, that leads to the first of these addresses.
    pub(super) fn linked(&self, page: Option<PageBuf>, addresses: &[u16]) -> PageBuf {
        let mut page = page.unwrap_or_else(|| self.blank());
        if let Some(address) = addresses.first() {
            page.set_next(*address);
        }
        page
    }

    pub(super) fn blank(&self) -> PageBuf {
        PageBuf::blank(usize::try_from(self.header.bsize).unwrap_or(0), self.header.order)
    }

    /// Whether nothing is on a page, or the file ends before it.
    pub(super) fn is_vacant(&self, number: u32) -> bool {
        match self.read_page(number) {
            Ok(page) => page.view().entries() == 0,
            // A full disk may have cut a page there.
            Err(EngineError::Damaged(Damage { fault, .. })) => {
                matches!(fault, Fault::BeyondEnd | Fault::Cut)
            }
            Err(_) => false,
        }
    }

    /// As many pages as these pairs take, none of them linked; the first is the bucket's own, on which
    /// no big pair can begin.
    pub(super) fn pack<'r, 'a: 'r>(
        &self,
        records: impl Iterator<Item = &'r Record<'a>>,
    ) -> Result<Vec<PageBuf>, EngineError> {
        let mut pages = vec![self.blank()];
        for Record { key, value } in records {
            match pages.last_mut().filter(|page| page.fits(key, value)) {
                Some(page) => page.put(key, value),
                None => pages.extend(self.pages_for(key, value)?),
            }
        }
        Ok(pages)
    }
}

impl Header {
    /// The bucket that the next one takes its pairs from, and the next one.
    fn next_split(&self) -> (u32, u32) {
        let to = self.max_bucket.saturating_add(1);
        let mask = if to > self.high_mask { self.high_mask } else { self.low_mask };
        (to & mask, to)
    }
}

/// The first page, and the others.
pub(super) fn divide(mut pages: Vec<PageBuf>) -> (Option<PageBuf>, Vec<PageBuf>) {
    let tail = pages.split_off(1.min(pages.len()));
    (pages.pop(), tail)
}

/// The header with one bucket more (`__expand_table()`); `None` if it cannot have one.
pub(super) fn grow(header: &Header) -> Option<Header> {
    let mut grown = header.clone();
    grown.max_bucket = header.max_bucket.checked_add(1)?;
    let segment = grown.max_bucket.checked_shr(u32::try_from(header.sshift).ok()?)?;
    if i64::from(segment) >= i64::from(header.dsize) {
        grown.dsize = header.dsize.checked_mul(DIRECTORY_GROWTH)?;
    }
    let split = generation(grown.max_bucket);
    if split > header.ovfl_point {
        let at = usize::try_from(split).ok().filter(|at| *at < SPLIT_POINTS)?;
        *grown.spares.get_mut(at)? = header.overflow_pages();
        grown.ovfl_point = split;
    }
    if grown.max_bucket > header.high_mask {
        grown.low_mask = header.high_mask;
        grown.high_mask = grown.max_bucket | grown.low_mask;
    }
    // Past these, libc's int and this file's page numbers run out.
    (grown.max_bucket < i32::MAX as u32 / 2).then_some(grown)
}
