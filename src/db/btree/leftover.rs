//! The state in which the reference leaves a tree when its process is killed between two writes, or meets a
//! full disk: distinguishes it from damage, and reads it.
//!
//! A split changes four pages, that of the root three (`__bt_split()` in lib/libc/db/btree/bt_split.c);
//! they are written in any order when the file is closed (`mpool_sync()`). Each write is of one page, so
//! every page is sound in itself, and only pages may contradict each other:
//!
//! | what is left | why |
//! |---|---|
//! | links between siblings that disagree with the tree by a few pages | a half was written but not the page above, or vice versa |
//! | a page of the tree or a chain that is beyond the end of the file, a hole, or truncated | it was not written |
//! | keys out of order, next to such links | the old page still has the records of the new one |
//! | a big key that an internal page shares but that is not marked as preserved | its page was not written again |
//! | a page on the free list that is in use | the meta page was not written |
//!
//! The records are those of the tree, followed by those of leaves that only sibling links lead to: the
//! reference's walk finds them, its search does not. Everything else is damage.

use super::super::{Damage, Fault, Record};
use super::big::Assembly;
use super::check::MAX_DEPTH;
use super::header::{ROOT, Update};
use super::page::{Field, Kind, Page};
use super::read::Tree;
use super::set::PageSet;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// How many pages of its level a link may be off: a session does not make more.
const MOST_ASTRAY: usize = 64;
/// How many pages of the tree may be unwritten; if there are more, the file was truncated.
const MOST_UNWRITTEN: usize = 8;
/// How far behind the end of the file an unwritten page may be.
const MOST_AHEAD: u32 = 256;

impl<'a> Tree<'a> {
    /// The records of a tree that was left in this state.
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn leftovers(&self) -> Result<Vec<Record<'a>>, Damage> {
        let mut survey = Survey::new(self);
        survey.pages()?;
        survey.subtree(ROOT, 0)?;
        survey.free_list()?;
        survey.siblings()?;
        survey.records()
    }

    /// The first fault that [`Tree::check`] finds.
    pub fn first_fault(&self) -> Option<Damage> {
        let mut first = None;
        self.check(&mut |damage| _ = first.get_or_insert(damage));
        first
    }

    /// Page `number`, if it was written.
    fn written(&self, number: u32) -> Result<Option<Page<'a>>, Damage> {
        let near = self.pages.saturating_add(MOST_AHEAD);
        match self.page(number) {
            Err(Damage { fault: Fault::BeyondEnd | Fault::Cut, .. }) if number < near => Ok(None),
            Err(_) if self.is_hole(number) => Ok(None),
            page => page.map(Some),
        }
    }
}

struct Survey<'s, 'a> {
    tree: &'s Tree<'a>,
    seen: PageSet,
    /// The pages of each level, left to right.
    levels: Vec<Vec<Page<'a>>>,
    /// Whether there is evidence of an unfinished update.
    evident: bool,
    /// The number of unwritten pages of the tree.
    unwritten: usize,
    /// A page on a chain that is not an overflow page, which is a fault without such evidence.
    old: Option<Damage>,
    /// How many more pages of chains may be visited.
    budget: u32,
}

impl<'s, 'a> Survey<'s, 'a> {
    fn new(tree: &'s Tree<'a>) -> Self {
        Survey {
            tree,
            seen: PageSet::new(tree.pages),
            levels: Vec::new(),
            evident: tree.meta.update == Update::CutShort || tree.has_partial_page(),
            unwritten: 0,
            old: None,
            budget: tree.pages.saturating_mul(4).saturating_add(4096),
        }
    }

    /// Checks that every page is sound in itself, wherever it belongs.
    fn pages(&self) -> Result<(), Damage> {
        for number in ROOT..self.tree.pages {
            if let Some(page) = self.tree.written(number)? {
                page.require_packed()?;
            }
        }
        Ok(())
    }

    /// Visits a page of the tree and everything below it, as far as it is there.
    fn subtree(&mut self, number: u32, depth: usize) -> Result<(), Damage> {
        if depth >= MAX_DEPTH {
            let fault = Fault::BadPage("deeper in the tree than dbopen(3) can go");
            return Err(fault.on(number));
        }
        let Some(page) = self.tree.written(number)? else {
            self.evident = true;
            self.unwritten = self.unwritten.saturating_add(1);
            let few = self.unwritten <= MOST_UNWRITTEN;
            return if few { Ok(()) } else { Err(Fault::BeyondEnd.on(number)) };
        };
        if !self.seen.insert(number) {
            return Err(Fault::Loop.on(number));
        }
        if self.levels.len() <= depth {
            self.levels.push(Vec::new());
        }
        if let Some(level) = self.levels.get_mut(depth) {
            level.push(page);
        }
        match page.kind {
            Kind::Leaf => Ok(()),
            Kind::Internal => (0..page.count).try_for_each(|index| {
                let child = page.child(index)?;
                self.separator(child.key)?;
                self.subtree(child.page, depth.saturating_add(1))
            }),
            _ => Err(Fault::BadPage("an overflow page, but linked as a leaf").on(number)),
        }
    }

    /// Visits a key that a page above the leaves shares with its leaf, and that may lack the mark.
    fn separator(&mut self, key: Field<'a>) -> Result<(), Damage> {
        if let Some(chain) = key.chain() {
            let first = self.tree.written(chain.first)?;
            self.evident |= first.is_none_or(|page| page.kind != Kind::PreservedOverflow);
        }
        Ok(())
    }

