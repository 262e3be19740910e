//! The native writer of hash files puts spamd's records where libc puts them: after the same operations
//! both files list the same records in the same order.

use super::random::{Kind, dice, turn};
use super::subject::{Code, Subject};
use greytrapper::db::Format;
use greytrapper::db::snapshot::Snapshot;
use std::fs;

fn keys(subject: &Subject) -> Vec<Vec<u8>> {
    let image = fs::read(subject.path()).unwrap();
    let snapshot = Snapshot::new(&image).unwrap();
    snapshot.records().map(|record| record.unwrap().key.into_owned()).collect()
}

fn play(page_size: u32) {
    let mut subjects = [(); 2].map(|()| Subject::empty(Format::Hash, page_size));
    let mut dice = [(); 2].map(|()| dice());
    for number in 0..120 {
        let deletions = if number / 40 % 2 == 0 { 2 } else { 7 };
        for at in [0, 1] {
            turn(&mut subjects[at], Code::ALL[at], &mut dice[at], Kind::Spamd, deletions);
        }
        let [ours, theirs] = subjects.each_ref().map(keys);
        let differs = ours.iter().zip(&theirs).position(|(our, their)| our != their);
        assert_eq!(differs, None, "turn {number}, {} records", ours.len());
    }
}

#[test]
fn spamds_records_lie_in_the_same_order() {
    for page_size in [4096, 16384] {
        play(page_size);
    }
}
