//! A page while it is edited: its items in order, from which a whole page is laid out again.
//!
//! The writer turns a page into a [`Node`], which checks all of it, changes the list of items, and encodes
//! the list; items that stay are copied unchanged. The resulting page is packed as the reference packs it:
//! items from the end of the page downwards, without gaps.
//!
//! Source: lib/libc/db/btree/btree.h.

use super::super::{ByteOrder, Damage, Fault};
use super::page::{
    BIG_DATA, BIG_KEY, Chain, Child, Field, HEADER, Kind, Layout, OFFSET, Page, Pair, padded,
};
use std::borrow::Cow;

/// What the reference leaves in unused bytes.
const UNUSED: u8 = 0xff;

/// The items of a leaf or internal page.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) number: u32,
    pub(super) prev: u32,
    pub(super) next: u32,
    pub(super) kind: Kind,
    /// Without their padding.
    pub(super) items: Vec<Cow<'a, [u8]>>,
}

impl<'a> Node<'a> {
    /// Decodes a page. Every item must be valid, and together they must fill it as on a page that the
    /// reference wrote.
    pub(super) fn of(page: &Page<'a>) -> Result<Node<'a>, Damage> {
        let mut items = Vec::with_capacity(page.count.saturating_add(1));
        let mut end = page.upper;
        for index in 0..page.count {
            let item = page.bytes().get(page.extent(index)?).unwrap_or_default();
            end = end.saturating_add(padded(item.len()));
            items.push(Cow::Borrowed(item));
        }
        if !matches!(page.kind, Kind::Leaf | Kind::Internal) {
            return Err(Fault::BadPage("an overflow page, but linked as a leaf").on(page.number));
        }
        if end != page.bytes().len() {
            return Err(Fault::BadPage("items overlap or leave gaps").on(page.number));
        }
        let Page { number, prev, next, kind, .. } = *page;
        Ok(Node { number, prev, next, kind, items })
    }

    /// A page without items or siblings.
    pub(super) fn empty(number: u32, kind: Kind) -> Node<'a> {
        Node { number, prev: 0, next: 0, kind, items: Vec::new() }
    }

    /// Whether its items fit on one page.
    pub(super) fn fits(&self, layout: Layout) -> bool {
        let used = self.items.iter().fold(0_usize, |sum, item| sum.saturating_add(weight(item)));
        used <= capacity(layout)
    }

    /// The whole page. It is an error if the items do not fit, which cannot happen with a sound page.
    pub(super) fn encode(&self, layout: Layout) -> Result<Vec<u8>, Damage> {
        self.lay_out(layout).ok_or(Fault::BadPage("too much for one page").on(self.number))
    }

    fn lay_out(&self, layout: Layout) -> Option<Vec<u8>> {
        let Layout { order, page_size } = layout;
        let lower = HEADER.checked_add(self.items.len().checked_mul(OFFSET)?)?;
        let mut bytes = vec![UNUSED; page_size];
        let mut upper = page_size;
        let mut slots = Vec::with_capacity(lower);
        for item in &self.items {
            upper = upper.checked_sub(padded(item.len())).filter(|&upper| upper >= lower)?;
            bytes.get_mut(upper..)?.get_mut(..item.len())?.copy_from_slice(item);
            slots.extend(order.u16_bytes(u16::try_from(upper).ok()?));
        }
        // 65536 does not fit in 16 bits; the reference stores 0.
        let upper = u16::try_from(upper).unwrap_or(0);
        let header = header(order, [self.number, self.prev, self.next, self.kind.flags()]);
        let bounds = [order.u16_bytes(u16::try_from(lower).ok()?), order.u16_bytes(upper)];
        let front = [header.as_slice(), bounds.as_flattened(), &slots].concat();
        bytes.get_mut(..front.len())?.copy_from_slice(&front);
        Some(bytes)
    }
}

/// The first four words of a page.
pub(super) fn header(order: ByteOrder, words: [u32; 4]) -> Vec<u8> {
    words.into_iter().flat_map(|word| order.u32_bytes(word)).collect()
}

/// An overflow page.
pub(super) fn overflow_page(layout: Layout, number: u32, next: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(layout.order, [number, 0, next, Kind::Overflow.flags()]);
    bytes.resize(HEADER, 0);
    bytes.extend_from_slice(payload);
    bytes.resize(layout.page_size, UNUSED);
    bytes
}

/// The bytes available for the items on a page and their table.
pub(super) fn capacity(layout: Layout) -> usize {
    layout.page_size.saturating_sub(HEADER)
}

/// The bytes that an item takes of that.
pub(super) fn weight(item: &[u8]) -> usize {
    padded(item.len()).saturating_add(OFFSET)
}

/// If key and value together are larger than this, one of them goes to an overflow chain: two items must
/// fit on a page (`bt_ovflsize` in bt_open.c, for its default `minkeypage` of 2).
pub(super) fn overflow_size(layout: Layout) -> usize {
    (capacity(layout) / 2).saturating_sub(OFFSET.saturating_add(padded(super::page::ITEM_HEADER)))
}

