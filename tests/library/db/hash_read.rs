//! The reader of hash files against databases that OpenBSD's own libc and spamd have written, and
//! against the listings that OpenBSD's spamdb prints of them.

use crate::support::disk::Disk;
use crate::support::golden::{databases, image};
use crate::support::through::HashWriter as Writer;
use greytrapper::db::Damage;
use greytrapper::db::hash::Table;
use greytrapper::db::snapshot::Snapshot;
use greytrapper::spamd::listing;
use std::fs;

fn listed(image: &[u8]) -> Result<Vec<u8>, Damage> {
    let table = Table::new(image)?;
    let mut text = Vec::new();
    for record in table.records() {
        let record = record?;
        listing::append(&mut text, &record.key, &record.value, table.byte_order()).unwrap();
    }
    Ok(text)
}

#[test]
fn golden_files_list_as_spamdb_lists_them() {
    let paths = databases("hash");
    assert_eq!(paths.len(), 15);
    for path in paths {
        let text = listed(&fs::read(&path).unwrap()).unwrap();
        let expected = fs::read(path.with_extension("txt")).unwrap();
        assert!(text == expected, "{}", path.display());
    }
}

#[test]
fn pieces_hold_what_the_walk_finds() {
    for path in [databases("hash"), databases("btree")].concat() {
        let bytes = fs::read(&path).unwrap();
        let snapshot = Snapshot::new(&bytes).unwrap();
        let pieces: Vec<_> = snapshot.pieces().map(Result::unwrap).collect();
        let most: Vec<_> = pieces.iter().map(|piece| piece.size_hint().1.unwrap()).collect();
        let pieces: Vec<Vec<_>> = pieces.into_iter().map(Iterator::collect).collect();
        assert!(pieces.iter().map(Vec::len).eq(most), "{}", path.display());
        assert!(pieces.concat() == snapshot.records().collect::<Vec<_>>(), "{}", path.display());
    }
}

/// spamdb, which walks as libc does, prints one line less of `overflow.db` than its listing has.
#[test]
fn what_libcs_walk_passes_over_is_known() {
    for path in databases("hash") {
        let bytes = fs::read(&path).unwrap();
        let unseen = Table::new(&bytes).unwrap().unseen().unwrap();
        assert_eq!(unseen.len(), usize::from(path.ends_with("overflow.db")), "{}", path.display());
    }
}

/// libc's walk takes the entries of the second one's first page for offsets.
#[test]
fn a_big_pair_behind_another_is_not_for_libcs_walk() {
    let disk = Disk::default();
    let mut writer = Writer::create(disk.clone(), 512).unwrap();
    // The hash of one byte is that byte: all in the first bucket as long as there are no more than 64.
    let refused = [0, 64, 128].map(|key| {
        writer.put(&[key], &[7; 900]).unwrap();
        Table::new(&disk.bytes()).unwrap().unseen().is_err()
    });
    assert_eq!(refused, [false, true, true]);
    for key in [0, 64] {
        assert!(writer.delete(&[key]).unwrap());
    }
    assert_eq!(Table::new(&disk.bytes()).unwrap().unseen().unwrap(), [0; 0]);
}

