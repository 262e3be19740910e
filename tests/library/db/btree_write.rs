//! The btree writer against a model: whatever is put and deleted, in any page size and byte order, the
//! file is sound after each operation and holds what the model holds.

use super::btree_images::{Model, assert_holds, faults, records};
use crate::support::dice::Dice;
use crate::support::disk::Disk;
use crate::support::golden::{databases, image};
use crate::support::through::BtreeWriter as Writer;
use greytrapper::db::{ByteOrder, EngineError};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Put(u16, Size),
    Delete(u16),
}

/// How big a value is, in terms of a page.
#[derive(Clone, Copy, Debug)]
enum Size {
    Record,
    Small(u8),
    Page(u8),
}

/// A key of its own for each number: most as short as addresses, some as long as tuples, a few too
/// long for a page of 512 bytes.
fn key(number: u16) -> Vec<u8> {
    let scrambled = u32::from(number).wrapping_mul(0x9e37_79b1);
    let text = format!("{}.{}.{}", scrambled & 0xff, scrambled >> 24, number);
    let length = match number % 23 {
        0 => 300,
        1 => 1200,
        2..8 => 120,
        _ => 0,
    };
    text.bytes().chain(std::iter::repeat_n(b'x', length)).collect()
}

fn value(size: Size, page_size: u32, fill: u8) -> Vec<u8> {
    let length = match size {
        Size::Record => 32,
        Size::Small(length) => usize::from(length),
        Size::Page(quarters) => page_size as usize * usize::from(quarters) / 4,
    };
    vec![fill; length]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let size = prop_oneof![
        8 => Just(Size::Record),
        2 => any::<u8>().prop_map(Size::Small),
        1 => (0..12_u8).prop_map(Size::Page),
    ];
    let op = prop_oneof![
        3 => (0..400_u16, size).prop_map(|(key, size)| Op::Put(key, size)),
        2 => (0..400_u16).prop_map(Op::Delete),
    ];
    prop::collection::vec(op, 1..400)
}

fn layouts() -> impl Strategy<Value = (u32, ByteOrder)> {
    let sizes = prop::sample::select(vec![512, 514, 1024, 4096, 16_384, 65_536]);
    (sizes, prop::sample::select(vec![ByteOrder::Little, ByteOrder::Big]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn follows_the_model((page_size, order) in layouts(), ops in ops()) {
        let disk = Disk::default();
        let mut writer = Writer::create_in_order(disk.clone(), page_size, order).unwrap();
        let mut model = Model::new();
        for (turn, op) in ops.into_iter().enumerate() {
            match op {
                Op::Put(number, size) => {
                    let value = value(size, page_size, turn as u8);
                    writer.put(&key(number), &value).unwrap();
                    model.insert(key(number), value);
                }
                Op::Delete(number) => {
                    let deleted = writer.delete(&key(number)).unwrap();
                    prop_assert_eq!(deleted, model.remove(&key(number)).is_some());
                }
            }
            if turn % 16 == 0 {
                assert_holds(&disk.bytes(), &model);
            }
        }
        assert_holds(&disk.bytes(), &model);
        for number in 0..400 {
            prop_assert_eq!(writer.get(&key(number)).unwrap(), model.get(&key(number)).cloned());
        }
        for number in 0..400 {
            prop_assert_eq!(writer.delete(&key(number)).unwrap(), model.contains_key(&key(number)));
        }
        assert_holds(&disk.bytes(), &Model::new());
    }
}

#[test]
fn what_grows_and_shrinks_does_not_leak() {
    let disk = Disk::default();
    let mut writer = Writer::create(disk.clone(), 512).unwrap();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        for number in 0..300_u32 {
            writer.put(&number.to_be_bytes(), &vec![7; number as usize * 5]).unwrap();
        }
        for number in 0..300_u32 {
            assert!(writer.delete(&number.to_be_bytes()).unwrap());
        }
        sizes.push(disk.bytes().len());
        assert_holds(&disk.bytes(), &Model::new());
    }
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
}

#[test]
fn ascending_keys_fill_their_pages() {
    let disk = Disk::default();
    let mut writer = Writer::create(disk.clone(), 4096).unwrap();
    for number in 0..10_000_u32 {
        writer.put(&number.to_be_bytes(), &[0; 32]).unwrap();
    }
    // 48 bytes an item and 2 for its place: 81 a page.
    let leaves = 10_000_usize.div_ceil(81);
    assert!(disk.bytes().len() / 4096 < leaves + leaves / 50 + 3, "{}", disk.bytes().len() / 4096);
    assert_eq!(faults(&disk.bytes()), [""; 0]);
}

#[test]
fn overwriting_in_place_is_one_write() {
    let disk = Disk::default();
    let mut writer = Writer::create(disk.clone(), 4096).unwrap();
    for number in 0..1000_u32 {
        writer.put(&number.to_be_bytes(), &[0; 32]).unwrap();
    }
    disk.take_log();
    writer.put(&500_u32.to_be_bytes(), &[1; 32]).unwrap();
    let log = disk.take_log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].1.len(), 4096);
    assert_eq!(writer.get(&500_u32.to_be_bytes()).unwrap(), Some(vec![1; 32]));
    assert!(!writer.delete(b"none").unwrap());
    assert!(disk.take_log().is_empty());
}

