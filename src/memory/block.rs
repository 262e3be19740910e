//! Tuples of all hosts, packed: what `simulate` judges again.
//!
//! A scan hands over the tuples that it saw for the first time, at most [`PACKED`] in a block. spamd says when a
//! tuple was entered and when it will be removed, so that this is all there is to know, unless its host passes.
//! In a block each different word is written once: HELO names, and the parts of addresses before and after
//! the last `@`. A tuple is then some twenty bytes, and what is new in it.
//!
//! **The order of the fields is the form on the disk**, as in `record`.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// The tuples of a block at most.
pub const PACKED: usize = 2000;

/// A tuple as a scan saw it. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The host.
    pub address: IpAddr,
    /// What the host said in HELO.
    pub helo: Vec<u8>,
    /// The envelope sender, as spamd has it.
    pub from: Vec<u8>,
    /// The envelope recipient, as spamd has it.
    pub to: Vec<u8>,
    /// When spamd entered it.
    pub first: i64,
    /// When spamd removes it.
    pub expire: i64,
}

#[derive(Default, Serialize, Deserialize)]
struct Packed {
    /// The time of the first tuple.
    base: i64,
    words: Vec<Vec<u8>>,
    rows: Vec<Row>,
}

/// A tuple: seconds since the base, seconds until its end, and the numbers of its words.
#[derive(Serialize, Deserialize)]
struct Row {
    address: IpAddr,
    since: i64,
    lasts: i64,
    helo: u32,
    from: (u32, u32),
    to: (u32, u32),
}

/// The bytes of a block.
///
/// # Errors
/// None that is known.
pub fn pack(tuples: &[Seen]) -> Result<Vec<u8>, postcard::Error> {
    let mut words = Words::default();
    let base = tuples.iter().map(|tuple| tuple.first).min().unwrap_or_default();
    let rows = tuples.iter().map(|tuple| Row {
        address: tuple.address,
        since: tuple.first.saturating_sub(base),
        lasts: tuple.expire.saturating_sub(tuple.first),
        helo: words.number(&tuple.helo),
        from: words.numbers(&tuple.from),
        to: words.numbers(&tuple.to),
    });
    let rows = rows.collect();
    let words = words.all.into_iter().map(<[u8]>::to_vec).collect();
    postcard::to_stdvec(&Packed { base, words, rows })
}

/// The tuples in the bytes of a block; none if they are no block.
pub fn unpack(bytes: &[u8]) -> Vec<Seen> {
    let Packed { base, words, rows } = postcard::from_bytes(bytes).unwrap_or_default();
    let word = |number: u32| words.get(number as usize).map_or(&[][..], Vec::as_slice);
    let both = |(one, other): (u32, u32)| [word(one), word(other)].concat();
    let seen = |row: Row| {
        let first = base.saturating_add(row.since);
        let expire = first.saturating_add(row.lasts);
        let (from, to) = (both(row.from), both(row.to));
        Seen { address: row.address, helo: word(row.helo).to_vec(), from, to, first, expire }
    };
    rows.into_iter().map(seen).collect()
}

/// Different words, by number.
#[derive(Default)]
struct Words<'a> {
    all: Vec<&'a [u8]>,
    numbers: HashMap<&'a [u8], u32>,
}

impl<'a> Words<'a> {
    fn number(&mut self, word: &'a [u8]) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(word).or_insert_with(|| {
            self.all.push(word);
            next
        })
    }

    /// The numbers of the parts of an address.
    fn numbers(&mut self, address: &'a [u8]) -> (u32, u32) {
        let at = memchr::memrchr(b'@', address).unwrap_or(address.len());
        let (local, domain) = address.split_at(at);
        (self.number(local), self.number(domain))
    }
}
