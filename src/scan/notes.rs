//! Notes what each record tells about its host, while the record's key is in the cache.
//!
//! In: records. Out: [`Note`]s, with the host's address as a number, [`Marks`] for everything that a record
//! tells by itself, and hashes of its fields, so that few keys need to be read again. `gather` calls.
//! Records that spamd did not write, or without a valid address, are only counted.

use super::address::Address;
use super::rules::{self, Letter};
use super::sender::{self, Sender};
use super::table::Seed;
use crate::config::Rules;
use crate::db::{ByteOrder, Record};
use crate::escape::escaped;
use crate::name;
use crate::spamd::record::{Entry, Tuple, Unknown};
use std::borrow::Cow;
use std::fmt;
use std::ops::BitOrAssign;

/// How many unknown records are kept for messages.
const NAMED_UNKNOWN: usize = 16;

/// How far in the future a tuple may be, in seconds, since the clock of a machine may change. A tuple
/// further ahead was made while the clock was wrong, and will stay for years.
const AHEAD: i64 = 24 * 60 * 60;

/// Tuples are dated in steps of so many seconds,
const STEP: i64 = 600;
/// and as if they were at most so many steps old.
const STEPS: i64 = 31;

/// What records tell about a host; in the five highest bits of a tuple's marks, its age in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    /// It has a WHITE record.
    pub const WHITE: Marks = Marks(1);
    /// It has a TRAPPED record.
    pub const TRAPPED: Marks = Marks(2);
    /// It has a GREY record, expired or not.
    pub const GREY: Marks = Marks(4);
    /// It has a sender that is a mailbox.
    pub const MAILBOX: Marks = Marks(8);
    /// A rule hits a single tuple.
    pub const HIT: Marks = Marks(16);
    /// It has a GREY record from the future.
    pub const AHEAD: Marks = Marks(32);
    /// It has a GREY record that has not expired.
    pub const LIVE: Marks = Marks(64);
    /// spamd has cut short a sender,
    pub const CUT_SENDER: Marks = Marks(256);
    /// or a recipient, which is only noted if recipients are judged.
    pub const CUT_RECIPIENT: Marks = Marks(512);
    /// A rule that needs to know who the host is could hit this single tuple.
    pub const LETTER: Marks = Marks(1024);
    /// The sender's domain is [its own](crate::name::is_registered) registrable domain.
    pub const REGISTERED: Marks = Marks(128);

    /// The same with the age of a tuple that was made at `first`, in seconds since 1970.
    fn aged(self, first: i64, now: i64) -> Marks {
        let age = now.div_euclid(STEP).saturating_sub(first.div_euclid(STEP)).clamp(0, STEPS);
        Marks(self.0 | u16::try_from(age).unwrap_or(0) << 11)
    }

    /// When the tuple was made, in seconds since 1970, up to a step too early; the same in every scan.
    pub fn first(self, now: i64) -> i64 {
        let step = now.div_euclid(STEP).saturating_sub((self.0 >> 11).into());
        step.saturating_mul(STEP)
    }

    /// Whether any of `others` is set.
    pub fn any(self, others: Marks) -> bool {
        self.0 & others.0 != 0
    }
}

impl BitOrAssign for Marks {
    fn bitor_assign(&mut self, other: Marks) {
        self.0 |= other.0;
    }
}

/// The number of records of each kind in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// WHITE records.
    #[serde(rename = "white_records")]
    pub white: u64,
    /// TRAPPED records.
    #[serde(rename = "trapped_records")]
    pub trapped: u64,
    /// Hosts with a GREY record, even an expired one.
    #[serde(rename = "grey_hosts")]
    pub greys: u64,
    /// GREY records that have not expired.
    #[serde(rename = "grey_records")]
    pub tuples: u64,
    /// GREY records without a valid address, which are left out since they could not be trapped.
    #[serde(rename = "records_without_address")]
    pub no_address: u64,
    /// SPAMTRAP records.
    #[serde(rename = "spamtrap_records")]
    pub spamtraps: u64,
    /// Records that spamd did not write.
    #[serde(rename = "unknown_records")]
    pub unknown: u64,
}

/// As a scan logs it.
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

