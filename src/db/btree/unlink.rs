//! Removes an emptied leaf from the tree, and the pages above it that would have no items left.
//!
//! There must never be an empty leaf: the reference's walk reads past its items, and ends at once if the
//! first leaf is empty. So the leaf is not emptied, but unlinked. First the item that leads to it, or to
//! the highest page above it that has no other items, is removed in one write. Then the siblings of each
//! unlinked page are linked to each other, the right one first. Then the pages are freed. If the tree has
//! nothing else, the first write makes the root an empty leaf.
//!
//! The right sibling comes first in case the reference empties that one next: it then changes the page to
//! which this one leads back, which must be the previous page of the walk.
//!
//! Source: `__bt_pdelete()` and `__bt_relink()` in lib/libc/db/btree/bt_delete.c.

use super::super::file::PageFile;
use super::super::{EngineError, Fault};
use super::edit::Node;
use super::header::ROOT;
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
    /// Plans to remove the leaf at the end of `path`, which is not the root, from the tree.
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
        plan.released.extend(left);
        Ok(())
    }

    /// Plans to link the siblings of page `number` to each other.
    fn bypass(&mut self, plan: &mut Plan, number: u32) -> Result<(), EngineError> {
        let bytes = self.read(number)?;
        let Page { prev, next, kind, .. } = Page::parse(&bytes, self.layout(), number)?;
        let page = Siblings { number, kind, prev, next };
        self.link_back(plan, page, prev)?;
        self.link_on(plan, page, next)
    }

    /// Plans to change the left link of a page's right sibling, which must have led to that page.
    pub(super) fn link_back(
        &mut self,
        plan: &mut Plan,
        page: Siblings,
        to: u32,
    ) -> Result<(), EngineError> {
        if page.next == 0 {
            return Ok(());
        }
        let bytes = self.read(page.next)?;
        let sibling = Page::parse(&bytes, self.layout(), page.next)?;
        if sibling.prev != page.number || sibling.kind != page.kind {
            return Err(Fault::BadPage("its links contradict its siblings'")
                .on(page.number)
                .into());
        }
        plan.change(page.next, self.relinked(page.next, to, sibling.next)?);
        Ok(())
    }

    /// Plans to change the right link of a page's left sibling, which must have led to that page.
    pub(super) fn link_on(
        &mut self,
        plan: &mut Plan,
        page: Siblings,
        to: u32,
    ) -> Result<(), EngineError> {
        if page.prev == 0 {
            return Ok(());
        }
        let bytes = self.read(page.prev)?;
        let sibling = Page::parse(&bytes, self.layout(), page.prev)?;
        if sibling.next != page.number || sibling.kind != page.kind || page.prev == page.next {
            return Err(Fault::BadPage("its links contradict its siblings'")
                .on(page.number)
                .into());
        }
        plan.change(page.prev, self.relinked(page.prev, sibling.prev, to)?);
        Ok(())
    }
}
