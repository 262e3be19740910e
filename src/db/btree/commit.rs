//! Writes the batch, in an order in which no record is lost whichever write is the last.
//!
//! If a batch only changes pages in use, without allocating or freeing any, these are written
//! independently. Otherwise the batch is written in groups (see [`super::super::transaction`]):
//!
//! 1. the meta page, with the mark that links between siblings may be out of date, and without the pages
//!    that the batch has taken from the free list;
//! 2. the allocated pages, to which nothing leads yet, and overflow pages that get the mark that an
//!    internal page needs them;
//! 3. leaves in use, but with their old links to the right, and the leaves that were split, linked to their
//!    left halves: the reference's walk along the leaves visits a split leaf and then its halves;
//! 4. internal pages in use, independently, and the root: these writes direct all searches from split pages
//!    to their halves;
//! 5. leaves whose links to the right lead to new ones: the walk no longer visits the split pages;
//! 6. the freed pages, linked to each other;
//! 7. the meta page without the mark, with the freed pages at the head of the free list.
//!
//! Between 3 and 5 the walk meets the records of a split leaf twice, but never misses one. The reference
//! would do no harm at any point if it emptied one leaf: it links the siblings of a leaf that it frees, and
//! each leaf on the walk leads back to the previous one, or to the split one before that. (If it emptied
//! two neighbours between a kill and the next change, which repairs the links, the walk could go wrong. No
//! order can prevent this, since adding a leaf changes two pages.) A kill leaks the pages in 2 and 6 until
//! the mark is noticed: see [`super::mend`].

use super::super::EngineError;
use super::super::file::PageFile;
use super::super::transaction::{self, Plan, Write};
use super::edit::Node;
use super::header::{Meta, ROOT, Update};
use super::page::{Kind, Page};
use super::store::Store;
use std::collections::HashSet;
use std::rc::Rc;

/// The number of a page, and its contents.
type Image = (u32, Vec<u8>);
/// The pages in one group.
type Group = Vec<Image>;

impl<F: PageFile> Store<F> {
    /// Writes the batch.
    pub(super) fn commit(&mut self) -> Result<(), EngineError> {
        if !self.is_known || (self.changed.is_empty() && self.is_meta_written()) {
            return Ok(());
        }
        self.is_known = false;
        let (plan, meta) = self.groups()?;
        transaction::write(&mut self.file, self.length, &plan)?;
        let end = u64::from(self.pages).saturating_mul(self.layout().page_size as u64);
        (self.meta, self.written) = (meta, meta);
        if self.length > end {
            // Part of a page, to which nothing leads: a full disk ended a write.
            self.file.set_length(end)?;
        }
        self.length = end;
        self.cache.clear();
        self.forget();
        Ok(())
    }

    /// Whether pages were allocated or freed.
    pub(super) fn has_moved(&self) -> bool {
        !self.fresh.is_empty() || !self.left.is_empty()
    }

    fn is_meta_written(&self) -> bool {
        self.meta.encode() == self.written.encode() && self.left.is_empty()
    }

    /// The writes, and the resulting meta page.
    fn groups(&mut self) -> Result<(Plan, Meta), EngineError> {
        let is_marked = self.has_moved();
        let (released, after) = self.released()?;
        let meta = Meta { free: after, update: Update::Complete, ..self.meta };
        let marked = Meta { update: Update::CutShort, ..self.meta };
        let (mut taken, mut internal, mut leaves) = (Group::new(), Group::new(), Group::new());
        for (number, bytes) in &self.changed {
            let kind = Page::parse(bytes, self.layout(), *number)?.kind;
            let group = match kind {
                _ if self.fresh.contains(number) => &mut taken,
                Kind::Overflow | Kind::PreservedOverflow => &mut taken,
                Kind::Internal => &mut internal,
                Kind::Leaf if *number == ROOT => &mut internal,
                Kind::Leaf => &mut leaves,
            };
            group.push((*number, bytes.to_vec()));
        }
        let rooms = self.fresh.iter().map(|number| self.offset(*number)).collect();
        let mut passed = self.passed(&leaves)?;
        let differs = |(after, before): (Image, &Image)| (after != *before).then_some(after);
        let relinked: Group = leaves.into_iter().zip(&passed).filter_map(differs).collect();
        passed.extend(self.split_leaves()?);
        let write = |(number, bytes): Image| -> Write { (self.offset(number), bytes) };
        let pages = |group: Group| group.into_iter().map(write).collect::<Vec<_>>();
        let head = |meta: &Meta| vec![(0, meta.encode())];
        let groups = if is_marked {
            let (first, last) = (head(&marked), head(&meta));
            let middle = [taken, passed, internal, relinked, released].map(pages);
            [first].into_iter().chain(middle).chain([last]).collect()
        } else if meta.encode() != self.written.encode() {
            let middle = [taken, passed, internal, relinked].map(pages);
            middle.into_iter().chain([head(&meta)]).collect()
        } else {
            vec![[taken, passed, internal, relinked].map(pages).concat()]
        };
        Ok((Plan { page_size: self.layout().page_size, rooms, groups }, meta))
    }

    /// The leaves while the walk still visits those that will be freed.
    fn passed(&mut self, leaves: &Group) -> Result<Group, EngineError> {
        let left: HashSet<u32> = self.left.iter().copied().collect();
        let order = self.layout().order;
        let mut passed = Vec::with_capacity(leaves.len());
        for (number, bytes) in leaves {
            let stored = self.read_stored(*number)?;
            let before = order.u32_at(&stored, 8).unwrap_or_default();
            let mut bytes = bytes.clone();
            if left.contains(&before)
                && let Some(place) = bytes.get_mut(8..12)
            {
                place.copy_from_slice(&order.u32_bytes(before));
            }
            passed.push((*number, bytes));
        }
        Ok(passed)
    }

    /// The leaves that were split, linked to their left halves.
    fn split_leaves(&mut self) -> Result<Group, EngineError> {
        let order = self.layout().order;
        let mut split = Vec::new();
        for number in self.left.clone() {
            let Some(mut half) = self.halves.get(&number).copied() else { continue };
            let stored = self.read_stored(number)?;
            if Page::parse(&stored, self.layout(), number)?.kind != Kind::Leaf {
                continue;
            }
            while let Some(next) = self.halves.get(&half).copied() {
                half = next;
            }
            let mut bytes = stored.to_vec();
            if let Some(place) = bytes.get_mut(8..12) {
                place.copy_from_slice(&order.u32_bytes(half));
            }
            split.push((number, bytes));
        }
        Ok(split)
    }

    /// The freed pages, linked to each other before the free list, and the first of them.
    fn released(&mut self) -> Result<(Group, u32), EngineError> {
        let order = self.layout().order;
        let mut free = self.meta.free;
        let mut released = Vec::new();
        for number in self.spare.clone().into_iter().chain(self.left.clone()) {
            let mut bytes = if self.fresh.contains(&number) {
                Rc::new(Node::empty(number, Kind::Leaf).encode(self.layout())?)
            } else {
                self.read_stored(number)?
            };
            if let Some(place) = Rc::make_mut(&mut bytes).get_mut(4..12) {
                place.copy_from_slice([order.u32_bytes(0), order.u32_bytes(free)].as_flattened());
            }
            released.push((number, bytes.to_vec()));
            free = number;
        }
        Ok((released, free))
    }
}
