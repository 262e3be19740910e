//! What each record of a database tells about one host, while its key is at hand.
//!
//! Records come in, [`Note`]s go out: the host's address as a number, [`Marks`] for everything that a
//! record by itself can say, and hashes of its fields, so that few keys need be read again. `gather`
//! asks. Records that are none of spamd's, or whose address is none, are counted and left.

use super::address::Address;
use super::rules;
use super::sender::Sender;
use super::table::Seed;
use crate::config::Rules;
use crate::db::{ByteOrder, Record};
use crate::escape::escaped;
use crate::name;
use crate::spamd::record::{Entry, Tuple, Unknown};
use std::borrow::Cow;
use std::fmt;
use std::ops::BitOrAssign;

/// How many unknown records are kept to be named.
const NAMED_UNKNOWN: usize = 16;

/// How far ahead a tuple may be, in seconds: as far as clocks of one machine may reasonably differ. What is
/// farther was made while the clock was wrong, and will be there for years.
const AHEAD: i64 = 24 * 60 * 60;

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
    /// A rule hits one of its tuples by itself.
    pub const HIT: Marks = Marks(16);
    /// It has a GREY record from the future.
    pub const AHEAD: Marks = Marks(32);
    /// It has a GREY record that is not over: it waits.
    pub const LIVE: Marks = Marks(64);
    /// Its sender's domain is [plainly](crate::name::is_registered) what somebody registered.
    pub const REGISTERED: Marks = Marks(128);

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
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

/// As it is logged of a scan.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { white, trapped, greys, .. } = self;
        write!(f, "scanned {white} whitelisted, {trapped} trapped, {greys} unique greys")
    }
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

/// As it is logged of a scan.
impl fmt::Display for UnknownRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record \"{}\" skipped: {}", escaped(&self.key), self.why)
    }
}

/// What one record tells about a host: 48 bytes, of which a scan holds a million.
///
/// Fields whose hashes differ are different. Whether those with one hash are the same, only the key
/// tells. Of a record that is no live tuple there are only the address, the place and the marks.
#[derive(Debug)]
pub(super) struct Note<'a> {
    pub address: Address,
    key: Key<'a>,
    /// The record's place in the file.
    pub place: u32,
    /// A hash of the HELO string, 0 if it cannot be a host name.
    pub helo: u32,
    /// A hash of the sender's domain, if the sender is a mailbox.
    pub domain: u32,
    /// A hash of the key's end.
    pub print: u16,
    pub marks: Marks,
}

/// A record's key: smaller than a `Cow`.
#[derive(Debug)]
enum Key<'a> {
    Borrowed(&'a [u8]),
    /// Of a pair that spans pages.
    #[allow(clippy::box_collection, reason = "a thin pointer fits where the other's length is")]
    Owned(Box<Vec<u8>>),
}

impl<'a> From<Cow<'a, [u8]>> for Key<'a> {
    fn from(key: Cow<'a, [u8]>) -> Key<'a> {
        match key {
            Cow::Borrowed(key) => Key::Borrowed(key),
            Cow::Owned(key) => Key::Owned(Box::new(key)),
        }
    }
}

impl<'a> Note<'a> {
    fn silent(address: Address, place: u32, marks: Marks) -> Note<'a> {
        Note { address, key: Key::Borrowed(b""), place, helo: 0, domain: 0, print: 0, marks }
    }

    /// The record's key, if it is a live tuple's.
    pub fn key(&self) -> &[u8] {
        match &self.key {
            Key::Borrowed(key) => key,
            Key::Owned(key) => key,
        }
    }

    /// The tuple that it is about; one with nothing in it if it is about none.
    pub fn tuple(&self) -> Tuple<'_> {
        match Tuple::decode(self.key()) {
            Some(Ok(tuple)) => tuple,
            _ => NO_TUPLE,
        }
    }
}

/// No tuple.
pub(super) const NO_TUPLE: Tuple<'_> = Tuple { address: b"", helo: b"", from: b"", to: b"" };

/// The taker of notes.
pub(super) struct Notes<'a, 'r> {
    order: ByteOrder,
    now: i64,
    rules: &'r Rules,
    seed: Seed,
    pub counts: Counts,
    /// The first few unknown records, with their places.
    pub unknown: Vec<(u32, UnknownRecord<'a>)>,
}

impl<'a, 'r> Notes<'a, 'r> {
    /// For a database with values in this byte order, at `now` in seconds since 1970.
    pub fn new(order: ByteOrder, now: i64, rules: &'r Rules, seed: Seed) -> Notes<'a, 'r> {
        Notes { order, now, rules, seed, counts: Counts::default(), unknown: Vec::new() }
    }

    /// What `record` tells about a host, if anything.
    pub fn take(&mut self, (place, record): (u32, Record<'a>)) -> Option<Note<'a>> {
        let silent = |marks| Some(Note::silent(Address::of_key(&record.key)?, place, marks));
        match Entry::decode(&record.key, &record.value, self.order) {
            Ok((Entry::Grey(tuple), data)) => {
                let Some(address) = Address::of_text(tuple.address) else {
                    count(&mut self.counts.no_address);
                    return None;
                };
                if data.expire <= self.now {
                    return Some(Note::silent(address, place, Marks::GREY));
                }
                if data.first > self.now.saturating_add(AHEAD) {
                    let mut note = Note::silent(address, place, Marks::GREY);
                    note.marks |= Marks::AHEAD;
                    return Some(note);
                }
                count(&mut self.counts.tuples);
                let mut note = Note::silent(address, place, Marks::GREY);
                self.look_at(&tuple, &mut note);
                note.print = self.print(&record.key);
                note.key = record.key.into();
                Some(note)
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

    /// Notes what a live tuple by itself says about its host.
    fn look_at(&self, tuple: &Tuple<'_>, note: &mut Note<'_>) {
        note.marks |= Marks::LIVE;
        let from = Sender::parse(tuple.from);
        if let Sender::Mailbox(from) = from {
            note.marks |= Marks::MAILBOX;
            note.domain = self.seed.hash(from.domain);
            if name::is_registered(from.domain) {
                note.marks |= Marks::REGISTERED;
            }
        }
        if rules::hit(tuple, &from, self.rules) {
            note.marks |= Marks::HIT;
        }
        if may_be_name(tuple.helo) {
            note.helo = self.seed.hash(tuple.helo).max(1);
        }
    }

    /// By the end of the key alone: those who write to the same recipient are few.
    fn print(&self, key: &[u8]) -> u16 {
        let hash = match key.last_chunk() {
            Some(end) => self.seed.hash_of_32(end),
            None => self.seed.hash(key),
        };
        let [low, high, ..] = hash.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// What two takers have counted, each of its own records.
    pub fn and(self, other: Notes<'a, '_>) -> (Counts, Vec<UnknownRecord<'a>>) {
        let mut unknown = self.unknown;
        unknown.extend(other.unknown);
        unknown.sort_unstable_by_key(|(place, _)| *place);
        unknown.truncate(NAMED_UNKNOWN);
        let unknown = unknown.into_iter().map(|(_, record)| record).collect();
        (self.counts.and(&other.counts), unknown)
    }
}

/// False for much of what is no host name, at a glance.
fn may_be_name(helo: &[u8]) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    helo.first().is_some_and(is_inner)
        && helo.last().is_some_and(|last| is_inner(last) || *last == b'.')
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
