//! The hosts of a database with the tuples they wait with.
//!
//! Notes about records come in (`notes`), in the file's order; [`Waiting`] is what becomes of them: one
//! [`Host`] an address, its live GREY tuples on a chain. Keys stay where they are in the image.
//! `judge` is the only caller.
//!
//! The file's order is that of a hash over whole keys: a host's tuples lie anywhere, and finding the
//! host of a tuple misses the cache. So notes are entered by the batch ([`Table::entries`]), and what
//! they tell is put down on the host: most hosts need never be looked at again.

use super::address::Address;
use super::notes::{Counts, Marks, Note, Notes, Share, UnknownRecord};
use super::table::Table;
use crate::db::{ByteOrder, Damage, Record};
use crate::spamd::Tuple;
use std::borrow::Cow;

/// No tuple: the end of a chain.
const NONE: u32 = u32::MAX;

/// Up to so many tuples are compared each with each.
const FEW: usize = 16;

/// How many notes are entered at once.
const BATCH: usize = 64;

/// One address, and what a walk over the records told about it: 32 bytes that lie on one line of the
/// cache.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct Host {
    pub address: Address,
    /// Where in the file it first appears.
    pub place: u32,
    /// Its last tuple in the file.
    last: u32,
    /// A hash of its first HELO string that may be a host name, or 0.
    helo: u32,
    /// How many live GREY records it has with a mailbox for a sender, or `u16::MAX` if there are more;
    /// one that the file holds twice counts twice here.
    pub senders: u16,
    pub marks: Marks,
}

impl Host {
    pub fn new(address: Address, place: u32) -> Host {
        Host { address, place, last: NONE, helo: 0, senders: 0, marks: Marks::default() }
    }

    /// Whether it has a live tuple.
    pub fn is_waiting(&self) -> bool {
        self.last != NONE
    }

    /// Puts down what a live tuple tells, and that it is the last; returns the last before it.
    fn enter(&mut self, marks: Marks, helo: u32, number: u32) -> u32 {
        self.senders = self.senders.saturating_add(u16::from(marks.any(Marks::MAILBOX)));
        match (self.helo, helo) {
            (_, 0) => {}
            (0, _) => self.helo = helo,
            (one, other) if one != other => self.marks |= Marks::HELO,
            _ => {}
        }
        std::mem::replace(&mut self.last, number)
    }
}

