//! The hosts of a database with the tuples they wait with.
//!
//! Notes about records come in (`notes`), in any order, by `gather`; [`Waiting`] is what becomes of
//! them: one [`Host`] an address, its live GREY tuples on a chain. Keys stay where they are in the
//! image.
//!
//! The file's order is that of a hash over whole keys: a host's tuples lie anywhere, and finding the
//! host of a tuple misses the cache. So notes are entered by the batch ([`Table::expect`]), and what
//! they tell is put down on the host: most hosts need never be looked at again.

use super::address::Address;
use super::notes::{Marks, Note};
use super::table::{Seed, Table};
use crate::spamd::Tuple;
use std::borrow::Cow;

/// No tuple: the end of a chain.
const NONE: u32 = u32::MAX;

/// How many notes are entered at once.
pub(super) const BATCH: usize = 128;

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

/// A GREY record's key and place, and the tuple of the same host that was entered before it.
#[derive(Debug)]
struct Held<'a> {
    key: Cow<'a, [u8]>,
    before: u32,
    place: u32,
}

/// Hosts and their tuples.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    table: Table,
    tuples: Vec<Held<'a>>,
}

impl<'a> Waiting<'a> {
    /// Nobody yet.
    pub fn new(seed: Seed) -> Waiting<'a> {
        Waiting { table: Table::new(seed), tuples: Vec::new() }
    }

    /// Enters at most [`BATCH`] notes, in any order, and empties `notes`.
    pub fn enter(&mut self, notes: &mut Vec<Note<'a>>) {
        self.table.expect(notes.iter().map(|note| note.address));
        for Note { address, marks, helo, key, place } in notes.drain(..) {
            let number = u32::try_from(self.tuples.len());
            let (Some(host), Ok(number)) = (self.table.entry(address, place), number) else {
                continue;
            };
            host.marks |= marks;
            if let Some(key) = key {
                self.tuples.push(Held { key, before: host.enter(marks, helo, number), place });
            }
        }
    }

    /// Every host, waiting or not.
    pub fn hosts(&self) -> &[Host] {
        self.table.hosts()
    }

    /// How many live tuples there are.
    pub fn tuples(&self) -> usize {
        self.tuples.len()
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
        if self.may_repeat(numbers) {
            numbers.sort_unstable_by_key(|&number| (self.key(number), self.place(number)));
            numbers.dedup_by(|a, b| self.key(*a) == self.key(*b));
        }
        numbers.sort_unstable_by_key(|&number| self.place(number));
    }

    /// False if no two of these tuples are the same; true says nothing.
    fn may_repeat(&self, numbers: &[u32]) -> bool {
        let mut seen = [0u64; 64];
        let mut is_new = |&number: &u32| {
            let hash = self.table.seed().hash(self.key(number));
            let bit = 1u64 << (hash >> 26);
            let Some(word) = seen.get_mut(hash as usize % 64) else { return false };
            std::mem::replace(word, *word | bit) & bit == 0
        };
        numbers.len() > 1 && !numbers.iter().all(&mut is_new)
    }

    /// Reads a little of every tuple of `hosts`, so that it is at hand when they are judged.
    ///
    /// One step along every chain at a time: the next of one chain is not known before the tuple is
    /// there, those of others are.
    pub fn expect<'h>(&self, hosts: impl Iterator<Item = &'h Host>) {
        let mut chains: Vec<u32> = hosts.map(|host| host.last).collect();
        while !chains.is_empty() {
            touch(chains.iter().map(|&number| self.key(number)));
            chains.retain_mut(|number| {
                *number = self.held(*number).map_or(NONE, |held| held.before);
                *number != NONE
            });
        }
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

    fn place(&self, number: u32) -> u32 {
        self.held(number).map_or(NONE, |held| held.place)
    }

    fn key(&self, number: u32) -> &[u8] {
        self.held(number).map_or(b"", |held| &held.key)
    }
}

/// Reads a little of every key. Read one by one as they are judged, each would miss the cache by
/// itself; these reads do not wait for each other.
pub(super) fn touch<'k>(keys: impl Iterator<Item = &'k [u8]>) {
    let lines = keys.map(|key| {
        let last = key.len().saturating_sub(1);
        // No branch on the length: a wrong guess would have to wait for what is not yet there.
        let at = |place: usize| key.get(place.min(last)).copied().unwrap_or(0);
        at(0) ^ at(64) ^ at(last)
    });
    std::hint::black_box(lines.fold(0, |all, line| all ^ line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_half_a_line_of_the_cache() {
        assert_eq!(size_of::<Host>(), 32);
        assert_eq!(size_of::<Held<'_>>(), 32);
    }
}
