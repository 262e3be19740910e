//! Walks over a database: two threads read every record once, and note what it tells, sorted by share of
//! hosts.
//!
//! In: the pieces of a database, in file order. Out: notes, and the counts for the log. `stages` calls. The
//! threads take pieces from one walk and read the records in them. A note contains the record's place in
//! the file, so that the result does not depend on the order in which the threads work.

use super::notes::{Counts, Note, Notes, UnknownRecord};
use super::table::{SHARES, Seed};
use crate::config::Rules;
use crate::db::snapshot::Piece;
use crate::db::{ByteOrder, Damage};
use crate::threads::{both, lock};
use std::iter::Fuse;
use std::sync::Mutex;

/// The initial capacity of each share, in notes: a list that grows repeatedly leaves as much memory behind
/// as it uses. Memory that is never written to costs nothing, but counts for the limit of a login class.
const ROOM: usize = 4096;
/// The least: there are few records in scans of the past, of which there are thousands. In between a share has
/// about as many notes as there are pieces.
const LITTLE_ROOM: usize = 64;

/// Everything that a database tells.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    /// The notes for each share of the hosts.
    pub shares: Vec<[Vec<Note<'a>>; 2]>,
    /// Without the number of hosts, which is not known yet.
    pub counts: Counts,
    /// The first few unknown records.
    pub unknown: Vec<UnknownRecord<'a>>,
}

/// Gathers what a database tells about hosts.
///
/// Tuples that have expired at `now` (seconds since 1970) are left out. A damaged database is an error: a
/// host must not be judged by half of what is known about it.
pub(super) fn gather<'a>(
    pieces: impl Iterator<Item = Result<Piece<'a>, Damage>> + Send,
    (order, now): (ByteOrder, i64),
    rules: &Rules,
    seed: Seed,
) -> Result<Gathered<'a>, Damage> {
    let room = pieces.size_hint().1.map_or(ROOM, |most| most.clamp(LITTLE_ROOM, ROOM));
    let walk = Mutex::new(Walk { pieces: pieces.fuse(), place: 0, damage: None });
    let work = || draw(&walk, Notes::new(order, now, rules, seed), (seed, room));
    let [(one, shares), (other, others)] = both(work);
    if let Some((_, damage)) = lock(&walk).damage {
        return Err(damage);
    }
    let (counts, unknown) = one.and(other);
    let shares = shares.into_iter().zip(others).map(|(one, other)| [one, other]).collect();
    Ok(Gathered { shares, counts, unknown })
}

/// A walk that both threads take pieces from, up to the first damage.
struct Walk<P> {
    pieces: Fuse<P>,
    /// The place of the next record.
    place: u32,
    /// The damage that ended the walk, and its place.
    damage: Option<(u32, Damage)>,
}

impl<'a, P: Iterator<Item = Result<Piece<'a>, Damage>>> Walk<P> {
    /// The next piece, and its first record's place.
    fn next(&mut self) -> Option<(u32, Piece<'a>)> {
        if self.damage.is_some() {
            return None;
        }
        let place = self.place;
        match self.pieces.next()? {
            Ok(piece) => {
                let most = piece.size_hint().1.and_then(|most| u32::try_from(most).ok());
                self.place = place.saturating_add(most.unwrap_or(u32::MAX));
                Some((place, piece))
            }
            Err(damage) => {
                self.end(place, damage);
                None
            }
        }
    }

    /// Ends the walk. Of several faults the first in the file counts, whichever thread was faster.
    fn end(&mut self, place: u32, damage: Damage) {
        if self.damage.is_none_or(|(first, _)| place < first) {
            self.damage = Some((place, damage));
        }
    }
}

/// Takes pieces until there are no more; the notes are divided by share.
fn draw<'a, 'r, P: Iterator<Item = Result<Piece<'a>, Damage>>>(
    walk: &Mutex<Walk<P>>,
    mut notes: Notes<'a, 'r>,
    (seed, room): (Seed, usize),
) -> (Notes<'a, 'r>, Vec<Vec<Note<'a>>>) {
    let mut shares: Vec<Vec<Note<'a>>> = (0..SHARES).map(|_| Vec::with_capacity(room)).collect();
    while let Some((place, piece)) = next(walk) {
        piece.fetch();
        for (place, record) in (place..).zip(piece) {
            let note = match record {
                Ok(record) => notes.take((place, record)),
                Err(damage) => {
                    lock(walk).end(place, damage);
                    break;
                }
            };
            if let Some(note) = note
                && let Some(share) = shares.get_mut(seed.share(note.address))
            {
                share.push(note);
            }
        }
    }
    (notes, shares)
}

/// The next piece, taken under a lock that is released at once.
fn next<'a, P: Iterator<Item = Result<Piece<'a>, Damage>>>(
    walk: &Mutex<Walk<P>>,
) -> Option<(u32, Piece<'a>)> {
    lock(walk).next()
}

#[cfg(test)]
mod tests {
    use super::super::hosts::Waiting;
    use super::super::testing::{NOW, grey, record};
    use super::*;
    use crate::db::snapshot::Batches;
    use crate::db::{Fault, Record};
    use proptest::prelude::*;

    fn begin(
        records: impl Iterator<Item = Result<Record<'static>, Damage>> + Send,
    ) -> Result<Gathered<'static>, Damage> {
        gather(Batches(records), (ByteOrder::NATIVE, NOW), &Rules::default(), Seed::new())
    }

    fn collect(records: &[Record<'static>]) -> Gathered<'static> {
        begin(records.iter().cloned().map(Ok)).unwrap()
    }

    /// The HELO names of each host, hosts and names in the file's order.
    fn helos(gathered: Gathered<'_>) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for share in gathered.shares.into_iter().map(|notes| Waiting::new(notes, Seed::new())) {
            for host in share.hosts() {
                let helos = share.tuples_of(host).map(|tuple| tuple.helo.to_vec());
                let helos = helos.map(|helo| String::from_utf8(helo).unwrap());
                found.push((host.place, helos.collect::<Vec<_>>()));
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
            tuples: 3,
            no_address: 1,
            spamtraps: 1,
            unknown: 2,
            ..Counts::default()
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
        assert_eq!(helos(waiting), [["live"]]);
    }

    #[test]
    fn damage_anywhere_is_an_error() {
        let damage = Fault::Cut.on(7);
        let records = [Ok(grey("10.0.0.1", "a", "b", "c")), Err(damage)];
        assert_eq!(begin(records.into_iter()).unwrap_err(), damage);
    }

    #[test]
    fn of_several_faults_the_first_is_told_whoever_is_faster() {
        for _ in 0..100 {
            let mut records = vec![Ok(grey("10.0.0.1", "a", "b", "c")); 1000];
            for (place, page) in [(255, 3), (257, 2), (900, 1)] {
                records[place] = Err(Fault::Cut.on(page));
            }
            assert_eq!(begin(records.into_iter()).unwrap_err(), Fault::Cut.on(3));
        }
    }

    #[test]
    fn a_record_that_is_there_twice_is_one_tuple() {
        for copies in [2, 100] {
            let mut records = vec![grey("10.0.0.1", "first", "b", "c"); copies];
            records.insert(1, grey("10.0.0.1", "second", "b", "c"));
            let waiting = collect(&records);
            assert_eq!(helos(waiting), [["first", "second"]]);
        }
    }

    proptest! {
        /// Compared with the simplest implementation.
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
            prop_assert_eq!(helos(waiting), wanted);
        }
    }
}
