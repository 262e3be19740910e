//! Mending: what an update that was cut short has left is put right before the next change.
//!
//! Whatever write of an update was its last, the internal pages lead to every record, and to each once.
//! So they are right, and the links between siblings are made to agree with them on each level. A
//! program that knows nothing of the mark may have changed the file since; that changes nothing in this.
//!
//! What is lost is space: pages that were taken and not yet entered, or left and not yet freed.

use super::super::EngineError;
use super::super::file::PageFile;
use super::header::Update;
use super::page::Page;
use super::search::Leaves;
use super::store::Store;
use std::rc::Rc;

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
        self.meta.update = Update::Complete;
        self.commit()
    }

    /// Gives a page the links that the tree says it has.
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
