//! The btree checker: silent on what the reference wrote, outspoken on what was damaged.

use crate::support::golden::{databases, image};
use greytrapper::db::btree::Tree;

fn faults(image: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    match Tree::new(image) {
        Ok(tree) => tree.check(&mut |damage| told.push(damage.to_string())),
        Err(damage) => told.push(damage.to_string()),
    }
    told
}

#[test]
fn silent_on_what_the_reference_wrote() {
    let mut checked = 0;
    for path in ["btree", "ops/btree"].into_iter().flat_map(databases) {
        if path.ends_with("empty.db") {
            continue;
        }
        let told = faults(&std::fs::read(&path).unwrap());
        assert!(told.is_empty(), "{}: {told:?}", path.display());
        checked += 1;
    }
    assert_eq!(checked, 19);
}

/// The reference made this file. It holds five big keys, and among the others one that is smaller than
/// the one before it.
#[test]
fn silent_on_keys_that_the_reference_put_out_of_order_beside_big_ones() {
    const BIG: usize = 200;
    let image = image("damaged/hash/is-btree.db");
    let tree = Tree::new(&image).unwrap();
    let mut keys: Vec<_> = tree.records().map(|record| record.unwrap().key).collect();
    keys.retain(|key| key.len() < BIG);
    assert!(!keys.is_sorted());
    assert_eq!(faults(&image), [""; 0]);
}

const NEITHER: &str = "not a spamd database (neither hash nor btree)";

/// Damaged file, and everything that is told of it. None of them is sound: even `trailing`, which the
/// reference reads without complaint, has bytes that it cannot have written.
const DAMAGED: &[(&str, &[&str])] = &[
    ("badmagic", &[NEITHER]),
    (
        "child-loop",
        &[
            "page 1: chain of pages loops",
            "page 40: its link to the left is wrong",
            "page 15: its link to the left is wrong",
        ],
    ),
    (
        "child-wild",
        &[
            "page 16777200: beyond the end of the file",
            "page 40: its link to the left is wrong",
            "page 15: its link to the left is wrong",
        ],
    ),
    ("dsize-20", &["page 5: items overlap or leave gaps"]),
    ("dsize-huge", &["page 5: item is out of place"]),
    ("fakebigdata", &["page 5: item is out of place"]),
    ("free-wild", &["page 2147483647: on the free list, but cannot be free"]),
    (
        "fuzz1",
        &[
            "page 8220: beyond the end of the file",
            "page 48: item is out of place",
            "page 6: has another page's number",
            "page 17: offset out of place",
            "page 10: its link to the left is wrong",
            "page 33: its link to the right is wrong",
            "page 62: its link to the right is wrong",
            "page 43: item is out of place",
        ],
    ),
    (
        "fuzz3",
        &[
            "page 40: offset out of place",
            "page 13: its link to the left is wrong",
            "page 15: its link to the right is wrong",
        ],
    ),
    (
        "fuzz5",
        &[
            "page 3: item is out of place",
            "page 41: item is out of place",
            "page 24: items overlap or leave gaps",
        ],
    ),
    ("fuzz7", &["page 10: item is out of place", "page 56: its link to the left is wrong"]),
    ("is-hash", &[NEITHER]),
    ("ksize-over", &["page 5: item is out of place"]),
    (
        "leaf-ff",
        &[
            "page 5: has another page's number",
            "page 58: its link to the left is wrong",
            "page 14: its link to the right is wrong",
        ],
    ),
    (
        "leaves-swapped",
        &[
            "page 5: has another page's number",
            "page 58: has another page's number",
            "page 43: its link to the left is wrong",
            "page 14: its link to the right is wrong",
        ],
    ),
    (
        "lower-odd",
        &[
            "page 5: bounds contradict each other",
            "page 58: its link to the left is wrong",
            "page 14: its link to the right is wrong",
        ],
    ),
    ("meta-24", &["page 0: file ends within the header"]),
    ("ovfl-cut", &["page 0: linked to the meta page"]),
    ("ovfl-page0", &["page 0: linked to the meta page"]),
    ("ovfl-size0", &["page 61: big pair: it has no bytes"]),
    ("ovfl-wild", &["page 1048575: beyond the end of the file"]),
    ("psize-0", &["page 0: invalid psize in the header"]),
    ("psize-201", &["page 0: invalid psize in the header"]),
    ("psize-80000000", &["page 0: invalid psize in the header"]),
    ("recnoflag", &["page 0: invalid flags in the header"]),
    ("root-notype", &["page 1: unknown type of page"]),
    ("sibling-cut", &["page 5: its link to the right is wrong"]),
    ("sibling-internal", &["page 5: its link to the right is wrong"]),
    ("sibling-self", &["page 5: its link to the right is wrong"]),
    ("slot-edge", &["page 5: item is out of place"]),
    ("slot-out", &["page 5: offset out of place"]),
    ("trailing", &["page 63: an update was interrupted; the next one will repair it"]),
    ("zerolen", &[NEITHER]),
];

