//! Evidence, hosts that passed and the tuples of all hosts: kept, added to, grown old, bounded; and the way up
//! from a file that has none of them.

use super::{DAY, NOW, batch, open, record, settings};
use greytrapper::evidence::{Evidence, KEPT, Key, Kind, Sighting, Watch};
use greytrapper::memory::{Batch, Block, PACKED, Query, Seen, Store, pack, unpack};
use std::net::IpAddr;
use std::path::Path;

fn sighting<'a>(address: &str, domain: &'a str, time: i64) -> Sighting<'a> {
    Sighting {
        address: address.parse().unwrap(),
        helo: b"friend",
        domain: Some(domain.as_bytes()),
        recipient: b"<user@example.org>",
        time,
    }
}

/// One scan at `time`: asks, notes, and has it kept. How many networks used the HELO name.
fn scan(store: &Store, time: i64, seen: &[Sighting<'_>]) -> usize {
    let mut evidence = Evidence::new(time);
    let keys: Vec<Key> = seen.iter().flat_map(Sighting::keys).collect();
    evidence.recall(store.evidence(&keys).unwrap());
    seen.iter().for_each(|seen| evidence.note(seen));
    store.write(Batch { evidence: evidence.fresh(), ..batch(time, Vec::new()) }).unwrap();
    evidence.helo(b"friend", KEPT).networks
}

fn tuple(address: &str, to: &str, first: i64) -> Seen {
    let (helo, from) = (b"mail.example.com".to_vec(), b"<a@example.com>".to_vec());
    let (address, to) = (address.parse().unwrap(), to.as_bytes().to_vec());
    Seen { address, helo, from, to, first, expire: first + 4 * 3600 }
}

fn block(time: i64, tuples: &[Seen]) -> Block {
    Block { time, until: time - 2, bytes: pack(tuples).unwrap() }
}

#[test]
fn evidence_is_the_same_over_scans_and_starts() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) =
        (sighting("192.0.2.1", "a.example", NOW), sighting("198.51.100.1", "b.example", NOW));
    assert_eq!(scan(&open(&settings(directory.path())), NOW, &[one]), 1);
    let store = open(&settings(directory.path()));
    assert_eq!(scan(&store, NOW + 600, &[two]), 2);
    // Without an answer of memory a scan knows less, but takes nothing away.
    let mut alone = Evidence::new(NOW + 700);
    alone.note(&sighting("203.0.113.1", "a.example", NOW + 700));
    store.write(Batch { evidence: alone.fresh(), ..batch(NOW + 700, Vec::new()) }).unwrap();
    assert_eq!(scan(&store, NOW + 800, &[one]), 3);
    assert_eq!(
        scan(&store, NOW + 8 * DAY, &[sighting("192.0.2.1", "a.example", NOW + 8 * DAY)]),
        1
    );
}

/// Where no tuples may be kept, no recipients are.
#[test]
fn recipients_are_known_only_where_tuples_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut without = settings(directory.path());
    without.tuples = None;
    let store = open(&without);
    let seen = sighting("192.0.2.1", "a.example", NOW);
    scan(&store, NOW, &[seen]);
    let keys: Vec<Key> = seen.keys().collect();
    let kinds: Vec<_> =
        store.evidence(&keys).unwrap().into_iter().map(|(key, _)| key.kind).collect();
    assert_eq!(kinds, [Kind::Helo, Kind::Domain]);
}

#[test]
fn old_evidence_goes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let names: Vec<_> = (0..300).map(|n| format!("{n}.example")).collect();
    let seen: Vec<_> = names.iter().map(|name| sighting("192.0.2.1", name, NOW)).collect();
    scan(&store, NOW, &seen);
    let keys: Vec<Key> = seen.iter().flat_map(Sighting::keys).collect();
    assert_eq!(store.evidence(&keys).unwrap().len(), keys.len());
    store.write(batch(NOW + 7 * DAY, Vec::new())).unwrap();
    assert_eq!(store.evidence(&keys).unwrap().len(), keys.len());
    store.write(batch(NOW + 7 * DAY + 1, Vec::new())).unwrap();
    assert_eq!(store.evidence(&keys).unwrap(), []);
}

