//! A kill between any two writes of the btree writer: every record from before is still found, both by a
//! search and by the walk along the leaves, and the next writer continues and leaves the file sound.

use super::btree_images::{Model, assert_holds, chained, records};
use crate::support::dice::Dice;
use crate::support::disk::{Disk, apply};
use crate::support::through::BtreeWriter as Writer;
use greytrapper::db::snapshot::Snapshot;
use greytrapper::db::{ByteOrder, Fault};
use std::collections::HashSet;

/// What one operation did, and where it was cut.
struct Cut<'a> {
    image: Vec<u8>,
    before: &'a Model,
    after: &'a Model,
    key: &'a [u8],
}

impl Cut<'_> {
    fn holds(&self) {
        // Otherwise nobody would write to the file again, and nobody mend it.
        Snapshot::new(&self.image).unwrap().check(&mut |damage| {
            assert_eq!(damage.fault, Fault::CutShort, "{damage}");
        });
        let mut searching = Writer::open(Disk::new(self.image.clone())).unwrap();
        // Each once for our reader. The reference's walk may meet a record twice, but misses none.
        let listed = records(&self.image);
        let distinct: HashSet<_> = listed.iter().map(|(key, _)| key).collect();
        assert_eq!(distinct.len(), listed.len(), "a record is listed twice");
        let listed: [HashSet<_>; 2] = [listed, chained(&self.image)].map(HashSet::from_iter);
        for (key, value) in self.before {
            if key == self.key {
                continue;
            }
            assert_eq!(searching.get(key).unwrap().as_ref(), Some(value), "{key:?}");
            for list in &listed {
                assert!(list.contains(&(key.clone(), value.clone())), "{key:?} is not listed");
            }
        }
        let now = searching.get(self.key).unwrap();
        let allowed = [self.before.get(self.key), self.after.get(self.key)];
        assert!(allowed.contains(&now.as_ref()), "half a change");
    }

    /// Another writer changes the file, which mends it.
    fn goes_on(&self, dice: &mut Dice) {
        let disk = Disk::new(self.image.clone());
        let mut next = Writer::open(disk.clone()).unwrap();
        let mut model = self.before.clone();
        match next.get(self.key).unwrap() {
            Some(value) => model.insert(self.key.to_vec(), value),
            None => model.remove(self.key),
        };
        for turn in 0..4 {
            let key = key(dice);
            if turn > 0 && dice.roll(3) == 0 {
                assert_eq!(next.delete(&key).unwrap(), model.remove(&key).is_some());
                continue;
            }
            let value = value(dice);
            next.put(&key, &value).unwrap();
            model.insert(key, value);
        }
        assert_holds(&disk.bytes(), &model);
    }
}

fn key(dice: &mut Dice) -> Vec<u8> {
    let number = dice.roll(300);
    let length = match number % 20 {
        0 => 300,
        1..4 => 100,
        _ => 0,
    };
    format!("{}.{number}{}", number * 7 % 256, "x".repeat(length)).into_bytes()
}

fn value(dice: &mut Dice) -> Vec<u8> {
    let length = if dice.roll(12) == 0 { dice.roll(1500) } else { 32 };
    vec![dice.roll(256) as u8; length]
}

/// Cuts every operation of a random run after each of its writes.
fn cut_everywhere(page_size: u32, order: ByteOrder, turns: usize, seed: u64) -> usize {
    let mut dice = Dice(seed);
    let disk = Disk::default();
    let mut writer = Writer::create_in_order(disk.clone(), page_size, order).unwrap();
    let (mut before, mut cuts) = (Model::new(), 0);
    for turn in 0..turns {
        // Grow, then shrink to nothing, so that pages empty at every level.
        let shrinking = turn % 700 > 350;
        let mut after = before.clone();
        let (key, image) = (key(&mut dice), disk.bytes());
        disk.take_log();
        if dice.roll(10) < if shrinking { 9 } else { 3 } {
            let key = before.range(key.clone()..).next().map_or(key, |(key, _)| key.clone());
            writer.delete(&key).unwrap();
            after.remove(&key);
            cuts += cut_one(&image, &disk, &before, &after, &key, &mut dice);
        } else {
            let value = value(&mut dice);
            writer.put(&key, &value).unwrap();
            after.insert(key.clone(), value);
            cuts += cut_one(&image, &disk, &before, &after, &key, &mut dice);
        }
        assert_holds(&disk.bytes(), &after);
        before = after;
    }
    cuts
}

fn cut_one(
    image: &[u8],
    disk: &Disk,
    before: &Model,
    after: &Model,
    key: &[u8],
    dice: &mut Dice,
) -> usize {
    let mut image = image.to_vec();
    let log = disk.take_log();
    for write in &log {
        apply(&mut image, write);
        let cut = Cut { image: image.clone(), before, after, key };
        cut.holds();
        cut.goes_on(dice);
    }
    log.len()
}

#[test]
fn loses_nothing_on_small_pages() {
    let cuts = cut_everywhere(512, ByteOrder::Little, 2800, 0x1357_9bdf_2468_ace1);
    assert!(cuts > 4000, "{cuts}");
}

#[test]
fn loses_nothing_in_the_other_byte_order() {
    let cuts = cut_everywhere(512, ByteOrder::Big, 1400, 0x0f1e_2d3c_4b5a_6978);
    assert!(cuts > 2000, "{cuts}");
}

#[test]
fn loses_nothing_on_larger_pages() {
    let cuts = cut_everywhere(1024, ByteOrder::Little, 2800, 0x7531_fdb9_8642_eca1);
    assert!(cuts > 3000, "{cuts}");
}
