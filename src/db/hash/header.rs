//! The 260-byte header of a hash file: decoding, encoding, and the places of buckets and overflow pages.
//!
//! Its fields are big-endian whatever `lorder` says; `lorder` is the byte order of the pages after it.
//! Layout and names are those of `struct hashhdr` in lib/libc/db/hash/hash.h:
//!
//! | offset | field | | offset | field |
//! |---|---|---|---|---|
//! | 0 | magic 0x061561 | | 40 | max_bucket |
//! | 4 | version 1, 2 | | 44 | high_mask |
//! | 8 | lorder 1234, 4321 | | 48 | low_mask |
//! | 12 | bsize | | 52 | ffactor |
//! | 16 | bshift | | 56 | nkeys |
//! | 20 | dsize | | 60 | hdrpages |
//! | 24 | ssize | | 64 | h_charkey |
//! | 28 | sshift | | 68 | spares, 32 × i32 |
//! | 32 | ovfl_point | | 196 | bitmaps, 32 × u16 |
//! | 36 | last_freed | | 260 | end |
//!
//! A header that decodes is safe for a walk; [`Header::faults`] reports what would only be a problem for a
//! program that writes.

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

/// `HASHMAGIC` of <db.h>.
pub const MAGIC: u32 = 0x061561;
/// `sizeof(HASHHDR)`.
pub const SIZE: usize = 260;
/// `NCACHED`: the number of split points and of bitmap pages for which the header has room.
pub const SPLIT_POINTS: usize = 32;
/// `DEF_FFACTOR`: the fill factor is not known before the first page overflows.
pub const FFACTOR_UNKNOWN: i32 = 65536;
/// `SPLITMASK`: overflow pages of one split point are numbered from 1 to this.
pub const MAX_PAGES_PER_SPLIT: u32 = 0x7ff;
/// `SPLITSHIFT`: an overflow address has its split point in the bits above these.
const SPLIT_SHIFT: u32 = 11;
/// The hash of `CHARKEY` with its terminating NUL, by which libc recognizes a file with its own hash
/// function.
const CHARKEY_HASH: u32 = 0x956e_7de3;
/// Versions 1 and 2 do not differ in the file; libc replaces either by 2.
const VERSIONS: [u32; 2] = [1, VERSION];
/// `HASHVERSION` of <db.h>.
const VERSION: u32 = 2;
/// `HDRPAGES`: with pages of at least `MINHDRSIZE` (512) bytes the header takes one.
pub const HEADER_PAGES: u32 = 1;

const LITTLE_ENDIAN: u32 = 1234;
const BIG_ENDIAN: u32 = 4321;

/// A valid header. The fields have the same names as in C.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `lorder`.
    pub order: ByteOrder,
    /// Bytes in a page: a power of two, 512 to 65536.
    pub bsize: u32,
    /// Its logarithm.
    pub bshift: u32,
    /// The number of segments in libc's directory of buckets.
    pub dsize: i32,
    /// The number of buckets in such a segment.
    pub ssize: i32,
    /// Its logarithm.
    pub sshift: i32,
    /// The split point at which overflow pages are made.
    pub ovfl_point: u32,
    /// Where to begin the search for a free overflow page.
    pub last_freed: i32,
    /// The number of the last bucket.
    pub max_bucket: u32,
    /// Mask for all buckets up to the next doubling.
    pub high_mask: u32,
    /// Mask for the buckets up to the last doubling.
    pub low_mask: u32,
    /// The desired number of pairs in a bucket, or [`FFACTOR_UNKNOWN`].
    pub ffactor: i32,
    /// The number of pairs in the table at the last orderly close: never rely on it.
    pub nkeys: i32,
    /// The number of overflow pages made up to and including each split point.
    pub spares: [u32; SPLIT_POINTS],
    /// Addresses of the bitmap pages.
    pub bitmaps: [u16; SPLIT_POINTS],
}

