//! The checker: every page that the root, the chains and the free list lead to, and whether they agree.
//!
//! A sound file is one that the reference can have written. Such a file may have pages that nothing leads
//! to, since the reference leaks pages. It may also have keys out of order on leaves with a big key or next
//! to one: the reference files big keys by their page reference instead of their bytes, but compares others
//! with their bytes, and so files others out of order too. No order can be required near big keys, and the
//! writer searches the whole file for keys then. Each page is visited once, so the size of the file bounds
//! the work.
//!
//! Source: lib/libc/db/btree: bt_split.c and bt_delete.c for what a page may hold.

use super::super::{Damage, Fault};
use super::big::length;
use super::header::{ROOT, Update};
use super::page::{Chain, Field, GAPS, Kind, Page};
use super::read::Tree;
use super::set::PageSet;

/// The maximum depth of a tree: the reference keeps its path in an array of this size (`bt_stack`).
pub(super) const MAX_DEPTH: usize = 50;
/// The fault of a page whose left sibling is another than it says.
pub(super) const WRONG_LEFT: &str = "its link to the left is wrong";
/// The same for its right sibling.
pub(super) const WRONG_RIGHT: &str = "its link to the right is wrong";

impl<'a> Tree<'a> {
    /// Walks the whole structure and reports every fault; a sound file has none.
    ///
    /// The order of the keys is checked only if there are no other faults.
    pub fn check(&self, tell: &mut dyn FnMut(Damage)) {
        let mut faults = 0_u64;
        let mut counting = |damage| {
            faults = faults.saturating_add(1);
            tell(damage);
        };
        let big = self.check_structure(&mut counting);
        if faults == 0 {
            self.check_order(big, tell);
        }
    }

    /// Whether there are big keys anywhere in the tree, including internal pages: the reference does not
    /// find all keys in such a tree. Only for a sound file.
    #[cfg(libc_db)]
    pub(in crate::db) fn has_big_keys(&self) -> bool {
        self.check_structure(&mut |_| {})
    }

    /// Reports every fault except wrong order; returns whether there are big keys.
    fn check_structure(&self, tell: &mut dyn FnMut(Damage)) -> bool {
        let seen = PageSet::new(self.pages);
        let levels = Vec::new();
        let mut check = Check { tree: self, seen, levels, leaves: None, big: false, tell };
        check.file();
        check.subtree(ROOT, 0);
        check.ends();
        check.free_list();
        check.big
    }

    /// Checks every page of the tree, from left to right: its keys must ascend, and so must the keys in the
    /// pages above, except near big keys.
    fn check_order(&self, big: bool, tell: &mut dyn FnMut(Damage)) {
        let mut near_big = Vec::new();
        if big && self.mark_big(ROOT, &mut near_big).is_err() {
            return;
        }
        let mut order = Order { tree: self, last: None, leaves: 0, near_big };
        if let Err(damage) = order.subtree(ROOT) {
            tell(damage);
        }
    }

    /// For each leaf, from left to right, whether it has big keys or is next to a big key in the pages
    /// above.
    fn mark_big(&self, number: u32, marks: &mut Vec<bool>) -> Result<(), Damage> {
        let page = self.page(number)?;
        if page.kind == Kind::Leaf {
            let mut big = false;
            for index in 0..page.count {
                big |= page.pair(index)?.key.chain().is_some();
            }
            marks.push(big);
            return Ok(());
        }
        for index in 0..page.count {
            let child = page.child(index)?;
            let first = marks.len();
            self.mark_big(child.page, marks)?;
            if child.key.chain().is_some()
                && let Some(mark) = marks.get_mut(first)
            {
                *mark = true;
            }
        }
        Ok(())
    }
}

/// The structure, page by page.
struct Check<'s, 'a, 't> {
    tree: &'s Tree<'a>,
    seen: PageSet,
    /// The rightmost page seen so far on each level, the root's first.
    levels: Vec<Page<'a>>,
    /// The level of the leaves.
    leaves: Option<usize>,
    /// Whether there are big keys.
    big: bool,
    tell: &'t mut dyn FnMut(Damage),
}

