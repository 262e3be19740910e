//! What OpenBSD's own code leaves when it is killed or meets a full disk, and what is damage.
//!
//! The files of tests/data/leftover were left by that code; its README says how, and what the texts beside
//! them mean.

use crate::support::dice::Dice;
use crate::support::disk::{Disk, apply};
use crate::support::golden::{data, databases, image};
use greytrapper::db::database::Database;
use greytrapper::db::lock::{Creation, Wait};
use greytrapper::db::snapshot::{Condition, Snapshot};
use greytrapper::db::{Damage, Engine, EngineError, Format, btree, hash};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

const KEY: &[u8] = b"192.0.2.77";
const VALUE: &[u8] = &[7; 32];

fn left() -> Vec<PathBuf> {
    let files = ["leftover/hash", "leftover/btree"].map(databases).concat();
    assert_eq!(files.len(), 19);
    files
}

/// The records that an image is judged by, each key once.
fn read(image: &[u8]) -> Result<Records, Damage> {
    let snapshot = Snapshot::new(image)?;
    snapshot.read(|records| {
        let mut found = Records::new();
        for record in records {
            let record = record?;
            let twice = found.insert(record.key.into_owned(), record.value.into_owned());
            assert_eq!(twice, None);
        }
        Ok(found)
    })
}

fn condition(image: &[u8]) -> Condition {
    let snapshot = Snapshot::new(image);
    snapshot.map_or(Condition::Damaged, |snapshot| snapshot.condition(&mut |_| ()))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

#[test]
fn what_the_real_code_finds_in_what_it_left_is_read() {
    for path in left() {
        let image = fs::read(&path).unwrap();
        assert_eq!(condition(&image), Condition::Leftover, "{}", path.display());
        let found = read(&image).unwrap();
        let text = fs::read_to_string(path.with_extension("txt")).unwrap();
        let mut known: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (key, value) = line[2..].split_once('\t').unwrap();
            let (key, value) = (key.replace("\\n", "\n").into_bytes(), bytes(value));
            if line.starts_with('=') {
                assert_eq!(found.get(&key), Some(&value), "{}: {line}", path.display());
            }
            known.entry(key).or_default().push(value);
        }
        for (key, value) in &found {
            let key = known.get(key).unwrap_or_else(|| panic!("{}: made up", path.display()));
            assert!(key.contains(value), "{}", path.display());
        }
    }
}

/// The bytes of a file after a pair with this key was written to it.
fn written(file: &Path, key: &[u8]) -> Vec<u8> {
    let mut database = Database::new(file, Creation::Never);
    let put = database.in_batches(&[key], &mut Wait::usual(&mut || ()), &mut |engine, key| {
        engine.put(key, VALUE)
    });
    put.whole().unwrap();
    fs::read(file).unwrap()
}

#[test]
fn what_was_left_is_mended_by_the_first_write() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("spamd");
    for path in left() {
        let mut records = read(&fs::read(&path).unwrap()).unwrap();
        records.insert(KEY.to_vec(), VALUE.to_vec());
        fs::copy(&path, &file).unwrap();
        let image = written(&file, KEY);
        assert_eq!(condition(&image), Condition::Sound, "{}", path.display());
        assert!(read(&image).unwrap() == records, "{}", path.display());
    }
}

/// Restores a file that a disk has; the writes that this takes.
fn restore(image: &[u8]) -> Disk {
    let disk = Disk::new(image.to_vec());
    match greytrapper::db::snapshot::format_of(image) {
        Some(Format::Hash) => hash::Writer::restore(disk.clone(), image).map(drop),
        Some(Format::Btree) => btree::Writer::restore(disk.clone(), image).map(drop),
        None => Err(EngineError::Refused("no database")),
    }
    .unwrap();
    disk
}

#[test]
fn a_kill_while_it_is_mended_loses_nothing() {
    for path in left() {
        let image = fs::read(&path).unwrap();
        let records = read(&image).unwrap();
        let mut state = image.clone();
        for (number, write) in restore(&image).take_log().iter().enumerate() {
            apply(&mut state, write);
            let place = format!("{}, write {number}", path.display());
            assert_ne!(condition(&state), Condition::Damaged, "{place}");
            let found = read(&state).unwrap();
            for (key, value) in &records {
                assert_eq!(found.get(key), Some(value), "{place}");
            }
        }
    }
}

/// `max_bucket`, the eleventh field of the header (lib/libc/db/hash/hash.h), big-endian in every file.
fn last_bucket(image: &[u8]) -> u32 {
    u32::from_be_bytes(image[40..44].try_into().unwrap())
}

/// Our writer was killed before it wrote the header with the new buckets; then another program made the same
/// buckets, and was killed before it wrote the header too: what moved is only on pages that the header does
/// not know.
#[test]
fn what_two_kills_left_is_kept() {
    let (mut tried, mut mended) = (0, 0);
    for (size, batches, most) in [(512, 160, 14), (4096, 80, 80)] {
        let disk = Disk::default();
        hash::Writer::create(disk.clone(), size as u32).unwrap().commit().unwrap();
        let mut dice = Dice(31);
        for batch in 0..batches {
            let before = disk.bytes();
            let mut writer = hash::Writer::open(disk.clone()).unwrap();
            for at in 0..5 + dice.roll(most) {
                let key = format!("10.0.{batch}.{at}{}", "x".repeat(dice.roll(40)));
                writer.put(key.as_bytes(), VALUE).unwrap();
            }
            writer.commit().unwrap();
            let mut state = disk.bytes();
            let (from, to) = (last_bucket(&before), last_bucket(&state));
            if from == to {
                continue;
            }
            // The header is written last, and after it the bitmap.
            state[..260].copy_from_slice(&before[..260]);
            state[3 * size..4 * size].copy_from_slice(&before[3 * size..4 * size]);
            state[260..264].copy_from_slice(b"gtsp");
            for (at, number) in [from, to, 2].into_iter().enumerate() {
                state[264 + at * 4..][..4].copy_from_slice(&number.to_be_bytes());
            }
            tried += 1;
            mended += usize::from(is_kept(&state, &read(&before).unwrap()));
        }
    }
    assert!(tried > 100 && mended > 1 && mended < tried, "{mended} of {tried}");
}

