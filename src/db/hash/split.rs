//! The table grown by one bucket: linear hashing's split, in an order of writes that survives a kill.
//!
//! The header decides whether the new bucket is part of the table, so its page must be written first
//! and the old bucket may drop what has moved only afterwards. But libc, when it comes to split the
//! same bucket, reads the new bucket's page from the file and puts pairs behind those it finds there,
//! without asking whether they fit unless the old bucket has overflow pages (`__split_page()`,
//! `ugly_split()` in lib/libc/db/hash/hash_page.c). So the old bucket is made one that has nothing on its
//! own page before the new page is written. In order:
//!
//! 1. a copy of the old bucket's page, as an overflow page, and the pages that it will need afterwards;
//! 2. bitmaps; the header, with a [`Note`] of what is going on;
//! 3. the old bucket's page, now nothing but a link to the copy;
//! 4. the new bucket's page, with the pairs that move: it must hold them all, since a link on it would
//!    hide what libc puts behind it;
//! 5. the header, with the new bucket in the table;
//! 6. the old bucket's page, with what stays, leading past the copy;
//! 7. bitmaps; the header without the note.
//!
//! A note found at opening is acted upon before the next change ([`Writer::finish_split`]): the new
//! page is emptied if the table does not know of it, or the pairs that have moved are taken from where
//! they were.
//!
//! A split that cannot be done so is left to libc, which makes up for it by itself: it splits at every
//! put as long as the table has more pairs than it should.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::chain::{Loaded, Node};
use super::edit::PageBuf;
use super::header::{Header, SPLIT_POINTS, generation, hash};
use super::note::Note;
use super::write::Writer;
use crate::db::file::PageFile;
use crate::db::{Damage, EngineError, Fault, Record};

/// `DSIZE = dirsize << 1` in `__expand_table()`, where `dirsize` is in bytes of 8-byte pointers.
const DIRECTORY_GROWTH: i32 = 16;

impl<F: PageFile> Writer<F> {
    /// Looks at the bucket whose turn it is to be split, before a change that may lead to it.
    pub(super) fn look_ahead(&self) -> Result<(), EngineError> {
        self.load(self.header.next_split().from).map(drop)
    }

    /// Splits the bucket whose turn it is, if that can be done safely.
    pub(super) fn expand(&mut self) -> Result<(), EngineError> {
        let Some(grown) = grow(&self.header) else { return Ok(()) };
        let Note { from, to } = self.header.next_split();
        let chain = self.load(from)?;
        let records: Vec<_> = chain.records()?.into_iter().map(|(_, record)| record).collect();
        let home = |record: &Record<'_>| grown.bucket_of(hash(&record.key));
        let moving = records.iter().filter(|record| home(record) == to);
        let Some(new) = self.single_page(moving) else { return Ok(()) };
        let kept = self.pack(records.iter().filter(|record| home(record) == from))?;
        if new.view().entries() > 0 {
            return self.split(Note { from, to }, &chain, &new, kept);
        }
        let place = grown.bucket_page(to);
        if self.is_vacant(place) {
            self.write_page(place, &new)?;
            self.header = grown;
            self.commit()?;
        }
        Ok(())
    }

    fn split(
        &mut self,
        note: Note,
        chain: &Loaded,
        new: &PageBuf,
        kept: Vec<PageBuf>,
    ) -> Result<(), EngineError> {
        let Some(head) = chain.nodes.first() else { return Ok(()) };
        let copy = self.write_chain_as_it_is(head)?;
        let (kept, tail) = self.write_tail(kept)?;
        // Only now is the place of the new bucket known: a new generation begins behind all pages made.
        let Some(grown) = grow(&self.header) else { return Ok(()) };
        let place = grown.bucket_page(note.to);
        if !self.is_vacant(place) {
            return self.free(tail.into_iter().chain([copy]));
        }
        self.note = Some(note);
        self.commit()?;
        self.set_aside(head, copy)?;
        self.write_page(place, new)?;
        self.header = grown;
        self.commit()?;
        self.write_page(head.number, &kept)?;
        self.note = None;
        self.free(chain.nodes.iter().filter_map(|node| node.address).chain([copy]))
    }

    /// Writes a copy of a bucket's own page, link included, to an overflow page: its address.
    fn write_chain_as_it_is(&mut self, head: &Node) -> Result<u16, EngineError> {
        let address = self.pages.take(&mut self.header)?;
        let place = self.header.overflow_page(address).ok_or(Fault::BadLink.on(0))?;
        self.write_page(place.page, &head.page)?;
        Ok(address)
    }

