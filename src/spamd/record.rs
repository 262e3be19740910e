//! Decodes one record of spamd's database.
//!
//! In: a key and a value as bytes. Out: an [`Entry`], which borrows the key, and its [`Gdata`]. A record
//! that spamd cannot have written is [`Unknown`]: it is skipped, counted and left alone.
//!
//! | kind | key | value |
//! |---|---|---|
//! | GREY | `ip\nhelo\nfrom\nto`; `ip\nfrom\nto` before OpenBSD 4.2 | any `pcount` |
//! | WHITE | `ip` | `pcount` ≥ 0 |
//! | TRAPPED | `ip` | `pcount` = −1 |
//! | SPAMTRAP | address in lower case, without brackets | `pcount` = −2 |
//!
//! A key ends at its first NUL: spamd and spamdb handle keys as C strings, and only damage can bring a NUL
//! into one.
//!
//! Source: `print_entry()` in usr.sbin/spamdb/spamdb.c, `greyupdate()` in libexec/spamd/grey.c.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use super::address::Address;
use crate::db::ByteOrder;
use std::fmt;
use std::net::IpAddr;

/// `pcount` of a TRAPPED record (libexec/spamd/grey.h).
pub const PCOUNT_TRAPPED: i32 = -1;
/// `pcount` of a SPAMTRAP record (libexec/spamd/grey.h).
pub const PCOUNT_SPAMTRAP: i32 = -2;

/// What a record is, by its key and its `pcount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A greylisted host, with a delivery that it attempted.
    Grey(Tuple<'a>),
    /// A host that may pass.
    White(&'a [u8]),
    /// A host that spamd tarpits.
    Trapped(&'a [u8]),
    /// An address: spamd traps hosts that send to it.
    Spamtrap(&'a [u8]),
}

/// One greylisted delivery. All fields are as the client sent them, except `address`, which is spamd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple<'a> {
    /// The client's address, in text form.
    pub address: &'a [u8],
    /// What it said in HELO or EHLO; empty in records that have no such field.
    pub helo: &'a [u8],
    /// The envelope sender, usually in angle brackets.
    pub from: &'a [u8],
    /// The envelope recipient, usually in angle brackets.
    pub to: &'a [u8],
}

/// `struct gdata` of libexec/spamd/grey.h: times in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gdata {
    /// When the record was made.
    pub first: i64,
    /// When the host passed, or may pass.
    pub pass: i64,
    /// When spamd removes the record.
    pub expire: i64,
    /// How often it was deferred.
    pub bcount: i32,
    /// How often it passed, or [`PCOUNT_TRAPPED`], or [`PCOUNT_SPAMTRAP`].
    pub pcount: i32,
}

/// Why spamd cannot have written a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The key is empty.
    EmptyKey,
    /// The value has neither the size of `struct gdata` nor of `struct ogdata`.
    ValueSize(usize),
    /// The key has two fields: an address and something else.
    NoSender,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::EmptyKey => f.write_str("empty key"),
            Unknown::ValueSize(size) => write!(f, "value of {size} bytes"),
            Unknown::NoSender => f.write_str("no sender in grey key"),
        }
    }
}

/// A host in the trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapRecord {
    /// Its address.
    pub address: IpAddr,
    /// When it was first trapped, in seconds since 1970.
    pub first: i64,
    /// When spamd lets it go.
    pub expire: i64,
}

impl TrapRecord {
    /// The host of a TRAPPED record; `None` for every other record, and for a key that is not an address.
    pub fn decode(key: &[u8], value: &[u8], order: ByteOrder) -> Option<TrapRecord> {
        let (Entry::Trapped(key), data) = Entry::decode(key, value, order).ok()? else {
            return None;
        };
        let address = Address::parse(key).ok()?.ip();
        Some(TrapRecord { address, first: data.first, expire: data.expire })
    }
}

impl<'a> Entry<'a> {
    /// Decodes a record.
    pub fn decode(
        key: &'a [u8],
        value: &[u8],
        order: ByteOrder,
    ) -> Result<(Entry<'a>, Gdata), Unknown> {
        if key.is_empty() {
            return Err(Unknown::EmptyKey);
        }
        let data = Gdata::decode(value, order)?;
        let entry = match Tuple::decode(key) {
            Some(tuple) => Entry::Grey(tuple?),
            None => {
                let text = until_nul(key);
                match data.pcount {
                    PCOUNT_TRAPPED => Entry::Trapped(text),
                    PCOUNT_SPAMTRAP => Entry::Spamtrap(text),
                    _ => Entry::White(text),
                }
            }
        };
        Ok((entry, data))
    }
}

