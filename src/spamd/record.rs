//! One record of spamd's database, taken to pieces.
//!
//! A key and a value come in as bytes, an [`Entry`] and its [`Gdata`] go out, borrowing the key. What
//! spamd cannot have written is [`Unknown`]: such a record is skipped, counted and left alone.
//!
//! | kind | key | value |
//! |---|---|---|
//! | GREY | `ip\nhelo\nfrom\nto`; `ip\nfrom\nto` before OpenBSD 4.2 | any `pcount` |
//! | WHITE | `ip` | `pcount` ≥ 0 |
//! | TRAPPED | `ip` | `pcount` = −1 |
//! | SPAMTRAP | address in lower case, without brackets | `pcount` = −2 |
//!
//! Source: `print_entry()` in usr.sbin/spamdb/spamdb.c, `greyupdate()` in libexec/spamd/grey.c.

use crate::db::ByteOrder;
use std::fmt;

/// `pcount` of a TRAPPED record (libexec/spamd/grey.h).
pub const PCOUNT_TRAPPED: i32 = -1;
/// `pcount` of a SPAMTRAP record (libexec/spamd/grey.h).
pub const PCOUNT_SPAMTRAP: i32 = -2;

/// What a record is, by its key and its `pcount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A host that is put off, with what it wanted to send.
    Grey(Tuple<'a>),
    /// A host that may pass.
    White(&'a [u8]),
    /// A host that spamd tarpits.
    Trapped(&'a [u8]),
    /// An address whose senders spamd traps by itself.
    Spamtrap(&'a [u8]),
}

/// One delivery that was put off. All fields are as the client sent them; only `address` is spamd's.
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
    /// When spamd drops the record.
    pub expire: i64,
    /// How often it was put off.
    pub bcount: i32,
    /// How often it passed, or [`PCOUNT_TRAPPED`], or [`PCOUNT_SPAMTRAP`].
    pub pcount: i32,
}

/// Why a record is none of spamd's.
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

impl<'a> Entry<'a> {
    /// Takes a record to pieces.
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
            None => match data.pcount {
                PCOUNT_TRAPPED => Entry::Trapped(key),
                PCOUNT_SPAMTRAP => Entry::Spamtrap(key),
                _ => Entry::White(key),
            },
        };
        Ok((entry, data))
    }
}

impl<'a> Tuple<'a> {
    /// The fields of a GREY key; `None` if the key has no newline and thus is no tuple at all.
    ///
    /// Newlines beyond the third belong to the recipient, as they do for spamdb.
    pub fn decode(key: &'a [u8]) -> Option<Result<Tuple<'a>, Unknown>> {
        let (address, rest) = split_line(key)?;
        let Some((second, rest)) = split_line(rest) else {
            return Some(Err(Unknown::NoSender));
        };
        Some(Ok(match split_line(rest) {
            Some((from, to)) => Tuple { address, helo: second, from, to },
            None => Tuple { address, helo: b"", from: second, to: rest },
        }))
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((line, rest.get(1..)?))
}

impl Gdata {
    /// Bytes of `struct gdata`: i64 first, pass, expire; i32 bcount, pcount.
    pub const SIZE: usize = 32;
    /// Bytes of `struct ogdata`, before OpenBSD 5.5: five i32 in the same order.
    pub const OLD_SIZE: usize = 20;

    /// Reads either layout, told apart by its size, as `gdcopyin()` in libexec/spamd/gdcopy.c does.
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
