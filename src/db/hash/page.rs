//! One page of a hash file: its table of offsets, and its pairs.
//!
//! A page begins with a table of 16-bit numbers in the byte order of the file: `n`, then `n` entries, then
//! the number of free bytes, then the end of the free bytes. Entries come in pairs:
//!
//! | second number | the two are |
//! |---|---|
//! | ≥ 4 | offsets of a key and of its data; each ends where the one before it begins |
//! | 0 `OVFLPAGE` | the address of the next page of the chain, and this mark; the last two of a page |
//! | 1 `PARTIAL_KEY`, 2 `FULL_KEY`, 3 `FULL_KEY_DATA` | part of a big pair, alone on the page |
//!
//! Source: lib/libc/db/hash/page.h, hash.h. The bytes are untrusted: nothing here can panic, and every
//! slice that is returned is after the table and before the previous slice.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use crate::db::{ByteOrder, Fault};

/// Mark of a link to the next page of a chain.
pub const OVFLPAGE: u16 = 0;
/// Mark of a page with a part of a key, but not its end.
pub const PARTIAL_KEY: u16 = 1;
/// Mark of a page with the end of a key and none of its data, or with data, but not the end of the data.
pub const FULL_KEY: u16 = 2;
/// Mark of a page with the end of a key and the beginning of its data, or with the end of the data.
pub const FULL_KEY_DATA: u16 = 3;
/// The smallest number that is an offset and not a mark.
pub const REAL_KEY: u16 = 4;

const ENTRY: usize = size_of::<u16>();

/// A page whose table does not extend beyond it.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    /// The number of entries in the table, which is even.
    entries: usize,
}

impl<'a> Page<'a> {
    /// Checks the table of a page.
    pub fn new(bytes: &'a [u8], order: ByteOrder) -> Result<Page<'a>, Fault> {
        let entries = order.u16_at(bytes, 0).map_or(0, usize::from);
        if !entries.is_multiple_of(2) {
            return Err(Fault::BadPage("odd number of entries"));
        }
        let page = Page { bytes, order, entries };
        if page.table_size() > bytes.len() {
            return Err(Fault::BadPage("more entries than the page has room for"));
        }
        Ok(page)
    }

    /// A page that [`Page::new`] has checked before.
    pub fn known(bytes: &'a [u8], order: ByteOrder) -> Page<'a> {
        Page { bytes, order, entries: order.u16_at(bytes, 0).map_or(0, usize::from) }
    }

    /// Whether it is a hole in the file: even an empty page has a count of free bytes.
    pub fn is_hole(self) -> bool {
        self.entries == 0 && self.entry(1) == 0 && self.entry(2) == 0
    }

    /// The number of entries: `p[0]`.
    pub fn entries(self) -> usize {
        self.entries
    }

    /// The mark of a part of a big pair, if the page has one.
    pub fn big_mark(self) -> Option<u16> {
        let mark = self.entry(2);
        (self.entries >= 2 && (PARTIAL_KEY..REAL_KEY).contains(&mark)).then_some(mark)
    }

    /// The address at the end of the table, if there is a link to a next page.
    pub fn link(self) -> Option<u16> {
        let linked = self.entries >= 2 && self.entry(self.entries) == OVFLPAGE;
        linked.then(|| self.entry(self.entries.saturating_sub(1)))
    }

    /// The address of the next page of the chain, from a plain link or from a part of a big pair.
    pub fn next(self) -> Option<u16> {
        let big = self.entries == 4 && self.big_mark().is_some();
        if big { Some(self.entry(3)) } else { self.link() }
    }

    /// The number at `index` in the table, counted as in libc: `p[0]` is the number of entries. Two numbers
    /// follow the entries: the size of the free space, and its end.
    pub fn entry(self, index: usize) -> u16 {
        self.order.u16_at(self.bytes, index.saturating_mul(ENTRY)).unwrap_or(0)
    }

    /// The number of free bytes: `FREESPACE`.
    pub fn free(self) -> u16 {
        self.entry(self.entries.saturating_add(1))
    }

    /// Whether the free space matches the entries: it extends from the end of the table to the last offset.
    pub fn accounts(self) -> bool {
        let last = match (self.entries, self.big_mark(), self.link()) {
            (0, ..) => self.bytes.len(),
            (2, None, Some(_)) => self.bytes.len(),
            (4, Some(FULL_KEY_DATA), None) => usize::from(self.entry(4)),
            (_, Some(_), _) => usize::from(self.entry(1)),
            (n, None, Some(_)) => usize::from(self.entry(n.saturating_sub(2))),
            (n, None, None) => usize::from(self.entry(n)),
        };
        let free = last.checked_sub(self.table_size()).and_then(|free| u16::try_from(free).ok());
        // An offset of 65536 is stored as 0.
        let end = u16::try_from(last).unwrap_or(0);
        free == Some(self.free()) && self.entry(self.entries.saturating_add(2)) == end
    }

    /// The size of the table, including its last two numbers.
    pub fn table_size(self) -> usize {
        self.entries.saturating_add(3).saturating_mul(ENTRY)
    }

    /// The bytes from one offset to another, if both are after the table.
    pub fn slice(self, from: usize, to: usize) -> Option<&'a [u8]> {
        if from < self.table_size() { None } else { self.bytes.get(from..to) }
    }

    /// The bytes from an offset to the end of the page.
    pub fn tail(self, from: u16) -> Option<&'a [u8]> {
        self.slice(usize::from(from), self.bytes.len())
    }

    /// The pairs of a page without a part of a big pair.
    pub fn pairs(self) -> Pairs<'a> {
        let link = if self.link().is_some() { 2 } else { 0 };
        let end = self.entries.saturating_sub(link).saturating_add(1).saturating_mul(ENTRY);
        let (table, _) = self.bytes.get(ENTRY..end).unwrap_or_default().as_chunks();
        Pairs { page: self, table, bound: self.bytes.len() }
    }
}

/// A key and its value, both on one page.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The walk that [`Page::pairs`] begins. It ends with the first fault.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    page: Page<'a>,
    /// The remaining entries, two for each pair.
    table: &'a [[u8; 2 * ENTRY]],
    /// The beginning of the last pair, where the next key ends.
    bound: usize,
}

impl Pairs<'_> {
    /// Reads a little of every pair on the page. Otherwise each pair would miss the cache when it is read;
    /// these reads do not wait for each other.
    pub fn fetch(&self) {
        const LINE: usize = 64;
        let lines = self.page.bytes.iter().step_by(LINE);
        std::hint::black_box(lines.fold(0, |all, line| all ^ line));
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let ([k0, k1, v0, v1], rest) = self.table.split_first()?;
        let (key, mark) = (self.page.order.u16_of([*k0, *k1]), self.page.order.u16_of([*v0, *v1]));
        let (key, value) = (usize::from(key), usize::from(mark));
        let pair = self.page.slice(key, self.bound).zip(self.page.slice(value, key));
        self.table = if pair.is_some() { rest } else { &[] };
        self.bound = value;
        Some(pair.ok_or(match mark {
            OVFLPAGE => Fault::BadPage("link before other entries"),
            PARTIAL_KEY..REAL_KEY => Fault::BadBigPair("not alone on its page"),
            _ => Fault::BadOffset,
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.table.len().min(1), Some(self.table.len()))
    }
}
