//! Walks the records of a whole tree, in the order of the reference's walk.
//!
//! The reference finds the first leaf and goes from sibling to sibling. In a sound tree this is the order
//! in which the internal pages name the leaves, and this walk follows the internal pages. So a fault costs
//! only the records below it: after a broken sibling link the next leaf would be unknown, but the next item
//! of the page above still leads to it. After a writer was killed in the middle of a split, the internal
//! pages are right, while the links may be out of date.
//!
//! Source: `__bt_seqset()` and `__bt_seqadv()` in lib/libc/db/btree/bt_seq.c for the order.

use super::super::{Damage, Fault, Record};
use super::check::MAX_DEPTH;
use super::header::ROOT;
use super::page::{Kind, Page, Pair};
use super::read::Tree;
use super::set::PageSet;

/// The walk that [`Tree::records`] begins.
#[derive(Debug)]
pub struct Records<'s, 'a> {
    tree: &'s Tree<'a>,
    /// The pages visited; none is visited twice.
    seen: PageSet,
    /// The internal pages from the root to the leaf, each with its next item.
    path: Vec<(Page<'a>, usize)>,
    /// The current leaf, and its next item.
    leaf: Option<(Page<'a>, usize)>,
    /// The page to visit next.
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

impl<'s, 'a> Records<'s, 'a> {
    pub(super) fn new(tree: &'s Tree<'a>) -> Self {
        let seen = PageSet::new(tree.pages);
        Records { tree, seen, path: Vec::new(), leaf: None, next: Some(ROOT) }
    }

    /// Takes one step along the internal pages; false at the end.
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
            let fault = Fault::BadPage("deeper in the tree than dbopen(3) can go");
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
