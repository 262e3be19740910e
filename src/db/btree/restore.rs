//! Restores a sound tree from what the reference has left ([`super::leftover`]).
//!
//! The whole tree is written again behind the end of the file, and the single write of the root switches to
//! it. The old pages are lost, since it is unknown which of them are on the free list.

use super::super::file::PageFile;
use super::super::transaction::{self, Write};
use super::super::{EngineError, Record};
use super::edit::{Node, child_item, overflow_size};
use super::header::{Meta, ROOT, Update};
use super::page::{Child, Field, Kind};
use super::read::Tree;
use super::store::{Plan, Store};
use super::write::Writer;
use std::borrow::Cow;

/// A page, and the smallest key that a search may look for on it.
type Known<'a> = (u32, Cow<'a, [u8]>);

impl<F: PageFile> Writer<F> {
    /// Opens and restores a file that another program left when it was killed or the disk was full. `image`
    /// is the whole file.
    ///
    /// # Errors
    ///
    /// The file is damaged, or has keys too long for a page above the leaves.
    pub fn restore(file: F, image: &[u8]) -> Result<Writer<F>, EngineError> {
        let tree = Tree::new(image)?;
        let mut records = tree.leftovers()?;
        records.sort_by(|a, b| a.key.cmp(&b.key));
        let mut writer = Writer::open(file)?;
        let plan = writer.rebuilt(&records, tree.has_partial_page())?;
        writer.store.replace_by(plan)?;
        Writer::open(writer.into_file())
    }

    /// Plans a tree with these records, which are in ascending order. If the file ends in the middle of a
    /// page, that page is completed.
    fn rebuilt(&mut self, records: &[Record<'_>], cut: bool) -> Result<Plan, EngineError> {
        self.store.meta.free = 0;
        let mut plan = self.store.plan();
        if cut {
            // The file ends with a whole page again.
            let number = self.store.allocate(&mut plan)?;
            plan.fresh(number, Node::empty(number, Kind::Leaf).encode(self.store.layout())?);
        }
        let mut items = Vec::with_capacity(records.len());
        let mut before: &[u8] = &[];
        for Record { key, value } in records {
            let item = self.item(&mut plan, key, value, None)?;
            items.push((item, Cow::Borrowed(separator(before, key))));
            before = key;
        }
        self.store.stack(&mut plan, items)?;
        Ok(plan)
    }
}

impl<F: PageFile> Store<F> {
    /// Writes the plan of a new tree; everything else in the file becomes unused.
    fn replace_by(&mut self, plan: Plan) -> Result<(), EngineError> {
        let write = |(number, image): (u32, Vec<u8>)| (self.offset(number), image);
        let fresh: Vec<Write> = plan.fresh.into_iter().map(write).collect();
        let root: Vec<Write> = plan.main.into_iter().map(write).collect();
        let meta = |update| vec![(0, Meta { free: 0, update, ..self.meta }.encode())];
        let mut rooms: Vec<u64> = fresh.iter().map(|(offset, _)| *offset).collect();
        rooms.sort_unstable();
        let groups = vec![meta(Update::CutShort), fresh, root, meta(Update::Complete)];
        let plan = transaction::Plan { page_size: self.layout().page_size, rooms, groups };
        Ok(transaction::write(&mut self.file, self.length, &plan)?)
    }

    /// Plans a tree with these items, level by level, up to the root.
    fn stack<'k>(
        &mut self,
        plan: &mut Plan,
        mut items: Vec<(Vec<u8>, Cow<'k, [u8]>)>,
    ) -> Result<(), EngineError> {
        let (layout, mut kind) = (self.layout(), Kind::Leaf);
        loop {
            let mut root = Node::empty(ROOT, kind);
            root.items = items.iter().map(|(item, _)| Cow::Borrowed(item.as_slice())).collect();
            if root.fits(layout) {
                plan.change(ROOT, root.encode(layout)?);
                return Ok(());
            }
            let level = self.level(plan, items, kind)?;
            items = Vec::with_capacity(level.len());
            for (page, key) in level {
                if key.len() > overflow_size(layout) {
                    return Err(EngineError::Refused(
                        "interrupted update of another program, and a key is too long to repair it",
                    ));
                }
                items.push((child_item(layout.order, Child { key: Field::Here(&key), page }), key));
            }
            kind = Kind::Internal;
        }
    }

    /// Plans the pages of a level.
    fn level<'k>(
        &mut self,
        plan: &mut Plan,
        items: Vec<(Vec<u8>, Cow<'k, [u8]>)>,
        kind: Kind,
    ) -> Result<Vec<Known<'k>>, EngineError> {
        let layout = self.layout();
        let mut known = Vec::new();
        let mut node = Node::empty(self.allocate(plan)?, kind);
        for (item, key) in items {
            node.items.push(Cow::Owned(item));
            if node.fits(layout) {
                if node.items.len() == 1 {
                    known.push((node.number, key));
                }
                continue;
            }
            let mut next = Node::empty(self.allocate(plan)?, kind);
            next.items.extend(node.items.pop());
            (node.next, next.prev) = (next.number, node.number);
            plan.fresh(node.number, node.encode(layout)?);
            known.push((next.number, key));
            node = next;
        }
        plan.fresh(node.number, node.encode(layout)?);
        Ok(known)
    }
}

/// The shortest prefix that distinguishes a key from the previous one (`__bt_defpfx()` in bt_utils.c).
fn separator<'k>(before: &[u8], key: &'k [u8]) -> &'k [u8] {
    let same = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    key.get(..same.saturating_add(1)).unwrap_or(key)
}
