//! One page of a hash file: its table of offsets, and the pairs these bound.
//!
//! A page begins with a table of 16-bit numbers in the file's order: `n`, then `n` entries, then how many
//! bytes are free, then where the free bytes end. Entries come in twos:
//!
//! | second number | the two are |
//! |---|---|
//! | ≥ 4 | offsets of a key and of its data; each ends where the one before it begins |
//! | 0 `OVFLPAGE` | the address of the next page of the chain, and this mark; the last two of a page |
//! | 1 `PARTIAL_KEY`, 2 `FULL_KEY`, 3 `FULL_KEY_DATA` | part of a big pair, which has the page to itself |
//!
//! Source: lib/libc/db/hash/page.h, hash.h. The bytes are untrusted: nothing here can panic, and every
//! slice handed out lies behind the table and in front of the one before it.

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
/// Mark of a page that holds a part of a key, and not its end.
pub const PARTIAL_KEY: u16 = 1;
/// Mark of a page that holds the end of a key and none of its data, or data and not their end.
pub const FULL_KEY: u16 = 2;
/// Mark of a page that holds the end of a key and the first of its data, or the end of the data.
pub const FULL_KEY_DATA: u16 = 3;
/// The smallest number that is an offset and no mark.
pub const REAL_KEY: u16 = 4;

const ENTRY: usize = size_of::<u16>();

/// A page whose table lies within it.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    /// Entries in the table: even.
    entries: usize,
}

impl<'a> Page<'a> {
    /// Looks at the bytes of a page.
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

    /// A page that [`Page::new`] has looked at before.
    pub fn known(bytes: &'a [u8], order: ByteOrder) -> Page<'a> {
        Page { bytes, order, entries: order.u16_at(bytes, 0).map_or(0, usize::from) }
    }

    /// Whether it is a hole in the file: even an empty page says how much of it is free.
    pub fn is_hole(self) -> bool {
        self.entries == 0 && self.entry(1) == 0 && self.entry(2) == 0
    }

    /// The number of entries: `p[0]`.
    pub fn entries(self) -> usize {
        self.entries
    }

    /// The mark of a big pair's part, if the page holds one.
    pub fn big_mark(self) -> Option<u16> {
        let mark = self.entry(2);
        (self.entries >= 2 && (PARTIAL_KEY..REAL_KEY).contains(&mark)).then_some(mark)
    }

    /// The address at the end of the table, if there is a link to a next page.
    pub fn link(self) -> Option<u16> {
        let linked = self.entries >= 2 && self.entry(self.entries) == OVFLPAGE;
        linked.then(|| self.entry(self.entries.saturating_sub(1)))
    }

    /// The address of the next page of the chain, whether a plain link or in a part of a big pair.
    pub fn next(self) -> Option<u16> {
        let big = self.entries == 4 && self.big_mark().is_some();
        if big { Some(self.entry(3)) } else { self.link() }
    }

    /// The `index`th number of the table, counted as libc counts: `p[0]` is the number of entries.
    /// Two numbers follow the entries: the size of the free space, and its end.
    pub fn entry(self, index: usize) -> u16 {
        self.order.u16_at(self.bytes, index.saturating_mul(ENTRY)).unwrap_or(0)
    }

    /// How many bytes are free: `FREESPACE`.
    pub fn free(self) -> u16 {
        self.entry(self.entries.saturating_add(1))
    }

    /// Whether the free space is what the entries leave: from the table's end to the last offset.
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

    /// Where the table ends, its last two numbers included.
    pub fn table_size(self) -> usize {
        self.entries.saturating_add(3).saturating_mul(ENTRY)
    }

    /// The bytes from one offset to another, if both lie behind the table.
    pub fn slice(self, from: usize, to: usize) -> Option<&'a [u8]> {
        if from < self.table_size() { None } else { self.bytes.get(from..to) }
    }

    /// The bytes from an offset to the page's end.
    pub fn tail(self, from: u16) -> Option<&'a [u8]> {
        self.slice(usize::from(from), self.bytes.len())
    }

    /// The pairs of a page that holds no part of a big one.
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
    /// Where the next ones begin: two entries each.
    table: &'a [[u8; 2 * ENTRY]],
    /// Where the last pair began: the next key ends here.
    bound: usize,
}

impl Pairs<'_> {
    /// Reads a little of everything that is on the page: pair by pair, each would miss the cache by itself;
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
