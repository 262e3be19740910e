//! A record as a line of spamdb(8)'s listing, byte for byte.
//!
//! A key and a value come in as they lie in the file, a line goes to the end of a buffer that the
//! caller reuses; nothing is allocated. Strangers' bytes are printed raw, as spamdb does: whoever shows
//! them to a terminal must know.
//!
//! spamdb handles keys as C strings: one with a NUL in it ends there, for the listing at least. The
//! fields of a GREY key are looked for in what is left.
//!
//! Source: `print_entry()` in usr.sbin/spamdb/spamdb.c.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::record::{PCOUNT_SPAMTRAP, PCOUNT_TRAPPED};
use super::{Gdata, Tuple, Unknown};
use crate::db::ByteOrder;

/// Appends the record's line, newline included; appends nothing if spamd cannot have written it.
pub fn append(
    line: &mut Vec<u8>,
    key: &[u8],
    value: &[u8],
    order: ByteOrder,
) -> Result<(), Unknown> {
    if key.is_empty() {
        return Err(Unknown::EmptyKey);
    }
    let data = Gdata::decode(value, order)?;
    let text = until_nul(key);
    match Tuple::decode(text) {
        Some(tuple) => grey(line, tuple?, &data),
        None => match data.pcount {
            PCOUNT_TRAPPED => {
                parts(line, [b"TRAPPED|", text, b"|"]);
                integer(line, data.expire);
            }
            PCOUNT_SPAMTRAP => parts(line, [b"SPAMTRAP|", text]),
            _ => {
                parts(line, [b"WHITE|", text, b"|||"]);
                numbers(line, &data);
            }
        },
    }
    line.push(b'\n');
    Ok(())
}

fn until_nul(key: &[u8]) -> &[u8] {
    memchr::memchr(0, key).and_then(|nul| key.get(..nul)).unwrap_or(key)
}

fn grey(line: &mut Vec<u8>, tuple: Tuple<'_>, data: &Gdata) {
    let Tuple { address, helo, from, to } = tuple;
    parts(line, [b"GREY|", address, b"|", helo, b"|", from, b"|", to, b"|"]);
    numbers(line, data);
}

fn parts<const N: usize>(line: &mut Vec<u8>, parts: [&[u8]; N]) {
    for part in parts {
        line.extend_from_slice(part);
    }
}

fn numbers(line: &mut Vec<u8>, data: &Gdata) {
    for number in [data.first, data.pass, data.expire, data.bcount.into()] {
        integer(line, number);
        line.push(b'|');
    }
    integer(line, data.pcount.into());
}

fn integer(line: &mut Vec<u8>, number: i64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