    /// Leaves nothing on a bucket's own page but the link to its copy.
    fn set_aside(&mut self, head: &Node, copy: u16) -> Result<(), EngineError> {
        let mut page = PageBuf::blank(head.page.bytes().len(), self.header.order);
        page.link(copy);
        self.write_page(head.number, &page)
    }

    /// Whether nothing is on a page, or the file ends before it.
    fn is_vacant(&self, number: u32) -> bool {
        match self.read_page(number) {
            Ok(page) => page.view().entries() == 0,
            Err(EngineError::Damaged(Damage { fault, .. })) => fault == Fault::BeyondEnd,
            Err(_) => false,
        }
    }

    /// One page with all these pairs, if there can be such a page.
    fn single_page<'r, 'a: 'r>(
        &self,
        records: impl Iterator<Item = &'r Record<'a>>,
    ) -> Option<PageBuf> {
        let size = usize::try_from(self.header.bsize).ok()?;
        let mut page = PageBuf::blank(size, self.header.order);
        for record in records {
            if !page.fits(&record.key, &record.value) {
                return None;
            }
            page.put(&record.key, &record.value);
        }
        Some(page)
    }

    /// As many pages as these pairs take, none of them linked; the first is the bucket's own, on which
    /// no big pair can begin.
    fn pack<'r, 'a: 'r>(
        &self,
        records: impl Iterator<Item = &'r Record<'a>>,
    ) -> Result<Vec<PageBuf>, EngineError> {
        let size = usize::try_from(self.header.bsize).unwrap_or(0);
        let mut pages = vec![PageBuf::blank(size, self.header.order)];
        for Record { key, value } in records {
            match pages.last_mut().filter(|page| page.fits(key, value)) {
                Some(page) => page.put(key, value),
                None => pages.extend(self.pages_for(key, value)?),
            }
        }
        Ok(pages)
    }

    /// Writes all pages but the first; gives that, leading to the others, and their addresses.
    fn write_tail(&mut self, mut pages: Vec<PageBuf>) -> Result<(PageBuf, Vec<u16>), EngineError> {
        let tail = pages.split_off(1.min(pages.len()));
        let mut head = pages.pop().ok_or(EngineError::Refused("no pages to write"))?;
        let addresses = self.write_chain(tail)?;
        if let Some(address) = addresses.first() {
            head.set_next(*address);
        }
        Ok((head, addresses))
    }

    /// Does what is left to do of a split that was begun and not finished.
    pub(super) fn finish_split(&mut self) -> Result<(), EngineError> {
        let Some(Note { from, to }) = self.note else { return Ok(()) };
        if to <= self.header.max_bucket {
            self.purge(from)?;
            // libc may have split the old bucket once more since.
            let later = to.saturating_add(1)..=self.header.max_bucket;
            for bucket in later.filter(|bucket| descends(*bucket, from)) {
                self.purge(bucket)?;
            }
        } else if self.header.max_bucket.saturating_add(1) == to
            && let Some(grown) = grow(&self.header)
            && !self.is_vacant(grown.bucket_page(to))
        {
            let size = usize::try_from(self.header.bsize).unwrap_or(0);
            let blank = PageBuf::blank(size, self.header.order);
            self.write_page(grown.bucket_page(to), &blank)?;
        }
        self.note = None;
        self.commit()
    }

    /// Takes what belongs into other buckets out of one.
    fn purge(&mut self, bucket: u32) -> Result<(), EngineError> {
        let chain = self.load(bucket)?;
        let records: Vec<_> = chain.records()?.into_iter().map(|(_, record)| record).collect();
        let at_home = |record: &&Record<'_>| self.header.bucket_of(hash(&record.key)) == bucket;
        if records.iter().all(|record| at_home(&record)) {
            return Ok(());
        }
        let kept = self.pack(records.iter().filter(at_home))?;
        let (head, _) = self.write_tail(kept)?;
        self.commit()?;
        self.write_page(self.header.bucket_page(bucket), &head)?;
        self.free(chain.nodes.iter().filter_map(|node| node.address))
    }
}

impl Header {
    /// The bucket that would come next, and the one that it takes its pairs from.
    fn next_split(&self) -> Note {
        let to = self.max_bucket.saturating_add(1);
        let mask = if to > self.high_mask { self.high_mask } else { self.low_mask };
        Note { from: to & mask, to }
    }
}

/// The header with one bucket more (`__expand_table()`); `None` if it cannot have one.
fn grow(header: &Header) -> Option<Header> {
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

/// Whether a bucket came to be by splitting another, or one that came of it.
fn descends(mut bucket: u32, ancestor: u32) -> bool {
    while bucket > ancestor {
        bucket &= !(1 << (generation(bucket) - 1));
    }
    bucket == ancestor
}
