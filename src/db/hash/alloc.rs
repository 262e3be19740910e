//! Allocates and frees overflow pages: the header's split points and the bitmap pages, in memory.
//!
//! The arithmetic is that of `overflow_page()` and `__free_ovflpage()` in lib/libc/db/hash/hash_page.c,
//! with one difference: if a new bitmap page is the last of its split point, libc gives the next page the
//! number 0, which is the place of a bucket; here it is 1, in accordance with `spares`.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::bitmap::WORD_BITS;
use super::header::{Header, MAX_PAGES_PER_SPLIT, SPLIT_POINTS};
use crate::db::{EngineError, Fault};

/// A bitmap page in memory.
#[derive(Clone, Debug)]
pub struct Map {
    /// Its bytes, in the byte order of the file.
    pub bytes: Vec<u8>,
    /// Whether it differs from the file.
    pub changed: bool,
}

const FULL: EngineError =
    EngineError::Refused("no overflow pages left: the page size is too small");

/// Which overflow pages are in use.
#[derive(Debug, Default)]
pub struct Pages {
    /// All bitmap pages in the header.
    pub maps: Vec<Map>,
}

impl Pages {
    /// Allocates a page; returns its address.
    pub fn take(&mut self, header: &mut Header) -> Result<u16, EngineError> {
        match self.find_free(header) {
            Some(bit) => {
                let ordinal = bit.saturating_add(1);
                self.mark(header, bit, true)?;
                header.last_freed = header.last_freed.max(signed(bit));
                address_of(header, ordinal).ok_or(FULL)
            }
            None => self.extend(header),
        }
    }

    /// Frees a page to which nothing leads any more.
    pub fn free(&mut self, header: &mut Header, address: u16) -> Result<(), EngineError> {
        if u32::from(address) & MAX_PAGES_PER_SPLIT == MAX_PAGES_PER_SPLIT {
            // libc fails with EFBIG when it finds the last page of a split point free.
            return Ok(());
        }
        let page = header.overflow_page(address).ok_or(Fault::BadLink.on(0))?;
        let bit = page.ordinal.saturating_sub(1);
        header.last_freed = header.last_freed.min(signed(bit));
        self.mark(header, bit, false)
    }

    /// Marks a page as in use.
    pub fn keep(&mut self, header: &Header, address: u16) -> Result<(), EngineError> {
        let page = header.overflow_page(address).ok_or(Fault::BadLink.on(0))?;
        self.mark(header, page.ordinal.saturating_sub(1), true)
    }

    /// Whether a page is marked as in use, and is not a bitmap.
    pub fn is_used(&self, header: &Header, ordinal: u32) -> bool {
        let place = header.bit_of(ordinal);
        let map = self.maps.get(place.map);
        place.bit > 0 && map.is_some_and(|map| header.is_set(&map.bytes, place.bit))
    }

    /// The first free page from where libc would begin to search.
    fn find_free(&self, header: &Header) -> Option<u32> {
        let made = header.overflow_pages();
        let start = u32::try_from(header.last_freed).unwrap_or(0) & !(WORD_BITS - 1);
        (start..made).find(|bit| {
            let place = header.bit_of(bit.saturating_add(1));
            let map = self.maps.get(place.map);
            map.is_some_and(|map| !header.is_set(&map.bytes, place.bit))
        })
    }

    /// Makes a new page, preceded by a new bitmap page if the last one is full.
    fn extend(&mut self, header: &mut Header) -> Result<u16, EngineError> {
        header.last_freed = signed(header.overflow_pages());
        let mut address = self.make(header)?;
        let bit = header.overflow_pages().saturating_sub(1);
        if header.bit_of(bit.saturating_add(1)).map == self.maps.len() {
            self.add_map(header, address)?;
            address = self.make(header)?;
        }
        let bit = header.overflow_pages().saturating_sub(1);
        self.mark(header, bit, true)?;
        Ok(address)
    }

    /// Counts one more page.
    fn make(&self, header: &mut Header) -> Result<u16, EngineError> {
        let split = usize::try_from(header.ovfl_point).map_err(|_| FULL)?;
        let before = split.checked_sub(1).and_then(|at| header.spares.get(at)).copied();
        let spares = header.spares.get_mut(split).ok_or(FULL)?;
        let made = spares.saturating_add(1);
        if made.saturating_sub(before.unwrap_or(0)) <= MAX_PAGES_PER_SPLIT {
            *spares = made;
        } else {
            let next = split.saturating_add(1);
            *header.spares.get_mut(next).ok_or(FULL)? = made;
            header.ovfl_point = header.ovfl_point.saturating_add(1);
        }
        address_of(header, made).ok_or(FULL)
    }

    fn add_map(&mut self, header: &mut Header, address: u16) -> Result<(), EngineError> {
        *header.bitmaps.get_mut(self.maps.len()).ok_or(FULL)? = address;
        // All bits are set: the first is the bitmap's own, the others are for pages that do not exist yet.
        let size = usize::try_from(header.bsize).map_err(|_| FULL)?;
        self.maps.push(Map { bytes: vec![0xff; size], changed: true });
        Ok(())
    }

    fn mark(&mut self, header: &Header, bit: u32, used: bool) -> Result<(), EngineError> {
        let place = header.bit_of(bit.saturating_add(1));
        let map = self.maps.get_mut(place.map).ok_or(FULL)?;
        map.set(header, place.bit, used);
        Ok(())
    }
}

impl Map {
    /// Sets or clears a bit of the map.
    pub fn set(&mut self, header: &Header, bit: u32, used: bool) {
        let at = usize::try_from(bit / WORD_BITS).unwrap_or(usize::MAX).saturating_mul(4);
        let Some(raw) = self.bytes.get_mut(at..at.saturating_add(4)) else { return };
        let word = header.order.u32_at(raw, 0).unwrap_or(0);
        let mask = 1u32.wrapping_shl(bit % WORD_BITS);
        let changed = if used { word | mask } else { word & !mask };
        raw.copy_from_slice(&header.order.u32_bytes(changed));
        self.changed |= changed != word;
    }
}

/// The address of the page with this ordinal, by the first split point that has made this many.
fn address_of(header: &Header, ordinal: u32) -> Option<u16> {
    let split = header.spares.iter().take(SPLIT_POINTS).position(|made| ordinal <= *made)?;
    let before = split.checked_sub(1).and_then(|at| header.spares.get(at)).copied().unwrap_or(0);
    let number = ordinal.checked_sub(before)?;
    let address = u32::try_from(split).ok()?.checked_shl(11)?.checked_add(number)?;
    if number > MAX_PAGES_PER_SPLIT { None } else { u16::try_from(address).ok() }
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