/// Of a small file evidence takes its share, and verdicts remain.
#[test]
fn a_flood_of_names_does_not_drive_out_verdicts() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.size = 2 << 20;
    let store = open(&settings);
    let records: Vec<_> = (0..200).map(|n| record(NOW, n)).collect();
    store.write(batch(NOW, records)).unwrap();
    for scan_number in 0..20 {
        let name = |n| format!("{}.{n}.{scan_number}.example", "x".repeat(100));
        let names: Vec<_> = (0..500).map(name).collect();
        let seen: Vec<_> = names.iter().map(|name| sighting("192.0.2.1", name, NOW)).collect();
        scan(&store, NOW, &seen);
    }
    assert_eq!(store.find(&Query::default(), None, 1000).unwrap().records.len(), 200);
    let size = directory.path().join("memory.redb").metadata().unwrap().len();
    assert!(size <= 2 << 20, "{size}");
    assert_eq!(
        scan(&store, NOW, &[sighting("198.51.100.1", "b.example", NOW)]),
        2,
        "what is known grows"
    );
}

/// The recipients that are suggested, page by page.
fn suggested(store: &Store, now: i64) -> Vec<(String, i64)> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let page = store.suggestions(now, from.as_deref()).unwrap();
        let text = |name: Vec<u8>| String::from_utf8(name).unwrap();
        all.extend(page.found.into_iter().map(|found| (text(found.recipient), found.first)));
        from = page.next;
        if from.is_none() {
            return all;
        }
    }
}

/// Mail from so many networks to these recipients.
fn mail(store: &Store, time: i64, networks: u8, recipients: &[String]) {
    let addresses: Vec<_> = (0..networks).map(|n| IpAddr::from([10, n, 0, 1])).collect();
    let seen = recipients.iter().flat_map(|to| {
        let seen = Sighting { recipient: to.as_bytes(), ..sighting("10.0.0.1", "a.example", time) };
        addresses.iter().map(move |address| Sighting { address: *address, ..seen })
    });
    scan(store, time, &seen.collect::<Vec<_>>());
}

#[test]
fn recipients_are_suggested_until_a_host_that_passes_writes_to_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let [many, few, good] =
        ["many@example.org", "few@example.org", "good@example.org"].map(String::from);
    mail(&store, NOW - 3 * DAY, 1, std::slice::from_ref(&many));
    mail(&store, NOW, 11, &[many.clone(), good.clone()]);
    mail(&store, NOW, 10, &[few]);
    let both = [(good, NOW), (many.clone(), NOW - 3 * DAY)];
    assert_eq!(suggested(&store, NOW), both);
    assert_eq!(suggested(&store, NOW + 7 * DAY), both);
    assert_eq!(suggested(&store, NOW + 7 * DAY + 1), []);
    let blocks = vec![block(NOW, &[tuple("192.0.2.1", "<@relay.example:Good@example.org>", NOW)])];
    let white = vec![("192.0.2.1".parse().unwrap(), NOW)];
    store.write(Batch { blocks, white, ..batch(NOW + 1800, Vec::new()) }).unwrap();
    let only = [(many, NOW - 3 * DAY)];
    assert_eq!(suggested(&store, NOW + 1800), only);
    let name = ["good@example.org".into()];
    mail(&store, NOW + 80 * DAY, 11, &name);
    assert_eq!(suggested(&store, NOW + 80 * DAY), [], "as long as it is remembered");
    mail(&store, NOW + 91 * DAY, 11, &name);
    assert_eq!(suggested(&store, NOW + 91 * DAY).len(), 1);
}

#[test]
fn there_may_be_more_suggestions_than_a_page_has() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let names: Vec<_> = (0..1200).map(|n| format!("{n:04}@example.org")).collect();
    mail(&store, NOW, 11, &names);
    let found: Vec<_> = suggested(&store, NOW).into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, names);
}

#[test]
fn watching_begins_with_the_first_scan_and_again_after_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let scanned = |store: &Store, time| {
        store.write(Batch { watched: Some(time), ..batch(time, Vec::new()) }).unwrap();
        store.watch().unwrap()
    };
    let watch = |since, last| Some(Watch { since, last });
    let store = open(&settings(directory.path()));
    store.write(batch(NOW - DAY, Vec::new())).unwrap();
    assert_eq!(store.watch().unwrap(), None, "nothing was looked through");
    assert_eq!(scanned(&store, NOW), watch(NOW, NOW));
    drop(store);
    let store = open(&settings(directory.path()));
    assert_eq!(scanned(&store, NOW + 2 * DAY), watch(NOW, NOW + 2 * DAY));
    assert_eq!(scanned(&store, NOW + 5 * DAY), watch(NOW + 5 * DAY, NOW + 5 * DAY));
    drop(store);
    let without = greytrapper::memory::Settings { tuples: None, ..settings(directory.path()) };
    assert_eq!(scanned(&open(&without), NOW + 6 * DAY), watch(NOW + 5 * DAY, NOW + 5 * DAY));
}

