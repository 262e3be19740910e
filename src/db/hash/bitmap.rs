//! The bitmap pages: which overflow pages are in use.
//!
//! Bit `n`, counted over all bitmaps, stands for overflow page `n + 1` in order of creation; it is set if
//! the page is in use. A bitmap is an array of 32-bit words in the byte order of the file; bit 0 is the
//! lowest bit of the first word. Bits after the last existing page are set. The first bit of each bitmap
//! stands for its own page (`__ibitmap()`, `overflow_page()` in lib/libc/db/hash/hash_page.c).

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::header::{Header, Overflow};
use crate::db::Fault;

/// `BITS_PER_MAP`.
pub const WORD_BITS: u32 = 32;

/// The place of the bit for an overflow page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of the bitmap pages.
    pub map: usize,
    /// Which bit of it.
    pub bit: u32,
}

impl Header {
    /// The number of bits on one bitmap page.
    pub fn bits_per_map(&self) -> u32 {
        self.bsize.saturating_mul(u8::BITS)
    }

    /// The number of bitmap pages.
    pub fn maps(&self) -> usize {
        let maps = self.overflow_pages().div_ceil(self.bits_per_map().max(1));
        usize::try_from(maps).unwrap_or(usize::MAX)
    }

    /// The bit for the overflow page with this ordinal, counted from 1.
    pub fn bit_of(&self, ordinal: u32) -> Place {
        let bit = ordinal.saturating_sub(1);
        let map = bit.checked_div(self.bits_per_map()).unwrap_or(0);
        Place {
            map: usize::try_from(map).unwrap_or(usize::MAX),
            bit: bit.checked_rem(self.bits_per_map()).unwrap_or(0),
        }
    }

    /// The page of a bitmap: its first bit stands for itself.
    ///
    /// # Errors
    ///
    /// The address in the header is that of another page, or of none.
    pub fn map_page(&self, map: usize) -> Result<Overflow, Fault> {
        let address = self.bitmaps.get(map).copied().unwrap_or(0);
        let page = self.overflow_page(address).ok_or(Fault::Header("bitmaps"))?;
        let own = Place { map, bit: 0 };
        if self.bit_of(page.ordinal) == own { Ok(page) } else { Err(Fault::Header("bitmaps")) }
    }

    /// Whether a bit of a bitmap's bytes is set.
    pub fn is_set(&self, map: &[u8], bit: u32) -> bool {
        let at = usize::try_from(bit / WORD_BITS).unwrap_or(usize::MAX);
        let word = self.order.u32_at(map, at.saturating_mul(size_of::<u32>()));
        word.is_none_or(|word| word.wrapping_shr(bit % WORD_BITS) & 1 == 1)
    }
}
