//! Page 0, the meta page: what is needed to read all other pages.
//!
//! | offset | bytes | `BTMETA` | |
//! |---|---|---|---|
//! | 0 | 4 | `magic` | 0x053162; the order of its bytes is the order of the whole file |
//! | 4 | 4 | `version` | 3 |
//! | 8 | 4 | `psize` | page size: even, 512 to 65536 |
//! | 12 | 4 | `free` | first page of the free list, 0 if it is empty |
//! | 16 | 4 | `nrecs` | for recno(3) only |
//! | 20 | 4 | `flags` | `B_NODUPS` and `R_RECNO`, no others |
//! | 24 | 4 | | ours: whether an update of several pages is in progress |
//!
//! The reference writes zeros after its 24 bytes when it creates a file, and leaves them alone when it
//! writes the page again: it does not see the mark, and preserves it.
//!
//! Source: lib/libc/db/btree/btree.h, and `__bt_open()` in bt_open.c for what it accepts.

use super::super::{ByteOrder, Damage, Fault};
use super::page::Layout;

/// `BTREEMAGIC` of db.h.
const MAGIC: u32 = 0x05_3162;
/// `BTREEVERSION` of db.h.
const VERSION: u32 = 3;
/// Bytes of `BTMETA`.
const SIZE: usize = 24;
/// `MINPSIZE` of btree.h.
pub(super) const MIN_PAGE_SIZE: u32 = 512;
/// `MAX_PAGE_OFFSET + 1` of db.h: an offset has 16 bits.
pub(super) const MAX_PAGE_SIZE: u32 = 65_536;
/// `B_NODUPS` of btree.h: a key occurs once. spamd never made another tree.
const NO_DUPLICATES: u32 = 0x20;

/// Follows `BTMETA` while an update of several pages is in progress.
const MARK: u32 = 0x6d65_6e64;

/// The page where every search begins (`P_ROOT`).
pub(super) const ROOT: u32 = 1;

/// Whether a key may occur more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duplicates {
    Forbidden,
    Allowed,
}

/// Whether the last update of several pages was completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    Complete,
    /// It was interrupted: sibling links may be out of date, and moved records may be there twice.
    CutShort,
}

/// The fields of the meta page that matter in a btree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) layout: Layout,
    /// The first page of the free list; 0 if there is none.
    pub(super) free: u32,
    pub(super) duplicates: Duplicates,
    pub(super) update: Update,
}

/// Whether the first bytes are this format's magic number, in either byte order.
pub fn has_magic(image: &[u8]) -> bool {
    byte_order(image).is_some()
}

fn byte_order(image: &[u8]) -> Option<ByteOrder> {
    [ByteOrder::Little, ByteOrder::Big]
        .into_iter()
        .find(|order| order.u32_at(image, 0) == Some(MAGIC))
}

impl Meta {
    /// Bytes of `BTMETA` and of the mark behind it.
    pub(super) const SIZE: usize = SIZE + 4;

    /// Reads the beginning of a file.
    pub(super) fn decode(image: &[u8]) -> Result<Meta, Damage> {
        let order = byte_order(image).ok_or(Fault::NotADatabase.on(0))?;
        let field = |offset| order.u32_at(image, offset).ok_or(Fault::TooShort.on(0));
        let (version, size, free, flags) = (field(4)?, field(8)?, field(12)?, field(20)?);
        let wrong = |name| Err(Fault::Header(name).on(0));
        if version != VERSION {
            return wrong("version");
        }
        if !is_page_size(size) {
            return wrong("psize");
        }
        let duplicates = match flags {
            NO_DUPLICATES => Duplicates::Forbidden,
            0 => Duplicates::Allowed,
            _ => return wrong("flags"),
        };
        let update = match order.u32_at(image, SIZE) {
            Some(MARK) => Update::CutShort,
            _ => Update::Complete,
        };
        Ok(Meta { layout: Layout { order, page_size: size as usize }, free, duplicates, update })
    }

