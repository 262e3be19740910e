//! What each record of a database tells about one host, while its key is at hand.
//!
//! Records come in, [`Note`]s go out: the host's address as a number, and [`Marks`] for everything that
//! a record by itself can say, so that the key need not be read again. `hosts` asks. Records that are
//! none of spamd's, or whose address is none, are counted and left.

use super::address::Address;
use super::table::Seed;
use crate::db::{ByteOrder, Record};
use crate::spamd::record::{Entry, Tuple, Unknown};
use std::borrow::Cow;
use std::ops::BitOrAssign;

/// How many unknown records are kept to be named.
const NAMED_UNKNOWN: usize = 16;

/// What records told about a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    /// It has a WHITE record.
    pub const WHITE: Marks = Marks(1);
    /// It has a TRAPPED record.
    pub const TRAPPED: Marks = Marks(2);
    /// It has a GREY record, live or not.
    pub const GREY: Marks = Marks(4);
    /// One of its senders is a mailbox.
    pub const MAILBOX: Marks = Marks(8);
    /// One of its senders is neither a mailbox nor null.
    pub const SENDER: Marks = Marks(16);
    /// One of its recipients gives it away.
    pub const RECIPIENT: Marks = Marks(32);
    /// It gave several strings in HELO that may be host names.
    pub const HELO: Marks = Marks(64);

    /// Whether one of `others` is among these.
    pub fn any(self, others: Marks) -> bool {
        self.0 & others.0 != 0
    }
}

impl BitOrAssign for Marks {
    fn bitor_assign(&mut self, other: Marks) {
        self.0 |= other.0;
    }
}

/// How many records of each kind a database has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// WHITE records.
    pub white: u64,
    /// TRAPPED records.
    pub trapped: u64,
    /// Hosts with a GREY record, be it expired.
    pub greys: u64,
    /// GREY records that have not expired.
    pub tuples: u64,
    /// GREY records whose address is none, left out since nobody could trap it.
    pub no_address: u64,
    /// SPAMTRAP records.
    pub spamtraps: u64,
    /// Records that are none of spamd's.
    pub unknown: u64,
}

impl Counts {
    fn and(&self, other: &Counts) -> Counts {
        Counts {
            white: self.white.saturating_add(other.white),
            trapped: self.trapped.saturating_add(other.trapped),
            greys: self.greys.saturating_add(other.greys),
            tuples: self.tuples.saturating_add(other.tuples),
            no_address: self.no_address.saturating_add(other.no_address),
            spamtraps: self.spamtraps.saturating_add(other.spamtraps),
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }
}

/// A record that spamd cannot have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRecord<'a> {
    /// Its key.
    pub key: Cow<'a, [u8]>,
    /// What is wrong with it.
    pub why: Unknown,
}

/// What one record tells about a host.
pub(super) struct Note<'a> {
    pub address: Address,
    pub marks: Marks,
    /// A hash of the HELO string, 0 if it cannot be a host name.
    pub helo: u32,
    /// The key of a live tuple.
    pub key: Option<Cow<'a, [u8]>>,
    /// The record's place in the file.
    pub place: u32,
}

/// The taker of notes.
pub(super) struct Notes<'a> {
    order: ByteOrder,
    now: i64,
    seed: Seed,
    pub counts: Counts,
    /// The first few unknown records, with their places.
    pub unknown: Vec<(u32, UnknownRecord<'a>)>,
}

impl<'a> Notes<'a> {
    /// For a database with values in this byte order, at `now` in seconds since 1970.
    pub fn new(order: ByteOrder, now: i64, seed: Seed) -> Notes<'a> {
        Notes { order, now, seed, counts: Counts::default(), unknown: Vec::new() }
    }

    /// What `record` tells about a host, if anything; `screen` is asked about live tuples.
    pub fn take(
        &mut self,
        (place, record): (u32, Record<'a>),
        screen: impl Fn(&Tuple<'_>) -> Marks,
    ) -> Option<Note<'a>> {
        let address = Address::of_key(&record.key);
        let silent = |marks| Some(Note { address: address?, marks, helo: 0, key: None, place });
        match Entry::decode(&record.key, &record.value, self.order) {
            Ok((Entry::Grey(tuple), data)) => {
                let Some(address) = address else {
                    count(&mut self.counts.no_address);
                    return None;
                };
                if data.expire <= self.now {
                    return silent(Marks::GREY);
                }
                let mut marks = screen(&tuple);
                marks |= Marks::GREY;
                let helo =
                    if may_be_name(tuple.helo) { self.seed.hash(tuple.helo).max(1) } else { 0 };
                Some(Note { address, marks, helo, key: Some(record.key), place })
            }
            Ok((Entry::White(_), _)) => {
                count(&mut self.counts.white);
                silent(Marks::WHITE)
            }
            Ok((Entry::Trapped(_), _)) => {
                count(&mut self.counts.trapped);
                silent(Marks::TRAPPED)
            }
            Ok((Entry::Spamtrap(_), _)) => {
                count(&mut self.counts.spamtraps);
                None
            }
            Err(why) => {
                count(&mut self.counts.unknown);
                if self.unknown.len() < NAMED_UNKNOWN {
                    self.unknown.push((place, UnknownRecord { key: record.key, why }));
                }
                None
            }
        }
    }

    /// What two takers have counted, each of its own records.
    pub fn and(self, other: Notes<'a>) -> (Counts, Vec<UnknownRecord<'a>>) {
        let mut unknown = self.unknown;
        unknown.extend(other.unknown);
        unknown.sort_unstable_by_key(|(place, _)| *place);
        unknown.truncate(NAMED_UNKNOWN);
        let unknown = unknown.into_iter().map(|(_, record)| record).collect();
        (self.counts.and(&other.counts), unknown)
    }
}

/// False for most of what is no host name, at a glance.
fn may_be_name(helo: &[u8]) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    helo.first().is_some_and(is_inner)
        && helo.last().is_some_and(|last| is_inner(last) || *last == b'.')
        && memchr::memchr(b'.', helo).is_some()
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
