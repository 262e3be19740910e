//! Files that are damaged or something else: set aside, and begun anew.

use super::{NOW, batch, open, record, settings};
use greytrapper::memory::{Error, Opened, Query, Store};
use std::fs;
use std::path::Path;

/// A closed file with some records; its bytes.
fn made(directory: &Path) -> Vec<u8> {
    let store = open(&settings(directory));
    for scan in 0..5 {
        let records = (0..40).map(|n| record(NOW + scan, n)).collect();
        store.write(batch(NOW, records)).unwrap();
    }
    drop(store);
    fs::read(directory.join("memory.redb")).unwrap()
}

/// How many records a file with these bytes has, and what was wrong with it.
fn tried(bytes: &[u8]) -> (usize, Option<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.redb");
    fs::write(&path, bytes).unwrap();
    let Opened { store, set_aside } = Store::open(settings(directory.path()), NOW).unwrap();
    let found = store.find(&Query::default(), None, 1000).unwrap();
    assert_eq!(
        store.recall(0, NOW, 1000).unwrap().standing.len().min(1),
        found.records.len().min(1)
    );
    let count = found.records.len();
    // It works afterwards, whatever it was.
    store.write(batch(NOW, vec![record(NOW + 100, 50)])).unwrap();
    drop(store);
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let aside = set_aside.map(|(path, error)| {
        assert_eq!(path.file_name().unwrap(), names[1].as_str());
        // redb has written into one that is in order.
        let is_ours = error.to_string().starts_with("version");
        assert!(is_ours || fs::read(&path).unwrap() == bytes, "not as it was");
        error.to_string()
    });
    let expected: &[&str] = match aside {
        None => &["memory.redb"],
        Some(_) => &["memory.redb", "memory.redb.bad-2026-11-23T07:46:50Z"],
    };
    assert_eq!(names, expected);
    (count, aside)
}

#[test]
fn another_file_in_its_place_is_set_aside() {
    let database = include_bytes!("../../data/hash/openbsd16k.db");
    for bytes in [&b"x"[..], &[b'x'; 100_000], &[0; 100_000], database] {
        assert_eq!(tried(bytes), (0, Some("truncated or not a database".into())));
    }
    assert_eq!(tried(b""), (0, None), "a file that was only just made");
}

/// What a kill leaves while the file is made, and what was there before.
#[test]
fn a_file_that_was_not_complete_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let half = directory.path().join("memory.redb.new");
    for bytes in [vec![], vec![0; 4096], vec![b'x'; 100_000]] {
        fs::write(&half, bytes).unwrap();
        let _ = fs::remove_file(directory.path().join("memory.redb"));
        let store = open(&settings(directory.path()));
        store.write(batch(NOW, vec![record(NOW, 1)])).unwrap();
        drop(store);
        assert!(!half.exists());
        let store = open(&settings(directory.path()));
        assert_eq!(store.find(&Query::default(), None, 10).unwrap().records.len(), 1);
    }
}

#[test]
fn a_file_of_another_version_is_set_aside() {
    const META: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("meta");
    let directory = tempfile::tempdir().unwrap();
    made(directory.path());
    let path = directory.path().join("memory.redb");
    let database = redb::Database::open(&path).unwrap();
    let change = database.begin_write().unwrap();
    change.open_table(META).unwrap().insert("version", 77).unwrap();
    change.commit().unwrap();
    drop(database);
    let (count, what) = tried(&fs::read(&path).unwrap());
    assert_eq!((count, what.as_deref()), (0, Some("version 77, not 2")));
}

#[test]
fn a_file_that_was_cut_off_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = made(directory.path());
    for length in (1..bytes.len()).step_by(bytes.len() / 60) {
        let (count, what) = tried(&bytes[..length]);
        assert!(what.is_some() && count == 0, "{length} of {}: {what:?}", bytes.len());
    }
}

/// Either all records are there, or the file is set aside; none is ever wrong, and nothing panics.
#[test]
fn a_bit_that_was_flipped_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = made(directory.path());
    let mut dice = crate::support::dice::Dice(5);
    let (mut aside, mut whole) = (0, 0);
    // The header bit by bit, then some of everything else.
    let header = (0..512 * 8).step_by(29);
    let others = (0..200).map(|_| dice.roll(bytes.len() * 8));
    for bit in header.chain(others) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match tried(&flipped) {
            (0, Some(_)) => aside += 1,
            // The last batch may be lost with its header.
            (200 | 160, None) => whole += 1,
            other => panic!("bit {bit}: {other:?}"),
        }
    }
    assert!(aside > 20 && whole > 20, "{aside} set aside, {whole} whole");
}

#[test]
fn a_file_that_another_process_has_open_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let store = open(&settings);
    let error = Store::open(settings.clone(), NOW).unwrap_err();
    assert!(matches!(error, Error::Busy), "{error}");
    drop(store);
    open(&settings);
}

#[test]
fn a_directory_that_is_missing_is_an_error() {
    let error = Store::open(settings(Path::new("/no/such/directory")), NOW).unwrap_err();
    assert_eq!(error.to_string(), "No such file or directory");
}
