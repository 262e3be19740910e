//! The reader. In: the image of a whole file. Out: its pairs, bucket by bucket.
//!
//! Called by [`crate::db::snapshot`] and by the checker. The image is untrusted; its length bounds the
//! work, since each bucket's page and each overflow page is visited at most once.
//!
//! libc treats a page beyond the end of the file as empty, but here it is a fault: libc writes every
//! bucket's page when it makes the bucket, so the file has lost its end, and hosts on the lost pages must
//! not be judged as if nothing were known about them.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::header::{Header, MAGIC, Overflow};
use super::page::Page;
use super::sound::Sound;
use super::walk::{Chain, Piece, Place, Source};
use crate::db::{ByteOrder, Damage, Fault, Record};

/// The image of a hash file with a valid header.
#[derive(Debug)]
pub struct Table<'a> {
    pub(super) header: Header,
    pub(super) image: &'a [u8],
}

/// Whether the first bytes are this format's magic number.
pub fn has_magic(image: &[u8]) -> bool {
    image.first_chunk() == Some(&MAGIC.to_be_bytes())
}

impl<'a> Table<'a> {
    /// Takes the bytes of a whole file and checks its header.
    ///
    /// # Errors
    ///
    /// The file ends within its first page, or the header is not valid; always on page 0.
    pub fn new(image: &'a [u8]) -> Result<Self, Damage> {
        let header = Header::decode(image).map_err(|fault| fault.on(0))?;
        let table = Table { header, image };
        table.bytes(0).map_err(|_| Fault::TooShort.on(0))?;
        Ok(table)
    }

    /// The byte order of pages and values.
    pub fn byte_order(&self) -> ByteOrder {
        self.header.order
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u32 {
        self.header.bsize
    }

    /// Every pair that can be reached, in the order of libc's own walk, with the faults met in between, at
    /// most one in each bucket. Pairs after a big pair, which libc's walk skips, are included.
    pub fn records(&self) -> Records<'_, 'a> {
        Records(Buckets::new(self, Walker::new(self), Demand::Sense))
    }

    /// The same, a page at a time, and with all conditions of [`Table::check`]: a table that passes that
    /// check has no faults here, and any other has at least one, which ends its bucket.
    pub fn pieces(&self) -> Pieces<'_, 'a> {
        Pieces::new(self)
    }

    /// The bytes of the page with this number.
    pub(super) fn bytes(&self, number: u32) -> Result<&'a [u8], Fault> {
        let rest = self.bytes_from(number).ok_or(Fault::BeyondEnd)?;
        let size = usize::try_from(self.header.bsize).map_err(|_| Fault::BeyondEnd)?;
        rest.get(..size).ok_or(Fault::Cut)
    }

    /// The image from the page with this number; `None` if it ends before that.
    pub(super) fn bytes_from(&self, number: u32) -> Option<&'a [u8]> {
        let start = u64::from(number).wrapping_shl(self.header.bshift);
        let rest = self.image.get(usize::try_from(start).ok()?..)?;
        if rest.is_empty() { None } else { Some(rest) }
    }

    /// The overflow page to which a link on page `from` leads.
    pub(super) fn linked(&self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        self.place(self.overflow(from, address)?.page)
    }

    fn overflow(&self, from: u32, address: u16) -> Result<Overflow, Damage> {
        self.header.overflow_page(address).ok_or(Fault::BadLink.on(from))
    }

    /// The page with this number.
    pub(super) fn place(&self, number: u32) -> Result<Place<'a>, Damage> {
        let page = self.bytes(number).and_then(|bytes| Page::new(bytes, self.header.order));
        page.map(|page| Place { number, page }).map_err(|fault| fault.on(number))
    }

    /// A bucket's own page.
    pub(super) fn head(&self, bucket: u32) -> Result<Place<'a>, Damage> {
        self.place(self.header.bucket_page(bucket))
    }
}

/// The walk that [`Table::records`] begins.
#[derive(Debug)]
pub struct Records<'s, 'a>(Buckets<'s, 'a, Walker<'s, 'a>>);

