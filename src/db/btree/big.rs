//! Overflow chains: a key or data too big for a page, in pieces on pages that are linked by `nextpg`.
//!
//! Every page but the last is full. The reference takes as many bytes as the item says and ignores the link
//! of the last page, and so does this code.
//!
//! Source: `__ovfl_get()` in lib/libc/db/btree/bt_overflow.c.

use super::super::{Damage, Fault};
use super::page::{Chain, HEADER, Kind, Layout, Page};

/// A key or data that is being assembled, page by page.
#[derive(Debug)]
pub(super) struct Assembly {
    bytes: Vec<u8>,
    missing: usize,
    next: u32,
}

impl Assembly {
    /// Begins with a reference found on page `found_on` in a file of `pages` pages.
    pub(super) fn begin(
        chain: Chain,
        found_on: u32,
        layout: Layout,
        pages: u32,
    ) -> Result<Assembly, Damage> {
        let wrong = |what| Err(Fault::BadBigPair(what).on(found_on));
        if chain.size == 0 {
            return wrong("it has no bytes");
        }
        if length(chain.size, layout) > pages {
            return wrong("it is longer than the file");
        }
        let missing = chain.size as usize;
        Ok(Assembly { bytes: Vec::with_capacity(missing), missing, next: chain.first })
    }

    /// The next page; `None` once all bytes are there.
    pub(super) fn wants(&self) -> Option<u32> {
        (self.missing > 0).then_some(self.next)
    }

    /// Adds the bytes on that page.
    pub(super) fn take(&mut self, page: &Page<'_>) -> Result<(), Damage> {
        if !matches!(page.kind, Kind::Overflow | Kind::PreservedOverflow) {
            return Err(Fault::BadBigPair(
                "its chain leads to a page that is not an overflow page",
            )
            .on(page.number));
        }
        let payload = page.payload();
        let piece = payload.get(..self.missing).unwrap_or(payload);
        self.bytes.extend_from_slice(piece);
        self.missing = self.missing.saturating_sub(piece.len());
        self.next = page.next;
        Ok(())
    }

    /// The whole key or data.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// The number of pages that `size` bytes take.
pub(super) fn length(size: u32, layout: Layout) -> u32 {
    // A page has at least 512 bytes and at most 65536: the difference is neither 0 nor too big.
    let payload = u32::try_from(layout.page_size.saturating_sub(HEADER)).unwrap_or(u32::MAX);
    size.div_ceil(payload.max(1))
}

#[cfg(test)]
mod tests {
    use super::super::super::ByteOrder;
    use super::*;

    const LAYOUT: Layout = Layout { order: ByteOrder::Little, page_size: 512 };

    fn page(number: u32, next: u32, flags: u32, fill: u8) -> Vec<u8> {
        let words = [number, 0, next, flags, 0].into_iter();
        let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        bytes.resize(512, fill);
        bytes
    }

    #[test]
    fn puts_pieces_together() {
        let chain = Chain { first: 3, size: 500 };
        let mut assembly = Assembly::begin(chain, 2, LAYOUT, 10).unwrap();
        assert_eq!(assembly.wants(), Some(3));
        assembly.take(&Page::parse(&page(3, 9, 0x24, b'a'), LAYOUT, 3).unwrap()).unwrap();
        assert_eq!(assembly.wants(), Some(9));
        assembly.take(&Page::parse(&page(9, 77, 0x04, b'b'), LAYOUT, 9).unwrap()).unwrap();
        assert_eq!(assembly.wants(), None);
        assert_eq!(assembly.finish(), [[b'a'; 492].as_slice(), &[b'b'; 8]].concat());
    }

    #[test]
    fn refuses_what_cannot_be() {
        let begin = |size| Assembly::begin(Chain { first: 3, size }, 2, LAYOUT, 10);
        let message = |size| begin(size).unwrap_err().to_string();
        assert_eq!(message(0), "page 2: big pair: it has no bytes");
        assert_eq!(message(10 * 492 + 1), "page 2: big pair: it is longer than the file");
        let leaf = page(3, 0, 2, 0xff).into_iter().enumerate();
        let leaf: Vec<u8> = leaf.map(|(at, b)| if at == 16 { 20 } else { b }).collect();
        let mut leaf = leaf;
        leaf[18..20].copy_from_slice(&512_u16.to_le_bytes());
        let parsed = Page::parse(&leaf, LAYOUT, 3).unwrap();
        let error = begin(10 * 492).unwrap().take(&parsed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "page 3: big pair: its chain leads to a page that is not an overflow page"
        );
    }

    #[test]
    fn counts_pages() {
        assert_eq!(length(1, LAYOUT), 1);
        assert_eq!(length(492, LAYOUT), 1);
        assert_eq!(length(493, LAYOUT), 2);
        assert_eq!(length(u32::MAX, LAYOUT), 8_729_609);
    }
}