#[test]
fn creates_only_what_the_reference_opens() {
    for size in [0, 510, 513, 65_538] {
        let error = Writer::create(Disk::default(), size).unwrap_err();
        assert_eq!(error.to_string(), "page size is not even or not in 512 to 65536");
    }
    let error = Writer::create(Disk::new(vec![0]), 512).unwrap_err();
    assert_eq!(error.to_string(), "file is not empty");
}

#[test]
fn refuses_a_tree_that_allows_duplicates() {
    let disk = Disk::default();
    Writer::create(disk.clone(), 512).unwrap();
    let mut image = disk.bytes();
    image[20..24].fill(0);
    let error = Writer::open(Disk::new(image)).unwrap_err();
    assert_eq!(error.to_string(), "a tree that allows duplicate keys is not written");
}

/// A full disk is no damage: what could not be done is not done, and the next change finds all well.
#[test]
fn a_write_that_fails_loses_nothing() {
    let disk = Disk::default();
    let mut writer = Writer::create(disk.clone(), 512).unwrap();
    let mut model = Model::new();
    let mut dice = Dice(0x1234_5678_9abc_def1);
    for turn in 0..3000_u32 {
        let key = format!("10.0.{}.{}", dice.roll(4), dice.roll(100)).into_bytes();
        let value = vec![turn as u8; if dice.roll(10) == 0 { 700 } else { 32 }];
        let before = model.get(&key).cloned();
        disk.fail_after(Some(dice.roll(12)));
        let failed = if dice.roll(3) == 0 {
            model.remove(&key);
            writer.delete(&key).is_err()
        } else {
            model.insert(key.clone(), value);
            match writer.put(&key, &vec![turn as u8; model[&key].len()]) {
                Ok(()) => false,
                Err(EngineError::Io(error)) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
                    true
                }
                Err(error) => panic!("{error}"),
            }
        };
        disk.fail_after(None);
        if failed {
            // Done or not done, but nothing in between; whatever it was, it can be done again.
            let now = writer.get(&key).unwrap();
            assert!(now == before || now.as_ref() == model.get(&key));
            match model.get(&key) {
                Some(value) => writer.put(&key, value).unwrap(),
                None => assert!(writer.delete(&key).is_ok()),
            }
        }
        if turn % 50 == 0 {
            // A deletion that found nothing to do mends nothing.
            writer.put(b"9", b"9").unwrap();
            model.insert(b"9".to_vec(), b"9".to_vec());
            assert_holds(&disk.bytes(), &model);
        }
    }
    assert!(records(&disk.bytes()).len() > 50);
}

