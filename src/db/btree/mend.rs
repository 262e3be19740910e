//! Repairs what an interrupted update of ours has left, before the next change.
//!
//! Whichever write of an update was the last, the internal pages lead to every record exactly once. So they
//! are right, and the links between siblings are made to agree with them on each level. This remains true
//! if a program that does not know the mark has changed the file since.
//!
//! Only space is lost: pages that were allocated but not yet used, or no longer used but not yet freed.

use super::super::EngineError;
use super::super::file::PageFile;
use super::header::Update;
use super::page::Page;
use super::search::Leaves;
use super::store::Store;
use std::rc::Rc;

impl<F: PageFile> Store<F> {
    /// Repairs the tree and removes the mark.
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
        self.meta.update = Update::Complete;
        self.commit()
    }

    /// Sets the links of a page according to the tree.
    fn relink(&mut self, number: u32, prev: u32, next: u32) -> Result<(), EngineError> {
        let bytes = self.read(number)?;
        let page = Page::parse(&bytes, self.layout(), number)?;
        if (page.prev, page.next) != (prev, next) {
            let image = self.relinked(number, prev, next)?;
            self.changed.insert(number, Rc::new(image));
        }
        Ok(())
    }
}
