//! What the tests of the btree writer share: a file in memory that remembers every write, and what can
//! be read of an image.

// Each test program uses its part of this.
#![allow(dead_code, clippy::unwrap_used)]

use greytrapper::db::btree::Tree;
use greytrapper::db::file::PageFile;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

/// Keys and values.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A file in memory; its clones are the same file.
#[derive(Clone, Debug, Default)]
pub struct Disk(Rc<RefCell<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    /// Every write since the last [`Disk::forget`].
    log: Vec<(usize, Vec<u8>)>,
    /// How many writes are still allowed, if not all are.
    allowed: Option<usize>,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Disk {
        Disk(Rc::new(RefCell::new(Contents { bytes, ..Contents::default() })))
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    /// The writes since the last call.
    pub fn take_log(&self) -> Vec<(usize, Vec<u8>)> {
        std::mem::take(&mut self.0.borrow_mut().log)
    }

    /// Lets the next `writes` writes succeed and those after them fail; with none, all succeed.
    pub fn fail_after(&self, writes: Option<usize>) {
        self.0.borrow_mut().allowed = writes;
    }
}

impl PageFile for Disk {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.borrow().bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let contents = self.0.borrow();
        let there = contents.bytes.get(offset as usize..).unwrap_or_default();
        let n = there.len().min(buffer.len());
        buffer[..n].copy_from_slice(&there[..n]);
        buffer[n..].fill(0);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut contents = self.0.borrow_mut();
        match &mut contents.allowed {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        apply(&mut contents.bytes, offset as usize, bytes);
        contents.log.push((offset as usize, bytes.to_vec()));
        Ok(())
    }
}

/// Writes `bytes` at `offset`, as a file does.
pub fn apply(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if image.len() < offset + bytes.len() {
        image.resize(offset + bytes.len(), 0);
    }
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
}

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

/// A number generator that needs no crate and gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}