impl<'a> Iterator for Records<'_, 'a> {
    type Item = Result<Record<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Chain::next)
    }
}

/// The walk that [`Table::pieces`] begins, or the reason why it cannot.
#[derive(Debug)]
pub struct Pieces<'s, 'a>(Result<Buckets<'s, 'a, Sound<'s, 'a>>, Option<Damage>>);

impl<'s, 'a> Pieces<'s, 'a> {
    fn new(table: &'s Table<'a>) -> Self {
        let maps = table.frame().map_err(Some);
        Pieces(maps.map(|maps| Buckets::new(table, Sound::new(table, maps), Demand::Soundness)))
    }
}

impl<'a> Iterator for Pieces<'_, 'a> {
    type Item = Result<Piece<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Ok(buckets) => buckets.next(Chain::next_piece),
            Err(damage) => damage.take().map(Err),
        }
    }
}

/// What a walk requires of a bucket's own page and of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// They can be read.
    Sense,
    /// They are as libc and our writer leave them.
    Soundness,
}

/// The chains of all buckets, in order.
#[derive(Debug)]
struct Buckets<'s, 'a, S> {
    table: &'s Table<'a>,
    source: S,
    demand: Demand,
    /// The bucket after that of `chain`.
    bucket: u32,
    chain: Option<Chain<'a>>,
}

impl<'s, 'a, S: Source<'a>> Buckets<'s, 'a, S> {
    fn new(table: &'s Table<'a>, source: S, demand: Demand) -> Self {
        Buckets { table, source, demand, bucket: 0, chain: None }
    }

    /// The next result of `step` on the chains.
    fn next<T>(
        &mut self,
        step: impl Fn(&mut Chain<'a>, &mut S) -> Option<Result<T, Damage>>,
    ) -> Option<Result<T, Damage>> {
        loop {
            if let Some(item) = self.chain.as_mut().and_then(|chain| step(chain, &mut self.source))
            {
                if item.is_err() {
                    self.chain = None;
                }
                return Some(item);
            }
            if let Err(damage) = self.next_bucket()? {
                return Some(Err(damage));
            }
        }
    }

    fn next_bucket(&mut self) -> Option<Result<(), Damage>> {
        let (table, bucket) = (self.table, self.bucket);
        self.chain = None;
        if bucket > table.header.max_bucket {
            return None;
        }
        let head = table.head(bucket);
        // Later buckets are after this one.
        let lost = head.is_err_and(|damage| damage.fault == Fault::BeyondEnd);
        self.bucket = if lost { u32::MAX } else { bucket.saturating_add(1) };
        Some(head.and_then(|head| self.begin(bucket, head)))
    }

    fn begin(&mut self, bucket: u32, head: Place<'a>) -> Result<(), Damage> {
        self.chain = Some(match self.demand {
            Demand::Sense => Chain::new(head),
            Demand::Soundness => {
                self.table.require_head(bucket, head)?;
                Chain::of_bucket(head, self.table.header.home(bucket))
            }
        });
        Ok(())
    }
}

/// Follows links, and remembers which overflow pages have been seen.
#[derive(Debug)]
pub(super) struct Walker<'s, 'a> {
    table: &'s Table<'a>,
    /// By ordinal; there are at most 65,536.
    seen: Vec<bool>,
}

impl<'s, 'a> Walker<'s, 'a> {
    pub(super) fn new(table: &'s Table<'a>) -> Self {
        let pages = usize::try_from(table.header.overflow_pages()).unwrap_or(0);
        Walker { table, seen: vec![false; pages.saturating_add(1)] }
    }
}

impl<'a> Source<'a> for Walker<'_, 'a> {
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        let overflow = self.table.overflow(from, address)?;
        let seen = usize::try_from(overflow.ordinal).ok().and_then(|at| self.seen.get_mut(at));
        if seen.is_none_or(|seen| std::mem::replace(seen, true)) {
            return Err(Fault::UsedTwice.on(overflow.page));
        }
        self.table.place(overflow.page)
    }
}
