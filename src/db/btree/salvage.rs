//! What can be reached in a tree with holes, and a new tree of it ([`crate::db::repair`]).
//!
//! The internal pages lead to the leaves. If one of those is a hole, the leaves below it are not known, and
//! all leaves of the file that are not free are taken.

use super::super::repair::{Bytes, Gaps, Salvage};
use super::super::{Damage, Engine, EngineError, Fault, Record};
use super::check::{MAX_DEPTH, WRONG_LEFT, WRONG_RIGHT};
use super::header::ROOT;
use super::page::{Kind, Page};
use super::read::Tree;
use super::set::PageSet;
use super::write::Writer;
use std::borrow::Cow;
use std::collections::HashSet;

impl<'a> Tree<'a> {
    /// The records that can be reached, and what is missing.
    ///
    /// # Errors
    ///
    /// The file is damaged in another way than by holes.
    pub fn salvage(&self) -> Result<Salvage<'a>, Damage> {
        let gaps = self.gaps()?;
        let mut reach = Reach::new(self);
        reach.subtree(ROOT, 0)?;
        let leaves = std::mem::take(&mut reach.leaves);
        leaves.iter().try_for_each(|leaf| reach.records(leaf))?;
        if reach.is_incomplete() {
            reach.sweep()?;
        }
        Ok(Salvage { records: reach.records, gaps })
    }

    /// A new tree with these records, otherwise like this one.
    ///
    /// # Errors
    ///
    /// There is no room for them.
    pub fn rebuilt(&self, records: &[Record<'_>]) -> Result<Vec<u8>, EngineError> {
        if self.allows_duplicates() {
            return Err(EngineError::Refused("a tree that allows duplicate keys is not written"));
        }
        let (size, order) = (self.page_size(), self.byte_order());
        let mut writer = Writer::create_in_order(Bytes::default(), size, order)?;
        for record in records {
            writer.put(&record.key, &record.value)?;
        }
        writer.commit()?;
        Ok(writer.into_file().0)
    }

    /// What is missing, if nothing else is wrong than what follows from that.
    fn gaps(&self) -> Result<Gaps, Damage> {
        let (mut gaps, mut other) = (Gaps::default(), None);
        self.check(&mut |damage| {
            let follows = match damage.fault {
                Fault::BadPage(what) => what == WRONG_LEFT || what == WRONG_RIGHT,
                fault => fault == Fault::CutShort || gaps.count(fault),
            };
            if !follows {
                other.get_or_insert(damage);
            }
        });
        other.map_or(Ok(gaps), Err)
    }
}

/// Whether a fault is a page that is missing.
fn is_gap(damage: Damage) -> bool {
    matches!(damage.fault, Fault::Hole | Fault::BeyondEnd | Fault::Cut)
}

struct Reach<'s, 'a> {
    tree: &'s Tree<'a>,
    seen: PageSet,
    leaves: Vec<Page<'a>>,
    /// The level of the leaves.
    depth: Option<usize>,
    /// The levels with gaps.
    gaps: HashSet<usize>,
    records: Vec<Record<'a>>,
    present: HashSet<Cow<'a, [u8]>>,
}

impl<'s, 'a> Reach<'s, 'a> {
    fn new(tree: &'s Tree<'a>) -> Self {
        Reach {
            tree,
            seen: PageSet::new(tree.pages),
            leaves: Vec::new(),
            depth: None,
            gaps: HashSet::new(),
            records: Vec::new(),
            present: HashSet::new(),
        }
    }

    /// Finds the leaves below a page. The recursion ends at [`MAX_DEPTH`].
    fn subtree(&mut self, number: u32, depth: usize) -> Result<(), Damage> {
        if depth >= MAX_DEPTH {
            let fault = Fault::BadPage("deeper in the tree than dbopen(3) can go");
            return Err(fault.on(number));
        }
        let page = match self.tree.unseen_page(number, &mut self.seen) {
            Err(damage) if is_gap(damage) => {
                self.gaps.insert(depth);
                return Ok(());
            }
            page => page?,
        };
        if page.kind != Kind::Internal {
            self.depth = Some(depth);
            self.leaves.push(page);
            return Ok(());
        }
        for index in 0..page.count {
            self.subtree(page.child(index)?.page, depth.saturating_add(1))?;
        }
        Ok(())
    }

    /// Whether a gap hides leaves.
    fn is_incomplete(&self) -> bool {
        self.gaps.iter().any(|gap| self.depth.is_none_or(|depth| *gap < depth))
    }

    /// Takes the records of a leaf, except those that continue in a gap.
    fn records(&mut self, leaf: &Page<'a>) -> Result<(), Damage> {
        for index in 0..leaf.count {
            let pair = leaf.pair(index)?;
            let key = self.tree.bytes(pair.key, leaf.number, &mut self.seen);
            let value = self.tree.bytes(pair.value, leaf.number, &mut self.seen);
            match (key, value) {
                (Ok(key), Ok(value)) => {
                    if self.present.insert(key.clone()) {
                        self.records.push(Record { key, value });
                    }
                }
                (Err(damage), _) | (_, Err(damage)) if is_gap(damage) => {}
                (Err(damage), _) | (_, Err(damage)) => return Err(damage),
            }
        }
        Ok(())
    }

    /// Takes the records of all other leaves in the file.
    fn sweep(&mut self) -> Result<(), Damage> {
        let mut free = self.tree.meta.free;
        while free != 0 && self.seen.insert(free) {
            free = self.tree.free_after(free);
        }
        for number in ROOT..self.tree.pages {
            if self.seen.contains(number) {
                continue;
            }
            match self.tree.page(number) {
                Ok(page) if page.kind == Kind::Leaf => self.records(&page)?,
                Ok(_) => {}
                Err(damage) if is_gap(damage) => {}
                Err(damage) => return Err(damage),
            }
        }
        Ok(())
    }
}
