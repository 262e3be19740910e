//! The hosts in one share of a database, with their greylisted tuples.
//!
//! In: notes about records (`notes`) from `gather`, in any order. Out: [`Waiting`], with one [`Host`] for
//! each address and its live GREY tuples side by side. Keys stay where they are in the image.
//!
//! A share fits into a CPU's cache, so that its notes are looked up, sorted and judged while they are
//! there. Most hosts are settled by their notes; for the others the keys are read again
//! ([`Waiting::prefetch`]).

use super::address::Address;
use super::notes::{Marks, NO_TUPLE, Note};
use super::table::{Seed, Table};
use crate::spamd::Tuple;
use std::ops::Range;

/// A number that no host has.
const NOBODY: u32 = u32::MAX;

/// One address, and what the records tell about it.
#[derive(Debug)]
pub(super) struct Host {
    pub address: Address,
    /// The place in the file where it first appears.
    pub place: u32,
    /// The number of its first tuple.
    first: u32,
    end: u32,
    pub marks: Marks,
}

impl Host {
    pub fn new(address: Address, place: u32) -> Host {
        Host { address, place, first: 0, end: 0, marks: Marks::default() }
    }

    /// Whether it has a GREY record, even if all its tuples are from the future.
    pub fn is_waiting(&self) -> bool {
        self.marks.any(Marks::LIVE) || self.marks.any(Marks::AHEAD)
    }

    /// The number of its tuples.
    pub fn tuples(&self) -> usize {
        self.range().len()
    }

    /// Adds what a record tells; until all records are known, `end` is the number of the host's tuples.
    fn enter(&mut self, note: &Note<'_>) {
        self.place = self.place.min(note.place);
        self.marks |= note.marks;
        self.end = self.end.saturating_add(u32::from(note.marks.any(Marks::LIVE)));
    }

    fn range(&self) -> Range<usize> {
        self.first as usize..self.end as usize
    }
}

/// Hosts and their tuples.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    hosts: Vec<Host>,
    /// Where the note of each tuple is; the tuples of a host are in file order, each once.
    tuples: Vec<Spot>,
    notes: [Vec<Note<'a>>; 2],
    seed: Seed,
}

/// An index into the first list of notes or, if the highest bit is set, into the second.
#[derive(Clone, Copy, Debug, Default)]
struct Spot(u32);

impl Spot {
    const OTHER: u32 = 1 << 31;

    fn note<'n, 'a>(self, [one, other]: &'n [Vec<Note<'a>>; 2]) -> Option<&'n Note<'a>> {
        let list = if self.0 < Spot::OTHER { one } else { other };
        list.get((self.0 & !Spot::OTHER) as usize)
    }
}

