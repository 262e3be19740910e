//! Changes one page in memory: adds and removes pairs, and adds links.
//!
//! The result is the same as with libc's functions (`putpair()`, `__delpair()`, `squeeze_key()`,
//! `__add_ovflpage()` in lib/libc/db/hash/hash_page.c), down to the order of the pairs. The caller has
//! checked the page ([`Page::accounts`]) and the free space: a change that does not fit would leave garbage
//! on the page, but would not go beyond it.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::page::{OVFLPAGE, Page, REAL_KEY};
use crate::db::{ByteOrder, Fault};

/// `OVFLSIZE`: the size of a link. A pair is added only if a link still fits after it.
const LINK_SIZE: usize = 4;
/// `BIGOVERHEAD`: the entries for a part of a big pair and for the link after it.
pub const BIG_OVERHEAD: usize = 8;

/// A page that is being changed.
#[derive(Clone, Debug)]
pub struct PageBuf {
    bytes: Vec<u8>,
    order: ByteOrder,
}

/// The size of a pair: its bytes and its two entries (`PAIRSIZE`).
fn pair_size(key: &[u8], value: &[u8]) -> usize {
    key.len().saturating_add(value.len()).saturating_add(4)
}

impl PageBuf {
    /// An empty page (`PAGE_INIT`).
    pub fn blank(size: usize, order: ByteOrder) -> PageBuf {
        let mut page = PageBuf { bytes: vec![0; size], order };
        page.set_table(0, size);
        page
    }

    /// A page as it was read. If it has no entries it is initialized, as libc does, since it may be a hole.
    pub fn new(bytes: Vec<u8>, order: ByteOrder) -> Result<PageBuf, Fault> {
        let page = Page::new(&bytes, order)?;
        Ok(match page.entries() {
            0 => PageBuf::blank(bytes.len(), order),
            _ => PageBuf { bytes, order },
        })
    }

    /// The page, for reading.
    pub fn view(&self) -> Page<'_> {
        Page::known(&self.bytes, self.order)
    }

    /// The page's bytes, for writing.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether a pair fits after the others, with a link after it (`PAIRFITS`).
    pub fn fits(&self, key: &[u8], value: &[u8]) -> bool {
        let page = self.view();
        page.entry(2) >= REAL_KEY
            && page.link().is_none()
            && pair_size(key, value).saturating_add(LINK_SIZE) <= usize::from(page.free())
    }

    /// Whether it has pairs, and no part of a big one.
    pub fn has_pairs(&self) -> bool {
        let page = self.view();
        page.entries() >= 2 && page.entry(2) >= REAL_KEY
    }

    /// Whether a pair fits before the link at the end of the page.
    pub fn squeezes(&self, key: &[u8], value: &[u8]) -> bool {
        let page = self.view();
        page.big_mark().is_none()
            && page.link().is_some()
            && pair_size(key, value) <= usize::from(page.free())
    }

    /// Adds a pair after the others, or before the link.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        let link = self.view().link();
        let entries = self.view().entries().saturating_sub(if link.is_some() { 2 } else { 0 });
        let key_at = self.data_end().saturating_sub(key.len());
        let value_at = key_at.saturating_sub(value.len());
        self.copy_in(key_at, key);
        self.copy_in(value_at, value);
        self.set(entries.saturating_add(1), key_at);
        self.set(entries.saturating_add(2), value_at);
        self.set_table(entries.saturating_add(2), value_at);
        if let Some(address) = link {
            self.link(address);
        }
    }

    /// Removes the pair whose first entry is `index`.
    pub fn remove(&mut self, index: usize) {
        let page = self.view();
        let (entries, end) = (page.entries(), self.data_end());
        let above = match index {
            1 => self.bytes.len(),
            _ => usize::from(page.entry(index.saturating_sub(1))),
        };
        let value_at = usize::from(page.entry(index.saturating_add(1)));
        let length = above.saturating_sub(value_at);
        if end <= value_at && value_at <= above && above <= self.bytes.len() {
            self.bytes.copy_within(end..value_at, end.saturating_add(length));
        }
        for from in (index.saturating_add(2)..entries).step_by(2) {
            let (key_at, mark) =
                (self.view().entry(from), self.view().entry(from.saturating_add(1)));
            let moved = if mark == OVFLPAGE { 0 } else { length };
            self.set(from.saturating_sub(2), usize::from(key_at).saturating_add(moved));
            self.set(from.saturating_sub(1), usize::from(mark).saturating_add(moved));
        }
        self.set_table(entries.saturating_sub(2), end.saturating_add(length));
    }

    /// Adds a link to the next page of the chain.
    pub fn link(&mut self, address: u16) {
        let (entries, end) = (self.view().entries(), self.data_end());
        self.set(entries.saturating_add(1), usize::from(address));
        self.set(entries.saturating_add(2), usize::from(OVFLPAGE));
        self.set_table(entries.saturating_add(2), end);
    }

    /// Removes the link to the next page, if there is one; returns the page as it was.
    pub fn take_link(&mut self) -> Option<PageBuf> {
        self.view().link()?;
        let before = self.clone();
        let entries = self.view().entries().saturating_sub(2);
        self.set_table(entries, self.data_end());
        Some(before)
    }

    /// Whether there is no link, but room for one.
    pub fn links(&self) -> bool {
        LINK_SIZE <= usize::from(self.view().free())
    }

    /// Makes the page lead to another: changes the link in a part of a big pair, or adds a link.
    pub fn set_next(&mut self, address: u16) {
        match self.view().next() {
            Some(_) => self.set(self.view().entries().saturating_sub(1), usize::from(address)),
            None => self.link(address),
        }
    }

    /// Puts a part of a big pair on a blank page.
    pub fn put_part(&mut self, part: &[u8], mark: u16) {
        let at = self.bytes.len().saturating_sub(part.len());
        self.copy_in(at, part);
        self.set(1, at);
        self.set(2, usize::from(mark));
        self.set_table(2, at);
    }

    /// Adds the first part of the data after the end of a key, on a page that already has its link.
    pub fn put_data_below_key(&mut self, part: &[u8]) {
        let at = self.data_end().saturating_sub(part.len());
        self.copy_in(at, part);
        self.set(4, at);
        self.set_table(4, at);
    }

    /// Changes the mark of a part of a big pair.
    pub fn set_mark(&mut self, mark: u16) {
        self.set(2, usize::from(mark));
    }

    /// The end of the free space, where the pairs begin (`OFFSET`).
    fn data_end(&self) -> usize {
        let page = self.view();
        usize::from(page.entry(page.entries().saturating_add(2)))
    }

    /// Sets the numbers around the entries: the number of entries, and the free space.
    fn set_table(&mut self, entries: usize, end: usize) {
        let table = entries.saturating_add(3).saturating_mul(2);
        self.set(0, entries);
        self.set(entries.saturating_add(1), end.saturating_sub(table));
        self.set(entries.saturating_add(2), end);
    }

    /// Pages of up to 32768 bytes are written: every number fits.
    fn set(&mut self, index: usize, value: usize) {
        let raw = self.order.u16_bytes(u16::try_from(value).unwrap_or(0));
        self.copy_in(index.saturating_mul(2), &raw);
    }

    fn copy_in(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }
}
