//! The hash writer against a model, against libc's own files, and against being killed at any write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

use greytrapper::db::file::PageFile;
use greytrapper::db::hash::Writer;
use greytrapper::db::snapshot::Snapshot;
use greytrapper::db::{ByteOrder, Engine, EngineError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// A file in memory that remembers every write.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    writes: Vec<(u64, Vec<u8>)>,
}

impl Memory {
    fn with(bytes: Vec<u8>) -> Memory {
        Memory(Rc::new(RefCell::new(State { bytes, writes: Vec::new() })))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    fn take_writes(&self) -> Vec<(u64, Vec<u8>)> {
        std::mem::take(&mut self.0.borrow_mut().writes)
    }
}

fn apply(bytes: &mut Vec<u8>, (offset, data): &(u64, Vec<u8>)) {
    let start = *offset as usize;
    let end = start + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(data);
}

impl PageFile for Memory {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.borrow().bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.0.borrow();
        let there = state.bytes.get(offset as usize..).unwrap_or(&[]);
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        buffer[length..].fill(0);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let write = (offset, bytes.to_vec());
        let mut state = self.0.borrow_mut();
        apply(&mut state.bytes, &write);
        state.writes.push(write);
        Ok(())
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// One of `keys` keys: now and then one that is large for its page, or too large.
    fn key(&mut self, keys: u64, page: u64) -> Vec<u8> {
        let number = self.below(keys);
        let mut own = Random(number);
        let length = match own.below(40) {
            0 => page / 2 + own.below(page),
            1 => own.below(4 * page),
            2 => 0,
            _ => 10 + own.below(90),
        };
        let mut key = number.to_be_bytes().to_vec();
        key.extend(own.bytes(length));
        key
    }

    fn value(&mut self, page: u64) -> Vec<u8> {
        let length = match self.below(60) {
            0 => 1 + self.below(3 * page),
            1 => page - self.below(40.min(page)),
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

fn random_op(random: &mut Random, keys: u64, page: u64) -> Op {
    let key = random.key(keys, page);
    if random.below(4) == 0 { Op::Delete(key) } else { Op::Put(key, random.value(page)) }
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
    let golden = std::fs::read(format!("{ROOT}/hash/empty.db")).unwrap();
    let memory = Memory::default();
    Box::new(Writer::create(memory.clone(), 16384).unwrap()).close().unwrap();
    assert!(memory.bytes() == golden);
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
        let memory = Memory::default();
        let mut writer = Writer::create_in_order(memory.clone(), page, order).unwrap();
        let mut model = Model::new();
        let mut random = Random(seed);
        for round in 0..4 {
            for _ in 0..600 {
                let op = random_op(&mut random, 700, u64::from(page));
                perform(&mut writer, &mut model, &op);
            }
            for (key, value) in &model {
                assert_eq!(writer.get(key).unwrap().as_ref(), Some(value), "round {round}");
            }
            Box::new(writer).close().unwrap();
            assert_holds(&memory.bytes(), &model);
            writer = Writer::open(memory.clone()).unwrap();
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
    let mut writer = Writer::open(Memory::with(image.to_vec())).unwrap();
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
        let memory = Memory::default();
        let mut writer = Writer::create_in_order(memory.clone(), 512, order).unwrap();
        let mut model = Model::new();
        let mut random = Random(seed);
        let mut longest = 0;
        for _ in 0..500 {
            let op = random_op(&mut random, 160, 512);
            let before = model.clone();
            let mut image = memory.bytes();
            memory.take_writes();
            perform(&mut writer, &mut model, &op);
            let writes = memory.take_writes();
            longest = longest.max(writes.len());
            let mut misses = 0;
            for write in &writes {
                apply(&mut image, write);
                misses += usize::from(assert_survives(&image, &before, &op) > 0);
                go_on(&image, &before, &op, &mut random);
            }
            assert!(misses <= 1, "a search misses pairs after more than one of the writes");
        }
        assert!(longest >= 8, "no split was cut");
    }
}

/// A writer that finds a file as a kill left it goes on, and leaves it sound and complete.
fn go_on(image: &[u8], before: &Model, op: &Op, random: &mut Random) {
    let memory = Memory::with(image.to_vec());
    let mut writer = Writer::open(memory.clone()).unwrap();
    let mut model = before.clone();
    perform_again(&mut writer, &mut model, op);
    for _ in 0..3 {
        let op = random_op(random, 160, 512);
        perform(&mut writer, &mut model, &op);
    }
    Box::new(writer).close().unwrap();
    assert_holds(&memory.bytes(), &model);
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
    for entry in std::fs::read_dir(format!("{ROOT}/damaged/hash")).unwrap() {
        let path = entry.unwrap().path();
        let image = std::fs::read(&path).unwrap();
        let memory = Memory::with(image.clone());
        let Ok(mut writer) = Writer::open(memory.clone()) else { continue };
        for number in 0..200u32 {
            let before = memory.bytes();
            let put = writer.put(&number.to_be_bytes(), &[1; 32]);
            if let Err(EngineError::Damaged(_)) = put {
                assert!(memory.bytes() == before, "{}", path.display());
            }
        }
    }
}

#[test]
fn pages_of_65536_bytes_are_refused() {
    assert!(matches!(Writer::create(Memory::default(), 65536), Err(EngineError::Refused(_))));
}
