//! A page other than the meta page: a header, a table of offsets, and the items they point to.
//!
//! | offset | bytes | `PAGE` | |
//! |---|---|---|---|
//! | 0 | 4 | `pgno` | the page's own number |
//! | 4 | 4 | `prevpg` | left sibling, 0 if there is none |
//! | 8 | 4 | `nextpg` | right sibling, next page of a chain or of the free list |
//! | 12 | 4 | `flags` | the kind of page |
//! | 16 | 2 | `lower` | end of the table of offsets |
//! | 18 | 2 | `upper` | beginning of the items; 0 for an empty page of 65536 bytes |
//! | 20 | 2 each | `linp` | where each item begins |
//!
//! An item of a leaf is `{ u32 ksize, u32 dsize, u8 flags, key, data }`, one of an internal page
//! `{ u32 ksize, u32 pgno, u8 flags, key }`; both are padded to a multiple of 4. A key or data too big
//! for the page is replaced by the first page and the size of an overflow chain.
//!
//! Nothing on a page is trusted: [`Page::parse`] checks the header, and each item is checked when it is
//! read.
//!
//! Source: lib/libc/db/btree/btree.h.

use super::super::{ByteOrder, Damage, Fault};
use std::ops::Range;

/// Bytes of the page header (`BTDATAOFF`).
pub(super) const HEADER: usize = 20;
/// Bytes of an item before its key, on both leaves and internal pages.
pub(super) const ITEM_HEADER: usize = 9;
/// Bytes of a reference to an overflow chain (`NOVFLSIZE`).
pub(super) const REFERENCE: usize = 8;
/// Bytes of an offset in the page's table (`indx_t`).
pub(super) const OFFSET: usize = 2;

/// `P_BIGDATA`: the item's data is on an overflow chain.
pub(super) const BIG_DATA: u8 = 0x01;
/// `P_BIGKEY`: the item's key is on an overflow chain.
pub(super) const BIG_KEY: u8 = 0x02;

/// The fault of a page that is not packed.
pub(super) const GAPS: &str = "items overlap or leave gaps";

/// What all pages of a file have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) order: ByteOrder,
    /// 512 to 65536, even.
    pub(super) page_size: usize,
}

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `P_BINTERNAL`: keys and the pages below them.
    Internal,
    /// `P_BLEAF`: keys and their data.
    Leaf,
    /// `P_OVERFLOW`: a piece of one big key or data.
    Overflow,
    /// The same, and an internal page refers to it: never freed (`P_PRESERVE`).
    PreservedOverflow,
}

/// A page whose header makes sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    pub(super) number: u32,
    pub(super) prev: u32,
    pub(super) next: u32,
    pub(super) kind: Kind,
    /// How many items there are; 0 on an overflow page.
    pub(super) count: usize,
    /// Where the items begin.
    pub(super) upper: usize,
}

/// A key or its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// On the page itself.
    Here(&'a [u8]),
    /// On a chain of overflow pages.
    Chain(Chain),
}

/// A reference to an overflow chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// The first page of the chain.
    pub(super) first: u32,
    /// The size of the key or data on it, in bytes.
    pub(super) size: u32,
}

/// An item of a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) key: Field<'a>,
    pub(super) value: Field<'a>,
}

/// An item of an internal page: the page below has no key smaller than this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a> {
    pub(super) key: Field<'a>,
    pub(super) page: u32,
}

impl Kind {
    /// The `flags` of a page of this kind.
    pub(super) fn flags(self) -> u32 {
        match self {
            Kind::Internal => 0x01,
            Kind::Leaf => 0x02,
            Kind::Overflow => 0x04,
            Kind::PreservedOverflow => 0x24,
        }
    }

    fn from_flags(flags: u32) -> Option<Kind> {
        [Kind::Internal, Kind::Leaf, Kind::Overflow, Kind::PreservedOverflow]
            .into_iter()
            .find(|kind| kind.flags() == flags)
    }
}