/// A GREY record's key, and the tuple of the same host before it.
#[derive(Debug)]
struct Held<'a> {
    key: Cow<'a, [u8]>,
    before: u32,
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
    /// Gathers a share of the hosts of a database; `screen` tells what a tuple by itself says about its
    /// host.
    ///
    /// Tuples whose time is over at `now` (seconds since 1970) are left out. A damaged database is an
    /// error: half of what is known about a host is no ground to judge it on.
    pub fn collect(
        records: impl Iterator<Item = Result<Record<'a>, Damage>>,
        (order, now): (ByteOrder, i64),
        share: Share,
        screen: impl Fn(&Tuple<'_>) -> Marks,
    ) -> Result<Waiting<'a>, Damage> {
        let mut table = Table::new();
        let mut tuples = Vec::new();
        let mut notes = Notes::new(order, now, share, table.seed());
        let mut records = records.fuse();
        let (mut ahead, mut batch) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        loop {
            for record in records.by_ref().take(BATCH) {
                ahead.push(record?);
            }
            if ahead.is_empty() {
                break;
            }
            touch(ahead.iter().map(|record| &*record.key));
            batch.extend(ahead.drain(..).filter_map(|record| notes.take(record, &screen)));
            enter(&mut table, &mut tuples, &mut batch);
        }
        let Notes { mut counts, unknown, .. } = notes;
        counts.tuples = tuples.len() as u64;
        let greys = table.hosts().iter().filter(|host| host.marks.any(Marks::GREY));
        counts.greys = greys.count() as u64;
        Ok(Waiting { table, tuples, counts, unknown })
    }

    /// Every host, waiting or not, in the order of first appearance.
    pub fn hosts(&self) -> &[Host] {
        self.table.hosts()
    }

    /// Fills `numbers` with the host's tuples in the file's order, without those that are there twice:
    /// a writer killed at the wrong moment may leave such.
    pub fn tuples_of(&self, host: &Host, numbers: &mut Vec<u32>) {
        numbers.clear();
        let mut last = host.last;
        while let Some(held) = self.held(last) {
            numbers.push(last);
            last = held.before;
        }
        if numbers.len() > FEW {
            numbers.sort_unstable_by(|&a, &b| self.key(a).cmp(self.key(b)).then(a.cmp(&b)));
            numbers.dedup_by(|a, b| self.key(*a) == self.key(*b));
            numbers.sort_unstable();
            return;
        }
        numbers.reverse();
        let mut seen = [&b""[..]; FEW];
        let mut count = 0;
        numbers.retain(|&number| {
            let key = self.key(number);
            let is_new = !seen.iter().take(count).any(|&other| other == key);
            if let (true, Some(place)) = (is_new, seen.get_mut(count)) {
                *place = key;
                count = count.wrapping_add(1);
            }
            is_new
        });
    }

    /// Reads a little of every tuple of `hosts`, so that it is at hand when they are judged.
    pub fn expect<'h>(&self, hosts: impl Iterator<Item = &'h Host>) {
        let tuples = |host: &Host| {
            let last = Some(host.last).filter(|_| host.is_waiting());
            std::iter::successors(last, |&number| self.held(number).map(|held| held.before))
        };
        touch(hosts.flat_map(tuples).map(|number| self.key(number)));
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
}

/// Reads a little of every key. Read one by one as they are judged, each would miss the cache by
/// itself; these reads do not wait for each other.
fn touch<'k>(keys: impl Iterator<Item = &'k [u8]>) {
    let lines = keys.map(|key| {
        let at = |place| key.get(place).copied().unwrap_or(0);
        at(0) ^ at(64) ^ key.last().copied().unwrap_or(0)
    });
    std::hint::black_box(lines.fold(0, |all, line| all ^ line));
}