impl<'a> Tuple<'a> {
    /// The key of its record.
    pub fn encode(&self) -> Vec<u8> {
        [self.address, self.helo, self.from, self.to].join(&b'\n')
    }

    /// The fields of a GREY key; `None` if the key has no newline before its first NUL, and so is not a
    /// tuple.
    ///
    /// Newlines beyond the third belong to the recipient, as they do for spamdb.
    pub fn decode(key: &'a [u8]) -> Option<Result<Tuple<'a>, Unknown>> {
        let (key, [one, two, three]) = lines(key);
        let field = |before: usize, end| key.get(before.saturating_add(1)..end);
        let address = key.get(..one)?;
        let (Some(second), Some(last)) = (field(one, two), field(two, key.len())) else {
            return Some(Err(Unknown::NoSender));
        };
        Some(Ok(match (field(two, three), field(three, key.len())) {
            (Some(from), Some(to)) => Tuple { address, helo: second, from, to },
            _ => Tuple { address, helo: b"", from: second, to: last },
        }))
    }
}

/// The key as spamd's programs see it: they handle it as a C string.
fn until_nul(key: &[u8]) -> &[u8] {
    memchr::memchr(0, key).and_then(|nul| key.get(..nul)).unwrap_or(key)
}

/// A key up to its first NUL, and the positions of its first three newlines; a missing one has a position
/// beyond the end.
///
/// Nearly every key is short and has newlines, but no control character that sorts before them. The
/// newlines of such keys are found all at once, since separate searches would each end in an unpredictable
/// branch.
fn lines(key: &[u8]) -> (&[u8], [usize; 3]) {
    let mut ends = [usize::MAX; 3];
    if let Some(mut breaks) = breaks(key) {
        for end in &mut ends {
            *end = breaks.trailing_zeros() as usize;
            breaks &= breaks.wrapping_sub(1);
        }
        let is_newline = |end: &usize| key.get(*end).is_none_or(|byte| *byte == b'\n');
        if breaks == 0 && ends.iter().all(is_newline) {
            return (key, ends);
        }
    }
    let key = until_nul(key);
    let newlines = memchr::memchr_iter(b'\n', key).chain(std::iter::repeat(usize::MAX));
    ends.iter_mut().zip(newlines).for_each(|(end, at)| *end = at);
    (key, ends)
}

/// A bit for each byte, set if the byte is at most a newline; the lowest bit is the first byte's. Only for
/// keys of 8 to 127 bytes.
fn breaks(key: &[u8]) -> Option<u128> {
    let (words, rest) = key.as_chunks::<8>();
    let last = key.last_chunk().filter(|_| key.len() < 128)?;
    let last = breaks_of(*last).wrapping_shr(8u32.saturating_sub(u32::try_from(rest.len()).ok()?));
    let (low, high) = words.split_at(words.len().min(8));
    let join = |words: &[[u8; 8]]| {
        words.iter().rev().fold(0u64, |all, word| all.wrapping_shl(8) | breaks_of(*word))
    };
    let words = u128::from(join(high)).wrapping_shl(64) | u128::from(join(low));
    let place = u32::try_from(key.len().wrapping_sub(rest.len())).ok()?;
    Some(words | u128::from(last).wrapping_shl(place))
}

/// The same for eight bytes.
fn breaks_of(word: [u8; 8]) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    const HIGH: u64 = !LOW;
    /// Lifts all that is greater than a newline to the high bit.
    const LIFT: u64 = u64::from_le_bytes([0x7f - b'\n'; 8]);
    let word = u64::from_le_bytes(word);
    let breaks = !((word & LOW).wrapping_add(LIFT) | word) & HIGH;
    // Moves the bit of byte i from 8 i + 7 to 56 + i.
    breaks.wrapping_mul(0x0002_0408_1020_4081).wrapping_shr(56)
}

impl Gdata {
    /// Bytes of `struct gdata`: i64 first, pass, expire; i32 bcount, pcount.
    pub const SIZE: usize = 32;
    /// Bytes of `struct ogdata`, before OpenBSD 5.5: five i32 in the same order.
    pub const OLD_SIZE: usize = 20;

    /// Reads either layout, recognized by its size, as `gdcopyin()` in libexec/spamd/gdcopy.c does.
    pub fn decode(value: &[u8], order: ByteOrder) -> Result<Gdata, Unknown> {
        let wide = |at| order.i64_at(value, at);
        let narrow = |at| order.i32_at(value, at);
        let decoded = match value.len() {
            Self::SIZE => (wide(0), wide(8), wide(16), narrow(24), narrow(28)),
            Self::OLD_SIZE => (
                narrow(0).map(i64::from),
                narrow(4).map(i64::from),
                narrow(8).map(i64::from),
                narrow(12),
                narrow(16),
            ),
            size => return Err(Unknown::ValueSize(size)),
        };
        let (Some(first), Some(pass), Some(expire), Some(bcount), Some(pcount)) = decoded else {
            return Err(Unknown::ValueSize(value.len()));
        };
        Ok(Gdata { first, pass, expire, bcount, pcount })
    }