impl<'a> Page<'a> {
    /// Takes the bytes of page `number` and checks its header.
    pub(super) fn parse(bytes: &'a [u8], layout: Layout, number: u32) -> Result<Page<'a>, Damage> {
        let order = layout.order;
        let header = bytes.get(..layout.page_size).and_then(|bytes| {
            let words = |offset| order.u32_at(bytes, offset);
            let bounds = (order.u16_at(bytes, 16)?, order.u16_at(bytes, 18)?);
            Some((words(0)?, words(4)?, words(8)?, words(12)?, bounds))
        });
        let (own, prev, next, flags, bounds) = header.ok_or(Fault::Cut.on(number))?;
        let wrong = |what| Fault::BadPage(what).on(number);
        if own != number {
            if own == 0 && bytes.iter().all(|byte| *byte == 0) {
                return Err(Fault::Hole.on(number));
            }
            return Err(wrong("has another page's number"));
        }
        let kind = Kind::from_flags(flags).ok_or(wrong("unknown type of page"))?;
        let (count, upper) = match kind {
            Kind::Leaf | Kind::Internal => {
                table(bounds, layout.page_size).ok_or(wrong("bounds contradict each other"))?
            }
            Kind::Overflow | Kind::PreservedOverflow => (0, HEADER),
        };
        Ok(Page { bytes, order, number, prev, next, kind, count, upper })
    }

    /// The item at `index` of a leaf.
    pub(super) fn pair(&self, index: usize) -> Result<Pair<'a>, Damage> {
        let item = self.item(index)?;
        let pair = Pair::decode(item, self.order).filter(|pair| padded(pair.size()) <= item.len());
        pair.ok_or(Fault::BadPage("item is out of place").on(self.number))
    }

    /// The item at `index` of an internal page.
    pub(super) fn child(&self, index: usize) -> Result<Child<'a>, Damage> {
        let item = self.item(index)?;
        let child = Child::decode(item, self.order);
        let child = child.filter(|child| padded(child.size()) <= item.len());
        child.ok_or(Fault::BadPage("item is out of place").on(self.number))
    }

    /// The place of the item at `index` on the page, without padding.
    pub(super) fn extent(&self, index: usize) -> Result<Range<usize>, Damage> {
        let size = match self.kind {
            Kind::Leaf => self.pair(index)?.size(),
            _ => self.child(index)?.size(),
        };
        let start = self.bytes.len().saturating_sub(self.item(index)?.len());
        Ok(start..start.saturating_add(size))
    }

    /// Checks that the items are adjacent and fill the page from `upper` to its end.
    pub(super) fn require_packed(&self) -> Result<(), Damage> {
        if !matches!(self.kind, Kind::Leaf | Kind::Internal) {
            return Ok(());
        }
        let extents: Result<Vec<_>, _> = (0..self.count).map(|index| self.extent(index)).collect();
        let mut extents = extents?;
        extents.sort_unstable_by_key(|extent| extent.start);
        let end = extents.iter().try_fold(self.upper, |end, extent| {
            (extent.start == end).then(|| end.saturating_add(padded(extent.len())))
        });
        let fault = Fault::BadPage(GAPS);
        if end == Some(self.bytes.len()) { Ok(()) } else { Err(fault.on(self.number)) }
    }

    /// The whole page.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The data on an overflow page.
    pub(super) fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }

    /// The page from the beginning of the item at `index` on.
    fn item(&self, index: usize) -> Result<&'a [u8], Damage> {
        let found = (index < self.count)
            .then(|| HEADER.checked_add(index.checked_mul(OFFSET)?))
            .flatten()
            .and_then(|place| self.order.u16_at(self.bytes, place))
            .map(usize::from)
            .filter(|&offset| offset >= self.upper)
            .and_then(|offset| self.bytes.get(offset..));
        found.ok_or(Fault::BadOffset.on(self.number))
    }
}

