//! Finds a key, going down from the root as the reference's search does.
//!
//! On an internal page a search follows the last key that is not greater than the one wanted; the first key
//! of the leftmost page on each level counts as smaller than anything. Keys are compared byte by byte, a
//! shorter one before its extensions, big ones by their real bytes.
//!
//! The reference files a big key by the bytes of its {page, size} reference, so it may be anywhere; other
//! keys are compared with its real bytes, so they may be misplaced too. In a leaf with a big key every item
//! is checked. If a key is not where it should be, and the file has a page that ever was on an overflow
//! chain, every leaf is searched. This is slow, but spamd makes such a file only if a stranger's HELO and
//! addresses take more than half a page.
//!
//! Source: `__bt_search()` in lib/libc/db/btree/bt_search.c, `__bt_cmp()` in bt_utils.c.

use super::super::file::PageFile;
use super::super::{EngineError, Fault};
use super::check::MAX_DEPTH;
use super::header::ROOT;
use super::page::{Field, Kind, Page};
use super::set::PageSet;
use super::store::Store;
use std::cmp::Ordering;
use std::rc::Rc;

/// One internal page on the path of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) page: u32,
    /// The item that the search followed, and the number of items.
    pub(super) index: usize,
    pub(super) count: usize,
}

/// From the root to a leaf.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// The internal pages, the root first; none if the root is the leaf.
    pub(super) steps: Vec<Step>,
    pub(super) leaf: u32,
    pub(super) bytes: Rc<Vec<u8>>,
}

/// Where in its leaf a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    At(usize),
    /// It is not there, but belongs before this item.
    Before(usize),
}

impl<F: PageFile> Store<F> {
    /// The leaf and the place of `key`, wherever it is.
    pub(super) fn find(&mut self, key: &[u8]) -> Result<(Path, Place), EngineError> {
        let path = self.descend(key)?;
        let place = self.locate(&path, key)?;
        if matches!(place, Place::Before(_))
            && self.has_overflow_pages()?
            && let Some((path, index)) = self.find_misfiled(key)?
        {
            return Ok((path, Place::At(index)));
        }
        Ok((path, place))
    }

    /// The leaf in which `key` should be.
    pub(super) fn descend(&mut self, key: &[u8]) -> Result<Path, EngineError> {
        let (mut steps, mut number) = (Vec::new(), ROOT);
        loop {
            let bytes = self.read(number)?;
            let page = Page::parse(&bytes, self.layout(), number)?;
            if page.kind == Kind::Leaf {
                self.check_edges(&steps, &page)?;
                return Ok(Path { steps, leaf: number, bytes });
            }
            let index = self.child_for(key, &page)?;
            number = self.step(&mut steps, &page, index)?;
        }
    }

    /// The place of the key in the leaf at the end of `path`.
    fn locate(&mut self, path: &Path, key: &[u8]) -> Result<Place, EngineError> {
        let page = Page::parse(&path.bytes, self.layout(), path.leaf)?;
        let mut big = false;
        for index in 0..page.count {
            big |= page.pair(index)?.key.chain().is_some();
        }
        if !big {
            return self.bisect(&page, |store, index| {
                store.compare(key, page.pair(index)?.key, page.number)
            });
        }
        let mut place = Place::Before(0);
        for index in 0..page.count {
            match self.compare(key, page.pair(index)?.key, page.number)? {
                Ordering::Equal => return Ok(Place::At(index)),
                Ordering::Greater => place = Place::Before(index.saturating_add(1)),
                Ordering::Less => {}
            }
        }
        Ok(place)
    }

    /// The item of an internal page that leads to `key`.
    fn child_for(&mut self, key: &[u8], page: &Page<'_>) -> Result<usize, EngineError> {
        let place = self.bisect(page, |store, index| {
            if index == 0 && page.prev == 0 {
                return Ok(Ordering::Greater);
            }
            store.compare(key, page.child(index)?.key, page.number)
        })?;
        Ok(match place {
            Place::At(index) => index,
            Place::Before(index) => index.saturating_sub(1),
        })
    }

    /// Binary search with the reference's midpoints: if keys on a page are out of order, the midpoints
    /// decide what it finds.
    fn bisect(
        &mut self,
        page: &Page<'_>,
        mut compare: impl FnMut(&mut Self, usize) -> Result<Ordering, EngineError>,
    ) -> Result<Place, EngineError> {
        let (mut base, mut left) = (0_usize, page.count);
        while left > 0 {
            let middle = base.saturating_add(left / 2);
            match compare(self, middle)? {
                Ordering::Equal => return Ok(Place::At(middle)),
                Ordering::Greater => {
                    base = middle.saturating_add(1);
                    left = left.saturating_sub(1) / 2;
                }
                Ordering::Less => left /= 2,
            }
        }
        Ok(Place::Before(base))
    }