    /// The bytes of the current layout.
    pub fn encode(&self, order: ByteOrder) -> [u8; Self::SIZE] {
        let bytes = (order.i64_bytes(self.first).into_iter())
            .chain(order.i64_bytes(self.pass))
            .chain(order.i64_bytes(self.expire))
            .chain(order.i32_bytes(self.bcount))
            .chain(order.i32_bytes(self.pcount));
        let mut value = [0; Self::SIZE];
        for (place, byte) in value.iter_mut().zip(bytes) {
            *place = byte;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::snapshot::Snapshot;
    use proptest::prelude::*;

    const DATA: Gdata =
        Gdata { first: 1795400000, pass: 1795401500, expire: 1795414400, bcount: 3, pcount: 0 };

    /// `struct ogdata` of five i32, as a machine of that byte order wrote it.
    fn old(numbers: [i32; 5], order: ByteOrder) -> Vec<u8> {
        numbers.iter().flat_map(|number| order.i32_bytes(*number)).collect()
    }

    fn decode(key: &[u8], pcount: i32) -> Result<Entry<'_>, Unknown> {
        let value = Gdata { pcount, ..DATA }.encode(ByteOrder::Little);
        Entry::decode(key, &value, ByteOrder::Little).map(|(entry, _)| entry)
    }

    /// The layout of `struct gdata` on amd64 and on sparc64, written out by hand.
    #[test]
    fn the_current_layout_in_both_orders() {
        let data =
            Gdata { first: 1, pass: -2, expire: 0x0102_0304_0506_0708, bcount: 3, pcount: -1 };
        let little =
            b"\x01\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\x08\x07\x06\x05\x04\x03\x02\x01\
            \x03\0\0\0\xff\xff\xff\xff";
        let big =
            b"\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xfe\x01\x02\x03\x04\x05\x06\x07\x08\
            \0\0\0\x03\xff\xff\xff\xff";
        for (bytes, order) in [(little, ByteOrder::Little), (big, ByteOrder::Big)] {
            assert_eq!(Gdata::decode(bytes, order), Ok(data));
            assert_eq!(&data.encode(order), bytes);
        }
    }

    #[test]
    fn the_old_layout_in_both_orders_keeps_its_signs() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let value = old([1, -2, i32::MAX, i32::MIN, -1], order);
            let data =
                Gdata { first: 1, pass: -2, expire: i32::MAX.into(), bcount: i32::MIN, pcount: -1 };
            assert_eq!(Gdata::decode(&value, order), Ok(data));
        }
    }

    #[test]
    fn any_other_size_is_unknown() {
        for size in (0..100).filter(|size| ![20, 32].contains(size)) {
            let value = vec![0; size];
            let expected = Unknown::ValueSize(size);
            assert_eq!(Gdata::decode(&value, ByteOrder::Little), Err(expected));
            assert_eq!(Entry::decode(b"x", &value, ByteOrder::Little), Err(expected));
        }
    }

    /// `switch (gd.pcount)` of print_entry(): only −1 and −2 are special, and only without newline.
    #[test]
    fn kinds_by_count_and_key() {
        for pcount in [0, 1, -3, i32::MAX, i32::MIN] {
            assert_eq!(decode(b"192.0.2.1", pcount), Ok(Entry::White(b"192.0.2.1")));
        }
        assert_eq!(decode(b"192.0.2.1", -1), Ok(Entry::Trapped(b"192.0.2.1")));
        assert_eq!(decode(b"a@example.com", -2), Ok(Entry::Spamtrap(b"a@example.com")));
        for pcount in [0, -1, -2] {
            let entry = decode(b"192.0.2.1\nh\n<f>\n<t>", pcount);
            assert!(matches!(entry, Ok(Entry::Grey(_))), "{entry:?}");
        }
    }

    #[test]
    fn grey_keys_with_four_fields_three_and_odd_ones() {
        let rows: [(&[u8], [&[u8]; 4]); 6] = [
            (b"192.0.2.1\nh\n<f>\n<t>", [b"192.0.2.1", b"h", b"<f>", b"<t>"]),
            (b"192.0.2.1\n<f>\n<t>", [b"192.0.2.1", b"", b"<f>", b"<t>"]),
            (b"192.0.2.1\nh|\xff\n<>\n<t>", [b"192.0.2.1", b"h|\xff", b"<>", b"<t>"]),
            (b"1\nh\nf\nt\nu\nv", [b"1", b"h", b"f", b"t\nu\nv"]),
            (b"\n\n\n", [b"", b"", b"", b""]),
            (b"\n\n", [b"", b"", b"", b""]),
        ];
        for (key, [address, helo, from, to]) in rows {
            assert_eq!(decode(key, 0), Ok(Entry::Grey(Tuple { address, helo, from, to })));
        }
    }

    #[test]
    fn keys_that_spamd_cannot_have_written() {
        assert_eq!(decode(b"", 0), Err(Unknown::EmptyKey));
        assert_eq!(decode(b"192.0.2.1\nhelo", 0), Err(Unknown::NoSender));
        assert_eq!(decode(b"\n", -1), Err(Unknown::NoSender));
        let said = [Unknown::EmptyKey, Unknown::NoSender, Unknown::ValueSize(33)]
            .map(|unknown| unknown.to_string());
        assert_eq!(said, ["empty key", "no sender in grey key", "value of 33 bytes"]);
    }

    /// As spamdb prints such keys: tests/data/listing/nul.txt.
    #[test]
    fn keys_end_at_their_first_nul() {
        let rows: [(&[u8], [&[u8]; 4]); 3] = [
            (b"1\nh\n<f>\n<t\0x>", [b"1", b"h", b"<f>", b"<t"]),
            (b"1\nh\n<f>\n<t>\0\nu", [b"1", b"h", b"<f>", b"<t>"]),
            (b"1\nh\n<f\0>\n<t>", [b"1", b"", b"h", b"<f"]),
        ];
        for (key, [address, helo, from, to]) in rows {
            assert_eq!(decode(key, 0), Ok(Entry::Grey(Tuple { address, helo, from, to })));
        }
        assert_eq!(decode(b"1\nh\0\n<f>\n<t>", 0), Err(Unknown::NoSender));
        assert_eq!(decode(b"1\0\nh\n<f>\n<t>", 0), Ok(Entry::White(b"1")));
        assert_eq!(decode(b"1\0", -1), Ok(Entry::Trapped(b"1")));
        assert_eq!(decode(b"a@b\0", -2), Ok(Entry::Spamtrap(b"a@b")));
        assert_eq!(decode(b"\0", 0), Ok(Entry::White(b"")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        /// For fields of any length, compared with the standard library's split.
        #[test]
        fn fields_end_at_newlines(fields in prop::collection::vec("[\\x0b\u{10a}ab]{0,50}|[\\x09ab]{0,5}", 0..6)) {
            let key = fields.join("\n");
            let mut parts = key.as_bytes().splitn(4, |byte| *byte == b'\n');
            let parts = [(); 4].map(|()| parts.next());
            let wanted = match parts {
                [Some(address), Some(helo), Some(from), Some(to)] => {
                    Some(Ok(Tuple { address, helo, from, to }))
                }
                [Some(address), Some(from), Some(to), None] => {
                    Some(Ok(Tuple { address, helo: b"", from, to }))
                }
                [_, Some(_), None, None] => Some(Err(Unknown::NoSender)),
                _ => None,
            };
            prop_assert_eq!(Tuple::decode(key.as_bytes()), wanted);
        }
    }

    /// Counts the kinds in files that OpenBSD's code wrote, and compares them with what spamdb printed.
    #[test]
    fn golden_files_hold_the_kinds_that_spamdb_printed() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
        for name in ["hash/kinds", "hash/old32", "btree/kinds", "btree/old32", "hash/big-endian"] {
            let image = std::fs::read(format!("{root}/{name}.db")).unwrap();
            let text = std::fs::read(format!("{root}/{name}.txt")).unwrap();
            let snapshot = Snapshot::new(&image).unwrap();
            let mut kinds = [0; 4];
            for record in snapshot.records().map(Result::unwrap) {
                let order = snapshot.byte_order();
                let (entry, _) = Entry::decode(&record.key, &record.value, order).unwrap();
                kinds[match entry {
                    Entry::Grey(_) => 0,
                    Entry::White(_) => 1,
                    Entry::Trapped(_) => 2,
                    Entry::Spamtrap(_) => 3,
                }] += 1;
            }
            let printed = ["GREY|", "WHITE|", "TRAPPED|", "SPAMTRAP|"].map(|kind| {
                text.split(|byte| *byte == b'\n')
                    .filter(|line| line.starts_with(kind.as_bytes()))
                    .count()
            });
            assert_eq!(kinds, printed, "{name}");
            assert!(kinds.iter().sum::<usize>() > 0, "{name}");
        }
    }
}
