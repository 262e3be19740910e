//! Batches and questions, compared with a list of records.

use super::{DAY, NOW, batch, host, open, record, settings};
use greytrapper::memory::{Batch, Deed, Found, Hold, Query, Record, Settings, Store};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// All pages of an answer.
fn all(store: &Store, query: &Query, most: usize) -> Vec<Record> {
    let (mut records, mut from) = (Vec::new(), None);
    loop {
        let Found { records: some, next } = store.find(query, from, most).unwrap();
        assert!(some.len() <= most);
        records.extend(some);
        match next {
            None => return records,
            next => from = next,
        }
    }
}

fn hold(number: u32, since: i64, until: i64) -> Hold {
    Hold { address: host(number), since, until, reason: "by hand (root)".into() }
}

fn range(first: &str, last: &str) -> (IpAddr, IpAddr) {
    (first.parse().unwrap(), last.parse().unwrap())
}

#[test]
fn everything_is_found_again_by_time_address_and_rule() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let mut records: Vec<_> =
        (0..500).map(|n| record(NOW + i64::from(n / 3), n * 7 % 100)).collect();
    for (n, address) in ["2001:db8::1", "2001:db8:1::1"].iter().enumerate() {
        let address = Some(address.parse().unwrap());
        records.push(Record { address, ..record(NOW + 200, n as u32) });
    }
    let (address, deed, rule) = (None, Deed::Reloaded, None);
    records.push(Record { address, deed, rule, tuples: Vec::new(), ..record(NOW + 201, 0) });
    for some in records.chunks(100) {
        store.write(batch(NOW, some.to_vec())).unwrap();
    }
    let everywhere = range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    let queries = [
        Query::default(),
        Query { since: NOW + 100, ..Query::default() },
        Query { rule: Some("helo".into()), ..Query::default() },
        Query { deeds: vec![Deed::Reloaded, Deed::Released], ..Query::default() },
        Query { hosts: vec![(host(7), host(7))], ..Query::default() },
        Query { hosts: vec![(host(7), host(20)), (host(10), host(30))], ..Query::default() },
        Query { hosts: vec![range("2001:db8::", "2001:db8::ffff")], ..Query::default() },
        Query { hosts: vec![everywhere], ..Query::default() },
        Query { since: NOW + 1000, hosts: vec![everywhere], ..Query::default() },
        Query { is_brief: true, ..Query::default() },
    ];
    for query in queries {
        let matches = |record: &&Record| {
            let within = |host: IpAddr| {
                query.hosts.iter().any(|(first, last)| {
                    (*first..=*last).contains(&host) && host.is_ipv4() == first.is_ipv4()
                })
            };
            record.time >= query.since
                && (query.rule.is_none() || query.rule == record.rule)
                && (query.deeds.is_empty() || query.deeds.contains(&record.deed))
                && (query.hosts.is_empty() || record.address.is_some_and(within))
        };
        let told = |record: &Record| match query.is_brief {
            true => Record {
                reason: String::new(),
                details: Vec::new(),
                tuples: Vec::new(),
                ..record.clone()
            },
            false => record.clone(),
        };
        let mut expected: Vec<_> = records.iter().filter(matches).map(told).collect();
        for most in [7, 1000] {
            assert_eq!(all(&store, &query, most), expected, "{query:?}");
        }
        let backwards = Query { backwards: true, ..query };
        expected.reverse();
        assert_eq!(all(&store, &backwards, 7), expected, "{backwards:?}");
    }
}