/// There is no room for whom a host that passed wrote to, so that strangers may seem to be the only ones.
#[test]
fn watching_begins_anew_if_it_cannot_be_kept_whom_a_host_that_passed_wrote_to() {
    let directory = tempfile::tempdir().unwrap();
    let store =
        open(&greytrapper::memory::Settings { size: 1 << 20, ..settings(directory.path()) });
    let names: Vec<_> = (0..900).map(|n| format!("{}{n}@example.org", "x".repeat(200))).collect();
    mail(&store, NOW, 1, &names);
    let scanned = |time, blocks, white| {
        let batch = Batch { watched: Some(time), blocks, white, ..batch(time, Vec::new()) };
        store.write(batch).unwrap();
    };
    scanned(
        NOW + 10,
        vec![block(NOW + 10, &[tuple("192.0.2.1", "<good@example.org>", NOW)])],
        vec![],
    );
    assert!(store.watch().unwrap().is_some());
    scanned(NOW + 1800, vec![], vec![("192.0.2.1".parse().unwrap(), NOW)]);
    assert_eq!(store.watch().unwrap(), None);
    scanned(NOW + 2400, vec![], vec![]);
    assert_eq!(store.watch().unwrap(), Some(Watch::begin(NOW + 2400)));
}

#[test]
fn a_host_that_waited_and_is_whitelisted_has_passed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let host = |text: &str| text.parse::<IpAddr>().unwrap();
    let tuples = [
        tuple("192.0.2.1", "<User@example.org>", NOW),
        tuple("192.0.2.2", "<other@example.org>", NOW),
        tuple("2001:db8::1", "<six@example.org>", NOW),
    ];
    let blocks = vec![block(NOW + 10, &tuples)];
    store.write(Batch { blocks, ..batch(NOW + 10, Vec::new()) }).unwrap();
    // The last was whitelisted by an operator, and has not waited.
    let white =
        vec![(host("192.0.2.1"), NOW), (host("2001:db8::1"), NOW), (host("192.0.2.9"), NOW)];
    let time = NOW + 1800;
    store.write(Batch { white: white.clone(), ..batch(time, Vec::new()) }).unwrap();
    store.write(Batch { white, ..batch(time + 600, Vec::new()) }).unwrap();
    for (address, passed) in [
        ("192.0.2.1", Some(time)),
        ("192.0.2.2", None),
        ("192.0.2.9", None),
        ("2001:db8::1", Some(time)),
    ] {
        assert_eq!(store.passed(host(address)).unwrap(), passed, "{address}");
    }
    assert_eq!(store.all_passed(time).unwrap().len(), 2);
    let mut evidence = Evidence::new(time);
    let names = ["user@example.org", "six@example.org", "other@example.org"];
    let keys: Vec<_> = names.iter().filter_map(|name| Key::recipient(name.as_bytes())).collect();
    evidence.recall(store.evidence(&keys).unwrap());
    let is_passed = names.map(|name| evidence.recipient(name.as_bytes(), KEPT).is_passed);
    assert_eq!(is_passed, [true, true, false]);
    store.write(batch(NOW + 92 * DAY, Vec::new())).unwrap();
    assert_eq!(store.passed(host("192.0.2.1")).unwrap(), None);
}

