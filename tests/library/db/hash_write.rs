//! The hash writer compared with a model and with libc's own files, and killed at any write.

use crate::support::dice::Dice;
use crate::support::disk::{Disk, apply};
use crate::support::golden::{databases, image};
use crate::support::through::HashWriter as Writer;
use greytrapper::db::file::PageFile;
use greytrapper::db::snapshot::Snapshot;
use greytrapper::db::{ByteOrder, EngineError};
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

impl Dice {
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.roll(256) as u8).collect()
    }

    /// One of `keys` keys: now and then one that is large for its page, or too large.
    fn paged_key(&mut self, keys: usize, page: usize) -> Vec<u8> {
        let number = self.roll(keys);
        let mut own = Dice(number as u64);
        let length = match own.roll(40) {
            0 => page / 2 + own.roll(page),
            1 => own.roll(4 * page),
            2 => 0,
            _ => 10 + own.roll(90),
        };
        let mut key = number.to_be_bytes().to_vec();
        key.extend(own.bytes(length));
        key
    }

    fn paged_value(&mut self, page: usize) -> Vec<u8> {
        let length = match self.roll(60) {
            0 => 1 + self.roll(3 * page),
            1 => page - self.roll(40.min(page)),
            2 => 20,
            _ => 32,
        };
        self.bytes(length)
    }
}

enum Op {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
}

fn random_op(dice: &mut Dice, keys: usize, page: usize) -> Op {
    let key = dice.paged_key(keys, page);
    if dice.roll(4) == 0 { Op::Delete(key) } else { Op::Put(key, dice.paged_value(page)) }
}

fn perform<F: PageFile>(writer: &mut Writer<F>, model: &mut Model, op: &Op) {
    match op {
        Op::Put(key, value) => {
            writer.put(key, value).unwrap();
            model.insert(key.clone(), value.clone());
        }
        Op::Delete(key) => {
            let was = model.remove(key).is_some();
            assert_eq!(writer.delete(key).unwrap(), was);
        }
    }
}

fn listed(image: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let snapshot = Snapshot::new(image).unwrap();
    let records = snapshot.records().map(Result::unwrap);
    let mut listed: Vec<_> =
        records.map(|record| (record.key.into_owned(), record.value.into_owned())).collect();
    listed.sort();
    listed
}

fn assert_holds(image: &[u8], model: &Model) {
    Snapshot::new(image).unwrap().check(&mut |damage| panic!("{damage}"));
    let expected: Vec<_> = model.clone().into_iter().collect();
    assert!(listed(image) == expected, "the listing is not the model");
}

#[test]
fn an_empty_table_is_libcs_byte_for_byte() {
    let golden = image("hash/empty.db");
    let disk = Disk::default();
    Writer::create(disk.clone(), 16384).unwrap().close().unwrap();
    assert!(disk.bytes() == golden);
}

#[test]
fn random_changes_agree_with_a_model() {
    for (page, order, seed) in [
        (512, ByteOrder::Little, 1),
        (512, ByteOrder::Big, 2),
        (1024, ByteOrder::Little, 3),
        (4096, ByteOrder::Big, 4),
        (16384, ByteOrder::Little, 5),
        (32768, ByteOrder::Little, 6),
    ] {
        let disk = Disk::default();
        let mut writer = Writer::create_in_order(disk.clone(), page, order).unwrap();
        let mut model = Model::new();
        let mut dice = Dice(seed);
        for round in 0..4 {
            for _ in 0..600 {
                let op = random_op(&mut dice, 700, page as usize);
                perform(&mut writer, &mut model, &op);
            }
            for (key, value) in &model {
                assert_eq!(writer.get(key).unwrap().as_ref(), Some(value), "round {round}");
            }
            writer.close().unwrap();
            assert_holds(&disk.bytes(), &model);
            writer = Writer::open(disk.clone()).unwrap();
        }
    }
}