impl<'a> Check<'_, 'a, '_> {
    fn wrong(&mut self, page: u32, what: &'static str) {
        (self.tell)(Fault::BadPage(what).on(page));
    }

    /// Reports a link between siblings that contradicts the tree. After an interrupted update this is no
    /// fault, since the next writer repairs the links.
    fn astray(&mut self, page: u32, what: &'static str) {
        if self.tree.meta.update == Update::Complete {
            self.wrong(page, what);
        }
    }

    fn file(&mut self) {
        if self.tree.has_partial_page() {
            // Nothing leads there, or a fault has been reported: a full disk ended a write.
            (self.tell)(Fault::CutShort.on(self.tree.pages));
        }
        if self.tree.meta.update == Update::CutShort {
            (self.tell)(Fault::CutShort.on(0));
        }
    }

    /// Checks a page of the tree and everything below it. The recursion ends at [`MAX_DEPTH`].
    fn subtree(&mut self, number: u32, depth: usize) {
        if depth >= MAX_DEPTH {
            return self.wrong(number, "deeper in the tree than dbopen(3) can go");
        }
        let page = match self.tree.unseen_page(number, &mut self.seen) {
            Ok(page) => page,
            Err(damage) => return (self.tell)(damage),
        };
        self.siblings(page, depth);
        match page.kind {
            Kind::Internal => self.internal(page, depth),
            Kind::Leaf => self.leaf(page, depth),
            _ => self.wrong(number, "an overflow page, but linked as a leaf"),
        }
    }

    /// Checks the links between this page and the one to its left.
    fn siblings(&mut self, page: Page<'a>, depth: usize) {
        let left = self.levels.get(depth).map_or(0, |left| left.number);
        if page.prev != left {
            self.astray(page.number, WRONG_LEFT);
        }
        match self.levels.get_mut(depth) {
            Some(place) => {
                let left = std::mem::replace(place, page);
                if left.next != page.number {
                    self.astray(left.number, WRONG_RIGHT);
                }
            }
            None => self.levels.push(page),
        }
    }

    /// Checks the right ends of all levels.
    fn ends(&mut self) {
        for page in std::mem::take(&mut self.levels) {
            if page.next != 0 {
                self.astray(page.number, WRONG_RIGHT);
            }
        }
    }

    fn internal(&mut self, page: Page<'a>, depth: usize) {
        if page.count == 0 {
            self.wrong(page.number, "internal page without children");
        }
        self.fills(page);
        for index in 0..page.count {
            match page.child(index) {
                Ok(child) => {
                    if let Some(chain) = child.key.chain() {
                        self.big = true;
                        self.chain(chain, page);
                    }
                    self.subtree(child.page, depth.saturating_add(1));
                }
                Err(damage) => (self.tell)(damage),
            }
        }
    }

    fn leaf(&mut self, page: Page<'a>, depth: usize) {
        if *self.leaves.get_or_insert(depth) != depth {
            self.wrong(page.number, "not as deep as the other leaves");
        }
        if page.count == 0 && page.number != ROOT {
            // The reference's walk would read an item that is not there.
            self.wrong(page.number, "an empty leaf");
        }
        self.fills(page);
        for index in 0..page.count {
            match page.pair(index) {
                Ok(pair) => {
                    self.big |= pair.key.chain().is_some();
                    for chain in [pair.key, pair.value].iter().filter_map(Field::chain) {
                        self.chain(chain, page);
                    }
                }
                Err(damage) => (self.tell)(damage),
            }
        }
    }

    /// Checks that the items fill the page; bad items are reported elsewhere.
    fn fills(&mut self, page: Page<'a>) {
        if let Err(damage @ Damage { fault: Fault::BadPage(GAPS), .. }) = page.require_packed() {
            (self.tell)(damage);
        }
    }

    /// Checks that an overflow chain is complete and used once. A chain that an internal page refers to may
    /// be shared with the leaf it came from and with the pages above.
    fn chain(&mut self, chain: Chain, owner: Page<'a>) {
        if let Err(damage) = self.walk_chain(chain, owner) {
            (self.tell)(damage);
        }
    }