    fn compare(&mut self, key: &[u8], with: Field<'_>, on: u32) -> Result<Ordering, EngineError> {
        Ok(key.cmp(&self.field(with, on)?))
    }

    /// Notes that the search follows the item at `index` on `page`; returns the page below it.
    fn step(
        &mut self,
        steps: &mut Vec<Step>,
        page: &Page<'_>,
        index: usize,
    ) -> Result<u32, EngineError> {
        if page.kind != Kind::Internal {
            let fault = Fault::BadPage("an overflow page, but linked as a leaf");
            return Err(fault.on(page.number).into());
        }
        // The leaf is one more level.
        if steps.len().saturating_add(1) >= MAX_DEPTH {
            let fault = Fault::BadPage("deeper in the tree than dbopen(3) can go");
            return Err(fault.on(page.number).into());
        }
        let child = page.child(index)?;
        steps.push(Step { page: page.number, index, count: page.count });
        Ok(child.page)
    }

    /// Checks that a leaf has a sibling on each side, unless the search went along that edge of the tree.
    fn check_edges(&self, steps: &[Step], leaf: &Page<'_>) -> Result<(), EngineError> {
        let leftmost = steps.iter().all(|step| step.index == 0);
        let rightmost = steps.iter().all(|step| step.index.saturating_add(1) == step.count);
        let unmarked = self.meta.update == super::header::Update::Complete;
        if unmarked && (leftmost != (leaf.prev == 0) || rightmost != (leaf.next == 0)) {
            return Err(Fault::BadPage("its links contradict the tree").on(leaf.number).into());
        }
        Ok(())
    }

    /// Searches every leaf for a key.
    fn find_misfiled(&mut self, key: &[u8]) -> Result<Option<(Path, usize)>, EngineError> {
        let mut leaves = Leaves::new(self.pages);
        while let Some(path) = leaves.next(self)? {
            let bytes = Rc::clone(&path.bytes);
            let page = Page::parse(&bytes, self.layout(), path.leaf)?;
            for index in 0..page.count {
                let found = page.pair(index)?.key;
                let same_size = match found {
                    Field::Here(bytes) => bytes.len() == key.len(),
                    Field::Chain(chain) => chain.size as usize == key.len(),
                };
                if same_size && self.compare(key, found, page.number)?.is_eq() {
                    return Ok(Some((path, index)));
                }
            }
        }
        Ok(None)
    }
}

/// A walk over all leaves, from left to right, through the internal pages.
#[derive(Debug)]
pub(super) struct Leaves {
    seen: PageSet,
    /// The path to the last leaf.
    steps: Vec<Step>,
    begun: bool,
}

impl Leaves {
    pub(super) fn new(pages: u32) -> Leaves {
        Leaves { seen: PageSet::new(pages), steps: Vec::new(), begun: false }
    }

    /// The path to the next leaf.
    pub(super) fn next<F: PageFile>(
        &mut self,
        store: &mut Store<F>,
    ) -> Result<Option<Path>, EngineError> {
        let Some(mut number) = self.turn(store)? else {
            return Ok(None);
        };
        loop {
            if !self.seen.insert(number) {
                return Err(Fault::Loop.on(number).into());
            }
            let bytes = store.read(number)?;
            let page = Page::parse(&bytes, store.layout(), number)?;
            if page.kind == Kind::Leaf {
                return Ok(Some(Path { steps: self.steps.clone(), leaf: number, bytes }));
            }
            number = store.step(&mut self.steps, &page, 0)?;
        }
    }

    /// Goes back up to the first page with a next item; returns the page below that item.
    fn turn<F: PageFile>(&mut self, store: &mut Store<F>) -> Result<Option<u32>, EngineError> {
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(Some(ROOT));
        }
        while let Some(step) = self.steps.pop() {
            let index = step.index.saturating_add(1);
            if index < step.count {
                let bytes = store.read(step.page)?;
                let page = Page::parse(&bytes, store.layout(), step.page)?;
                return store.step(&mut self.steps, &page, index).map(Some);
            }
        }
        Ok(None)
    }
}
