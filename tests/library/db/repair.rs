//! A database with pages of zeros is repaired: what no such page hides is there afterwards. Where the pages
//! of a chain are is calculated here from lib/libc/db/hash/hash.h, and a record is on a page if its key is.

use crate::support::disk::Disk;
use crate::support::faulty::{Event, Faulty, Trouble, apply};
use greytrapper::db::database::Database;
use greytrapper::db::lock::{Creation, Wait};
use greytrapper::db::repair::{self, Outcome, copy};
use greytrapper::db::snapshot::{Condition, Snapshot, format_of};
use greytrapper::db::{ByteOrder, Engine, Format, btree, hash};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const PAGE_SIZES: [u32; 7] = [512, 1024, 2048, 4096, 8192, 16384, 32768];

struct Made {
    image: Vec<u8>,
    model: Model,
    page_size: usize,
    order: ByteOrder,
}

fn key(number: usize) -> Vec<u8> {
    format!("<key {number:06}>").into_bytes()
}

/// A database of about 300 pages; now and then a value is larger than a page.
fn made(format: Format, page_size: u32, order: ByteOrder) -> Made {
    let disk = Disk::default();
    let mut engine: Box<dyn Engine> = match format {
        Format::Hash => {
            Box::new(hash::Writer::create_in_order(disk.clone(), page_size, order).unwrap())
        }
        Format::Btree => {
            Box::new(btree::Writer::create_in_order(disk.clone(), page_size, order).unwrap())
        }
    };
    let page_size = page_size as usize;
    let mut model = Model::new();
    for number in 0..1500 {
        let big = number % 40 == 0;
        let length = if big { page_size + number } else { 20 + (number * 7) % (page_size / 8) };
        let pair = (key(number), vec![1 + (number % 250) as u8; length]);
        engine.put(&pair.0, &pair.1).unwrap();
        model.extend([pair]);
    }
    engine.close().unwrap();
    Made { image: disk.bytes(), model, page_size, order }
}

impl Made {
    fn page(&self, number: u32) -> &[u8] {
        let start = number as usize * self.page_size;
        &self.image[start..start + self.page_size]
    }

    fn pages(&self) -> u32 {
        (self.image.len() / self.page_size) as u32
    }

    fn blank(&mut self, number: u32) {
        let start = number as usize * self.page_size;
        self.image[start..start + self.page_size].fill(0);
    }

    /// Whether a page has this key.
    fn has(&self, number: u32, key: &[u8]) -> bool {
        self.page(number).windows(key.len()).any(|bytes| bytes == key)
    }

    /// The records with a key on none of these pages.
    fn without(&self, pages: &BTreeSet<u32>) -> Model {
        let is_lost = |key: &[u8]| pages.iter().any(|page| self.has(*page, key));
        let kept = self.model.iter().filter(|(key, _)| !is_lost(key));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// A field of the header of a hash.
    fn field(&self, offset: usize) -> u32 {
        ByteOrder::Big.u32_at(&self.image, offset).unwrap()
    }

    /// `BUCKET_TO_PAGE`.
    fn bucket_page(&self, bucket: u32) -> u32 {
        let log2 = (bucket + 1).next_power_of_two().ilog2();
        let spares = if bucket == 0 { 0 } else { self.field(68 + 4 * (log2 as usize - 1)) };
        bucket + 1 + spares
    }

    /// The pages of a chain of a hash from this one.
    fn chain(&self, mut number: u32) -> Vec<u32> {
        let mut pages = vec![number];
        loop {
            let page = self.page(number);
            let entry = |index: usize| self.order.u16_at(page, 2 * index).unwrap();
            let entries = usize::from(entry(0));
            // `OVFLPAGE`, or a part of a big pair with a link.
            let address = match entries {
                4 if (1..=3).contains(&entry(2)) => entry(3),
                2.. if entry(entries) == 0 => entry(entries - 1),
                _ => return pages,
            };
            // `OADDR_TO_PAGE`.
            let (split, own) = (address >> 11, address & 0x7ff);
            number = self.bucket_page((1 << split) - 1) + u32::from(own);
            pages.push(number);
        }
    }

    /// The pages of a btree with these flags, except the root.
    fn of_kind(&self, flags: u32) -> Vec<u32> {
        let is = |number: &u32| self.order.u32_at(self.page(*number), 12) == Some(flags);
        (2..self.pages()).filter(is).collect()
    }
}

fn contents(image: &[u8]) -> Model {
    let snapshot = Snapshot::new(image).unwrap();
    snapshot.check(&mut |damage| panic!("{damage}"));
    let records = snapshot.records().map(Result::unwrap);
    records.map(|record| (record.key.into_owned(), record.value.into_owned())).collect()
}

/// Repairs the database, and compares what it has then.
fn require_repaired(made: &Made, zeros: usize, expected: &Model) {
    let what = format!("{:?} {}", format_of(&made.image), made.page_size);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spamd");
    fs::write(&path, &made.image).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&path).unwrap();
    let condition = Snapshot::new(&made.image).unwrap().condition(&mut |_| ());
    assert_eq!(condition, Condition::Damaged, "{what}");