/// What one record tells about a host: 48 bytes, since a scan has a million of them.
///
/// Fields with different hashes are different. For fields with the same hash, the key must be compared. A
/// record that is not a live tuple has only the address, the place and the marks.
#[derive(Debug)]
pub(super) struct Note<'a> {
    pub address: Address,
    key: Key<'a>,
    /// The record's place in the file.
    pub place: u32,
    /// A hash of the HELO string, 0 if it is empty.
    pub helo: u32,
    /// A hash of the sender's domain, if the sender is a mailbox.
    pub domain: u32,
    /// A hash of the end of the key.
    pub print: u16,
    pub marks: Marks,
}

/// A record's key, smaller than a `Cow`.
#[derive(Debug)]
enum Key<'a> {
    Borrowed(&'a [u8]),
    /// The key of a pair that spans pages.
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

    /// The record's key, if the record is a live tuple.
    pub fn key(&self) -> &[u8] {
        match &self.key {
            Key::Borrowed(key) => key,
            Key::Owned(key) => key,
        }
    }

    /// The tuple of this note; an empty one if the record is not a live tuple.
    pub fn tuple(&self) -> Tuple<'_> {
        match Tuple::decode(self.key()) {
            Some(Ok(tuple)) => tuple,
            _ => NO_TUPLE,
        }
    }
}

/// No tuple.
pub(super) const NO_TUPLE: Tuple<'_> = Tuple { address: b"", helo: b"", from: b"", to: b"" };

/// Takes notes.
pub(super) struct Notes<'a, 'r> {
    order: ByteOrder,
    now: i64,
    rules: &'r Rules,
    judges_recipients: bool,
    seed: Seed,
    pub counts: Counts,
    /// The first few unknown records, with their places.
    pub unknown: Vec<(u32, UnknownRecord<'a>)>,
}

impl<'a, 'r> Notes<'a, 'r> {
    /// For a database with values in this byte order, at `now` in seconds since 1970.
    pub fn new(order: ByteOrder, now: i64, rules: &'r Rules, seed: Seed) -> Notes<'a, 'r> {
        let judges_recipients = rules.judge_recipients();
        let (counts, unknown) = (Counts::default(), Vec::new());
        Notes { order, now, rules, judges_recipients, seed, counts, unknown }
    }

    /// Notes what `record` tells about a host, if anything.
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
                note.marks = note.marks.aged(data.first, self.now);
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

    /// Notes what a live tuple tells about its host by itself.
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
        if from == Sender::Cut {
            note.marks |= Marks::CUT_SENDER;
        }
        if self.judges_recipients && sender::is_cut(tuple.to) {
            note.marks |= Marks::CUT_RECIPIENT;
        }
        note.marks |=
            rules::marks(&Letter { tuple, from: &from, address: note.address }, self.rules);
        if !tuple.helo.is_empty() {
            note.helo = self.seed.hash(tuple.helo).max(1);
        }
    }

    /// Hashes only the end of the key, since few tuples of a host have the same recipient.
    fn print(&self, key: &[u8]) -> u16 {
        let hash = match key.last_chunk() {
            Some(end) => self.seed.hash_of_32(end),
            None => self.seed.hash(key),
        };
        let [low, high, ..] = hash.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// The sum of the counts of two threads.
    pub fn and(self, other: Notes<'a, '_>) -> (Counts, Vec<UnknownRecord<'a>>) {
        let mut unknown = self.unknown;
        unknown.extend(other.unknown);
        unknown.sort_unstable_by_key(|(place, _)| *place);
        unknown.truncate(NAMED_UNKNOWN);
        let unknown = unknown.into_iter().map(|(_, record)| record).collect();
        (self.counts.and(&other.counts), unknown)
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_keeps_its_date() {
        let first = 1_795_420_123;
        for age in [0, 1, 599, 600, 3 * 3600, 4 * 3600] {
            let marks = Marks::LETTER.aged(first, first + age);
            assert_eq!(marks.first(first + age), 1_795_419_600, "{age}");
            assert!(marks.any(Marks::LETTER) && !marks.any(Marks::HIT));
        }
        let ahead = Marks::default().aged(first + 86_000, first);
        assert_eq!(ahead.first(first), 1_795_419_600, "not before now");
        let old = Marks::default().aged(0, first);
        assert_eq!(old.first(first), 1_795_419_600 - 31 * 600);
    }
}