#[test]
fn tells_what_is_wrong() {
    for (name, expected) in DAMAGED {
        let told = faults(&image(&format!("damaged/btree/{name}.db")));
        assert_eq!(told, *expected, "{name}");
    }
    let files = databases("damaged/btree").len();
    // All but trunc-pageboundary, which has too much to tell.
    assert_eq!(files, DAMAGED.len() + 1);
}

#[test]
fn tells_every_page_that_a_cut_took() {
    let told = faults(&image("damaged/btree/trunc-pageboundary.db"));
    let gone = told.iter().filter(|fault| fault.ends_with(": beyond the end of the file")).count();
    assert_eq!((told.len(), gone), (31, 15));
}

/// `name` with `bytes` written over it at `offset` of page `page`.
fn patched(name: &str, page_size: usize, page: usize, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = image(name);
    let start = page * page_size + offset;
    image[start..start + bytes.len()].copy_from_slice(bytes);
    image
}

#[test]
fn tells_keys_out_of_order() {
    let name = "btree/multi.db";
    let sound = image(name);
    // Two neighbours in a leaf change places; so do two children in the root.
    for page in [1, 2] {
        let table = page * 4096 + 20;
        let swapped = [&sound[table + 4..table + 6], &sound[table + 2..table + 4]].concat();
        let told = faults(&patched(name, 4096, page, 22, &swapped));
        assert!(!told.is_empty());
        if page == 2 {
            assert_eq!(told, ["page 2: keys out of order"]);
        }
    }
}

#[test]
fn tells_a_separator_that_sends_searches_astray() {
    let name = "btree/multi.db";
    let sound = image(name);
    let item = 4096 + usize::from(u16::from_le_bytes([sound[4096 + 22], sound[4096 + 23]]));
    // The first byte of the root's second key: all keys of the leaf left of it stay smaller, ...
    let told = faults(&patched(name, 4096, 0, item + 9, b"~"));
    // ... but those of the leaf it leads to are smaller now, too.
    assert_eq!(told.len(), 1);
    assert!(told[0].ends_with("keys out of order"), "{told:?}");
}

#[test]
fn tells_a_free_list_that_would_hand_out_what_is_in_use() {
    let told = faults(&patched("btree/multi.db", 4096, 0, 12, &[3, 0, 0, 0]));
    assert_eq!(told, ["page 3: on the free list, but in use or listed twice"]);
    let told = faults(&patched("btree/multi.db", 4096, 0, 12, &[1, 0, 0, 0]));
    assert_eq!(told, ["page 1: on the free list, but cannot be free"]);
}

/// A sound tree of 512-byte pages with overflow chains, some of them preserved: what most of the
/// damaged files were made from.
fn with_chains() -> Vec<u8> {
    let image = patched("damaged/btree/free-wild.db", 512, 0, 12, &[0; 4]);
    assert!(faults(&image).is_empty());
    image
}

#[test]
fn tells_a_chain_that_could_be_freed_under_an_internal_page() {
    let mut image = with_chains();
    // Page 28 is the first of a chain that page 40 refers to.
    image[28 * 512 + 12] = 0x04;
    let expected = "page 28: big pair: an internal page needs it, but it is not preserved";
    let told = faults(&image);
    assert!(told.contains(&expected.to_string()), "{told:?}");
}

#[test]
fn tells_a_chain_that_meets_itself() {
    let mut image = with_chains();
    // 18, 19, 20 are a chain: let 19 lead to 18.
    image[19 * 512 + 8] = 18;
    assert_eq!(faults(&image), ["page 18: big pair: its chain leads to a page in use"]);
}

#[test]
fn tells_a_chain_that_leads_into_a_preserved_one() {
    let mut image = with_chains();
    // P_OVERFLOW | P_PRESERVE (btree.h), which only the first page of a chain may have.
    image[19 * 512 + 12] = 0x24;
    let expected = "page 19: big pair: its chain leads to the beginning of another";
    assert_eq!(faults(&image), [expected]);
}

#[test]
fn tells_that_an_update_was_cut_short() {
    let told = faults(&patched("btree/multi.db", 4096, 0, 24, b"dnem"));
    assert_eq!(told, ["page 0: an update was interrupted; the next one will repair it"]);
}

/// Work is bounded by the file's size, whatever it says: a root whose items all lead to one page, a
/// file of nothing but roots.
#[test]
fn ends_on_anything() {
    let sound = image("btree/page512.db");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..2000 {
        let mut image = sound.clone();
        for _ in 0..20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = state as usize % image.len();
            image[at] = (state >> 40) as u8;
        }
        if let Ok(tree) = Tree::new(&image) {
            let mut told = 0;
            tree.check(&mut |_| told += 1);
            let listed = tree.records().count();
            assert!(told < image.len() && listed < image.len() / 12);
        }
    }
}
