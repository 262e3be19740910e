//! Reading: the bytes of a whole file in, its records out, in the order of the reference's walk.
//!
//! The reference finds the first leaf and goes on from sibling to sibling; in a sound tree that is the
//! order in which the internal pages name the leaves, and this walk follows those. So a fault costs the
//! records below it and no others: behind a broken sibling link nobody knows which leaf was meant, but
//! the next item of the page above still tells. The same holds for what a writer leaves that was killed
//! in the middle of a split: the internal pages are right, the links may lag behind.
//!
//! Source: `__bt_seqset()` and `__bt_seqadv()` in lib/libc/db/btree/bt_seq.c for the order.

use super::super::{ByteOrder, Damage, Fault, Record};
use super::check::MAX_DEPTH;
use super::meta::{Duplicates, Meta, ROOT};
use super::overflow::Assembly;
use super::page::{Chain, Field, Kind, Page, Pair};
use super::set::PageSet;
use std::borrow::Cow;

/// A btree whose meta page makes sense.
#[derive(Debug)]
pub struct Tree<'a> {
    image: &'a [u8],
    pub(super) meta: Meta,
    /// Whole pages in the file, the meta page included.
    pub(super) pages: u32,
}

impl<'a> Tree<'a> {
    /// Takes the bytes of a whole file and judges the meta page.
    pub fn new(image: &'a [u8]) -> Result<Tree<'a>, Damage> {
        let meta = Meta::decode(image)?;
        let pages = image.len().checked_div(meta.layout.page_size).unwrap_or_default();
        // A file of more than 2^32 pages has more than a page number can name.
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        if pages <= ROOT {
            return Err(Fault::TooShort.on(0));
        }
        Ok(Tree { image, meta, pages })
    }

    /// The byte order of pages and values.
    pub fn byte_order(&self) -> ByteOrder {
        self.meta.layout.order
    }

    /// Every record that can be reached, in the file's order, and in between the faults met.
    pub fn records(&self) -> Records<'_, 'a> {
        let seen = PageSet::new(self.pages);
        Records { tree: self, seen, path: Vec::new(), leaf: None, next: Some(ROOT) }
    }

    /// Whether the file ends in the middle of a page.
    pub(super) fn has_partial_page(&self) -> bool {
        !self.image.len().is_multiple_of(self.meta.layout.page_size)
    }

    /// The page that follows page `number` on the free list. The page was used before and may look
    /// like anything but for that link.
    pub(super) fn free_after(&self, number: u32) -> u32 {
        let start = (number as usize).saturating_mul(self.meta.layout.page_size);
        self.byte_order().u32_at(self.image, start.saturating_add(8)).unwrap_or_default()
    }

    /// Whether a key may occur more than once.
    pub(super) fn allows_duplicates(&self) -> bool {
        self.meta.duplicates == Duplicates::Allowed
    }

    /// Page `number`; the meta page is none.
    pub(super) fn page(&self, number: u32) -> Result<Page<'a>, Damage> {
        if number < ROOT {
            return Err(Fault::BadPage("the meta page is linked to").on(number));
        }
        let size = self.meta.layout.page_size;
        let start = (number as usize).checked_mul(size).filter(|&start| start < self.image.len());
        let bytes = start.and_then(|start| self.image.get(start..)).ok_or(Fault::BeyondEnd);
        let bytes = bytes.map_err(|fault| fault.on(number))?;
        let bytes = bytes.get(..size).ok_or(Fault::Cut.on(number))?;
        Page::parse(bytes, self.meta.layout, number)
    }

    /// Page `number`, entered in `seen`.
    pub(super) fn unseen_page(&self, number: u32, seen: &mut PageSet) -> Result<Page<'a>, Damage> {
        let page = self.page(number)?;
        if seen.insert(number) { Ok(page) } else { Err(Fault::Loop.on(number)) }
    }

    /// The bytes of a key or data, found on page `found_on`.
    pub(super) fn bytes(
        &self,
        field: Field<'a>,
        found_on: u32,
        seen: &mut PageSet,
    ) -> Result<Cow<'a, [u8]>, Damage> {
        match field {
            Field::Here(bytes) => Ok(Cow::Borrowed(bytes)),
            Field::Chain(chain) => self.chain(chain, found_on, seen).map(Cow::Owned),
        }
    }

    fn chain(&self, chain: Chain, found_on: u32, seen: &mut PageSet) -> Result<Vec<u8>, Damage> {
        let mut assembly = Assembly::begin(chain, found_on, self.meta.layout, self.pages)?;
        while let Some(number) = assembly.wants() {
            assembly.take(&self.unseen_page(number, seen)?)?;
        }
        Ok(assembly.finish())
    }
}

/// The walk that [`Tree::records`] begins.
#[derive(Debug)]
pub struct Records<'s, 'a> {
    tree: &'s Tree<'a>,
    /// The pages entered: none is entered twice.
    seen: PageSet,
    /// The internal pages from the root to the leaf; with each its item that comes next.
    path: Vec<(Page<'a>, usize)>,
    /// The leaf the walk is on, and its item that comes next.
    leaf: Option<(Page<'a>, usize)>,
    /// The page to be entered next.
    next: Option<u32>,
}

impl<'a> Iterator for Records<'_, 'a> {
    type Item = Result<Record<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((leaf, index)) = &mut self.leaf
                && *index < leaf.count
            {
                let pair = leaf.pair(*index);
                *index = index.saturating_add(1);
                let on = leaf.number;
                return Some(pair.and_then(|pair| self.record(pair, on)));
            }
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(damage) => return Some(Err(damage)),
            }
        }
    }
}

impl<'a> Records<'_, 'a> {
    /// One step along the internal pages; false if there is none left to make.
    fn turn(&mut self) -> Result<bool, Damage> {
        self.leaf = None;
        if let Some(number) = self.next.take() {
            return self.enter(number).map(|()| true);
        }
        let Some((page, index)) = self.path.last_mut() else {
            return Ok(false);
        };
        if *index < page.count {
            let child = page.child(*index);
            *index = index.saturating_add(1);
            self.next = Some(child?.page);
        } else {
            self.path.pop();
        }
        Ok(true)
    }

    fn enter(&mut self, number: u32) -> Result<(), Damage> {
        let page = self.tree.unseen_page(number, &mut self.seen)?;
        if self.path.len() >= MAX_DEPTH {
            let fault = Fault::BadPage("deeper in the tree than the reference can go");
            return Err(fault.on(number));
        }
        match page.kind {
            Kind::Internal => self.path.push((page, 0)),
            Kind::Leaf => self.leaf = Some((page, 0)),
            _ => {
                let fault = Fault::BadPage("an overflow page, but linked as a leaf");
                return Err(fault.on(number));
            }
        }
        Ok(())
    }

    fn record(&mut self, pair: Pair<'a>, on: u32) -> Result<Record<'a>, Damage> {
        let key = self.tree.bytes(pair.key, on, &mut self.seen)?;
        let value = self.tree.bytes(pair.value, on, &mut self.seen)?;
        Ok(Record { key, value })
    }
}
