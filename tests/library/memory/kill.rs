//! kill -9 at any moment: the file opens again, and nothing but the last batch is lost.
//!
//! `KILLS` in the environment is the number of kills; a few without it.

use super::{NOW, batch, host, open, record, settings};
use crate::support::dice::Dice;
use crate::support::patience::stretched;
use greytrapper::evidence::{Evidence, Sighting};
use greytrapper::memory::{Batch, Block, Hold, Query, Seen, Store, pack};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const DIRECTORY: &str = "GREYTRAPPER_TEST_MEMORY";
/// Kills without `KILLS`.
const KILLS: usize = 10;
/// Records in a batch.
const RECORDS: u32 = 40;

/// The process that is killed, when the test below has started it. Batch after batch it writes the next
/// numbers, and prints each that is on the disk.
#[test]
#[ignore = "what the test below starts"]
fn a_writer_writes() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let mut settings = settings(Path::new(&directory));
    // So small that the oldest records go all the time.
    settings.size = 2 << 20;
    let store = open(&settings);
    let first = last(&store).map_or(0, |number| number + 1);
    for number in first.. {
        store.write(made(number)).unwrap();
        println!("wrote {number}");
        std::io::stdout().flush().unwrap();
    }
}

/// The batch with that number, which is the number of held hosts and the counter too.
fn made(number: u64) -> Batch {
    let time = NOW + i64::try_from(number).unwrap();
    let records = (0..RECORDS).map(|n| record(time, n)).collect();
    let hold = |n| Hold { address: host(n as u32), since: time, until: 0, reason: String::new() };
    let holds = (0..number % 50).map(hold).collect();
    let counters = vec![("batches".to_owned(), number)];
    let seen = Seen {
        address: host(1),
        helo: b"h".to_vec(),
        from: b"<>".to_vec(),
        // So few that evidence never has its share of the file.
        to: format!("<{}@example.org>", number % 500).into_bytes(),
        first: time,
        expire: time,
    };
    let bytes = pack(std::slice::from_ref(&seen)).unwrap();
    let mut evidence = Evidence::new(time);
    evidence.note(&Sighting {
        address: host(1),
        helo: b"h",
        domain: None,
        recipient: &seen.to,
        time,
    });
    Batch {
        holds: Some(holds),
        counters: Some(counters),
        blocks: vec![Block { time, until: time, bytes }],
        evidence: evidence.fresh(),
        ..batch(time, records)
    }
}

/// The last batch of a file, which must be complete and follow those before it without a gap.
fn last(store: &Store) -> Option<u64> {
    let found = store.find(&Query::default(), None, 1_000_000).unwrap();
    assert!(found.next.is_none());
    let mut records = found.records;
    let recalled = store.recall(0, NOW, 1_000_000).unwrap();
    let Some(newest) = records.last() else {
        assert!(recalled.counters.is_empty());
        return None;
    };
    let number = u64::try_from(newest.time - NOW).unwrap();
    let Batch { holds, counters, .. } = made(number);
    assert_eq!((Some(recalled.holds), Some(recalled.counters)), (holds, counters));
    // Of the other tables too the last batch is whole.
    let Batch { blocks, evidence, .. } = made(number);
    let Block { time, until, bytes } = blocks[0].clone();
    assert_eq!(
        (recalled.until, store.tuples(time, None, usize::MAX).unwrap().blocks),
        (until, vec![(time, bytes)])
    );
    let keys: Vec<_> = evidence.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(store.evidence(&keys).unwrap().len(), keys.len());
    let mut expected = number;
    while !records.is_empty() {
        let from = records.len().saturating_sub(RECORDS as usize);
        let found = records.split_off(from);
        let made = made(expected).records;
        // Of the oldest batch some may be forgotten.
        assert_eq!(found, made[made.len() - found.len()..], "{expected}");
        assert!(found.len() == made.len() || records.is_empty());
        expected = expected.saturating_sub(1);
    }
    Some(number)
}

#[test]
fn nothing_but_the_last_batch_is_lost_by_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut dice = Dice(u64::from(std::process::id()));
    let mut written = 0u64;
    for turn in 0..kills {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::kill::a_writer_writes", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Some are killed while they open the file.
        sleep(stretched(Duration::from_millis(dice.roll(300) as u64)));
        writer.kill().unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.filter_map(|line| line.strip_prefix("wrote ")?.parse().ok()).last();
        writer.wait().unwrap();
        // It must be in order: `open` asserts that.
        let mut settings = settings(directory.path());
        settings.size = 2 << 20;
        let found = last(&open(&settings));
        let at_least: Option<u64> = told.or(written.checked_sub(1));
        let next = at_least.map_or(0, |number| number + 1);
        assert!(found == at_least || found == Some(next), "turn {turn}: {told:?}, {found:?}");
        written = found.map_or(0, |number| number + 1);
    }
    assert!(written > kills as u64, "{written} batches: it was not killed at work");
    eprintln!("{kills} kills, {written} batches, none lost");
}
