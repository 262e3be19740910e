//! The records of a database, gathered into hosts with the tuples they wait with.
//!
//! Records come in, in the file's order; [`Waiting`] goes out: one [`Host`] an address, its live GREY
//! tuples on a chain through [`Waiting::tuples_of`], and the counts for the log. Keys stay where they
//! are in the image. `judge` is the only caller.
//!
//! The file's order is that of a hash over whole keys: a host's tuples lie anywhere. Coming back to
//! them costs a cache miss or two each, so everything that one tuple tells by itself is noted on the
//! host while its key is at hand ([`Marks`]); most hosts need never be looked at again.

use super::address::Address;
use super::table::Table;
use crate::db::{ByteOrder, Damage, Record};
use crate::spamd::record::{Entry, Tuple, Unknown};
use std::borrow::Cow;
use std::ops::BitOrAssign;

/// No tuple: the end of a chain.
const NONE: u32 = u32::MAX;

/// How many unknown records are kept to be named.
const NAMED_UNKNOWN: usize = 16;

/// What the records told about a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u32);

impl Marks {
    /// It has a WHITE record.
    pub const WHITE: Marks = Marks(1);
    /// It has a TRAPPED record.
    pub const TRAPPED: Marks = Marks(2);
    /// It has a GREY record, live or not.
    pub const GREY: Marks = Marks(4);
    /// One of its senders is no mailbox.
    pub const SENDER: Marks = Marks(8);
    /// One of its recipients gives it away.
    pub const RECIPIENT: Marks = Marks(16);
    /// Not all of its HELO names are the same bytes.
    pub const HELO: Marks = Marks(32);

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

/// One address, and what a walk over the records told about it.
#[derive(Debug)]
pub(super) struct Host {
    pub address: Address,
    /// How many live GREY records it has; one that the file holds twice counts twice here.
    pub tuples: u32,
    pub marks: Marks,
    /// Its last tuple in the file.
    last: u32,
    /// A hash of its first HELO name.
    helo: u32,
}

impl Host {
    pub fn new(address: Address) -> Host {
        Host { address, tuples: 0, marks: Marks::default(), last: NONE, helo: 0 }
    }
}

/// A GREY record's key, and the tuple of the same host before it.
#[derive(Debug)]
struct Held<'a> {
    key: Cow<'a, [u8]>,
    before: u32,
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

/// A record that spamd cannot have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRecord<'a> {
    /// Its key.
    pub key: Cow<'a, [u8]>,
    /// What is wrong with it.
    pub why: Unknown,
}

/// Hosts and their tuples.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    table: Table,
    tuples: Vec<Held<'a>>,
    pub counts: Counts,
    /// The first few unknown records.
    pub unknown: Vec<UnknownRecord<'a>>,
}

impl<'a> Waiting<'a> {
    /// Gathers the hosts of a database; `screen` tells what a tuple by itself says about its host.
    ///
    /// Tuples whose time is over at `now` (seconds since 1970) are left out. A damaged database is an
    /// error: half of what is known about a host is no ground to judge it on.
    pub fn collect(
        records: impl Iterator<Item = Result<Record<'a>, Damage>>,
        order: ByteOrder,
        now: i64,
        screen: impl Fn(&Tuple<'_>) -> Marks,
    ) -> Result<Waiting<'a>, Damage> {
        let mut waiting = Waiting {
            table: Table::new(),
            tuples: Vec::new(),
            counts: Counts::default(),
            unknown: Vec::new(),
        };
        for record in records {
            let record = record?;
            match Entry::decode(&record.key, &record.value, order) {
                Ok((Entry::Grey(tuple), data)) if data.expire > now => {
                    let found = Found::new(&tuple, &waiting.table, &screen);
                    waiting.hold(found, record.key);
                }
                Ok((Entry::Grey(tuple), _)) => waiting.note_expired(&tuple),
                Ok((Entry::White(address), _)) => waiting.note_white(address),
                Ok((Entry::Trapped(address), _)) => waiting.note_trapped(address),
                Ok((Entry::Spamtrap(_), _)) => count(&mut waiting.counts.spamtraps),
                Err(why) => waiting.note_unknown(record.key, why),
            }
        }
        Ok(waiting)
    }