#[test]
fn tuples_come_back_in_the_order_of_scans() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let odd = Seen {
        helo: vec![0, 255],
        from: b"<>".to_vec(),
        to: Vec::new(),
        first: -5,
        expire: 77,
        ..tuple("2001:db8::1", "", 0)
    };
    let scans: Vec<Vec<Seen>> = (0..10)
        .map(|n| {
            let one = |m| tuple(&format!("192.0.2.{m}"), "<a@example.org>", NOW + 600 * n);
            (0..3).map(one).chain([odd.clone()]).collect()
        })
        .collect();
    for (number, tuples) in (0..).zip(&scans) {
        let blocks = vec![block(NOW + 600 * number, tuples)];
        store.write(Batch { blocks, ..batch(NOW, Vec::new()) }).unwrap();
    }
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = store.tuples(NOW + 600, from, 400).unwrap();
        found.extend(page.blocks.into_iter().map(|(_, bytes)| unpack(&bytes)));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(found, scans[1..]);
    assert_eq!(store.recall(0, NOW, 10).unwrap().until, NOW + 600 * 9 - 2);
    store.write(batch(NOW + 14 * DAY + 601, Vec::new())).unwrap();
    assert_eq!(store.tuples(0, None, usize::MAX).unwrap().blocks.len(), 8, "older than 14 days");
    let mut without = settings(directory.path());
    without.tuples = None;
    drop(store);
    let store = open(&without);
    store.write(Batch { blocks: vec![block(NOW, &scans[0])], ..batch(NOW, Vec::new()) }).unwrap();
    assert_eq!(store.tuples(0, None, usize::MAX).unwrap().blocks.len(), 0, "remember tuples no");
}

#[test]
fn of_too_many_tuples_the_oldest_go_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.size = 4 << 20;
    let store = open(&settings);
    for scan in 0..40 {
        let to = |n| format!("<user{n}.{scan}@example{n}.org>");
        let one = |n: usize| tuple(&format!("10.{scan}.{}.{}", n / 256, n % 256), &to(n), NOW);
        let tuples: Vec<_> = (0..PACKED).map(one).collect();
        let blocks = vec![block(NOW + scan, &tuples)];
        store.write(Batch { blocks, ..batch(NOW, vec![record(NOW, 1)]) }).unwrap();
    }
    let blocks = store.tuples(0, None, usize::MAX).unwrap().blocks;
    let times: Vec<_> = blocks.iter().map(|(time, _)| time - NOW).collect();
    let first = times[0];
    assert!(first > 0 && times == (first..40).collect::<Vec<_>>(), "{times:?}");
    let bytes = blocks[0].1.len() / PACKED;
    assert!(bytes < 50, "{bytes} bytes a tuple");
    assert_eq!(store.find(&Query::default(), None, 1000).unwrap().records.len(), 40);
    let size = directory.path().join("memory.redb").metadata().unwrap().len();
    assert!(size <= 4 << 20, "{size}");
}

/// Makes a file as version 1 had it.
fn downgrade(directory: &Path) {
    use redb::{TableDefinition, TableHandle};
    const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let database = redb::Database::open(directory.join("memory.redb")).unwrap();
    let change = database.begin_write().unwrap();
    let tables: Vec<_> = change.list_tables().unwrap().collect();
    for table in tables {
        let is_old = ["meta", "verdicts", "tuples", "hosts", "live"].contains(&table.name());
        if !is_old {
            change.delete_table(table).unwrap();
        }
    }
    {
        let mut meta = change.open_table(META).unwrap();
        meta.insert("version", 1).unwrap();
        meta.retain(|name, _| ["version", "bytes"].contains(&name)).unwrap();
    }
    change.commit().unwrap();
}

#[test]
fn a_file_of_version_1_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..50).map(|n| record(NOW, n)).collect();
    let counters = Some(vec![("scans".into(), 7)]);
    let store = open(&settings(directory.path()));
    store.write(Batch { counters, ..batch(NOW, records.clone()) }).unwrap();
    drop(store);
    downgrade(directory.path());
    let store = open(&settings(directory.path()));
    assert_eq!(store.find(&Query::default(), None, 1000).unwrap().records, records);
    assert_eq!(store.recall(0, NOW, 0).unwrap().counters, [("scans".into(), 7)]);
    assert_eq!(scan(&store, NOW, &[sighting("192.0.2.1", "a.example", NOW)]), 1);
    assert_eq!(scan(&store, NOW, &[sighting("198.51.100.1", "a.example", NOW)]), 2);
}

#[test]
fn what_cannot_be_decoded_is_as_good_as_not_there() {
    for bytes in [&b""[..], b"\xff", &[0xff; 50], b"\x02\x01\x01a\xff\xff\xff\xff\x0f"] {
        assert_eq!(unpack(bytes), []);
    }
}
