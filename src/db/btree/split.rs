//! Splits a page: it becomes two, and the page above gets an item for each.
//!
//! Both halves go to fresh pages and the old page is freed, unless this batch allocated it, so that no
//! record is ever in two places in the tree ([`super::commit`] explains the order of writes). The page
//! above gets the first key of the right half, truncated to the part that distinguishes it from the last
//! key of the left half; if that page is full, it is split in the same way. The root keeps its number.
//!
//! Source: `__bt_split()` in lib/libc/db/btree/bt_split.c, `__bt_defpfx()` in bt_utils.c.

use super::super::file::PageFile;
use super::super::{EngineError, Fault};
use super::edit::{Node, capacity, child_item, overflow_size, weight};
use super::header::ROOT;
use super::page::{Chain, Child, Field, Kind, Page, Pair};
use super::search::Path;
use super::store::{Plan, Store};
use super::unlink::Siblings;
use std::borrow::Cow;

/// Where to split a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// In the middle, as nearly as its items allow.
    Middle,
    /// Before its last item, so that keys in ascending order fill the pages.
    BeforeLast,
}

/// How much of a key goes to the page above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    /// The part that distinguishes it from the previous key.
    Prefix,
    /// All of it, as the reference does for the second key of the leftmost page on a level.
    Whole,
}

impl<F: PageFile> Store<F> {
    /// Plans the writes for the leaf at the end of `path`, with any number of new items.
    pub(super) fn store_leaf(
        &mut self,
        plan: &mut Plan,
        path: &Path,
        leaf: Node<'_>,
        mut cut: Cut,
    ) -> Result<(), EngineError> {
        let layout = self.layout();
        let mut replaced = Vec::new();
        let mut steps = path.steps.iter().rev();
        let mut node = leaf;
        while !node.fits(layout) {
            let (left, right) = self.split(plan, &mut node, cut)?;
            let Some(step) = steps.next() else {
                node = self.root_above(plan, &left, &right)?;
                break;
            };
            let bytes = self.read(step.page)?;
            let mut parent = Node::of(&Page::parse(&bytes, layout, step.page)?)?.into_owned();
            self.replace_child(plan, &mut parent, step.index, (&left, &right))?;
            let last = parent.next == 0 && step.index.saturating_add(2) == parent.items.len();
            cut = if last { Cut::BeforeLast } else { Cut::Middle };
            let Node { number, prev, next, kind, .. } = node;
            replaced.push((Siblings { number, kind, prev, next }, left.into_owned(), right.number));
            node = parent;
        }
        for (old, left, right) in &replaced {
            if old.number != left.number {
                plan.split(old.number, left.number);
            }
            self.link_back(plan, *old, *right)?;
        }
        plan.change(node.number, node.encode(layout)?);
        for (old, left, _) in &mut replaced {
            left.prev = old.prev;
            plan.change(left.number, left.encode(layout)?);
            if old.number != left.number {
                self.link_on(plan, *old, left.number)?;
                plan.released.push(old.number);
            }
        }
        Ok(())
    }

