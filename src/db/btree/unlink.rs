//! Taking an emptied leaf out of the tree, and the pages above it that it leaves without items.
//!
//! An empty leaf must never be met: the reference's walk reads past its items, and ends at once where
//! the first leaf is empty. So the leaf is not emptied at all, it is left: first the item that leads to
//! it, or to the highest page above it that holds nothing else, goes in one write; then the siblings of
//! each page left are linked to each other; then the pages are freed. If the whole tree holds nothing
//! else, that one write makes the root an empty leaf.
//!
//! Source: `__bt_pdelete()` and `__bt_relink()` in lib/libc/db/btree/bt_delete.c.

use super::super::file::PageFile;
use super::super::{EngineError, Fault};
use super::meta::ROOT;
use super::node::Node;
use super::page::{Kind, Page};
use super::search::Path;
use super::store::{Plan, Store};

/// A page between its siblings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Siblings {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) prev: u32,
    pub(super) next: u32,
}

impl<F: PageFile> Store<F> {
    /// Plans the writes that take the leaf at the end of `path`, which is not the root, out of the tree.
    pub(super) fn unlink_leaf(&mut self, plan: &mut Plan, path: &Path) -> Result<(), EngineError> {
        let layout = self.layout();
        let stays = path.steps.iter().rposition(|step| step.count > 1);
        let stays = stays.and_then(|at| path.steps.get(at).map(|step| (at, step)));
        let left_below = match stays {
            Some((at, step)) => {
                let bytes = self.read(step.page)?;
                let mut node = Node::of(&Page::parse(&bytes, layout, step.page)?)?;
                if step.index < node.items.len() {
                    node.items.remove(step.index);
                }
                plan.change(step.page, node.encode(layout)?);
                at.saturating_add(1)
            }
            None => {
                plan.change(ROOT, Node::empty(ROOT, Kind::Leaf).encode(layout)?);
                1
            }
        };
        let above = path.steps.iter().skip(left_below).map(|step| step.page);
        let left: Vec<u32> = above.chain([path.leaf]).collect();
        for &number in &left {
            self.bypass(plan, number)?;
        }
        self.release(plan, &left)
    }

    /// Plans that the siblings of page `number` are linked to each other.
    fn bypass(&mut self, plan: &mut Plan, number: u32) -> Result<(), EngineError> {
        let bytes = self.read(number)?;
        let Page { prev, next, kind, .. } = Page::parse(&bytes, self.layout(), number)?;
        self.link_around(plan, Siblings { number, kind, prev, next }, (next, prev))
    }

    /// Plans new links for the siblings of a page: the left one's to its right, then the right one's
    /// to its left. Both must have led to that page.
    pub(super) fn link_around(
        &mut self,
        plan: &mut Plan,
        page: Siblings,
        (next_of_left, prev_of_right): (u32, u32),
    ) -> Result<(), EngineError> {
        for (sibling, is_left) in [(page.prev, true), (page.next, false)] {
            if sibling == 0 {
                continue;
            }
            let bytes = self.read(sibling)?;
            let found = Page::parse(&bytes, self.layout(), sibling)?;
            let (back, prev, next) = if is_left {
                (found.next, found.prev, next_of_left)
            } else {
                (found.prev, prev_of_right, found.next)
            };
            if back != page.number || found.kind != page.kind || page.prev == page.next {
                let fault = Fault::BadPage("its links contradict its siblings'");
                return Err(fault.on(page.number).into());
            }
            plan.change(sibling, self.relinked(sibling, prev, next)?);
        }
        Ok(())
    }
}