impl Header {
    /// Decodes the first bytes of a file.
    ///
    /// # Errors
    ///
    /// A field has a value that libc never writes, and that would make reading meaningless or unsafe.
    pub fn decode(image: &[u8]) -> Result<Header, Fault> {
        let raw = image.first_chunk::<SIZE>().ok_or(Fault::TooShort)?;
        let field = |offset| ByteOrder::Big.u32_at(raw, offset).ok_or(Fault::TooShort);
        let signed = |offset| ByteOrder::Big.i32_at(raw, offset).ok_or(Fault::TooShort);
        require(field(0)? == MAGIC, Fault::NotADatabase)?;
        require(VERSIONS.contains(&field(4)?), Fault::Header("version"))?;
        let order = match field(8)? {
            LITTLE_ENDIAN => ByteOrder::Little,
            BIG_ENDIAN => ByteOrder::Big,
            _ => return Err(Fault::Header("lorder")),
        };
        require(field(64)? == CHARKEY_HASH, Fault::Header("h_charkey"))?;
        require(field(60)? == HEADER_PAGES, Fault::Header("hdrpages"))?;
        let header = Header {
            order,
            bsize: field(12)?,
            bshift: field(16)?,
            dsize: signed(20)?,
            ssize: signed(24)?,
            sshift: signed(28)?,
            ovfl_point: field(32)?,
            last_freed: signed(36)?,
            max_bucket: field(40)?,
            high_mask: field(44)?,
            low_mask: field(48)?,
            ffactor: signed(52)?,
            nkeys: signed(56)?,
            spares: decode_spares(raw)?,
            bitmaps: decode_bitmaps(raw)?,
        };
        header.require_geometry()?;
        Ok(header)
    }

    fn require_geometry(&self) -> Result<(), Fault> {
        let sane = self.bsize.is_power_of_two() && (512..=65536).contains(&self.bsize);
        require(sane, Fault::Header("bsize"))?;
        require(self.bshift == self.bsize.trailing_zeros(), Fault::Header("bshift"))?;
        // init_htab() begins with at least two buckets, __expand_table() preserves the other conditions.
        let buckets = u64::from(self.low_mask).saturating_add(1);
        require(buckets.is_power_of_two() && buckets > 1, Fault::Header("low_mask"))?;
        let doubled = u64::from(self.high_mask).saturating_add(1);
        require(doubled == buckets.saturating_mul(2), Fault::Header("high_mask"))?;
        let range = self.low_mask..=self.high_mask.min(i32::MAX.cast_unsigned());
        require(range.contains(&self.max_bucket), Fault::Header("max_bucket"))?;
        let last = u32::try_from(SPLIT_POINTS).unwrap_or(u32::MAX);
        let range = generation(self.max_bucket)..last;
        require(range.contains(&self.ovfl_point), Fault::Header("ovfl_point"))?;
        self.require_spares()
    }

    /// The places of all pages depend on `spares`: within these bounds no two of them coincide.
    fn require_spares(&self) -> Result<(), Fault> {
        let mut before = 0;
        for (split, &spares) in (0..=self.ovfl_point).zip(&self.spares) {
            // init_htab() makes no overflow page before split point 1.
            let most = if split == 0 { 0 } else { MAX_PAGES_PER_SPLIT };
            let made = spares.checked_sub(before);
            require(made.is_some_and(|made| made <= most), Fault::Header("spares"))?;
            before = spares;
        }
        Ok(())
    }

    /// The header of an empty table, as made by `init_hash()` and `init_htab()` for one element, which
    /// corresponds to spamd's zeroed `HASHINFO`: two buckets and two overflow pages, the first of which is
    /// the bitmap.
    pub fn fresh(bsize: u32, order: ByteOrder) -> Header {
        let mut spares = [0; SPLIT_POINTS];
        spares.iter_mut().skip(1).take(2).for_each(|spares| *spares = 2);
        let mut bitmaps = [0; SPLIT_POINTS];
        bitmaps.iter_mut().take(1).for_each(|address| *address = (1 << SPLIT_SHIFT) + 1);
        Header {
            order,
            bsize,
            bshift: bsize.trailing_zeros(),
            dsize: 256,
            ssize: 256,
            sshift: 8,
            ovfl_point: 1,
            last_freed: 2,
            max_bucket: 1,
            high_mask: 3,
            low_mask: 1,
            ffactor: FFACTOR_UNKNOWN,
            nkeys: 0,
            spares,
            bitmaps,
        }
    }