    /// Every host, waiting or not, in the order of first appearance.
    pub fn hosts(&self) -> &[Host] {
        self.table.hosts()
    }

    /// Fills `numbers` with the host's tuples in the file's order, without those that are there twice:
    /// a writer killed at the wrong moment may leave such.
    pub fn tuples_of(&self, host: &Host, numbers: &mut Vec<u32>) {
        numbers.clear();
        let chain = std::iter::successors(self.held(host.last).map(|_| host.last), |&number| {
            self.held(number).map(|held| held.before).filter(|&before| before != NONE)
        });
        numbers.extend(chain);
        numbers.sort_unstable_by(|&a, &b| self.key(a).cmp(self.key(b)).then(a.cmp(&b)));
        numbers.dedup_by(|a, b| self.key(*a) == self.key(*b));
        numbers.sort_unstable();
    }

    /// The tuple of this number.
    pub fn tuple(&self, number: u32) -> Tuple<'_> {
        match Tuple::decode(self.key(number)) {
            Some(Ok(tuple)) => tuple,
            // Only keys that have once been decoded are held.
            _ => Tuple { address: b"", helo: b"", from: b"", to: b"" },
        }
    }

    /// The address of a host that has tuples, as spamd wrote it.
    pub fn address_text(&self, host: &Host) -> &[u8] {
        self.tuple(host.last).address
    }

    fn held(&self, number: u32) -> Option<&Held<'a>> {
        self.tuples.get(number as usize)
    }

    fn key(&self, number: u32) -> &[u8] {
        self.held(number).map_or(b"", |held| &held.key)
    }

    fn hold(&mut self, found: Option<Found>, key: Cow<'a, [u8]>) {
        let Some(Found { address, marks, helo }) = found else {
            return count(&mut self.counts.no_address);
        };
        let (Some(host), Ok(number)) =
            (self.table.entry(address), u32::try_from(self.tuples.len()))
        else {
            return;
        };
        count(&mut self.counts.tuples);
        if !host.marks.any(Marks::GREY) {
            count(&mut self.counts.greys);
        }
        if host.tuples == 0 {
            host.helo = helo;
        } else if host.helo != helo {
            host.marks |= Marks::HELO;
        }
        host.marks |= marks;
        host.tuples = host.tuples.saturating_add(1);
        self.tuples.push(Held { key, before: std::mem::replace(&mut host.last, number) });
    }

    fn note_expired(&mut self, tuple: &Tuple<'_>) {
        let Some(host) = Address::parse(tuple.address).and_then(|a| self.table.entry(a)) else {
            return count(&mut self.counts.no_address);
        };
        if !host.marks.any(Marks::GREY) {
            host.marks |= Marks::GREY;
            count(&mut self.counts.greys);
        }
    }

    fn note_white(&mut self, address: &[u8]) {
        count(&mut self.counts.white);
        self.mark(address, Marks::WHITE);
    }

    fn note_trapped(&mut self, address: &[u8]) {
        count(&mut self.counts.trapped);
        self.mark(address, Marks::TRAPPED);
    }

    fn mark(&mut self, address: &[u8], marks: Marks) {
        if let Some(host) = Address::parse(address).and_then(|a| self.table.entry(a)) {
            host.marks |= marks;
        }
    }

    fn note_unknown(&mut self, key: Cow<'a, [u8]>, why: Unknown) {
        count(&mut self.counts.unknown);
        if self.unknown.len() < NAMED_UNKNOWN {
            self.unknown.push(UnknownRecord { key, why });
        }
    }
}

/// What one live tuple tells, taken from its key before the key is put away.
struct Found {
    address: Address,
    marks: Marks,
    helo: u32,
}

impl Found {
    fn new(tuple: &Tuple<'_>, table: &Table, screen: impl Fn(&Tuple<'_>) -> Marks) -> Option<Self> {
        let address = Address::parse(tuple.address)?;
        let mut marks = screen(tuple);
        marks |= Marks::GREY;
        Some(Found { address, marks, helo: table.seed().hash(tuple.helo) })
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