#[test]
fn a_file_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&settings(directory.path())));
    let found = directory.path().join("memory.redb").metadata().unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_stands_is_the_last_word_on_each_host() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let holds = vec![hold(3, NOW, 0), hold(9, NOW - 5, NOW + DAY)];
    let counters = vec![("scans".to_owned(), 7), ("released".to_owned(), u64::MAX)];
    let store = open(&settings);
    let released = Record { deed: Deed::Released, until: None, ..record(NOW + 5, 3) };
    let spared = Record { deed: Deed::Spared, until: None, ..record(NOW + 6, 4) };
    let by_hand = Record { deed: Deed::TrappedByHand, rule: None, ..record(NOW + 7, 5) };
    let records = vec![
        record(NOW - 2 * DAY, 1),
        record(NOW, 2),
        record(NOW, 3),
        record(NOW, 4),
        record(NOW, 5),
        released,
        spared,
        by_hand.clone(),
        record(NOW + 8, 2),
    ];
    let live = Batch {
        holds: Some(holds.clone()),
        counters: Some(counters.clone()),
        ..batch(NOW, records)
    };
    store.write(live).unwrap();
    // A batch without them leaves them.
    store.write(batch(NOW, vec![record(NOW + 9, 6)])).unwrap();
    drop(store);
    let store = open(&settings);
    let recalled = store.recall(NOW - 3 * DAY, NOW + 10, 100).unwrap();
    assert_eq!((recalled.holds, recalled.counters), (holds, counters));
    let expected = vec![record(NOW, 4), by_hand, record(NOW + 8, 2), record(NOW + 9, 6)];
    assert_eq!(recalled.standing, expected);
    let recalled = store.recall(NOW - 3 * DAY, NOW + 10, 2).unwrap();
    assert_eq!(recalled.standing, expected[2..]);
    assert!(store.recall(0, NOW + 2 * DAY, 100).unwrap().standing.is_empty());
}

#[test]
fn what_is_too_old_is_forgotten_tuples_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let records: Vec<_> = (0..100).map(|day| record(NOW + day * DAY, day as u32)).collect();
    store.write(batch(NOW, records.clone())).unwrap();
    assert_eq!(all(&store, &Query::default(), 1000), records);
    let now = NOW + 99 * DAY;
    store.write(batch(now, Vec::new())).unwrap();
    let found = all(&store, &Query::default(), 1000);
    assert_eq!(found.len(), 91);
    for (found, known) in found.into_iter().zip(&records[9..]) {
        let is_recent = known.time >= now - 14 * DAY;
        let bare = Record { tuples: Vec::new(), details: Vec::new(), ..known.clone() };
        assert_eq!(found, if is_recent { known.clone() } else { bare });
    }
    let gone = Query { hosts: vec![(host(0), host(8))], ..Query::default() };
    assert!(all(&store, &gone, 1000).is_empty());
}

#[test]
fn who_may_not_keep_tuples_keeps_none() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let store = open(&settings);
    store.write(batch(NOW, vec![record(NOW, 1)])).unwrap();
    drop(store);
    let store = open(&Settings { tuples: None, ..settings });
    store.write(batch(NOW, vec![record(NOW + 1, 2)])).unwrap();
    let expected = [record(NOW, 1), record(NOW + 1, 2)];
    let expected =
        expected.map(|record| Record { tuples: Vec::new(), details: Vec::new(), ..record });
    assert_eq!(all(&store, &Query::default(), 10), expected);
    drop(store);
    let file = std::fs::read(directory.path().join("memory.redb")).unwrap();
    assert!(!file.windows(9).any(|bytes| bytes == b"someone0@"[..].as_ref()), "on the disk");
}

#[test]
fn the_file_is_never_larger_than_it_may_be() {
    const SIZE: u64 = 8 << 20;
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { size: SIZE, ..settings(directory.path()) };
    let store = open(&settings);
    let path = directory.path().join("memory.redb");
    let mut largest = 0;
    for scan in 0..200i64 {
        let records = (0..200).map(|n| record(NOW + 600 * scan, n)).collect();
        store.write(batch(NOW + 600 * scan, records)).unwrap();
        largest = largest.max(path.metadata().unwrap().len());
    }
    assert!(largest <= SIZE, "{largest}");
    // The oldest went, and room is not wasted.
    let found = all(&store, &Query::default(), 100_000);
    assert!(found.len() > 2000, "{}", found.len());
    assert_eq!(found.last(), Some(&record(NOW + 600 * 199, 199)));
    assert!(found.is_sorted_by_key(|record| record.time));
}

#[test]
fn a_clock_that_was_wrong_loses_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let times = [NOW, NOW + 400 * DAY, NOW, -5, NOW];
    let records: Vec<_> = times.iter().map(|time| record(*time, 1)).collect();
    store.write(batch(0, records)).unwrap();
    let found: Vec<_> = all(&store, &Query::default(), 2).iter().map(|found| found.time).collect();
    assert_eq!(found, [0, NOW, NOW, NOW, NOW + 400 * DAY]);
    let short = Duration::from_secs(1);
    drop(store);
    let store = open(&Settings { verdicts: short, ..settings(directory.path()) });
    store.write(batch(NOW, Vec::new())).unwrap();
    assert_eq!(all(&store, &Query::default(), 10).len(), 4);
}