    /// The bitmap page of an empty table: its own bit is set, the second page is free (`__ibitmap()`).
    pub fn fresh_map(&self) -> Vec<u8> {
        let size = usize::try_from(self.bsize).unwrap_or(0);
        let words = std::iter::once(0xffff_fffd).chain(std::iter::repeat(u32::MAX));
        words.flat_map(|word| self.order.u32_bytes(word)).take(size).collect()
    }

    /// The bytes of the header, as current libc writes them.
    pub fn encode(&self) -> [u8; SIZE] {
        let order = match self.order {
            ByteOrder::Little => LITTLE_ENDIAN,
            ByteOrder::Big => BIG_ENDIAN,
        };
        let unsigned = |value: i32| value.cast_unsigned();
        let front = [
            MAGIC,
            VERSION,
            order,
            self.bsize,
            self.bshift,
            unsigned(self.dsize),
            unsigned(self.ssize),
            unsigned(self.sshift),
            self.ovfl_point,
            unsigned(self.last_freed),
            self.max_bucket,
            self.high_mask,
            self.low_mask,
            unsigned(self.ffactor),
            unsigned(self.nkeys),
            HEADER_PAGES,
            CHARKEY_HASH,
        ];
        let words = front.into_iter().chain(self.spares).flat_map(u32::to_be_bytes);
        let bytes = words.chain(self.bitmaps.into_iter().flat_map(u16::to_be_bytes));
        let mut raw = [0; SIZE];
        raw.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        raw
    }

    /// The faults in a header that is good enough for reading, but not for writing: libc divides by these
    /// fields, shifts by them, or uses them as an index.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        let size = u32::try_from(self.ssize).unwrap_or(0);
        let segments = self.max_bucket.checked_div(size);
        let directory = u32::try_from(self.dsize).ok();
        let spares = i32::try_from(self.overflow_pages()).unwrap_or(i32::MAX);
        [
            (size.is_power_of_two(), "ssize"),
            (u32::try_from(self.sshift) == Ok(size.trailing_zeros()), "sshift"),
            (segments < directory, "dsize"),
            ((0..=spares).contains(&self.last_freed), "last_freed"),
            (self.ffactor > 0, "ffactor"),
            (self.nkeys >= 0, "nkeys"),
        ]
        .into_iter()
        .filter(|(sound, _)| !sound)
        .map(|(_, field)| Fault::Header(field))
    }

    /// The number of buckets in the new table, by the split point of the first bitmap. Their pages may
    /// never have been written; those of all later buckets have been.
    pub fn first_buckets(&self) -> u32 {
        let (split, _) = self.bitmaps.first().map_or((0, 0), |&address| split_address(address));
        1u32.checked_shl(split).unwrap_or(u32::MAX)
    }

    /// The number of overflow pages, used or free, including bitmaps.
    pub fn overflow_pages(&self) -> u32 {
        usize::try_from(self.ovfl_point)
            .ok()
            .and_then(|at| self.spares.get(at))
            .copied()
            .unwrap_or(0)
    }

    /// The bucket in which a key with this hash belongs (`__call_hash()`).
    pub fn bucket_of(&self, hash: u32) -> u32 {
        self.home(0).bucket_of(hash)
    }

    /// What is needed to decide whether keys belong in a bucket.
    pub fn home(&self, bucket: u32) -> Home {
        let Header { max_bucket, high_mask, low_mask, .. } = *self;
        Home { bucket, max_bucket, high_mask, low_mask }
    }

    /// The page of a bucket (`BUCKET_TO_PAGE`).
    pub fn bucket_page(&self, bucket: u32) -> u32 {
        let spares = match generation(bucket) {
            0 => 0,
            split => self.spares_up_to(split.saturating_sub(1)),
        };
        bucket.saturating_add(HEADER_PAGES).saturating_add(spares)
    }

    /// The overflow page with this address: its ordinal, and its page in the file (`OADDR_TO_PAGE`); `None`
    /// if there is no such page yet.
    pub fn overflow_page(&self, address: u16) -> Option<Overflow> {
        let (split, number) = split_address(address);
        if split == 0 || split > self.ovfl_point || number == 0 {
            return None;
        }
        let ordinal = self.spares_up_to(split.checked_sub(1)?).checked_add(number)?;
        let buckets = 1u32.checked_shl(split)?;
        // hdrpages compensates for the 1 that `(1 << split) - 1` subtracts.
        let page = buckets.checked_add(ordinal)?;
        (ordinal <= self.spares_up_to(split)).then_some(Overflow { ordinal, page })
    }

    fn spares_up_to(&self, split: u32) -> u32 {
        usize::try_from(split).ok().and_then(|at| self.spares.get(at)).copied().unwrap_or(0)
    }
}

