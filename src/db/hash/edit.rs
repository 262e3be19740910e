//! One page under change, in memory: pairs put on it and taken off it, a link added.
//!
//! The changes leave a page as libc's own leave it (`putpair()`, `__delpair()`, `squeeze_key()`,
//! `__add_ovflpage()` in lib/libc/db/hash/hash_page.c), down to the order of the pairs. The caller has
//! looked at the page ([`Page::accounts`]) and at the room there is: a change that does not fit would
//! leave nonsense, but cannot leave the page.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::page::{OVFLPAGE, Page, REAL_KEY};
use crate::db::{ByteOrder, Fault};

/// `OVFLSIZE`: what a link takes. A pair goes only where a link still fits behind it.
const LINK_SIZE: usize = 4;
/// `BIGOVERHEAD`: the entries of a part of a big pair and of the link behind it.
pub const BIG_OVERHEAD: usize = 8;

/// A page that is being changed.
#[derive(Clone, Debug)]
pub struct PageBuf {
    bytes: Vec<u8>,
    order: ByteOrder,
}

/// What a pair takes: its bytes and its two entries (`PAIRSIZE`).
fn pair_size(key: &[u8], value: &[u8]) -> usize {
    key.len().saturating_add(value.len()).saturating_add(4)
}

impl PageBuf {
    /// A page with nothing on it (`PAGE_INIT`).
    pub fn blank(size: usize, order: ByteOrder) -> PageBuf {
        let mut page = PageBuf { bytes: vec![0; size], order };
        page.set_table(0, size);
        page
    }

    /// A page as it was read. An empty one is made a blank one, as libc does: it may be a hole.
    pub fn new(bytes: Vec<u8>, order: ByteOrder) -> Result<PageBuf, Fault> {
        let page = Page::new(&bytes, order)?;
        Ok(match page.entries() {
            0 => PageBuf::blank(bytes.len(), order),
            _ => PageBuf { bytes, order },
        })
    }

    /// The page, to be read.
    pub fn view(&self) -> Page<'_> {
        Page::known(&self.bytes, self.order)
    }

    /// The page's bytes, to be written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether a pair fits behind those that are there, and a link behind it (`PAIRFITS`).
    pub fn fits(&self, key: &[u8], value: &[u8]) -> bool {
        let page = self.view();
        page.entry(2) >= REAL_KEY
            && page.link().is_none()
            && pair_size(key, value).saturating_add(LINK_SIZE) <= usize::from(page.free())
    }

    /// Whether there are pairs on it, and no part of a big one.
    pub fn has_pairs(&self) -> bool {
        let page = self.view();
        page.entries() >= 2 && page.entry(2) >= REAL_KEY
    }

    /// Whether a pair fits in front of the link that the page ends with.
    pub fn squeezes(&self, key: &[u8], value: &[u8]) -> bool {
        let page = self.view();
        page.big_mark().is_none()
            && page.link().is_some()
            && pair_size(key, value) <= usize::from(page.free())
    }

    /// Puts a pair behind the others, or in front of the link.
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

    /// Takes the pair off the page whose entries begin with the `index`th.
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

    /// Takes off the link to the next page, if there is one; gives the page as it was.
    pub fn take_link(&mut self) -> Option<PageBuf> {
        self.view().link()?;
        let before = self.clone();
        let entries = self.view().entries().saturating_sub(2);
        self.set_table(entries, self.data_end());
        Some(before)
    }

    /// Whether there is room for a link where none is yet.
    pub fn links(&self) -> bool {
        LINK_SIZE <= usize::from(self.view().free())
    }

    /// Makes the page lead to another: the link that a part of a big pair holds, or a new one.
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

    /// Puts the first of the data below the end of a key, on a page that has its link already.
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

    /// Where the free space ends and the pairs begin (`OFFSET`).
    fn data_end(&self) -> usize {
        let page = self.view();
        usize::from(page.entry(page.entries().saturating_add(2)))
    }

    /// The numbers around the entries: how many there are, and the free space that they leave.
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
