//! A record as a line of spamdb(8)'s listing, byte for byte.
//!
//! Takes a key and a value as they are in the file, and appends a line to a buffer that the caller reuses;
//! nothing is allocated. Strangers' bytes are printed raw, as spamdb does; the caller must escape them for
//! a terminal.
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

use super::{Entry, Gdata, Tuple, Unknown};
use crate::db::ByteOrder;

/// Appends the record's line, newline included; appends nothing if spamd cannot have written it.
pub fn append(
    line: &mut Vec<u8>,
    key: &[u8],
    value: &[u8],
    order: ByteOrder,
) -> Result<(), Unknown> {
    match Entry::decode(key, value, order)? {
        (Entry::Grey(Tuple { address, helo, from, to }), data) => {
            parts(line, [b"GREY|", address, b"|", helo, b"|", from, b"|", to, b"|"]);
            numbers(line, &data);
        }
        (Entry::White(text), data) => {
            parts(line, [b"WHITE|", text, b"|||"]);
            numbers(line, &data);
        }
        (Entry::Trapped(text), data) => {
            parts(line, [b"TRAPPED|", text, b"|"]);
            integer(line, data.expire);
        }
        (Entry::Spamtrap(text), _) => parts(line, [b"SPAMTRAP|", text]),
    }
    line.push(b'\n');
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &[u8], data: Gdata) -> String {
        let mut line = Vec::new();
        append(&mut line, key, &data.encode(ByteOrder::Big), ByteOrder::Big).unwrap();
        String::from_utf8(line).unwrap()
    }

    const DATA: Gdata =
        Gdata { first: 1795400000, pass: 1795401500, expire: 1795414400, bcount: 3, pcount: 0 };

    #[test]
    fn a_line_a_kind() {
        let rows: [(&[u8], i32, &str); 5] = [
            (b"192.0.2.1", 7, "WHITE|192.0.2.1|||1795400000|1795401500|1795414400|3|7\n"),
            (b"192.0.2.1", -1, "TRAPPED|192.0.2.1|1795414400\n"),
            (b"a@example.com", -2, "SPAMTRAP|a@example.com\n"),
            (b"1\nh\n<f>\n<t>", 0, "GREY|1|h|<f>|<t>|1795400000|1795401500|1795414400|3|0\n"),
            (b"1\n<f>\n<t>", 0, "GREY|1||<f>|<t>|1795400000|1795401500|1795414400|3|0\n"),
        ];
        for (key, pcount, line) in rows {
            assert_eq!(listed(key, Gdata { pcount, ..DATA }), line);
        }
    }

    /// A NUL ends not only the text but also the search for the fields of a tuple.
    #[test]
    fn a_key_ends_at_its_first_nul() {
        let trapped = Gdata { pcount: -1, ..DATA };
        assert_eq!(listed(b"192.0.2.1\0\nh\n<f>\n<t>", trapped), "TRAPPED|192.0.2.1|1795414400\n");
        assert_eq!(listed(b"\0", trapped), "TRAPPED||1795414400\n");
        let value = DATA.encode(ByteOrder::Big);
        let mut line = Vec::new();
        let outcome = append(&mut line, b"1\nh\0\n<f>\n<t>", &value, ByteOrder::Big);
        assert_eq!(outcome, Err(Unknown::NoSender));
    }

    #[test]
    fn what_is_unknown_leaves_the_buffer_alone() {
        let mut line = b"before".to_vec();
        let value = DATA.encode(ByteOrder::Big);
        for (key, value, why) in [
            (&b""[..], &value[..], Unknown::EmptyKey),
            (b"192.0.2.1", &value[1..], Unknown::ValueSize(31)),
            (b"192.0.2.1\nh", &value, Unknown::NoSender),
        ] {
            assert_eq!(append(&mut line, key, value, ByteOrder::Big), Err(why));
        }
        assert_eq!(line, b"before");
    }
}