impl<'a> Pair<'a> {
    /// The item of a leaf at the beginning of `item`; `None` if it is longer than that.
    pub(super) fn decode(item: &'a [u8], order: ByteOrder) -> Option<Pair<'a>> {
        let key_size = order.u32_at(item, 0)? as usize;
        let value_size = order.u32_at(item, 4)? as usize;
        let (flags, rest) = item.get(8..)?.split_first()?;
        if flags & !(BIG_KEY | BIG_DATA) != 0 {
            return None;
        }
        let (key, rest) = rest.split_at_checked(key_size)?;
        let key = Field::decode(key, flags & BIG_KEY, order)?;
        let value = Field::decode(rest.get(..value_size)?, flags & BIG_DATA, order)?;
        Some(Pair { key, value })
    }

    /// The bytes it takes on the page, without padding.
    pub(super) fn size(&self) -> usize {
        ITEM_HEADER.saturating_add(self.key.size()).saturating_add(self.value.size())
    }
}

impl<'a> Child<'a> {
    /// The item of an internal page at the beginning of `item`; `None` if it is longer than that.
    pub(super) fn decode(item: &'a [u8], order: ByteOrder) -> Option<Child<'a>> {
        let key_size = order.u32_at(item, 0)? as usize;
        let page = order.u32_at(item, 4)?;
        let (flags, rest) = item.get(8..)?.split_first()?;
        if flags & !BIG_KEY != 0 {
            return None;
        }
        let key = Field::decode(rest.get(..key_size)?, flags & BIG_KEY, order)?;
        Some(Child { key, page })
    }

    /// The bytes it takes on the page, without padding.
    pub(super) fn size(&self) -> usize {
        ITEM_HEADER.saturating_add(self.key.size())
    }
}

impl<'a> Field<'a> {
    fn decode(bytes: &'a [u8], big: u8, order: ByteOrder) -> Option<Field<'a>> {
        if big == 0 {
            return Some(Field::Here(bytes));
        }
        let reference = (bytes.len() == REFERENCE).then_some(bytes)?;
        let first = order.u32_at(reference, 0)?;
        Some(Field::Chain(Chain { first, size: order.u32_at(reference, 4)? }))
    }
}

impl Field<'_> {
    /// The bytes it takes on the page.
    pub(super) fn size(&self) -> usize {
        match self {
            Field::Here(bytes) => bytes.len(),
            Field::Chain(_) => REFERENCE,
        }
    }