/// Everything that was there before an operation is there after any number of its writes: by walk, and
/// by search too unless a split is cut between the header and the new bucket's link (`split` says why).
/// What the operation changes may be old or new. Gives how many pairs a search misses.
fn assert_survives(image: &[u8], before: &Model, op: &Op) -> usize {
    let (Op::Put(changed, _) | Op::Delete(changed)) = op;
    let listed = listed(image);
    let mut missed = 0;
    let mut writer = Writer::open(Disk::new(image.to_vec())).unwrap();
    for (key, value) in before {
        let may_be = |found: &Vec<u8>| match op {
            Op::Put(_, new) if key == changed => found == value || found == new,
            Op::Delete(_) if key == changed => true,
            _ => found == value,
        };
        let gone = matches!(op, Op::Delete(_)) && key == changed;
        assert!(gone || listed.iter().any(|(k, v)| k == key && may_be(v)), "lost");
        match writer.get(key).unwrap() {
            Some(found) => assert!(may_be(&found)),
            None => missed += usize::from(!gone),
        }
    }
    Snapshot::new(image).unwrap().check(&mut |damage| panic!("{damage}"));
    missed
}

#[test]
fn a_kill_between_any_two_writes_loses_nothing() {
    for (order, seed) in [(ByteOrder::Little, 11), (ByteOrder::Big, 12)] {
        let disk = Disk::default();
        let mut writer = Writer::create_in_order(disk.clone(), 512, order).unwrap();
        let mut model = Model::new();
        let mut dice = Dice(seed);
        let mut longest = 0;
        for _ in 0..500 {
            let op = random_op(&mut dice, 160, 512);
            let before = model.clone();
            let mut image = disk.bytes();
            disk.take_log();
            perform(&mut writer, &mut model, &op);
            let writes = disk.take_log();
            longest = longest.max(writes.len());
            let mut misses = 0;
            for write in &writes {
                apply(&mut image, write);
                misses += usize::from(assert_survives(&image, &before, &op) > 0);
                go_on(&image, &before, &op, &mut dice);
            }
            assert!(misses <= 1, "a search misses pairs after more than one of the writes");
        }
        assert!(longest >= 8, "no split was cut");
    }
}

/// A writer that finds a file as a kill left it goes on, and leaves it sound and complete.
fn go_on(image: &[u8], before: &Model, op: &Op, dice: &mut Dice) {
    let disk = Disk::new(image.to_vec());
    let mut writer = Writer::open(disk.clone()).unwrap();
    let mut model = before.clone();
    perform_again(&mut writer, &mut model, op);
    for _ in 0..3 {
        let op = random_op(dice, 160, 512);
        perform(&mut writer, &mut model, &op);
    }
    writer.close().unwrap();
    assert_holds(&disk.bytes(), &model);
}

/// The operation that was cut, once more: part of it may have been done.
fn perform_again<F: PageFile>(writer: &mut Writer<F>, model: &mut Model, op: &Op) {
    match op {
        Op::Put(..) => perform(writer, model, op),
        Op::Delete(key) => {
            writer.delete(key).unwrap();
            model.remove(key);
        }
    }
}

#[test]
fn nothing_is_written_to_a_file_that_does_not_hold() {
    for path in databases("damaged/hash") {
        let image = std::fs::read(&path).unwrap();
        let disk = Disk::new(image.clone());
        let Ok(mut writer) = Writer::open(disk.clone()) else { continue };
        for number in 0..200u32 {
            let before = disk.bytes();
            let put = writer.put(&number.to_be_bytes(), &[1; 32]);
            if let Err(EngineError::Damaged(_)) = put {
                assert!(disk.bytes() == before, "{}", path.display());
            }
        }
    }
}

#[test]
fn pages_of_65536_bytes_are_refused() {
    assert!(matches!(Writer::create(Disk::default(), 65536), Err(EngineError::Refused(_))));
}