    /// The bytes of the meta page.
    pub(super) fn encode(&self) -> Vec<u8> {
        let flags = match self.duplicates {
            Duplicates::Forbidden => NO_DUPLICATES,
            Duplicates::Allowed => 0,
        };
        let mark = match self.update {
            Update::CutShort => MARK,
            Update::Complete => 0,
        };
        // At most 65536.
        let page_size = u32::try_from(self.layout.page_size).unwrap_or(MAX_PAGE_SIZE);
        [MAGIC, VERSION, page_size, self.free, 0, flags, mark]
            .into_iter()
            .flat_map(|word| self.layout.order.u32_bytes(word))
            .collect()
    }
}

/// Whether the reference makes and opens files of this page size.
pub(super) fn is_page_size(size: u32) -> bool {
    (MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&size) && size.is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first 24 bytes of tests/data/btree/one-grey.db, as i386 would have written them.
    const GOLDEN: [u8; 24] =
        [0x62, 0x31, 0x05, 0, 3, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0];

    fn with(offset: usize, bytes: &[u8]) -> Result<Meta, Damage> {
        let mut image = GOLDEN;
        image[offset..offset + bytes.len()].copy_from_slice(bytes);
        Meta::decode(&image)
    }

    #[test]
    fn reads_both_byte_orders() {
        let little = Meta::decode(&GOLDEN).unwrap();
        assert_eq!(little.layout, Layout { order: ByteOrder::Little, page_size: 16_384 });
        assert_eq!(little.duplicates, Duplicates::Forbidden);
        let swapped: Vec<u8> =
            GOLDEN.chunks(4).flat_map(|word| word.iter().rev()).copied().collect();
        let big = Meta::decode(&swapped).unwrap();
        assert_eq!(big.layout, Layout { order: ByteOrder::Big, page_size: 16_384 });
    }

    #[test]
    fn encodes_what_it_read() {
        let meta = Meta::decode(&GOLDEN).unwrap();
        assert_eq!(meta.encode(), [GOLDEN.as_slice(), &[0; 4]].concat());
        let marked = Meta { update: Update::CutShort, free: 7, ..meta }.encode();
        assert_eq!(marked[12], 7);
        assert_eq!(Meta::decode(&marked).unwrap().update, Update::CutShort);
        // The mark in the other byte order does not count.
        let torn = [&GOLDEN[..], b"mend"].concat();
        assert_eq!(Meta::decode(&torn).unwrap().update, Update::Complete);
    }

    #[test]
    fn refuses_what_dbopen_refuses() {
        let fault = |offset, bytes: &[u8]| with(offset, bytes).unwrap_err().to_string();
        assert_eq!(fault(0, &[0x63]), "not a spamd database (neither hash nor btree)");
        assert_eq!(fault(4, &[2]), "page 0: invalid version in the header");
        for size in [0_u32, 510, 513, 65_538, 0x8000_0000] {
            let message = fault(8, &size.to_le_bytes());
            assert_eq!(message, "page 0: invalid psize in the header", "{size}");
        }
        // R_RECNO marks a recno(3) file, which has no keys.
        for flags in [0x80, 0xa0, 0x21] {
            assert_eq!(fault(20, &[flags]), "page 0: invalid flags in the header");
        }
        assert_eq!(Meta::decode(&GOLDEN[..23]).unwrap_err(), Fault::TooShort.on(0));
    }

    #[test]
    fn accepts_the_sizes_that_dbopen_accepts() {
        for size in [512_u32, 514, 4096, 65_536] {
            let meta = with(8, &size.to_le_bytes()).unwrap();
            assert_eq!(meta.layout.page_size, size as usize);
        }
    }

    #[test]
    fn a_tree_may_allow_duplicates() {
        assert_eq!(with(20, &[0]).unwrap().duplicates, Duplicates::Allowed);
    }
}