impl<'a> Waiting<'a> {
    /// The hosts in these notes.
    pub fn new(notes: [Vec<Note<'a>>; 2], seed: Seed) -> Waiting<'a> {
        let count = notes.iter().map(Vec::len).sum();
        let (mut table, mut numbers) = (Table::new(count, seed), Vec::with_capacity(count));
        for note in notes.iter().flatten() {
            numbers.push(table.entry(note.address, note.place).map_or(NOBODY, |(number, host)| {
                host.enter(note);
                number
            }));
        }
        let mut waiting = Waiting { hosts: table.into_hosts(), tuples: Vec::new(), notes, seed };
        waiting.part(&numbers);
        waiting.sort();
        waiting
    }

    /// Moves the tuples of each host together.
    fn part(&mut self, numbers: &[u32]) {
        let mut end = 0u32;
        for host in &mut self.hosts {
            let count = host.end;
            (host.first, host.end) = (end, end);
            end = end.saturating_add(count);
        }
        self.tuples.resize(end as usize, Spot::default());
        let [one, other] = &self.notes;
        let spots = one.iter().zip(0..).chain(other.iter().zip(Spot::OTHER..));
        let live = |((note, _), _): &((&Note<'_>, u32), &u32)| note.marks.any(Marks::LIVE);
        for ((_, spot), number) in spots.zip(numbers).filter(live) {
            let Some(host) = self.hosts.get_mut(*number as usize) else { continue };
            if let Some(place) = self.tuples.get_mut(host.end as usize) {
                *place = Spot(spot);
                host.end = host.end.saturating_add(1);
            }
        }
    }

    /// Sorts each host's tuples into file order, and removes duplicates, which a writer may leave when it
    /// is killed.
    fn sort(&mut self) {
        let notes = &self.notes;
        let place = |spot: &Spot| spot.note(notes).map(|note| note.place);
        for host in self.hosts.iter_mut().filter(|host| host.range().len() > 1) {
            let spots = self.tuples.get_mut(host.range()).unwrap_or_default();
            if may_repeat(spots.iter().filter_map(|spot| spot.note(notes))) {
                let key = |spot: &Spot| spot.note(notes).map(Note::key);
                let mut distinct = spots.to_vec();
                distinct.sort_unstable_by_key(|spot| (key(spot), place(spot)));
                distinct.dedup_by(|a, b| key(a) == key(b));
                spots.iter_mut().zip(&distinct).for_each(|(to, from)| *to = *from);
                let excess = u32::try_from(spots.len().saturating_sub(distinct.len()));
                host.end = host.end.saturating_sub(excess.unwrap_or(0));
            }
            let spots = self.tuples.get_mut(host.range()).unwrap_or_default();
            spots.sort_unstable_by_key(place);
        }
    }

    /// The seed of the hashes in the notes.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Every host, with or without GREY records.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The number of hosts with a GREY record, even an expired one.
    pub fn greys(&self) -> u64 {
        let greys = self.hosts.iter().filter(|host| host.marks.any(Marks::GREY));
        greys.count() as u64
    }

    /// The notes about a host's tuples, in file order.
    pub fn notes_of(&self, host: &Host) -> impl Iterator<Item = &Note<'a>> + Clone {
        let spots = self.tuples.get(host.range()).unwrap_or_default();
        spots.iter().filter_map(|spot| spot.note(&self.notes))
    }

    /// The number of a host's tuples whose sender is a mailbox.
    pub fn mailboxes(&self, host: &Host) -> usize {
        self.notes_of(host).filter(|note| note.marks.any(Marks::MAILBOX)).count()
    }

    /// A host's tuples in file order.
    pub fn tuples_of(&self, host: &Host) -> impl Iterator<Item = Tuple<'_>> + Clone {
        self.notes_of(host).map(Note::tuple)
    }

    /// A host's tuples in file order, with their numbers.
    pub fn numbered(&self, host: &Host) -> impl Iterator<Item = (u32, Tuple<'_>)> {
        (host.first..).zip(self.tuples_of(host))
    }

    /// The tuple with this number.
    pub fn tuple(&self, number: u32) -> Tuple<'_> {
        let spot = self.tuples.get(number as usize);
        spot.and_then(|spot| spot.note(&self.notes)).map_or(NO_TUPLE, Note::tuple)
    }

    /// The address of a host that has tuples, as spamd wrote it.
    pub fn address_text(&self, host: &Host) -> Option<&[u8]> {
        self.tuples_of(host).next().map(|tuple| tuple.address)
    }

    /// Reads a little of every key of `hosts`, so that they are in the cache when they are judged. If each
    /// were first read when it is judged, each would miss the cache; these reads do not wait for each
    /// other.
    pub fn prefetch<'h>(&self, hosts: impl Iterator<Item = &'h Host>) {
        let keys: Vec<_> = hosts.flat_map(|host| self.notes_of(host)).map(Note::key).collect();
        touch(&keys);
    }
}

/// Reads a little of every key.
fn touch(keys: &[&[u8]]) {
    let lines = keys.iter().map(|key| {
        let last = key.len().saturating_sub(1);
        // No branch on the length: a misprediction would wait for data that is not there yet.
        let at = |place: usize| key.get(place.min(last)).copied().unwrap_or(0);
        at(0) ^ at(64) ^ at(last)
    });
    std::hint::black_box(lines.fold(0, |all, line| all ^ line));
}

/// False if all of these tuples are different; true means nothing.
fn may_repeat<'n, 'a: 'n>(mut notes: impl Iterator<Item = &'n Note<'a>>) -> bool {
    let mut seen = [0u64; 64];
    !notes.all(|note| {
        let bit = 1u64 << (note.print % 64);
        let Some(word) = seen.get_mut(usize::from(note.print >> 10)) else { return false };
        std::mem::replace(word, *word | bit) & bit == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_and_hosts_are_small() {
        assert_eq!((size_of::<Note<'_>>(), size_of::<Host>()), (48, 32));
    }
}
