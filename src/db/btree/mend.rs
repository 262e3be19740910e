//! Mending: what an update that was cut short has left is put right before the next change.
//!
//! Whatever write of an update was its last, the internal pages lead to every record, so they are right
//! and all else is made to agree with them: the links between siblings on each level, and leaves that
//! still hold records which have moved to another. A program that knows nothing of the mark may have
//! changed the file since; that changes nothing in this.
//!
//! What is lost is space: pages that were taken and not yet entered, or left and not yet freed.

use super::super::EngineError;
use super::super::file::PageFile;
use super::meta::Update;
use super::node::Node;
use super::page::{Kind, Page, Pair};
use super::search::{Leaves, Place};
use super::store::Store;

impl<F: PageFile> Store<F> {
    /// Puts the tree right and takes the mark away.
    pub(super) fn mend(&mut self) -> Result<(), EngineError> {
        let mut leaves = Leaves::new(self.pages);
        // The last page of each level, the root's first, with its links as they should be.
        let mut levels: Vec<(u32, u32)> = Vec::new();
        while let Some(path) = leaves.next(self)? {
            let pages = path.steps.iter().map(|step| step.page).chain([path.leaf]);
            for (depth, number) in pages.enumerate() {
                let Some(last) = levels.get_mut(depth) else {
                    levels.push((number, 0));
                    continue;
                };
                let (left, before) = *last;
                if left != number {
                    *last = (number, left);
                    self.relink(left, before, number)?;
                }
            }
        }
        for (number, before) in levels {
            self.relink(number, before, 0)?;
        }
        self.write_meta(Update::Complete, self.meta.free)
    }

    /// Gives a page the links that the tree says it has; a leaf loses what has moved elsewhere.
    fn relink(&mut self, number: u32, prev: u32, next: u32) -> Result<(), EngineError> {
        let bytes = self.read(number)?;
        let page = Page::parse(&bytes, self.layout(), number)?;
        let mut node = Node::of(&page)?;
        (node.prev, node.next) = (prev, next);
        if node.kind == Kind::Leaf && next != 0 {
            self.drop_moved(&mut node)?;
        }
        if (node.prev, node.next, node.items.len()) != (page.prev, page.next, page.count) {
            let image = node.encode(self.layout())?;
            self.write(number, &image)?;
        }
        Ok(())
    }

    /// Drops from a leaf the items that a search finds in another. Only a leaf that reaches into the
    /// next one can hold any.
    fn drop_moved(&mut self, leaf: &mut Node<'_>) -> Result<(), EngineError> {
        let bytes = self.read(leaf.next)?;
        let next = Page::parse(&bytes, self.layout(), leaf.next)?;
        let last = self.key_of(leaf, leaf.items.len().saturating_sub(1))?;
        let first = self.key_of(&Node::of(&next)?, 0)?;
        if last < first {
            return Ok(());
        }
        let mut index = 0;
        while index < leaf.items.len() {
            if let Some(key) = self.key_of(leaf, index)? {
                let path = self.descend(&key)?;
                let found = self.locate(&path, &key)?;
                if path.leaf != leaf.number && matches!(found, Place::At(_)) {
                    leaf.items.remove(index);
                    continue;
                }
            }
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn key_of(&mut self, leaf: &Node<'_>, index: usize) -> Result<Option<Vec<u8>>, EngineError> {
        let pair = leaf.items.get(index).and_then(|item| Pair::decode(item, self.layout().order));
        match pair {
            Some(pair) => Ok(Some(self.field(pair.key, leaf.number)?.into_owned())),
            None => Ok(None),
        }
    }
}