/// What the reference's spamdb -t -a did to `before.db`, done again: every record that its `after`
/// has and `before` has not is put; then both files hold the same, in the same order.
#[test]
fn makes_the_reference_s_changes() {
    for name in ["trap-new", "trap-white", "trap-again", "trap-400", "greyscan-now"] {
        let before = image("ops/btree/before.db");
        let after = records(&image(&format!("ops/btree/{name}.after.db")));
        let disk = Disk::new(before.clone());
        let mut writer = Writer::open(disk.clone()).unwrap();
        let old: Model = records(&before).into_iter().collect();
        let new: Model = after.iter().cloned().collect();
        let mut changes = 0;
        for (key, value) in &after {
            if old.get(key) != Some(value) {
                writer.put(key, value).unwrap();
                changes += 1;
            }
        }
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            assert!(writer.delete(key).unwrap());
            changes += 1;
        }
        assert!(changes > 0, "{name}");
        assert!(records(&disk.bytes()) == after, "{name}");
        assert_eq!(faults(&disk.bytes()), [""; 0], "{name}");
    }
}

/// Puts and deletes in databases that the reference wrote, big keys and all.
#[test]
fn goes_on_with_every_golden_database() {
    let mut dice = Dice(0x00c0_ffee_1234_5679);
    for path in databases("btree") {
        let image = std::fs::read(&path).unwrap();
        if image.is_empty() {
            continue;
        }
        let disk = Disk::new(image.clone());
        let mut writer = Writer::open(disk.clone()).unwrap();
        let mut model: Model = records(&image).into_iter().collect();
        for (key, value) in &model {
            assert_eq!(writer.get(key).unwrap().as_ref(), Some(value), "{}", path.display());
        }
        for turn in 0..600 {
            let key = key(dice.roll(400) as u16);
            writer.put(&key, &[turn as u8; 32]).unwrap();
            model.insert(key, vec![turn as u8; 32]);
        }
        for key in model.keys().cloned().collect::<Vec<_>>() {
            if dice.roll(3) == 0 {
                assert!(writer.delete(&key).unwrap());
                model.remove(&key);
            }
        }
        let listed = records(&disk.bytes());
        assert_eq!(listed.len(), model.len(), "{}", path.display());
        assert!(listed.into_iter().collect::<Model>() == model, "{}", path.display());
        assert_eq!(faults(&disk.bytes()), [""; 0], "{}", path.display());
        for key in model.keys() {
            assert!(writer.delete(key).unwrap(), "{}", path.display());
        }
        assert!(records(&disk.bytes()).is_empty());
    }
}

/// A change to a damaged file either is refused, and not a byte is written, or does not come near the
/// damage.
#[test]
fn never_writes_into_the_damage() {
    let (mut refused, mut harmless) = (0, 0);
    for path in databases("damaged/btree") {
        let image = std::fs::read(&path).unwrap();
        // One key for each of the tree's leaves and more.
        for first in 0..=255_u8 {
            let disk = Disk::new(image.clone());
            let Ok(mut writer) = Writer::open(disk.clone()) else {
                assert!(disk.bytes() == image);
                refused += 1;
                break;
            };
            let key = format!("{first}.1.2.3");
            let readable = listed(&image);
            match writer.put(key.as_bytes(), &[7; 500]) {
                Err(EngineError::Damaged(_)) => {
                    assert!(disk.bytes() == image, "{}", path.display());
                    refused += 1;
                }
                Err(error) => panic!("{}: {error}", path.display()),
                Ok(()) => {
                    let now = listed(&disk.bytes());
                    let lost = readable.iter().filter(|record| !now.contains(record)).count();
                    assert_eq!(lost, 0, "{}", path.display());
                    harmless += 1;
                }
            }
        }
    }
    assert!(refused > 250 && harmless > 1000, "{refused} {harmless}");
}