    fn free_list(&self) -> Result<(), Damage> {
        let mut seen = PageSet::new(self.tree.pages);
        let mut number = self.tree.meta.free;
        while number != 0 {
            if number <= ROOT || number >= self.tree.pages || !seen.insert(number) {
                let fault = Fault::BadPage("on the free list, but cannot be free");
                return Err(fault.on(number));
            }
            number = self.tree.free_after(number);
        }
        Ok(())
    }

    /// Checks that the links on each level lead to the right page, or near it. A wrong link alone is not
    /// evidence of an unfinished update.
    fn siblings(&mut self) -> Result<(), Damage> {
        let mut astray = None;
        for level in std::mem::take(&mut self.levels) {
            let places: HashMap<u32, usize> =
                level.iter().enumerate().map(|(at, page)| (page.number, at)).collect();
            for (at, page) in level.iter().enumerate() {
                let behind = level.len().saturating_sub(at).saturating_sub(1);
                let right = |to: usize| to.checked_sub(at);
                let left = |to: usize| at.checked_sub(to);
                let explained = self.link(page, |page| page.next, (&places, &right), behind)?
                    && self.link(page, |page| page.prev, (&places, &left), at)?;
                if !explained {
                    astray.get_or_insert(page.number);
                }
            }
            self.levels.push(level);
        }
        match astray.filter(|_| !self.evident) {
            Some(page) => Err(Fault::BadPage("its link to a sibling is wrong").on(page)),
            None => Ok(()),
        }
    }

    /// Whether a link from a page of the tree leads, through pages that are not in the tree, to the next
    /// page of the tree, or to an unwritten one.
    fn link(
        &mut self,
        page: &Page<'a>,
        next: impl Fn(&Page<'a>) -> u32,
        (places, distance): (&HashMap<u32, usize>, &dyn Fn(usize) -> Option<usize>),
        behind: usize,
    ) -> Result<bool, Damage> {
        let mut to = next(page);
        for step in 0..MOST_ASTRAY {
            if to == 0 {
                let explained = behind < MOST_ASTRAY;
                self.evident |= explained && (step > 0 || behind > 0);
                return Ok(explained);
            }
            if let Some(place) = places.get(&to) {
                let far = distance(*place).filter(|far| (1..MOST_ASTRAY).contains(far));
                self.evident |= far.is_some_and(|far| step > 0 || far > 1);
                return Ok(far.is_some());
            }
            match self.tree.written(to)? {
                Some(sibling) if sibling.kind == page.kind => to = next(&sibling),
                Some(_) if self.seen.contains(to) => return Ok(false),
                // An unwritten page; it may have been freed before, and have its old contents.
                _ => {
                    self.evident = true;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The records of the leaves, each key once.
    fn records(mut self) -> Result<Vec<Record<'a>>, Damage> {
        let leaves = self.levels.last().cloned().unwrap_or_default();
        let mut present: HashSet<Cow<'a, [u8]>> = HashSet::new();
        let mut records = Vec::new();
        let mut others = Vec::new();
        let mut last: Option<Cow<'a, [u8]>> = None;
        for leaf in leaves.iter().filter(|leaf| leaf.kind == Kind::Leaf) {
            others.push((leaf.number, leaf.next));
            for record in self.of(leaf)? {
                let ascends = last.as_ref().is_none_or(|last| *last < record.key);
                if !ascends && !self.evident {
                    return Err(Fault::BadPage("keys out of order").on(leaf.number));
                }
                last = Some(record.key.clone());
                if present.insert(record.key.clone()) {
                    records.push(record);
                }
            }
        }
        while let Some((from, number)) = others.pop() {
            if number == 0 || number >= self.tree.pages || self.seen.contains(number) {
                continue;
            }
            // A page with another link was not written, and has its old contents.
            let is_half = |page: &Page<'_>| page.kind == Kind::Leaf && page.prev == from;
            let Some(leaf) = self.tree.written(number)?.filter(is_half) else { continue };
            self.seen.insert(number);
            others.push((number, leaf.next));
            let found = self.of(&leaf)?.into_iter();
            records.extend(found.filter(|record| present.insert(record.key.clone())));
        }
        match self.old.filter(|_| !self.evident) {
            Some(damage) => Err(damage),
            None => Ok(records),
        }
    }

    /// The records of a leaf, without those that were not written completely.
    fn of(&mut self, leaf: &Page<'a>) -> Result<Vec<Record<'a>>, Damage> {
        let mut records = Vec::with_capacity(leaf.count);
        for index in 0..leaf.count {
            let pair = leaf.pair(index)?;
            match (self.bytes(pair.key, leaf.number)?, self.bytes(pair.value, leaf.number)?) {
                (Some(key), Some(value)) => records.push(Record { key, value }),
                _ => self.evident |= self.old.is_none(),
            }
        }
        Ok(records)
    }

    fn bytes(&mut self, field: Field<'a>, on: u32) -> Result<Option<Cow<'a, [u8]>>, Damage> {
        let chain = match field {
            Field::Here(bytes) => return Ok(Some(Cow::Borrowed(bytes))),
            Field::Chain(chain) => chain,
        };
        let near = self.tree.pages.saturating_add(MOST_AHEAD);
        let mut assembly = Assembly::begin(chain, on, self.tree.meta.layout, near)?;
        while let Some(number) = assembly.wants() {
            self.budget = self.budget.checked_sub(1).ok_or(Fault::Loop.on(on))?;
            match self.tree.written(number)? {
                None => return Ok(None),
                Some(page) => {
                    if let Err(damage) = assembly.take(&page) {
                        // A freed page with its old contents.
                        self.old = self.old.or(Some(damage));
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(Cow::Owned(assembly.finish())))
    }
}
