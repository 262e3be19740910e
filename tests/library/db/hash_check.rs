//! The checker for hash files: silent about what libc wrote, and not about damage.

use crate::support::golden::{databases, image};
use greytrapper::db::hash::Table;
use std::fs;
use std::path::Path;

fn faults(image: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    match Table::new(image) {
        Err(damage) => faults.push(damage.to_string()),
        Ok(table) => table.check(&mut |damage| faults.push(damage.to_string())),
    }
    faults
}

#[test]
fn what_libc_has_written_is_sound() {
    let paths = [databases("hash"), databases("ops/hash")].concat();
    assert_eq!(paths.len(), 21);
    for path in paths {
        assert_eq!(faults(&fs::read(&path).unwrap()), [""; 0], "{}", path.display());
    }
}

/// What is said of each damaged file.
const DAMAGED: &[(&str, &[&str])] = &[
    ("big-addr0", &["page 9: link to a page that does not exist"]),
    ("big-cross", &["page 43: used twice"]),
    (
        "big-keyoff600",
        &["page 9: free space does not match the pairs", "page 9: offset out of place"],
    ),
    ("big-type2", &["page 16: big pair: the data have no end"]),
    ("big-wild", &["page 9: link to a page that does not exist"]),
    ("bshift-12", &["page 0: invalid bshift in the header"]),
    ("bshift-64", &["page 0: invalid bshift in the header"]),
    ("bsize-1", &["page 0: invalid bsize in the header"]),
    ("bsize-400", &["page 0: invalid bshift in the header"]),
    ("bsize-64", &["page 0: invalid bsize in the header"]),
    ("charkey", &["page 0: invalid h_charkey in the header"]),
    ("dataoff-above-key", &["page 19: offset out of place"]),
    (
        "fake-fullkey",
        &[
            "page 19: free space does not match the pairs",
            "page 19: big pair: wrong number of entries",
        ],
    ),
    ("fake-ovfl", &["page 19: link before other entries"]),
    ("ffactor-0", &["page 0: invalid ffactor in the header"]),
    (
        "fuzz1",
        &[
            "page 1: key in the wrong bucket",
            "page 60: key in the wrong bucket",
            "page 37: key in the wrong bucket",
            "page 6: offset out of place",
            "page 11: key in the wrong bucket",
            "page 33: key in the wrong bucket",
            "page 23: key in the wrong bucket",
            "page 43: key in the wrong bucket",
            "page 43: key in the wrong bucket",
            "page 62: offset out of place",
            "page 44: key in the wrong bucket",
        ],
    ),
    (
        "fuzz3",
        &[
            "page 60: key in the wrong bucket",
            "page 61: key in the wrong bucket",
            "page 37: key in the wrong bucket",
            "page 8: key in the wrong bucket",
            "page 15: key in the wrong bucket",
            "page 10: key in the wrong bucket",
            "page 38: key in the wrong bucket",
            "page 40: key in the wrong bucket",
            "page 18: key in the wrong bucket",
            "page 26: key in the wrong bucket",
            "page 29: key in the wrong bucket",
            "page 19: key in the wrong bucket",
            "page 13: key in the wrong bucket",
            "page 57: key in the wrong bucket",
            "page 42: key in the wrong bucket",
            "page 44: key in the wrong bucket",
            "page 45: key in the wrong bucket",
        ],
    ),
    (
        "fuzz5",
        &[
            "page 3: bitmap marks a page free that cannot be",
            "page 61: key in the wrong bucket",
            "page 37: key in the wrong bucket",
            "page 8: key in the wrong bucket",
            "page 7: key in the wrong bucket",
            "page 10: key in the wrong bucket",
            "page 10: key in the wrong bucket",
            "page 11: key in the wrong bucket",
            "page 18: key in the wrong bucket",
            "page 30: key in the wrong bucket",
            "page 30: key in the wrong bucket",
            "page 13: key in the wrong bucket",
            "page 21: key in the wrong bucket",
            "page 22: key in the wrong bucket",
            "page 41: key in the wrong bucket",
        ],
    ),
    (
        "fuzz7",
        &[
            "page 3: bitmap marks a page free that cannot be",
            "page 60: key in the wrong bucket",
            "page 2: key in the wrong bucket",
            "page 5: key in the wrong bucket",
            "page 37: key in the wrong bucket",
            "page 9: key in the wrong bucket",
            "page 9: key in the wrong bucket",
            "page 15: key in the wrong bucket",
            "page 7: key in the wrong bucket",
            "page 10: key in the wrong bucket",
            "page 33: key in the wrong bucket",
            "page 18: key in the wrong bucket",
            "page 26: key in the wrong bucket",
            "page 29: key in the wrong bucket",
            "page 35: key in the wrong bucket",
            "page 44: key in the wrong bucket",
        ],
    ),
    ("hdr-260", &["page 0: file ends within the header"]),
    ("hdr-short", &["page 0: file ends within the header"]),
    ("hdrpages-wild", &["page 0: invalid hdrpages in the header"]),
    ("is-btree", &["not a spamd database (neither hash nor btree)"]),
    ("keyoff-out", &["page 19: offset out of place"]),
    ("lorder3412", &["page 0: invalid lorder in the header"]),
    ("maxbucket-1M", &["page 0: invalid max_bucket in the header"]),
    ("maxbucket-less", &["page 0: invalid max_bucket in the header"]),
    ("n-huge", &["page 19: more entries than the page has room for"]),
    (
        "n-plus2",
        &["page 19: free space does not match the pairs", "page 19: link before other entries"],
    ),
    ("nkeys-neg", &["page 0: invalid nkeys in the header"]),
    ("ovfl-self", &["page 13: free space does not match the pairs", "page 13: used twice"]),
    ("ovfl-wild", &["page 19: link to a page that does not exist"]),
    ("ovflpoint-neg", &["page 0: invalid ovfl_point in the header"]),
    ("page-zero", &["page 19: a hole in the file"]),
    ("sshift-40", &["page 0: invalid sshift in the header"]),
    ("ssize0", &["page 0: invalid ssize in the header", "page 0: invalid sshift in the header"]),
    // A piece of a page that may become a bucket's.
    ("trailing", &["page 63: not empty, but of no bucket yet"]),
    (
        "trunc-pageboundary",
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
    ("version3", &["page 0: invalid version in the header"]),
];

#[test]
fn each_damage_is_told_by_its_name() {
    let paths = databases("damaged/hash");
    assert_eq!(paths.len(), DAMAGED.len());
    for (path, (name, messages)) in paths.iter().zip(DAMAGED) {
        assert_eq!(path.file_stem().unwrap(), *name);
        assert_eq!(faults(&fs::read(path).unwrap()), *messages, "{name}");
    }
}

/// Half a page at the end, where the next bucket will be: writing behind it would make it a whole one.
#[test]
fn a_cut_page_of_a_bucket_to_come_must_be_empty() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus/hash");
    let mut image = fs::read(file.join("cut-page-of-no-bucket-yet")).unwrap();
    assert_eq!(faults(&image), ["page 14: not empty, but of no bucket yet"]);
    image[14 * 512..].fill(0);
    assert_eq!(faults(&image), [""; 0]);
}

/// The bitmap of `page512`, which has 30 overflow pages.
const BITMAP: std::ops::Range<usize> = 3 * 512..4 * 512;

/// As the file grows, libc takes every clear bit for that of a free page, made or not.
#[test]
fn bits_of_pages_not_made_yet_must_be_set() {
    let sound = image("hash/page512.db");
    for bit in 30..512 * 8 {
        let mut image = sound.clone();
        image[BITMAP][bit / 8] &= !(1 << (bit % 8));
        assert_eq!(faults(&image), ["page 3: bitmap marks a page free that cannot be"], "{bit}");
    }
}