    /// Its chain, if it has one.
    pub(super) fn chain(&self) -> Option<Chain> {
        match self {
            Field::Here(_) => None,
            Field::Chain(chain) => Some(*chain),
        }
    }
}

/// `size` rounded up to the multiple of 4 that an item fills (`LALIGN`).
pub(super) fn padded(size: usize) -> usize {
    size.saturating_add(3) & !3
}

/// How many offsets the table has and where the items begin, from `lower` and `upper`.
fn table((lower, upper): (u16, u16), page_size: usize) -> Option<(usize, usize)> {
    let lower = usize::from(lower);
    // 65536 does not fit in 16 bits: the reference stores 0, and calculates correctly modulo 65536.
    let upper = match usize::from(upper) {
        0 if lower == HEADER => page_size,
        upper => upper,
    };
    let table = lower.checked_sub(HEADER)?;
    let holds = table.is_multiple_of(OFFSET) && lower <= upper && upper <= page_size;
    holds.then_some((table / OFFSET, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { order: ByteOrder::Little, page_size: 512 };

    /// A leaf, number 7 between 6 and 8, with the one pair `key` = `value` at 488.
    fn leaf() -> Vec<u8> {
        let mut bytes = vec![0xff; 512];
        for (place, word) in [7_u32, 6, 8, 2].iter().enumerate() {
            bytes[place * 4..place * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes[16..22].copy_from_slice(&[22, 0, 0xe8, 1, 0xe8, 1]);
        bytes[488..505].copy_from_slice(b"\x03\0\0\0\x05\0\0\0\0keyvalue");
        bytes
    }

    fn fault(bytes: &[u8]) -> String {
        let found = Page::parse(bytes, LAYOUT, 7).and_then(|page| page.pair(0).map(|_| ()));
        found.unwrap_err().to_string()
    }

    #[test]
    fn takes_a_leaf_to_pieces() {
        let bytes = leaf();
        let page = Page::parse(&bytes, LAYOUT, 7).unwrap();
        assert_eq!((page.number, page.prev, page.next, page.count), (7, 6, 8, 1));
        assert_eq!(page.kind, Kind::Leaf);
        let pair = page.pair(0).unwrap();
        assert_eq!((pair.key, pair.value), (Field::Here(b"key"), Field::Here(b"value")));
        assert_eq!(page.extent(0).unwrap(), 488..505);
        assert_eq!(page.pair(1).unwrap_err(), Fault::BadOffset.on(7));
    }

    #[test]
    fn refuses_a_header_that_contradicts_itself() {
        let mut bytes = leaf();
        bytes[0] = 8;
        assert_eq!(fault(&bytes), "page 7: has another page's number");
        for flags in [0, 1 | 2, 0x08, 0x10, 0x42] {
            let mut bytes = leaf();
            bytes[12] = flags;
            assert_eq!(fault(&bytes), "page 7: unknown type of page", "{flags:#x}");
        }
        for (lower, upper) in [(19, 488), (23, 488), (490, 488), (22, 514), (22, 0)] {
            let mut bytes = leaf();
            bytes[16..18].copy_from_slice(&u16::to_le_bytes(lower));
            bytes[18..20].copy_from_slice(&u16::to_le_bytes(upper));
            assert_eq!(fault(&bytes), "page 7: bounds contradict each other", "{lower} {upper}");
        }
        assert_eq!(Page::parse(&leaf()[..511], LAYOUT, 7).unwrap_err(), Fault::Cut.on(7));
    }

    #[test]
    fn refuses_an_item_that_leaves_the_page() {
        for offset in [22_u16, 487, 512, 0xffff] {
            let mut bytes = leaf();
            bytes[20..22].copy_from_slice(&offset.to_le_bytes());
            let message = fault(&bytes);
            let expected = ["page 7: offset out of place", "page 7: item is out of place"];
            assert!(expected.contains(&message.as_str()), "{offset}: {message}");
        }
        for (place, size) in [(488, 16_u32), (488, u32::MAX), (492, 18), (492, u32::MAX)] {
            let mut bytes = leaf();
            bytes[place..place + 4].copy_from_slice(&size.to_le_bytes());
            assert_eq!(fault(&bytes), "page 7: item is out of place", "{place} {size}");
        }
    }

    #[test]
    fn a_big_field_is_a_reference_of_eight_bytes() {
        let mut bytes = leaf();
        bytes[488..492].copy_from_slice(&[8, 0, 0, 0]);
        bytes[492..496].copy_from_slice(&[0, 0, 0, 0]);
        bytes[496] = BIG_KEY;
        bytes[497..505].copy_from_slice(&[9, 0, 0, 0, 0xe8, 3, 0, 0]);
        let page = Page::parse(&bytes, LAYOUT, 7).unwrap();
        let chain = Chain { first: 9, size: 1000 };
        assert_eq!(page.pair(0).unwrap().key, Field::Chain(chain));
        bytes[488] = 7;
        assert_eq!(fault(&bytes), "page 7: item is out of place");
    }

    #[test]
    fn an_empty_page_of_65536_bytes_has_upper_0() {
        let layout = Layout { order: ByteOrder::Big, page_size: 65_536 };
        let mut bytes = vec![0; 65_536];
        bytes[3] = 7;
        bytes[15] = 2;
        bytes[17] = 20;
        let page = Page::parse(&bytes, layout, 7).unwrap();
        assert_eq!((page.count, page.upper), (0, 65_536));
        bytes[17] = 22;
        assert!(Page::parse(&bytes, layout, 7).is_err());
    }
}