/// Each damaged file, how many of its records can still be read, and what the walk says.
const DAMAGED: &[(&str, usize, &[&str])] = &[
    ("big-addr0", 55, &["page 9: link to a page that does not exist"]),
    ("big-cross", 55, &["page 43: used twice"]),
    ("big-keyoff600", 55, &["page 9: offset out of place"]),
    ("big-type2", 55, &["page 16: big pair: the data have no end"]),
    ("big-wild", 55, &["page 9: link to a page that does not exist"]),
    ("bshift-12", 0, &["page 0: invalid bshift in the header"]),
    ("bshift-64", 0, &["page 0: invalid bshift in the header"]),
    ("bsize-1", 0, &["page 0: invalid bsize in the header"]),
    ("bsize-400", 0, &["page 0: invalid bshift in the header"]),
    ("bsize-64", 0, &["page 0: invalid bsize in the header"]),
    ("charkey", 0, &["page 0: invalid h_charkey in the header"]),
    ("dataoff-above-key", 109, &["page 19: offset out of place"]),
    ("fake-fullkey", 109, &["page 19: big pair: wrong number of entries"]),
    ("fake-ovfl", 109, &["page 19: link before other entries"]),
    ("ffactor-0", 117, &[]),
    ("fuzz1", 111, &["page 6: offset out of place", "page 62: offset out of place"]),
    ("fuzz3", 117, &[]),
    ("fuzz5", 117, &[]),
    ("fuzz7", 117, &[]),
    ("hdr-260", 0, &["page 0: file ends within the header"]),
    ("hdr-short", 0, &["page 0: file ends within the header"]),
    ("hdrpages-wild", 0, &["page 0: invalid hdrpages in the header"]),
    ("is-btree", 0, &["not a spamd database (neither hash nor btree)"]),
    ("keyoff-out", 109, &["page 19: offset out of place"]),
    ("lorder3412", 0, &["page 0: invalid lorder in the header"]),
    ("maxbucket-1M", 0, &["page 0: invalid max_bucket in the header"]),
    ("maxbucket-less", 0, &["page 0: invalid max_bucket in the header"]),
    ("n-huge", 109, &["page 19: more entries than the page has room for"]),
    ("n-plus2", 114, &["page 19: link before other entries"]),
    ("nkeys-neg", 117, &[]),
    // The chain links to itself behind its records: all are found, once.
    ("ovfl-self", 117, &["page 13: used twice"]),
    ("ovfl-wild", 114, &["page 19: link to a page that does not exist"]),
    ("ovflpoint-neg", 0, &["page 0: invalid ovfl_point in the header"]),
    // A page of zeros is an empty page.
    ("page-zero", 109, &[]),
    ("sshift-40", 117, &[]),
    ("ssize0", 117, &[]),
    ("trailing", 117, &[]),
    (
        "trunc-pageboundary",
        78,
        &[
            "page 58: beyond the end of the file",
            "page 36: beyond the end of the file",
            "page 38: beyond the end of the file",
            "page 31: beyond the end of the file",
            "page 34: beyond the end of the file",
            "page 35: beyond the end of the file",
            "page 39: beyond the end of the file",
            "page 57: beyond the end of the file",
            "page 41: beyond the end of the file",
        ],
    ),
    ("version3", 0, &["page 0: invalid version in the header"]),
];

#[test]
fn damaged_files_give_what_can_be_read_and_say_where_not() {
    assert_eq!(databases("damaged/hash").len(), DAMAGED.len());
    for &(name, readable, messages) in DAMAGED {
        let image = image(&format!("damaged/hash/{name}.db"));
        let (mut records, mut faults) = (0, Vec::new());
        match Table::new(&image) {
            Err(damage) => faults.push(damage.to_string()),
            Ok(table) => table.records().for_each(|item| match item {
                Ok(_) => records += 1,
                Err(damage) => faults.push(damage.to_string()),
            }),
        }
        assert_eq!(
            (records, faults.as_slice()),
            (readable, strings(messages).as_slice()),
            "{name}"
        );
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn every_prefix_of_a_file_is_read_without_surprise() {
    let whole = image("hash/page512.db");
    let all = Table::new(&whole).unwrap().records().count();
    for length in (0..whole.len()).step_by(97) {
        if let Ok(table) = Table::new(&whole[..length]) {
            let (good, bad): (Vec<_>, Vec<_>) = table.records().partition(Result::is_ok);
            assert!(good.len() < all && !bad.is_empty(), "{length}");
        }
    }
}

proptest::proptest! {
    /// Bytes changed anywhere: the walk ends, and hands out no more bytes than the file has.
    #[test]
    fn changed_bytes_cannot_make_the_walk_grow(
        file in 0usize..15,
        changes in proptest::collection::vec((proptest::prelude::any::<u32>(), 0u8..=255), 1..40),
        to_table in proptest::prelude::any::<bool>(),
    ) {
        let mut image = fs::read(&databases("hash")[file]).unwrap();
        let page = u32::from_be_bytes(image[12..16].try_into().unwrap()) as usize;
        for (place, byte) in changes {
            // Half of the runs hit only the tables at the head of pages behind the header's.
            let place = if to_table {
                let pages = image.len() / page;
                (1 + place as usize / 64 % (pages - 1)) * page + place as usize % 64
            } else {
                place as usize % image.len()
            };
            image[place] = byte;
        }
        if let Ok(table) = Table::new(&image) {
            let bytes: usize =
                table.records().flatten().map(|record| record.key.len() + record.value.len()).sum();
            proptest::prop_assert!(bytes <= image.len());
        }
    }
}