/// A bucket, and the part of the header that is needed to recognize its keys.
#[derive(Clone, Copy, Debug)]
pub struct Home {
    bucket: u32,
    max_bucket: u32,
    high_mask: u32,
    low_mask: u32,
}

impl Home {
    /// Whether a key belongs in the bucket.
    pub fn is_of(self, key: &[u8]) -> bool {
        self.bucket_of(hash(key)) == self.bucket
    }

    fn bucket_of(self, hash: u32) -> u32 {
        let bucket = hash & self.high_mask;
        if bucket > self.max_bucket { bucket & self.low_mask } else { bucket }
    }
}

/// One overflow page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Its ordinal over all split points, from 1; the number of its bit in the bitmaps is one less.
    pub ordinal: u32,
    /// The page of the file.
    pub page: u32,
}

/// The parts of an overflow address: split point, and number within it.
pub fn split_address(address: u16) -> (u32, u32) {
    let address = u32::from(address);
    (address.wrapping_shr(SPLIT_SHIFT), address & MAX_PAGES_PER_SPLIT)
}

/// The doubling in which a bucket was created: 0 for bucket 0, 1 for 1, 2 for 2 and 3, … (`__log2(bucket +
/// 1)`).
pub fn generation(bucket: u32) -> u32 {
    u32::BITS.saturating_sub(bucket.leading_zeros())
}

/// The default hash function, `__default_hash()`: h · 33 + byte over all bytes of the key.
///
/// It takes four bytes at a time, since the steps within such a group do not depend on each other.
pub fn hash(key: &[u8]) -> u32 {
    let (groups, rest) = key.as_chunks();
    let hash = groups.iter().fold(0u32, |hash, &[a, b, c, d]| {
        hash.wrapping_mul(33 * 33 * 33 * 33)
            .wrapping_add(u32::from(a).wrapping_mul(33 * 33 * 33))
            .wrapping_add(u32::from(b).wrapping_mul(33 * 33))
            .wrapping_add(u32::from(c).wrapping_mul(33))
            .wrapping_add(u32::from(d))
    });
    rest.iter().fold(hash, |hash, &byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

fn decode_spares(raw: &[u8]) -> Result<[u32; SPLIT_POINTS], Fault> {
    let mut spares = [0; SPLIT_POINTS];
    for (offset, slot) in (68..).step_by(4).zip(&mut spares) {
        *slot = ByteOrder::Big.u32_at(raw, offset).ok_or(Fault::TooShort)?;
    }
    Ok(spares)
}

fn decode_bitmaps(raw: &[u8]) -> Result<[u16; SPLIT_POINTS], Fault> {
    let mut bitmaps = [0; SPLIT_POINTS];
    for (offset, slot) in (196..).step_by(2).zip(&mut bitmaps) {
        *slot = ByteOrder::Big.u16_at(raw, offset).ok_or(Fault::TooShort)?;
    }
    Ok(bitmaps)
}

fn require(holds: bool, fault: Fault) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(fault) }
}
