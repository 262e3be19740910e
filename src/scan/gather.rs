//! The walk over a database: every record read once, by two threads, and handed to the share of the
//! hosts that it belongs to.
//!
//! Records come in, in the file's order; hosts with their tuples go out, and the counts for the log.
//! `judge` calls. The threads draw records by the batch from one walk; what they enter carries its
//! place in the file, so that it does not show in which order they came.

use super::hosts::{BATCH, Waiting, touch};
use super::notes::{Counts, Marks, Notes, UnknownRecord};
use super::table::Seed;
use crate::db::{ByteOrder, Damage, Record};
use crate::spamd::Tuple;
use std::iter::Fuse;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// All that a database tells.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    /// The hosts, in two shares that have nothing to do with each other.
    pub shares: [Waiting<'a>; 2],
    pub counts: Counts,
    /// The first few unknown records.
    pub unknown: Vec<UnknownRecord<'a>>,
}

/// Gathers the hosts of a database; `screen` tells what a tuple by itself says about its host.
///
/// Tuples whose time is over at `now` (seconds since 1970) are left out. A damaged database is an
/// error: half of what is known about a host is no ground to judge it on.
pub(super) fn gather<'a>(
    records: impl Iterator<Item = Result<Record<'a>, Damage>> + Send,
    (order, now): (ByteOrder, i64),
    screen: impl Fn(&Tuple<'_>) -> Marks + Sync,
) -> Result<Gathered<'a>, Damage> {
    let seed = Seed::new();
    let walk = Mutex::new(Walk { records: records.fuse(), place: 0, damage: None });
    let shares = [Waiting::new(seed), Waiting::new(seed)].map(Mutex::new);
    let work = || draw(&walk, &shares, Notes::new(order, now, seed), &screen);
    let [one, other] = both(work, work);
    if let Some(damage) = lock(&walk).damage {
        return Err(damage);
    }
    let shares = shares.map(|share| share.into_inner().unwrap_or_else(PoisonError::into_inner));
    let (mut counts, unknown) = one.and(other);
    for share in &shares {
        let greys = share.hosts().iter().filter(|host| host.marks.any(Marks::GREY)).count();
        counts.greys = counts.greys.saturating_add(greys as u64);
        counts.tuples = counts.tuples.saturating_add(share.tuples() as u64);
    }
    Ok(Gathered { shares, counts, unknown })
}

/// Two pieces of work at the same time; one after the other where the system gives no thread.
pub(super) fn both<T: Send>(here: impl FnOnce() -> T, there: impl Fn() -> T + Sync) -> [T; 2] {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, &there) {
        Ok(thread) => {
            let one = here();
            let other = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            [one, other]
        }
        Err(_) => [here(), there()],
    })
}

/// A walk that is drawn from.
struct Walk<R> {
    records: Fuse<R>,
    /// The next record's.
    place: u32,
    /// What ended it before its time.
    damage: Option<Damage>,
}

impl<'a, R: Iterator<Item = Result<Record<'a>, Damage>>> Walk<R> {
    /// Appends the next records with their places, until there are [`BATCH`].
    fn read(&mut self, batch: &mut Vec<(u32, Record<'a>)>) {
        while batch.len() < BATCH && self.damage.is_none() {
            match self.records.next() {
                Some(Ok(record)) => batch.push((self.place, record)),
                Some(Err(damage)) => self.damage = Some(damage),
                None => break,
            }
            self.place = self.place.saturating_add(1);
        }
    }
}

/// Draws records until there are no more.
fn draw<'a, R: Iterator<Item = Result<Record<'a>, Damage>>>(
    walk: &Mutex<Walk<R>>,
    shares: &[Mutex<Waiting<'a>>; 2],
    mut notes: Notes<'a>,
    screen: impl Fn(&Tuple<'_>) -> Marks,
) -> Notes<'a> {
    let mut records = Vec::with_capacity(BATCH);
    let mut taken = [Vec::with_capacity(BATCH), Vec::with_capacity(BATCH)];
    loop {
        lock(walk).read(&mut records);
        if records.is_empty() {
            return notes;
        }
        touch(records.iter().map(|(_, record)| &*record.key));
        for note in records.drain(..).filter_map(|record| notes.take(record, &screen)) {
            let [even, odd] = &mut taken;
            if note.address.is_odd() { odd.push(note) } else { even.push(note) }
        }
        for (share, notes) in shares.iter().zip(&mut taken) {
            lock(share).enter(notes);
        }
    }
}

/// A thread that panics takes the process down with it: what it leaves is never looked at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, grey, record};
    use super::*;
    use crate::db::{Fault, Record};
    use proptest::prelude::*;

    fn collect(records: &[Record<'static>]) -> Gathered<'static> {
        let records = records.iter().cloned().map(Ok);
        gather(records, (ByteOrder::NATIVE, NOW), |_| Marks::default()).unwrap()
    }

    /// The HELO names of each host, hosts and names in the file's order.
    fn helos(gathered: &Gathered<'_>) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for share in &gathered.shares {
            for host in share.hosts() {
                let mut numbers = Vec::new();
                share.tuples_of(host, &mut numbers);
                let helo =
                    |&number: &u32| String::from_utf8(share.tuple(number).helo.to_vec()).unwrap();
                found.push((host.place, numbers.iter().map(helo).collect::<Vec<_>>()));
            }
        }
        found.sort();
        found.into_iter().map(|(_, helos)| helos).collect()
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
        assert_eq!(helos(&waiting), [["live"]]);
    }

    #[test]
    fn damage_anywhere_is_an_error() {
        let damage = Fault::Cut.on(7);
        let records = [Ok(grey("10.0.0.1", "a", "b", "c")), Err(damage)];
        let found = gather(records.into_iter(), (ByteOrder::NATIVE, NOW), |_| Marks::default());
        assert_eq!(found.unwrap_err(), damage);
    }

    #[test]
    fn a_record_that_is_there_twice_is_one_tuple() {
        for copies in [2, 100] {
            let mut records = vec![grey("10.0.0.1", "first", "b", "c"); copies];
            records.insert(1, grey("10.0.0.1", "second", "b", "c"));
            let waiting = collect(&records);
            assert_eq!(helos(&waiting), [["first", "second"]]);
        }
    }

    proptest! {
        /// Against the plainest way to say it.
        #[test]
        fn tuples_stay_with_their_host_and_in_order(seen in prop::collection::vec((0u8..5, 0u8..40), 0..300)) {
            let records: Vec<_> =
                seen.iter().map(|(a, h)| grey(&format!("10.0.0.{a}"), &h.to_string(), "b", "c")).collect();
            let waiting = collect(&records);
            let mut wanted: Vec<(u8, Vec<String>)> = Vec::new();
            for (address, helo) in &seen {
                if !wanted.iter().any(|(known, _)| known == address) {
                    wanted.push((*address, Vec::new()));
                }
                let host = wanted.iter_mut().find(|(known, _)| known == address).unwrap();
                if !host.1.contains(&helo.to_string()) {
                    host.1.push(helo.to_string());
                }
            }
            let wanted: Vec<_> = wanted.into_iter().map(|(_, helos)| helos).collect();
            prop_assert_eq!(helos(&waiting), wanted);
        }
    }
}
