//! Grows the table by one bucket: the split of linear hashing, as in `__expand_table()` and
//! `__split_page()` in lib/libc/db/hash. The pairs that stay and those that move are packed again, on newly
//! allocated pages and on the two buckets' own; [`super::commit`] explains the order in which they are
//! written.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::commit::ancestor;
use super::edit::PageBuf;
use super::header::{Header, SPLIT_POINTS, generation, hash};
use super::store::Writer;
use crate::db::file::PageFile;
use crate::db::{Damage, EngineError, Fault, Record};

/// `DSIZE = dirsize << 1` in `__expand_table()`, where `dirsize` is in bytes of 8-byte pointers.
const DIRECTORY_GROWTH: i32 = 16;

impl<F: PageFile> Writer<F> {
    /// Splits the next bucket, if that can be done safely.
    pub(super) fn expand(&mut self) -> Result<(), EngineError> {
        let (from, to) = self.header.next_split();
        let Some(grown) = grow(&self.header) else { return Ok(()) };
        let chain = self.load(from)?;
        let records: Vec<_> = chain.records()?.into_iter().map(|(_, record)| record).collect();
        let home = |record: &Record<'_>| grown.bucket_of(hash(&record.key));
        let moving = records.iter().filter(|record| home(record) == to);
        let moves = moving.clone().next().is_some();
        let (new, new_tail) = self.pack(moving)?;
        let (kept, kept_tail) = self.pack(records.iter().filter(|record| home(record) == from))?;
        let giver = ancestor(from, self.written.max_bucket);
        let copy = usize::from(!self.copies.contains_key(&giver));
        let count = new_tail.len().saturating_add(kept_tail.len()).saturating_add(copy);
        let mut addresses = match self.take(count) {
            Err(EngineError::Refused(_)) => return Ok(()),
            addresses => addresses?,
        };
        // Only now is the place of the new bucket known: a new generation begins after all existing pages.
        let Some(grown) = grow(&self.header) else { return self.free(addresses) };
        let place = grown.bucket_page(to);
        if !self.is_vacant(place) {
            return self.free(addresses);
        }
        if copy > 0
            && let Some(copy) = addresses.pop()
        {
            self.copies.insert(giver, copy);
        }
        self.header = grown;
        let new_at = addresses.split_off(kept_tail.len());
        self.write_chain(new_tail, &new_at)?;
        self.write_page(place, self.linked(new, &new_at));
        if moves {
            self.write_chain(kept_tail, &addresses)?;
            let head = self.linked(kept, &addresses);
            self.write_page(self.header.bucket_page(from), head);
            return self.free(chain.nodes.iter().filter_map(|node| node.address));
        }
        self.free(addresses)
    }

    /// The page with a link to the first of these addresses, if there are any.
    pub(super) fn linked(&self, mut page: PageBuf, addresses: &[u16]) -> PageBuf {
        if let Some(address) = addresses.first() {
            page.set_next(*address);
        }
        page
    }

    pub(super) fn blank(&self) -> PageBuf {
        PageBuf::blank(self.page_size(), self.header.order)
    }

    /// Whether a page is empty, or the file ends before it.
    pub(super) fn is_vacant(&self, number: u32) -> bool {
        match self.read_page(number) {
            Ok(page) => page.view().entries() == 0,
            // A full disk may have truncated a page there.
            Err(EngineError::Damaged(Damage { fault, .. })) => {
                matches!(fault, Fault::BeyondEnd | Fault::Cut)
            }
            Err(_) => false,
        }
    }

    /// Packs pairs on as many pages as they need, without links: the bucket's own page, where no big pair
    /// can begin, and further pages.
    pub(super) fn pack<'r, 'a: 'r>(
        &self,
        records: impl Iterator<Item = &'r Record<'a>>,
    ) -> Result<(PageBuf, Vec<PageBuf>), EngineError> {
        let (mut head, mut tail) = (self.blank(), Vec::<PageBuf>::new());
        for Record { key, value } in records {
            let last = tail.last_mut().unwrap_or(&mut head);
            if last.fits(key, value) {
                last.put(key, value);
            } else {
                tail.extend(self.pages_for(key, value)?);
            }
        }
        Ok((head, tail))
    }
}

impl Header {
    /// The next bucket to split, and the new one.
    fn next_split(&self) -> (u32, u32) {
        let to = self.max_bucket.saturating_add(1);
        let mask = if to > self.high_mask { self.high_mask } else { self.low_mask };
        (to & mask, to)
    }

    /// The buckets that will be made next, up to `last`, each with its page.
    pub(super) fn later_buckets(&self, last: u32) -> impl Iterator<Item = (u32, u32)> {
        let mut header = self.clone();
        std::iter::from_fn(move || {
            header = grow(&header)?;
            let bucket = header.max_bucket;
            (bucket <= last).then(|| (bucket, header.bucket_page(bucket)))
        })
    }
}

/// The header with one more bucket (`__expand_table()`); `None` if it cannot have one.
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
    // Beyond these, libc's int and the page numbers of this file overflow.
    (grown.max_bucket < i32::MAX as u32 / 2).then_some(grown)
}
