//! How large and how fast a memory of 90 days is with 1,000 verdicts a day, and 100,000 tuples a day: 14 days of
//! them, and 7 of evidence, if every tuple is an anonymous host's.

use super::{DAY, NOW, batch, host, open, record, settings};
use crate::support::alone;
use greytrapper::evidence::{Evidence, Sighting};
use greytrapper::memory::{Batch, Block, Query, Seen, Store, pack};
use std::time::{Duration, Instant};

/// The bytes that this process has in memory, now and at most (proc_pid_status(5)).
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

/// Of a process that does nothing else: the resident set is the budget's 32 MB at most, also while the file
/// is verified.
#[test]
#[ignore = "takes a minute"]
fn ninety_days_at_length() {
    if !alone::is_alone() {
        eprint!("{}", alone::run("memory::measure::ninety_days_at_length", &[], |_| ()));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store = open(&settings(directory.path()));
    let mut longest = Duration::ZERO;
    for scan in 0..91 * 144i64 {
        let time = NOW + 600 * scan;
        let number = u32::try_from(scan * 7).unwrap();
        let records = (0..7).map(|n| record(time, (number + n) * 37 % 60_000)).collect();
        let mut batch = batch(time, records);
        if scan >= 77 * 144 {
            seen(&mut batch, time, scan);
        }
        longest = longest.max(timed(|| store.write(batch).unwrap()).1);
    }
    let now = NOW + 91 * DAY;
    let many = (0..1000).map(|n| record(now, n)).collect();
    let ((), of_many) = timed(|| store.write(batch(now, many)).unwrap());
    let written = resident();
    drop(store);
    let (store, opened) = timed(|| open(&settings(directory.path())));
    let asked = |query: Query| timed(|| all(&store, &query));
    let one = Query { hosts: vec![(host(500), host(500))], ..Query::default() };
    asked(one.clone());
    let (found, explained) = asked(one);
    let mut last = batch(now, Vec::new());
    seen(&mut last, now, 91 * 144 - 1);
    let keys: Vec<_> = last.evidence.into_iter().map(|(key, _)| key).collect();
    let (known, recalled) = timed(|| store.evidence(&keys).unwrap().len());
    let (everything, history) = asked(Query::default());
    let size = directory.path().join("memory.redb").metadata().unwrap().len();
    let (after, most) = resident();
    eprintln!(
        "{everything} records, file {} MB; batch {longest:?} at most, of 1,000 {of_many:?}; opened in \
         {opened:?}; a host's {found} records {explained:?}, all {history:?}; of {} keys {known} in {recalled:?}; resident {} MB after \
         writing, {} MB now, {} MB at most",
        size >> 20,
        keys.len(),
        written.0 >> 20,
        after >> 20,
        most >> 20
    );
    assert!(most <= 32 << 20);
    assert!(explained <= Duration::from_millis(50));
}

/// Adds what a scan sees for the first time: 695 tuples, each with its own sender domain and HELO name now and
/// then.
fn seen(batch: &mut Batch, time: i64, scan: i64) {
    let mut evidence = Evidence::new(time);
    let mut tuples = Vec::new();
    for n in 0..695 {
        let number = u32::try_from(scan * 695 + n).unwrap();
        let odd = number.wrapping_mul(2_654_435_761);
        let domain = format!("domain{}.example", odd % 400_000);
        let seen = Seen {
            address: host(odd >> 8),
            helo: format!("host{}.dsl.example", odd % 500_000).into_bytes(),
            from: format!("<someone{odd}@{domain}>").into_bytes(),
            to: format!("<recipient{}@example.org>", odd % 20_000).into_bytes(),
            first: time - 5,
            expire: time + 14_395,
        };
        evidence.note(&Sighting {
            address: seen.address,
            helo: &seen.helo,
            domain: Some(domain.as_bytes()),
            recipient: &seen.to,
            time: seen.first,
        });
        tuples.push(seen);
    }
    batch.blocks = vec![Block { time, until: time, bytes: pack(&tuples).unwrap() }];
    batch.evidence = evidence.fresh();
}

fn all(store: &Store, query: &Query) -> usize {
    let (mut count, mut from) = (0, None);
    loop {
        let found = store.find(query, from, 500).unwrap();
        count += found.records.len();
        match found.next {
            None => return count,
            next => from = next,
        }
    }
}
