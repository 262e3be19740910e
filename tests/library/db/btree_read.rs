//! The btree reader against databases that the reference wrote, and against the listings that the
//! reference's spamdb(8) printed of them.

use crate::support::golden::{databases, image};
use greytrapper::db::btree::Tree;
use greytrapper::spamd::listing;

/// What can be read of `image`, and the faults met.
fn listed(image: &[u8]) -> (Vec<u8>, Vec<String>) {
    let tree = match Tree::new(image) {
        Ok(tree) => tree,
        Err(damage) => return (Vec::new(), vec![damage.to_string()]),
    };
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    for record in tree.records() {
        match record {
            Ok(record) => {
                let order = tree.byte_order();
                if listing::append(&mut lines, &record.key, &record.value, order).is_err() {
                    // Damage can make a record bogus; spamdb stops there, the count of lines must not.
                    lines.extend(b"bogus\n");
                }
            }
            Err(damage) => faults.push(damage.to_string()),
        }
    }
    (lines, faults)
}

#[test]
fn lists_what_spamdb_lists() {
    let mut compared = 0;
    for path in databases("btree").into_iter().chain(databases("ops/btree")) {
        let expected = match std::fs::read(path.with_extension("txt")) {
            Ok(expected) => expected,
            Err(_) => continue,
        };
        let image = std::fs::read(&path).unwrap();
        if image.is_empty() {
            continue;
        }
        let (lines, faults) = listed(&image);
        assert!(faults.is_empty(), "{}: {faults:?}", path.display());
        let name = path.display();
        assert!(lines == expected, "{name}: {}", String::from_utf8_lossy(&lines));
        compared += 1;
    }
    assert_eq!(compared, 14);
}

/// Damaged file, records that can still be read (of 117, the listing the file was made from has as
/// many), and the faults met on the way.
const DAMAGED: &[(&str, usize, &[&str])] = &[
    ("badmagic", 0, &[NEITHER]),
    ("child-loop", 99, &["page 1: chain of pages loops"]),
    ("child-wild", 99, &["page 16777200: beyond the end of the file"]),
    // Its items do not fill the page: the checker's business.
    ("dsize-20", 117, &[]),
    ("dsize-huge", 116, &["page 5: item is out of place"]),
    ("fakebigdata", 116, &["page 5: item is out of place"]),
    // The free list is the writer's business.
    ("free-wild", 117, &[]),
    (
        "fuzz1",
        110,
        &[
            "page 48: item is out of place",
            "page 6: has another page's number",
            "page 17: offset out of place",
            "page 43: item is out of place",
        ],
    ),
    ("fuzz3", 115, &["page 40: offset out of place"]),
    ("fuzz5", 115, &["page 3: item is out of place", "page 41: item is out of place"]),
    ("fuzz7", 116, &["page 10: item is out of place"]),
    ("is-hash", 0, &[NEITHER]),
    ("ksize-over", 116, &["page 5: item is out of place"]),
    ("leaf-ff", 114, &["page 5: has another page's number"]),
    (
        "leaves-swapped",
        112,
        &["page 5: has another page's number", "page 58: has another page's number"],
    ),
    ("lower-odd", 114, &["page 5: bounds contradict each other"]),
    ("meta-24", 0, &["page 0: file ends within the header"]),
    ("ovfl-cut", 116, &["page 0: linked to the meta page"]),
    ("ovfl-page0", 116, &["page 0: linked to the meta page"]),
    ("ovfl-size0", 116, &["page 61: big pair: it has no bytes"]),
    ("ovfl-wild", 116, &["page 1048575: beyond the end of the file"]),
    ("psize-0", 0, &["page 0: invalid psize in the header"]),
    ("psize-201", 0, &["page 0: invalid psize in the header"]),
    ("psize-80000000", 0, &["page 0: invalid psize in the header"]),
    ("recnoflag", 0, &["page 0: invalid flags in the header"]),
    ("root-notype", 0, &["page 1: unknown type of page"]),
    // The leaves are found through the pages above them: no broken sibling link hides any.
    ("sibling-cut", 117, &[]),
    ("sibling-internal", 117, &[]),
    ("sibling-self", 117, &[]),
    ("slot-edge", 116, &["page 5: item is out of place"]),
    ("slot-out", 116, &["page 5: offset out of place"]),
    ("trailing", 117, &[]),
    ("zerolen", 0, &[NEITHER]),
];

const NEITHER: &str = "not a spamd database (neither hash nor btree)";

#[test]
fn reads_around_the_damage() {
    for (name, records, faults) in DAMAGED {
        let (lines, met) = listed(&image(&format!("damaged/btree/{name}.db")));
        assert_eq!(met, *faults, "{name}");
        assert_eq!(lines.split_inclusive(|&byte| byte == b'\n').count(), *records, "{name}");
    }
    // trunc-pageboundary has its own test.
    assert_eq!(databases("damaged/btree").len(), DAMAGED.len() + 1);
}

/// Cut in the middle: what lies before the cut can be read, and each missing page is told.
#[test]
fn reads_what_a_cut_left() {
    let (lines, met) = listed(&image("damaged/btree/trunc-pageboundary.db"));
    assert_eq!(lines.split_inclusive(|&byte| byte == b'\n').count(), 26);
    assert_eq!(met.len(), 14);
    assert!(met.iter().all(|fault| fault.ends_with(": beyond the end of the file")), "{met:?}");
}

#[test]
fn tells_a_page_that_is_cut() {
    let image = image("damaged/btree/trailing.db");
    let (_, met) = listed(&image[..63 * 512 - 1]);
    assert_eq!(met, ["page 62: file ends in the middle of this page"]);
}
