//! What the tests of the btree writer share: what can be read of an image.

use greytrapper::db::btree::Tree;
use std::collections::BTreeMap;

/// Keys and values.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// All records of an image, which must be without faults that hide any.
pub fn records(image: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let tree = Tree::new(image).unwrap();
    let record = |record: Result<greytrapper::db::Record<'_>, _>| {
        let record = record.unwrap();
        (record.key.into_owned(), record.value.into_owned())
    };
    tree.records().map(record).collect()
}

/// The same records by the links between the leaves, as the reference's walk goes.
pub fn chained(image: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let order = Tree::new(image).unwrap().byte_order();
    let size = order.u32_at(image, 8).unwrap() as usize;
    let word = |page: usize, at: usize| order.u32_at(image, page * size + at).unwrap() as usize;
    let slot = |page: usize, at: usize| {
        usize::from(order.u16_at(image, page * size + 20 + at * 2).unwrap())
    };
    let mut page = 1;
    while word(page, 12) & 1 != 0 {
        page = word(page, slot(page, 0) + 4);
    }
    let mut found = Vec::new();
    let mut steps = 0;
    loop {
        let count = (usize::from(order.u16_at(image, page * size + 16).unwrap()) - 20) / 2;
        // What the reference does not survive.
        assert!(count > 0 || page == 1, "an empty leaf in the chain");
        for at in 0..count {
            let item = page * size + slot(page, at);
            let (key, value) = (order.u32_at(image, item), order.u32_at(image, item + 4));
            let (key, value) = (key.unwrap() as usize, value.unwrap() as usize);
            let flags = image[item + 8];
            let field = |at: usize, length: usize, big: bool| -> Vec<u8> {
                if !big {
                    return image[at..at + length].to_vec();
                }
                let mut page = order.u32_at(image, at).unwrap() as usize;
                let mut left = order.u32_at(image, at + 4).unwrap() as usize;
                let mut bytes = Vec::new();
                while left > 0 {
                    let n = left.min(size - 20);
                    bytes.extend_from_slice(&image[page * size + 20..page * size + 20 + n]);
                    left -= n;
                    page = word(page, 8);
                }
                bytes
            };
            let data = field(item + 9 + key, value, flags & 1 != 0);
            found.push((field(item + 9, key, flags & 2 != 0), data));
        }
        page = word(page, 8);
        if page == 0 {
            return found;
        }
        steps += 1;
        assert!(steps < image.len() / size, "the chain loops");
    }
}

/// Everything the checker tells.
pub fn faults(image: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    Tree::new(image).unwrap().check(&mut |damage| told.push(damage.to_string()));
    told
}

/// The image is sound and holds exactly the model's records, by either walk.
pub fn assert_holds(image: &[u8], model: &Model) {
    assert_eq!(faults(image), [""; 0]);
    let expected: Vec<_> = model.clone().into_iter().collect();
    assert!(records(image) == expected, "{} for {}", records(image).len(), expected.len());
    assert!(chained(image) == expected);
}