/// Enters a batch of notes and empties it.
fn enter<'a>(table: &mut Table, tuples: &mut Vec<Held<'a>>, batch: &mut Vec<Note<'a>>) {
    table.expect(batch.iter().map(|note| note.address));
    for note in batch.drain(..) {
        let (Some(host), Ok(number)) =
            (table.entry(note.address, note.place), u32::try_from(tuples.len()))
        else {
            continue;
        };
        host.marks |= note.marks;
        if let Some(key) = note.key {
            tuples.push(Held { before: host.enter(note.marks, note.helo, number), key });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, grey, record};
    use super::*;
    use crate::db::{Fault, Record};
    use proptest::prelude::*;

    const WHOLE: Share = Share { number: 0, of: 1 };

    fn collect(records: &[Record<'static>]) -> Waiting<'static> {
        let records = records.iter().cloned().map(Ok);
        let none = |_: &Tuple<'_>| Marks::default();
        Waiting::collect(records, (ByteOrder::NATIVE, NOW), WHOLE, none).unwrap()
    }

    fn tuples<'w>(waiting: &'w Waiting<'_>, host: &Host) -> Vec<&'w [u8]> {
        let mut numbers = Vec::new();
        waiting.tuples_of(host, &mut numbers);
        numbers.iter().map(|&number| waiting.tuple(number).helo).collect()
    }

    #[test]
    fn records_are_counted_by_kind() {
        let unknown = Record { key: b"10.0.0.9".into(), value: b"odd".into() };
        let waiting = collect(&[
            record("10.0.0.1", NOW + 1, 3),
            record("10.0.0.2", NOW + 1, -1),
            record("trap@example.com", 0, -2),
            grey("10.0.0.3", "a", "b", "c"),
            grey("10.0.0.1", "a", "b", "c"),
            record("10.0.0.4\na\nb\nc", NOW, 0),
            record("10.0.0.5\nb\nc", NOW + 1, 0),
            record("localhost", NOW + 1, 1),
            grey("no address", "a", "b", "c"),
            unknown.clone(),
            record("10.0.0.6\nonly", NOW + 1, 0),
        ]);
        let wanted = Counts {
            white: 2,
            trapped: 1,
            greys: 4,
            tuples: 3,
            no_address: 1,
            spamtraps: 1,
            unknown: 2,
        };
        assert_eq!(waiting.counts, wanted);
        assert_eq!(waiting.unknown.len(), 2);
        assert_eq!(waiting.unknown[0].key, unknown.key);
    }

    #[test]
    fn unknown_records_are_named_only_as_long_as_they_are_few() {
        let odd = Record { key: b"10.0.0.9".into(), value: b"odd".into() };
        let waiting = collect(&vec![odd; 1000]);
        assert_eq!(waiting.counts.unknown, 1000);
        assert!(waiting.unknown.len() < 100);
    }

    #[test]
    fn a_tuple_is_over_when_its_time_has_come() {
        let waiting = collect(&[
            record("10.0.0.1\nover\nb\nc", NOW, 0),
            record("10.0.0.1\nlive\nb\nc", NOW + 1, 0),
            record("10.0.0.1\nlong over\nb\nc", 0, 0),
        ]);
        assert_eq!(tuples(&waiting, &waiting.hosts()[0]), [b"live"]);
    }

    #[test]
    fn a_host_is_half_a_line_of_the_cache() {
        assert_eq!(size_of::<Host>(), 32);
        assert_eq!(size_of::<Held<'_>>(), 32);
    }

    #[test]
    fn damage_anywhere_is_an_error() {
        let damage = Fault::Cut.on(7);
        let records = [Ok(grey("10.0.0.1", "a", "b", "c")), Err(damage)];
        let none = |_: &Tuple<'_>| Marks::default();
        let found = Waiting::collect(records.into_iter(), (ByteOrder::NATIVE, NOW), WHOLE, none);
        assert_eq!(found.unwrap_err(), damage);
    }

    #[test]
    fn a_record_that_is_there_twice_is_one_tuple() {
        for copies in [2, 100] {
            let mut records = vec![grey("10.0.0.1", "first", "b", "c"); copies];
            records.insert(1, grey("10.0.0.1", "second", "b", "c"));
            let waiting = collect(&records);
            assert_eq!(tuples(&waiting, &waiting.hosts()[0]), [&b"first"[..], b"second"]);
        }
    }

    proptest! {
        /// Against the plainest way to say it.
        #[test]
        fn tuples_stay_with_their_host_and_in_order(seen in prop::collection::vec((0u8..5, 0u8..40), 0..300)) {
            let records: Vec<_> =
                seen.iter().map(|(a, h)| grey(&format!("10.0.0.{a}"), &h.to_string(), "b", "c")).collect();
            let waiting = collect(&records);
            let mut hosts: Vec<u8> = Vec::new();
            for (a, _) in &seen {
                if !hosts.contains(a) {
                    hosts.push(*a);
                }
            }
            prop_assert_eq!(waiting.hosts().len(), hosts.len());
            for (host, a) in waiting.hosts().iter().zip(&hosts) {
                let mut wanted: Vec<String> = Vec::new();
                for helo in seen.iter().filter(|(b, _)| b == a).map(|(_, h)| h.to_string()) {
                    if !wanted.contains(&helo) {
                        wanted.push(helo);
                    }
                }
                let found = tuples(&waiting, host);
                prop_assert!(found.iter().copied().eq(wanted.iter().map(String::as_bytes)));
            }
        }
    }
}