    fn walk_chain(&mut self, chain: Chain, owner: Page<'a>) -> Result<(), Damage> {
        let wrong = |what, page| Err(Fault::BadBigPair(what).on(page));
        if chain.size == 0 {
            return wrong("it has no bytes", owner.number);
        }
        let pages = length(chain.size, self.tree.meta.layout);
        if pages > self.tree.pages {
            return wrong("it is longer than the file", owner.number);
        }
        let mut page = self.tree.page(chain.first)?;
        if owner.kind == Kind::Internal && page.kind == Kind::Overflow {
            return wrong("an internal page needs it, but it is not preserved", chain.first);
        }
        if page.kind == Kind::PreservedOverflow && self.seen.contains(page.number) {
            return Ok(());
        }
        for left in (0..pages).rev() {
            if !matches!(page.kind, Kind::Overflow | Kind::PreservedOverflow) {
                return wrong(
                    "its chain leads to a page that is not an overflow page",
                    page.number,
                );
            }
            if !self.seen.insert(page.number) {
                return wrong("its chain leads to a page in use", page.number);
            }
            if left > 0 {
                page = self.tree.page(page.next)?;
                // Only the first page may be preserved (`bt_preserve()` in bt_split.c); no writer could
                // release this one.
                if page.kind == Kind::PreservedOverflow {
                    return wrong("its chain leads to the beginning of another", page.number);
                }
            }
        }
        Ok(())
    }

    fn free_list(&mut self) {
        let mut number = self.tree.meta.free;
        while number != 0 {
            if number <= ROOT || number >= self.tree.pages {
                return self.wrong(number, "on the free list, but cannot be free");
            }
            if !self.seen.insert(number) {
                return self.wrong(number, "on the free list, but in use or listed twice");
            }
            number = self.tree.free_after(number);
        }
    }
}

/// How many leaves away a big key may have others misfiled: leaves next to it, and those split from them.
const ASTRAY: usize = 2;

/// The check of the keys, from left to right.
struct Order<'s, 'a> {
    tree: &'s Tree<'a>,
    /// The previous key, and the kind of its page.
    last: Option<(&'a [u8], Kind)>,
    /// The number of leaves visited so far.
    leaves: usize,
    /// Which leaves have big keys, if any do.
    near_big: Vec<bool>,
}

impl<'a> Order<'_, 'a> {
    /// Checks a page and everything below it, known to be sound.
    fn subtree(&mut self, number: u32) -> Result<(), Damage> {
        let page = self.tree.page(number)?;
        if page.kind == Kind::Leaf {
            self.leaves = self.leaves.saturating_add(1);
        }
        for index in 0..page.count {
            if page.kind == Kind::Leaf {
                self.key(page.pair(index)?.key, page)?;
                continue;
            }
            let child = page.child(index)?;
            // A search never looks at the first key on an internal page: everything smaller than the second
            // key belongs to the first child.
            if index > 0 {
                self.key(child.key, page)?;
            }
            self.subtree(child.page)?;
        }
        Ok(())
    }

    /// An equal key is allowed only after a key on an internal page, which is the smallest that may follow.
    fn key(&mut self, key: Field<'a>, page: Page<'a>) -> Result<(), Damage> {
        let Field::Here(key) = key else { return Ok(()) };
        let ascends = match self.last.replace((key, page.kind)) {
            None => true,
            Some((last, Kind::Internal)) => last <= key,
            Some((last, _)) => last < key || (last == key && self.tree.allows_duplicates()),
        };
        if ascends || self.is_near_big() {
            return Ok(());
        }
        Err(Fault::BadPage("keys out of order").on(page.number))
    }

    fn is_near_big(&self) -> bool {
        let from = self.leaves.saturating_sub(ASTRAY.saturating_add(1));
        let near = self.near_big.iter().skip(from);
        near.take(ASTRAY.saturating_mul(2).saturating_add(1)).any(|big| *big)
    }
}