/// The reference files a big key by its reference and does not find it again; here every record that
/// is listed is found, changed and deleted.
#[test]
fn finds_what_the_reference_misfiled() {
    let mut image = image("damaged/btree/free-wild.db");
    // Sound but for the head of its free list.
    image[12..16].fill(0);
    let listed = records(&image);
    let big = listed.iter().filter(|(key, _)| key.len() > 232).count();
    assert!(big >= 3, "{big}");
    let disk = Disk::new(image);
    let mut writer = Writer::open(disk.clone()).unwrap();
    for (key, value) in &listed {
        assert_eq!(writer.get(key).unwrap().as_ref(), Some(value));
        writer.put(key, b"changed").unwrap();
        assert_eq!(records(&disk.bytes()).len(), listed.len());
        assert_eq!(faults(&disk.bytes()), [""; 0]);
    }
    for (key, _) in &listed {
        assert_eq!(writer.get(key).unwrap().as_deref(), Some(b"changed".as_slice()));
        assert!(writer.delete(key).unwrap());
        assert!(!writer.delete(key).unwrap());
    }
    assert!(records(&disk.bytes()).is_empty());
}

/// What can be read of a damaged image.
fn listed(image: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let tree = greytrapper::db::btree::Tree::new(image).unwrap();
    let owned =
        |record: greytrapper::db::Record<'_>| (record.key.into_owned(), record.value.into_owned());
    tree.records().filter_map(Result::ok).map(owned).collect()
}

/// The first 24 bytes and the root's header are the reference's (dbopen(3) with `psize` 512, a put and
/// a del); so is what it leaves in unused bytes.
#[test]
fn creates_what_the_reference_creates() {
    let disk = Disk::default();
    Writer::create_in_order(disk.clone(), 512, ByteOrder::Little).unwrap();
    let (meta, root) = (&disk.bytes()[..512], &disk.bytes()[512..]);
    assert_eq!(meta[..12], [0x62, 0x31, 5, 0, 3, 0, 0, 0, 0, 2, 0, 0]);
    assert_eq!(meta[12..24], [0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0]);
    assert!(meta[24..].iter().all(|&byte| byte == 0));
    assert_eq!(root[..20], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 20, 0, 0, 2]);
    assert_eq!(root.len(), 512);
    assert!(root[20..].iter().all(|&byte| byte == 0xff));
}

/// A free list that names a page in use, or one page twice, is found out before anything is written.
#[test]
fn takes_no_page_that_is_in_use() {
    let refused = |image: Vec<u8>, pages: usize, page_size: usize| {
        let disk = Disk::new(image.clone());
        let mut writer = Writer::open(disk.clone()).unwrap();
        let error = writer.put(b"new", &vec![0; pages * (page_size - 20)]).unwrap_err();
        assert!(disk.bytes() == image);
        error.to_string()
    };
    // Page 3 is a leaf.
    let mut image = image("btree/multi.db");
    image[12] = 3;
    assert_eq!(refused(image, 1, 4096), "page 3: on the free list, but in use or listed twice");
    // A list of several pages, the first of which leads to itself.
    let disk = Disk::default();
    let mut writer = Writer::create_in_order(disk.clone(), 512, ByteOrder::Little).unwrap();
    writer.put(b"big", &[0; 5000]).unwrap();
    writer.delete(b"big").unwrap();
    let mut image = disk.bytes();
    let free = usize::from(image[12]);
    image[free * 512 + 8] = image[12];
    let expected = format!("page {free}: on the free list, but cannot be free");
    assert_eq!(refused(image.clone(), 2, 512), expected);
    // One that leads out of the file.
    image[free * 512 + 9] = 0x7f;
    assert!(refused(image, 2, 512).ends_with("on the free list, but cannot be free"));
}