/// The longest key that stays on its page whatever its value is: a reference to the value must fit beside
/// it (`__bt_put()` in bt_put.c).
#[cfg(libc_db)]
pub fn longest_key(page_size: usize) -> usize {
    let layout = Layout { order: ByteOrder::NATIVE, page_size };
    overflow_size(layout).saturating_sub(super::page::REFERENCE)
}

/// An item of a leaf.
pub(super) fn pair_item(order: ByteOrder, pair: Pair<'_>) -> Vec<u8> {
    let flags = flag(pair.key, BIG_KEY) | flag(pair.value, BIG_DATA);
    let mut item = Vec::with_capacity(pair.size());
    for field in [pair.key, pair.value] {
        item.extend(order.u32_bytes(u32::try_from(field.size()).unwrap_or(u32::MAX)));
    }
    item.push(flags);
    for field in [pair.key, pair.value] {
        push_field(&mut item, order, field);
    }
    item
}

/// An item of an internal page.
pub(super) fn child_item(order: ByteOrder, child: Child<'_>) -> Vec<u8> {
    let mut item = Vec::with_capacity(child.size());
    item.extend(order.u32_bytes(u32::try_from(child.key.size()).unwrap_or(u32::MAX)));
    item.extend(order.u32_bytes(child.page));
    item.push(flag(child.key, BIG_KEY));
    push_field(&mut item, order, child.key);
    item
}

fn flag(field: Field<'_>, flag: u8) -> u8 {
    if field.chain().is_some() { flag } else { 0 }
}

fn push_field(item: &mut Vec<u8>, order: ByteOrder, field: Field<'_>) {
    match field {
        Field::Here(bytes) => item.extend_from_slice(bytes),
        Field::Chain(Chain { first, size }) => {
            item.extend(order.u32_bytes(first));
            item.extend(order.u32_bytes(size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page that the reference wrote, decoded and encoded again, has the same items in the same order,
    /// and is packed as tightly.
    #[test]
    fn a_golden_page_survives_the_round_trip() {
        let image = include_bytes!("../../../tests/data/btree/multi.db");
        let layout = Layout { order: ByteOrder::Little, page_size: 4096 };
        let mut leaves = 0;
        for (number, bytes) in (0_u32..).zip(image.chunks(4096)).skip(1) {
            let page = Page::parse(bytes, layout, number).unwrap();
            let node = Node::of(&page).unwrap();
            assert!(node.fits(layout));
            let encoded = node.encode(layout).unwrap();
            let again = Page::parse(&encoded, layout, number).unwrap();
            assert_eq!((again.prev, again.next, again.kind), (page.prev, page.next, page.kind));
            assert_eq!((again.count, again.upper), (page.count, page.upper));
            assert_eq!(Node::of(&again).unwrap().items, node.items);
            leaves += usize::from(page.kind == Kind::Leaf);
        }
        assert!(leaves > 10);
    }

    #[test]
    fn items_encode_as_the_reference_encodes_them() {
        let order = ByteOrder::Big;
        let chain = Field::Chain(Chain { first: 5, size: 1000 });
        let pair = Pair { key: Field::Here(b"ab"), value: chain };
        let item = pair_item(order, pair);
        assert_eq!(item, b"\0\0\0\x02\0\0\0\x08\x01ab\0\0\0\x05\0\0\x03\xe8");
        let child = Child { key: chain, page: 7 };
        let item = child_item(order, child);
        assert_eq!(item, b"\0\0\0\x08\0\0\0\x07\x02\0\0\0\x05\0\0\x03\xe8");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let layout = Layout { order: ByteOrder::Little, page_size: 512 };
        let mut node = Node::empty(3, Kind::Leaf);
        node.items = vec![Cow::Owned(vec![0; 244]); 2];
        assert!(node.fits(layout) && node.encode(layout).is_ok());
        node.items[0].to_mut().push(0);
        assert!(!node.fits(layout));
        assert_eq!(node.encode(layout).unwrap_err().to_string(), "page 3: too much for one page");
    }

    /// bt_open.c: `(psize - BTDATAOFF) / 2 - (sizeof(indx_t) + NBLEAFDBT(0, 0))`.
    #[test]
    fn the_cut_off_is_the_reference_s() {
        let cut_off = |page_size| overflow_size(Layout { order: ByteOrder::Little, page_size });
        assert_eq!([512, 4096, 16_384, 65_536].map(cut_off), [232, 2024, 8168, 32_744]);
    }

    #[test]
    fn an_empty_page_of_65536_bytes_is_as_the_reference_s() {
        let layout = Layout { order: ByteOrder::Little, page_size: 65_536 };
        let bytes = Node::empty(1, Kind::Leaf).encode(layout).unwrap();
        assert_eq!(bytes[16..20], [20, 0, 0, 0]);
        assert_eq!(Page::parse(&bytes, layout, 1).unwrap().upper, 65_536);
    }
}
