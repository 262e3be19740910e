//! The writer: changes a btree file in place, one key at a time.
//!
//! The caller keeps the file open and locked for a batch. An operation changes pages in memory, and the
//! batch is written when it is closed. Whichever write is the last before a kill, the reference still finds
//! every record that was there before ([`super::commit`] explains the order). A page is checked before it
//! is used, and nothing is changed unless everything that the operation needs is sound.

use super::super::file::PageFile;
use super::super::{ByteOrder, Engine, EngineError};
use super::edit::{Node, overflow_size, pair_item};
use super::header::{Duplicates, Meta, ROOT, Update, is_page_size};
use super::page::{Field, Kind, Layout, Page, Pair, REFERENCE};
use super::search::Place;
use super::split::Cut;
use super::store::{Plan, Store};
use std::borrow::Cow;

/// A btree file opened for reading and writing.
#[derive(Debug)]
pub struct Writer<F> {
    pub(super) store: Store<F>,
}

impl<F: PageFile> Writer<F> {
    /// Takes a btree file. Its meta page and the head of its free list must be valid, and duplicate keys
    /// must be forbidden, as in every file made by spamd.
    pub fn open(file: F) -> Result<Writer<F>, EngineError> {
        Store::open(file).map(|store| Writer { store })
    }

    /// Creates an empty tree in an empty file, with this machine's byte order.
    ///
    /// `page_size` is in bytes: even, 512 to 65536; the reference uses the file system's block size.
    pub fn create(file: F, page_size: u32) -> Result<Writer<F>, EngineError> {
        Self::create_in_order(file, page_size, ByteOrder::NATIVE)
    }

    /// The same for a machine with the given byte order.
    pub fn create_in_order(
        mut file: F,
        page_size: u32,
        order: ByteOrder,
    ) -> Result<Writer<F>, EngineError> {
        if !is_page_size(page_size) {
            return Err(EngineError::Refused("page size is not even or not in 512 to 65536"));
        }
        if file.length()? != 0 {
            return Err(EngineError::Refused("file is not empty"));
        }
        let layout = Layout { order, page_size: page_size as usize };
        let (duplicates, update) = (Duplicates::Forbidden, Update::Complete);
        let mut image = Meta { layout, free: 0, duplicates, update }.encode();
        image.resize(layout.page_size, 0);
        image.extend(Node::empty(ROOT, Kind::Leaf).encode(layout)?);
        // In one write: the reference opens a file with both pages or with none.
        file.write_at(&image, 0)?;
        Self::open(file)
    }

    /// Returns the file.
    pub fn into_file(self) -> F {
        self.store.into_file()
    }

    /// Writes the batch.
    ///
    /// # Errors
    ///
    /// The disk is full, or a write failed; the file is as it was before, unless it cannot be written at
    /// all.
    pub fn commit(&mut self) -> Result<(), EngineError> {
        self.store.commit()
    }

    /// Prepares a change: reads the file again if the last batch could not be written, and repairs what an
    /// interrupted update has left.
    fn begin(&mut self) -> Result<Plan, EngineError> {
        self.store.refresh()?;
        if self.store.meta.update == Update::CutShort {
            self.store.mend()?;
        }
        Ok(self.store.plan())
    }

    /// Plans a pair for the tree: a key or value that is too big for a page goes to an overflow chain.
    ///
    /// `found` is the key if it is already in the tree: its chain is reused. Which of the two goes is
    /// decided as in `__bt_put()` in bt_put.c, with one difference: if the key must go because it leaves no
    /// room for a reference to the value, a value that fits beside the key's reference stays.
    pub(super) fn item(
        &mut self,
        plan: &mut Plan,
        key: &[u8],
        value: &[u8],
        found: Option<Field<'_>>,
    ) -> Result<Vec<u8>, EngineError> {
        let limit = overflow_size(self.store.layout());
        let fits = |key: usize, value: usize| key.saturating_add(value) <= limit;
        let whole = fits(key.len(), value.len());
        let big_key = !whole && !fits(key.len(), REFERENCE);
        let big_value = !whole && !fits(if big_key { REFERENCE } else { key.len() }, value.len());
        let key = match found.and_then(|field| field.chain()) {
            Some(chain) if big_key => Field::Chain(chain),
            _ if big_key => Field::Chain(self.store.spill(plan, key)?),
            _ => Field::Here(key),
        };
        let value = match big_value {
            true => Field::Chain(self.store.spill(plan, value)?),
            false => Field::Here(value),
        };
        Ok(pair_item(self.store.layout().order, Pair { key, value }))
    }

