//! Our reader and libc's walk over the same files: they differ only in records that libc's walk is known to
//! skip. Files that libc's walk would not survive are not passed to it.

use super::random::{Kind, dice, turn};
use super::subject::{Code, Subject};
use greytrapper::db::libc;
use greytrapper::db::{EngineError, Format};
use std::fs::{self, File};

/// What is known to be passed over; none if libc's walk may not be made.
pub fn passed_over(subject: &Subject) -> Option<usize> {
    let lock = File::open(subject.path()).unwrap();
    let image = fs::read(subject.path()).unwrap();
    let differences = match libc::compare(&subject.path(), &lock, &image) {
        Ok(differences) => differences,
        Err(EngineError::Refused(why)) => {
            assert!(why.starts_with("libc's walk would read out of bounds"), "{why}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let unexplained: Vec<_> = differences.iter().filter(|found| !found.is_known()).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
    Some(differences.len())
}

/// Files after each of many turns; in how many libc passed over records, and how many were refused.
fn play(format: Format, page_size: u32, kind: Kind) -> [usize; 2] {
    let mut dice = dice();
    let mut subject = Subject::empty(format, page_size);
    let mut counts = [0, 0];
    for number in 0..60 {
        let code = Code::ALL[number % Code::ALL.len()];
        turn(&mut subject, code, &mut dice, kind, if number < 30 { 2 } else { 5 });
        match passed_over(&subject) {
            Some(0) => {}
            Some(_) => counts[0] += 1,
            None => counts[1] += 1,
        }
    }
    counts
}

#[test]
fn spamds_records_are_all_in_both() {
    for page_size in [512, 4096, 16384] {
        for format in [Format::Hash, Format::Btree] {
            assert_eq!(play(format, page_size, Kind::Spamd), [0, 0], "{page_size} {format:?}");
        }
    }
}

#[test]
fn long_records_are_all_in_both_walks_over_a_btree() {
    for page_size in [512, 4096] {
        assert_eq!(play(Format::Btree, page_size, Kind::Long), [0, 0], "{page_size}");
    }
}

#[test]
fn long_records_of_a_hash_are_in_both_or_the_reason_is_known() {
    let [passed_over, refused] = play(Format::Hash, 4096, Kind::Long);
    assert!(passed_over > 0, "no file had a record behind a big pair");
    let [_, more] = play(Format::Hash, 512, Kind::Long);
    assert!(refused + more > 0, "no file had a big pair behind another");
}