    /// Moves the items of a node to two fresh pages, one of which may be the node itself.
    fn split<'a>(
        &mut self,
        plan: &mut Plan,
        node: &mut Node<'a>,
        cut: Cut,
    ) -> Result<(Node<'a>, Node<'a>), EngineError> {
        let layout = self.layout();
        let too_much = Fault::BadPage("too much for two pages").on(node.number);
        let at = place_of(cut, node, capacity(layout)).ok_or(too_much)?;
        let in_place = self.fresh.contains(&node.number);
        let number = if in_place { node.number } else { self.allocate(plan)? };
        let mut left = Node::empty(number, node.kind);
        let mut right = Node::empty(self.allocate(plan)?, node.kind);
        right.items = node.items.split_off(at);
        left.items = std::mem::take(&mut node.items);
        let before = if node.number == ROOT { 0 } else { node.prev };
        (left.prev, left.next) = (before, right.number);
        (right.prev, right.next) = (left.number, node.next);
        plan.fresh(left.number, left.encode(layout)?);
        plan.fresh(right.number, right.encode(layout)?);
        Ok((left, right))
    }

    /// The new root above the two halves of the old one.
    fn root_above<'a>(
        &mut self,
        plan: &mut Plan,
        left: &Node<'_>,
        right: &Node<'_>,
    ) -> Result<Node<'a>, EngineError> {
        let mut root = Node::empty(ROOT, Kind::Internal);
        let first = Child { key: Field::Here(b""), page: left.number };
        root.items.push(Cow::Owned(child_item(self.layout().order, first)));
        root.items.push(Cow::Owned(self.separator(plan, left, right, Separator::Whole)?));
        Ok(root)
    }

    /// Makes the item at `index` lead to the left half, and adds one for the right half.
    fn replace_child(
        &mut self,
        plan: &mut Plan,
        parent: &mut Node<'_>,
        index: usize,
        (left, right): (&Node<'_>, &Node<'_>),
    ) -> Result<(), EngineError> {
        let order = self.layout().order;
        let at = index.saturating_add(1);
        let whole = parent.prev == 0 && at == 1;
        let separator = if whole { Separator::Whole } else { Separator::Prefix };
        let added = self.separator(plan, left, right, separator)?;
        let bad = Fault::BadPage("item is out of place").on(parent.number);
        let item = parent.items.get_mut(index).ok_or(bad)?;
        let child = Child::decode(item, order).ok_or(bad)?;
        let changed = child_item(order, Child { page: left.number, ..child });
        *item = Cow::Owned(changed);
        parent.items.insert(at, Cow::Owned(added));
        Ok(())
    }

    /// The item for the page above that leads to `right`.
    fn separator(
        &mut self,
        plan: &mut Plan,
        left: &Node<'_>,
        right: &Node<'_>,
        separator: Separator,
    ) -> Result<Vec<u8>, EngineError> {
        let order = self.layout().order;
        let item = |key| child_item(order, Child { key, page: right.number });
        let bad = || Fault::BadPage("item is out of place").on(right.number);
        let first = right.items.first().ok_or_else(bad)?;
        if right.kind == Kind::Internal {
            return Ok(item(Child::decode(first, order).ok_or_else(bad)?.key));
        }
        let first = Pair::decode(first, order).ok_or_else(bad)?.key;
        if separator == Separator::Whole && first.chain().is_none() {
            return Ok(item(first));
        }
        let last = left.items.last().and_then(|last| Pair::decode(last, order));
        let last = self.planned_field(plan, last.ok_or_else(bad)?.key, left.number)?;
        let whole = self.planned_field(plan, first, right.number)?;
        let needed = whole.get(..distinguishing(&last, &whole)).unwrap_or(&whole);
        match first {
            Field::Chain(chain) if needed.len() > overflow_size(self.layout()) => {
                self.preserve(plan, chain)?;
                Ok(item(first))
            }
            _ => Ok(item(Field::Here(needed))),
        }
    }

    /// Plans to mark a chain as needed by an internal page.
    fn preserve(&mut self, plan: &mut Plan, chain: Chain) -> Result<(), EngineError> {
        let flags = self.layout().order.u32_bytes(Kind::PreservedOverflow.flags());
        let mark = |image: &mut Vec<u8>| {
            if let Some(place) = image.get_mut(12..16) {
                place.copy_from_slice(&flags);
            }
        };
        if let Some(image) = plan.fresh_image(chain.first) {
            mark(image);
            return Ok(());
        }
        let mut image = self.read(chain.first)?.to_vec();
        mark(&mut image);
        plan.fresh(chain.first, image);
        Ok(())
    }
}

/// How many bytes distinguish `key` from the smaller `last`; all of them if `last` is not smaller.
fn distinguishing(last: &[u8], key: &[u8]) -> usize {
    if last >= key {
        return key.len();
    }
    let common = last.iter().zip(key).take_while(|(a, b)| a == b).count();
    common.saturating_add(1)
}

/// How many items stay on the left, so that both halves fit and are as even as `cut` requires.
fn place_of(cut: Cut, node: &Node<'_>, capacity: usize) -> Option<usize> {
    let weights = node.items.iter().map(|item| weight(item));
    let total = weights.clone().fold(0_usize, usize::saturating_add);
    let cuts = weights
        .scan(0_usize, |left, weight| {
            *left = left.saturating_add(weight);
            Some(*left)
        })
        .zip(1..node.items.len())
        .filter(|(left, _)| *left <= capacity && total.saturating_sub(*left) <= capacity);
    let best = match cut {
        Cut::Middle => cuts.min_by_key(|(left, _)| left.saturating_mul(2).abs_diff(total)),
        Cut::BeforeLast => cuts.last(),
    };
    best.map(|(_, at)| at)
}

impl<'a> Node<'a> {
    fn into_owned<'b>(self) -> Node<'b> {
        let items = self.items.into_iter().map(|item| Cow::Owned(item.into_owned())).collect();
        Node { items, number: self.number, prev: self.prev, next: self.next, kind: self.kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(sizes: &[usize]) -> Node<'static> {
        let mut node = Node::empty(3, Kind::Leaf);
        node.items = sizes.iter().map(|&size| Cow::Owned(vec![0; size])).collect();
        node
    }

    #[test]
    fn cuts_where_both_halves_fit() {
        let place = |cut, sizes: &[usize]| place_of(cut, &node(sizes), 492);
        assert_eq!(place(Cut::Middle, &[98, 98, 98, 98, 98]), Some(2));
        assert_eq!(place(Cut::BeforeLast, &[98, 98, 98, 98, 98]), Some(4));
        // Two items that each fill half a page.
        assert_eq!(place(Cut::Middle, &[244, 244, 20]), Some(1));
        assert_eq!(place(Cut::Middle, &[20, 244, 244]), Some(2));
        assert_eq!(place(Cut::Middle, &[500, 20]), None);
        assert_eq!(place(Cut::Middle, &[20]), None);
    }

    /// `__bt_defpfx()` in bt_utils.c.
    #[test]
    fn a_separator_is_as_long_as_it_must_be() {
        assert_eq!(distinguishing(b"abc", b"abd"), 3);
        assert_eq!(distinguishing(b"abc", b"b"), 1);
        assert_eq!(distinguishing(b"ab", b"abcd"), 3);
        assert_eq!(distinguishing(b"", b"x"), 1);
        // Out of order, or the same big key twice: no prefix distinguishes them.
        assert_eq!(distinguishing(b"abc", b"abc"), 3);
        assert_eq!(distinguishing(b"z", b"abc"), 3);
    }
}