    /// Removes one item with that key.
    fn delete_one(&mut self, key: &[u8]) -> Result<bool, EngineError> {
        let mut plan = self.begin()?;
        let (path, place) = self.store.find(key)?;
        let Place::At(index) = place else {
            return Ok(false);
        };
        let page = Page::parse(&path.bytes, self.store.layout(), path.leaf)?;
        let pair = page.pair(index)?;
        let mut node = Node::of(&page)?;
        node.items.remove(index);
        let unlinks = node.items.is_empty() && path.leaf != ROOT;
        if unlinks {
            // After a split in the same batch a walk may still need the way that this closes.
            if self.store.has_moved() {
                self.store.commit()?;
                return self.delete_one(key);
            }
            self.store.unlink_leaf(&mut plan, &path)?;
        } else {
            plan.change(path.leaf, node.encode(self.store.layout())?);
        }
        for chain in [pair.key, pair.value].iter().filter_map(Field::chain) {
            self.store.release_chain(&mut plan, chain)?;
        }
        self.store.apply(plan)?;
        if unlinks {
            self.store.commit()?
        }
        Ok(true)
    }
}

impl<F: PageFile> Engine for Writer<F> {
    fn byte_order(&self) -> ByteOrder {
        self.store.layout().order
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.store.refresh()?;
        let (path, place) = self.store.find(key)?;
        let Place::At(index) = place else {
            return Ok(None);
        };
        let page = Page::parse(&path.bytes, self.store.layout(), path.leaf)?;
        let value = self.store.field(page.pair(index)?.value, path.leaf)?;
        Ok(Some(value.into_owned()))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let mut plan = self.begin()?;
        let (path, place) = self.store.find(key)?;
        let page = Page::parse(&path.bytes, self.store.layout(), path.leaf)?;
        let mut node = Node::of(&page)?;
        let old = match place {
            Place::At(index) => Some(page.pair(index)?),
            Place::Before(_) => None,
        };
        let item = self.item(&mut plan, key, value, old.map(|old| old.key))?;
        let cut = enter(&mut node, place, item.clone());
        self.store.sort(&plan, &mut node)?;
        self.store.store_leaf(&mut plan, &path, node, cut)?;
        if let Some(old) = old {
            let new = Pair::decode(&item, self.store.layout().order);
            let kept = new.and_then(|new| new.key.chain());
            let left = [old.key.chain().filter(|chain| Some(*chain) != kept), old.value.chain()];
            for chain in left.into_iter().flatten() {
                self.store.release_chain(&mut plan, chain)?;
            }
        }
        self.store.apply(plan)
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, EngineError> {
        let deleted = self.delete_one(key)?;
        // If the reference does not find a key, it enters it again: there may be several.
        while deleted && self.store.has_overflow_pages()? && self.delete_one(key)? {}
        Ok(deleted)
    }

    fn close(mut self: Box<Self>) -> Result<(), EngineError> {
        self.commit()
    }
}

/// Enters an item; returns how to split the node if it is too full.
fn enter(node: &mut Node<'_>, place: Place, item: Vec<u8>) -> Cut {
    let index = match place {
        Place::At(index) => {
            if let Some(old) = node.items.get_mut(index) {
                *old = Cow::Owned(item);
            }
            index
        }
        Place::Before(index) => {
            let index = index.min(node.items.len());
            node.items.insert(index, Cow::Owned(item));
            index
        }
    };
    let last = node.next == 0 && index.saturating_add(1) == node.items.len();
    if last { Cut::BeforeLast } else { Cut::Middle }
}

impl<F: PageFile> Store<F> {
    /// Sorts a leaf with big keys by the real keys: the reference may have misfiled them, and others
    /// because of them.
    fn sort(&mut self, plan: &Plan, node: &mut Node<'_>) -> Result<(), EngineError> {
        let order = self.layout().order;
        let is_big = |item: &Cow<'_, [u8]>| {
            Pair::decode(item, order).is_some_and(|pair| pair.key.chain().is_some())
        };
        if !node.items.iter().any(is_big) {
            return Ok(());
        }
        let mut keyed = Vec::with_capacity(node.items.len());
        for item in std::mem::take(&mut node.items) {
            let field = Pair::decode(&item, order).map(|pair| pair.key);
            let field = field.unwrap_or(Field::Here(&[]));
            let key = self.planned_field(plan, field, node.number)?.into_owned();
            keyed.push((key, item));
        }
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        node.items = keyed.into_iter().map(|(_, item)| item).collect();
        Ok(())
    }
}
