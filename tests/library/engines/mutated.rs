//! Mutated files: if the checker accepts a file, the engines must be able to change it.
//!
//! The libc engine validates nothing and relies on the checker; with an address sanitizer these tests show
//! whether it can.

use super::operations::{delete, get, put};
use super::random::{dice, number};
use super::subject::{Code, Subject};
use crate::support::golden::{databases, image};
use greytrapper::db::snapshot::Snapshot;
use greytrapper::db::{EngineError, Format};
use std::fs;

const VALUE: &[u8] = &[7; 32];

#[test]
fn damaged_files_that_pass_the_check_can_be_changed() {
    for path in ["damaged/hash", "damaged/btree"].into_iter().flat_map(databases) {
        change_if_sound(&fs::read(path).unwrap());
    }
}

#[test]
fn hash_files_with_wrong_bytes_that_pass_the_check_can_be_changed() {
    spoil(Format::Hash, &["hash/page512.db", "hash/kinds.db", "hash/multi.db"]);
}

#[test]
fn hash_files_with_pairs_longer_than_a_page_and_wrong_bytes_that_pass_the_check_can_be_changed() {
    spoil(Format::Hash, &["hash/overflow.db"]);
}

#[test]
fn btree_files_with_wrong_bytes_that_pass_the_check_can_be_changed() {
    spoil(Format::Btree, &["btree/page512.db", "btree/kinds.db", "btree/multi.db"]);
}

/// Changes one or two bytes at random places, mostly such that mean something to the structure.
fn spoil(format: Format, names: &[&str]) {
    let mut dice = dice();
    let mut passed = 0;
    for round in 0..number("ENGINE_OPERATIONS", 3_000) / 5 {
        let mut image = image(names[round % names.len()]);
        for _ in 0..1 + dice.roll(2) {
            let pages = image.len() / 512;
            let at = match (dice.roll(3), format) {
                (0, Format::Hash) => dice.roll(260),
                (0, Format::Btree) => dice.roll(24),
                (1, _) => dice.roll(pages) * 512 + dice.roll(24),
                _ => dice.roll(image.len()),
            };
            image[at] = [0, 1, 2, 3, 4, 0x7f, 0x80, 0xff, dice.roll(256) as u8][dice.roll(9)];
        }
        passed += usize::from(change_if_sound(&image));
    }
    assert!(passed > 0, "no file was tried");
}

/// Whether the checker has nothing to say about the file; every engine has changed it then.
fn change_if_sound(image: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::new(image) else { return false };
    let mut faults = 0;
    snapshot.check(&mut |_| faults += 1);
    if faults > 0 || snapshot.records().any(|record| record.is_err()) {
        return false;
    }
    #[cfg(libc_db)]
    super::walks::passed_over(&Subject::of(image, 4096));
    for code in Code::ALL {
        let changed = Subject::of(image, 4096).turn_unless_refused(*code, |engine, model| {
            let before = model.clone();
            before.keys().for_each(|key| get(engine, model, key));
            (0..50).for_each(|at| put(engine, model, format!("10.0.0.{at}").as_bytes(), VALUE));
            before.keys().step_by(3).for_each(|key| delete(engine, model, key));
            (50..200).for_each(|at| put(engine, model, format!("10.0.0.{at}").as_bytes(), VALUE));
        });
        if let Err(error) = changed {
            assert!(matches!(error, EngineError::Refused(_)), "{code:?}: {error}");
        }
    }
    true
}