    let mut notice = || ();
    let mut wait = Wait::usual(&mut notice);
    let copied = copy::path(&path);
    let outcome = repair::repair(&path, &copied, &mut wait).unwrap();
    let Outcome::Repaired { kept, gaps } = outcome else { panic!("{what}: {outcome:?}") };
    assert_eq!((kept, gaps.zeros, gaps.beyond), (expected.len(), zeros, 0), "{what}");
    let after = fs::read(&path).unwrap();
    assert!(contents(&after) == *expected, "{what}");
    assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino(), "{what}");
    assert!(fs::read(&copied).unwrap() == made.image, "{what}");
    let copy = fs::metadata(&copied).unwrap();
    let rights = |found: &fs::Metadata| (found.mode(), found.uid(), found.gid());
    assert_eq!(rights(&copy), rights(&before), "{what}");
    // Page size, byte order and fill factor: the magic number and what follows it, without what changes.
    let is_hash = format_of(&after) == Some(Format::Hash);
    let kept = if is_hash { [0..16, 52..56] } else { [0..12, 16..24] };
    for range in kept {
        assert_eq!(after[range.clone()], made.image[range.clone()], "{what}");
    }

    let pairs: Vec<_> = (0..400).map(|number| (key(number * 5), vec![7; 90])).collect();
    let mut database = Database::new(&path, Creation::Never);
    let mut put =
        |engine: &mut dyn Engine, (key, value): &(Vec<u8>, Vec<u8>)| engine.put(key, value);
    database.in_batches(&pairs, &mut wait, &mut put).whole().unwrap();
    let mut expected = expected.clone();
    expected.extend(pairs);
    let after = fs::read(&path).unwrap();
    assert!(contents(&after) == expected, "{what}");
    let again = repair::repair(&path, &copied, &mut wait).unwrap();
    assert_eq!(again, Outcome::Sound, "{what}");
    assert!(fs::read(&path).unwrap() == after, "{what}");
}

fn order(page_size: u32) -> ByteOrder {
    if page_size.ilog2().is_multiple_of(2) { ByteOrder::Big } else { ByteOrder::Little }
}

#[test]
fn a_hash_loses_what_is_on_a_page_of_zeros_and_behind_it() {
    for page_size in PAGE_SIZES {
        let mut made = made(Format::Hash, page_size, order(page_size));
        let buckets = 2..made.field(40) / 2;
        let chains: Vec<_> = buckets.map(|bucket| made.chain(made.bucket_page(bucket))).collect();
        // A bucket's own page that has further pages, and one in the middle of another chain.
        let mut long = chains.iter().filter(|chain| chain.len() > 2);
        let (own, other) = (long.next().unwrap(), long.next().unwrap());
        let lost: BTreeSet<u32> = own.iter().chain(&other[1..]).copied().collect();
        let expected = made.without(&lost);
        assert!(expected.len() < made.model.len() && expected.len() > 1000, "{page_size}");
        let zeros = [own[0], other[1]];
        zeros.into_iter().for_each(|page| made.blank(page));
        require_repaired(&made, zeros.len(), &expected);
    }
}

#[test]
fn a_btree_loses_the_leaves_of_zeros_and_no_others() {
    for page_size in PAGE_SIZES {
        let mut made = made(Format::Btree, page_size, order(page_size));
        let lost: BTreeSet<u32> = made.of_kind(2).into_iter().step_by(9).collect();
        assert!(lost.len() > 8, "{page_size}: {}", lost.len());
        let expected = made.without(&lost);
        lost.iter().for_each(|page| made.blank(*page));
        require_repaired(&made, lost.len(), &expected);
    }
}

#[test]
fn leaves_below_an_internal_page_of_zeros_are_found() {
    let mut made = made(Format::Btree, 512, ByteOrder::Little);
    let mut lost: BTreeSet<u32> = made.of_kind(2).into_iter().step_by(9).collect();
    let expected = made.without(&lost);
    lost.extend(made.of_kind(1).first());
    lost.iter().for_each(|page| made.blank(*page));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spamd");
    fs::write(&path, &made.image).unwrap();
    let mut notice = || ();
    repair::repair(&path, &copy::path(&path), &mut Wait::usual(&mut notice)).unwrap();
    assert!(contents(&fs::read(&path).unwrap()) == expected);
}

/// Whatever the time of the kill, nobody takes a mixture of both files for a database.
#[test]
fn a_file_is_replaced_completely_or_not_at_all() {
    let old = made(Format::Hash, 1024, ByteOrder::Little);
    for (records, format) in [(60, Format::Btree), (1500, Format::Btree), (1500, Format::Hash)] {
        let disk = Disk::default();
        let mut engine: Box<dyn Engine> = match format {
            Format::Hash => Box::new(hash::Writer::create(disk.clone(), 1024).unwrap()),
            Format::Btree => Box::new(btree::Writer::create(disk.clone(), 1024).unwrap()),
        };
        (0..records).for_each(|number| engine.put(&key(number), &[9; 300]).unwrap());
        engine.close().unwrap();
        let new = disk.bytes();
        let replace = |trouble| {
            let mut file = Faulty::new(old.image.clone(), trouble);
            let done = repair::replace(&mut file, &old.image, &new, 1024);
            (file, done)
        };
        let (file, done) = replace(Trouble::None);
        done.unwrap();
        let whole = file.bytes();
        assert!(whole[..new.len()] == new && whole[new.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(contents(&whole).len(), records);

        let events = file.events();
        let mut state = old.image.clone();
        for (at, event) in events.iter().enumerate() {
            if at % 41 == 0 || at + 6 > events.len() {
                let (file, done) = replace(Trouble::Once(at));
                assert!(done.is_err() && file.bytes() == old.image, "{at}: {event:?}");
            }
            apply(&mut state, event);
            let is_old = state[..old.image.len()] == old.image;
            let is_database = Snapshot::new(&state).is_ok();
            assert!(is_old || state == whole || !is_database, "{at}");
        }
        assert!(events.iter().any(|event| matches!(event, Event::Sync)));
        if new.len() > old.image.len() {
            let (file, done) = replace(Trouble::Full);
            assert!(done.is_err() && file.bytes() == old.image);
        }
    }
}