/// Reads and writes a file; whether there was nothing to restore before that.
fn is_kept(state: &[u8], records: &Records) -> bool {
    let mut faults = 0;
    Snapshot::new(state).unwrap().check(&mut |_| faults += 1);
    if faults == 0 {
        let mut writer = hash::Writer::open(Disk::new(state.to_vec())).unwrap();
        for (key, value) in records {
            assert_eq!(writer.get(key).unwrap().as_ref(), Some(value));
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), state).unwrap();
    let image = written(file.path(), KEY);
    assert_eq!(condition(&image), Condition::Sound);
    let found = read(&image).unwrap();
    for (key, value) in records {
        assert_eq!(found.get(key), Some(value));
    }
    faults == 0
}

/// Judging and checking have one idea of damage, whatever the bytes.
#[test]
fn what_check_tells_is_met_while_reading() {
    let mut dice = Dice(10);
    let (mut told, mut tolerated, mut readable) = (0, 0, 0);
    let files = ["hash", "btree"].map(databases).concat();
    for path in files.iter().filter(|path| fs::metadata(path).unwrap().len() < 400_000) {
        let sound = fs::read(path).unwrap();
        for _ in 0..101.min(sound.len()) {
            let mut image = sound.clone();
            let bit = dice.roll(image.len() * 8);
            image[bit / 8] ^= 1 << (bit % 8);
            let Ok(snapshot) = Snapshot::new(&image) else { continue };
            let mut faults = 0;
            let condition = snapshot.condition(&mut |_| faults += 1);
            let mut pieces = snapshot.pieces();
            let met =
                pieces.any(|piece| piece.map_or(true, |mut records| records.any(|r| r.is_err())));
            let place = format!("{} bit {bit}", path.display());
            assert_eq!(met, faults > 0, "{place}");
            assert_eq!(condition == Condition::Sound, faults == 0, "{place}");
            assert_eq!(read_any(&snapshot), condition != Condition::Damaged, "{place}");
            told += usize::from(faults > 0);
            tolerated += usize::from(condition == Condition::Leftover);
            readable += usize::from(faults > 0 && snapshot.records().all(|record| record.is_ok()));
        }
    }
    println!(
        "{told} told, {readable} of them readable; {tolerated} could have been left by a kill"
    );
    assert!(told > 300 && readable > 100 && tolerated * 20 < told, "{tolerated} of {told}");
}

fn read_any(snapshot: &Snapshot<'_>) -> bool {
    snapshot.read(|records| records.try_for_each(|record| record.map(drop))).is_ok()
}

/// Files broken in one known way each. Those that are named could as well have been left by a kill.
#[test]
fn known_damage_is_not_taken_for_something_left() {
    let files = ["damaged/hash", "damaged/btree"].map(databases).concat();
    let left =
        files.iter().filter(|path| condition(&fs::read(path).unwrap()) == Condition::Leftover);
    let names: Vec<_> = left.map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, LIKE_LEFTOVERS);
}

/// A piece of a page behind the end, which a full disk leaves, and a link that ends too early, which a kill
/// leaves: nothing is lost by either.
const LIKE_LEFTOVERS: &[&str] = &["trailing", "sibling-cut", "trailing"];

/// A key's bit in a table whose every bucket is whole: its own bucket has not got it.
#[test]
fn a_bent_key_is_damage() {
    let sound = image("hash/page512.db");
    let text = fs::read(data("hash/page512.txt")).unwrap();
    let text = String::from_utf8_lossy(&text);
    let (mut bent, mut elsewhere) = (0, 0);
    for line in text.lines().filter(|line| line.starts_with("WHITE|")) {
        let key = line.split('|').nth(1).unwrap().as_bytes();
        let Some(at) = sound.windows(key.len()).position(|window| window == key) else { continue };
        let mut image = sound.clone();
        image[at] ^= 2;
        bent += 1;
        elsewhere += usize::from(condition(&image) == Condition::Damaged);
        assert_ne!(condition(&image), Condition::Leftover, "{line}");
    }
    assert!(bent > 10 && elsewhere * 2 > bent, "{elsewhere} of {bent}");
}

/// The checker looked at no key of a tree with one key too big for a page.
#[test]
fn keys_out_of_order_are_told_beside_one_big_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("spamd");
    fs::copy(data("btree/multi.db"), &file).unwrap();
    let big = [b'1'; 3000];
    let mut image = written(&file, &big);
    assert_eq!(condition(&image), Condition::Sound);
    // The last leaf: two neighbours in its table of offsets change places.
    let leaf = (1..image.len() / 4096).rev().find(|page| {
        let page = &image[page * 4096..][..4096];
        page[12] == 2 && page[8..12] == [0; 4] && page[16] >= 30
    });
    let table = leaf.unwrap() * 4096 + 20;
    image[table..table + 4].rotate_left(2);
    assert_eq!(condition(&image), Condition::Damaged);
}
