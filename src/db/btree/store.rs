//! The file below the writer: its pages as changed by the batch.
//!
//! An operation reads what it needs, puts all its changes into a [`Plan`], and passes the plan to
//! [`Store::apply`]: so faults in the file are found before anything is changed. All pages returned from
//! here have been checked. The caller has locked the file, so nobody else changes it meanwhile. Nothing is
//! written before [`Store::commit`], which knows the order.
//!
//! A batch allocates pages only from the free list or from behind the end of the file; pages that it frees
//! are available to the next batch.

use super::super::file::PageFile;
use super::super::{EngineError, Fault};
use super::big::Assembly;
use super::header::{Duplicates, Meta, ROOT};
use super::page::{Chain, Field, Kind, Layout, Page};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// The size of the cache of internal pages, in bytes.
const CACHE_BYTES: usize = 32 << 20;

/// A btree file opened for reading and writing.
#[derive(Debug)]
pub(super) struct Store<F> {
    pub(super) file: F,
    /// The meta page as changed by the batch.
    pub(super) meta: Meta,
    /// The meta page in the file.
    pub(super) written: Meta,
    /// The number of whole pages, including those that the batch has added.
    pub(super) pages: u32,
    /// The length of the file, in bytes.
    pub(super) length: u64,
    /// Internal pages of the file, since every search needs them.
    pub(super) cache: HashMap<u32, Rc<Vec<u8>>>,
    /// The pages that the batch has changed.
    pub(super) changed: BTreeMap<u32, Rc<Vec<u8>>>,
    /// The pages that it has allocated; those in use are also in [`Self::changed`].
    pub(super) fresh: BTreeSet<u32>,
    /// Allocated pages that it no longer uses.
    pub(super) spare: Vec<u32>,
    /// The pages of the file that it no longer uses, in order.
    pub(super) left: Vec<u32>,
    /// The left half of each page that it has split.
    pub(super) halves: HashMap<u32, u32>,
    /// Whether any page ever was on an overflow chain, once this is known.
    pub(super) overflow_pages: Option<bool>,
    /// Whether the file is known to be as it was when the batch began.
    pub(super) is_known: bool,
}

/// What one operation changes.
#[derive(Debug)]
pub(super) struct Plan {
    /// Pages to which nothing leads yet, and pages of which only a mark changes.
    pub(super) fresh: Vec<(u32, Vec<u8>)>,
    /// Pages in use.
    pub(super) main: Vec<(u32, Vec<u8>)>,
    /// Pages to which nothing will lead.
    pub(super) released: Vec<u32>,
    /// The pages it splits, and the left half of each.
    pub(super) halves: Vec<(u32, u32)>,
    /// The pages that it allocates.
    pub(super) taken: Vec<u32>,
    /// What is left to allocate from: the free list and the end of the file.
    pub(super) free: u32,
    pub(super) pages: u32,
}

impl<F: PageFile> Store<F> {
    /// Takes a file whose meta page and root are valid.
    pub(super) fn open(file: F) -> Result<Store<F>, EngineError> {
        let head = Head::read(&file)?;
        if head.meta.duplicates == Duplicates::Allowed {
            return Err(EngineError::Refused("a tree that allows duplicate keys is not written"));
        }
        Ok(Store {
            file,
            meta: head.meta,
            written: head.meta,
            pages: head.pages,
            length: head.length,
            cache: HashMap::new(),
            changed: BTreeMap::new(),
            fresh: BTreeSet::new(),
            spare: Vec::new(),
            left: Vec::new(),
            halves: HashMap::new(),
            overflow_pages: None,
            is_known: true,
        })
    }

    pub(super) fn into_file(self) -> F {
        self.file
    }

    pub(super) fn layout(&self) -> Layout {
        self.meta.layout
    }

    /// Reads the file again if the last batch could not be written.
    pub(super) fn refresh(&mut self) -> Result<(), EngineError> {
        if !self.is_known {
            let head = Head::read(&self.file)?;
            (self.meta, self.written) = (head.meta, head.meta);
            (self.pages, self.length) = (head.pages, head.length);
            self.cache.clear();
            self.forget();
        }
        Ok(())
    }

    /// Drops the batch.
    pub(super) fn forget(&mut self) {
        self.changed.clear();
        self.fresh.clear();
        self.spare.clear();
        self.left.clear();
        self.halves.clear();
        self.is_known = true;
    }

    /// The bytes of page `number` as changed by the batch, for [`Page::parse`].
    pub(super) fn read(&mut self, number: u32) -> Result<Rc<Vec<u8>>, EngineError> {
        match self.changed.get(&number) {
            Some(bytes) => Ok(Rc::clone(bytes)),
            None => self.read_stored(number),
        }
    }

    /// The bytes of page `number` in the file.
    pub(super) fn read_stored(&mut self, number: u32) -> Result<Rc<Vec<u8>>, EngineError> {
        if let Some(bytes) = self.cache.get(&number) {
            return Ok(Rc::clone(bytes));
        }
        if number < ROOT {
            return Err(Fault::BadPage("linked to the meta page").on(number).into());
        }
        if number >= self.pages {
            return Err(Fault::BeyondEnd.on(number).into());
        }
        let mut bytes = vec![0; self.layout().page_size];
        self.file.read_at(&mut bytes, self.offset(number))?;
        let bytes = Rc::new(bytes);
        let kind = Page::parse(&bytes, self.layout(), number).map(|page| page.kind);
        if kind == Ok(Kind::Internal) {
            if self.cache.len().saturating_mul(self.layout().page_size) >= CACHE_BYTES {
                self.cache.clear();
            }
            self.cache.insert(number, Rc::clone(&bytes));
        }
        Ok(bytes)
    }

    /// Whether any page is or was on an overflow chain: freed pages keep their kind. Reads the header of
    /// every page, once.
    pub(super) fn has_overflow_pages(&mut self) -> Result<bool, EngineError> {
        if let Some(known) = self.overflow_pages {
            return Ok(known);
        }
        let mut found = false;
        for number in ROOT..self.pages {
            let mut flags = [0; 4];
            self.file.read_at(&mut flags, self.offset(number).saturating_add(12))?;
            let flags = self.layout().order.u32_at(&flags, 0).unwrap_or_default();
            found = flags & Kind::Overflow.flags() != 0;
            if found {
                break;
            }
        }
        self.overflow_pages = Some(found);
        Ok(found)
    }

    /// The bytes of a key or value found on page `found_on`.
    pub(super) fn field<'a>(
        &mut self,
        field: Field<'a>,
        found_on: u32,
    ) -> Result<Cow<'a, [u8]>, EngineError> {
        match field {
            Field::Here(bytes) => Ok(Cow::Borrowed(bytes)),
            Field::Chain(chain) => self.chain(None, chain, found_on).map(Cow::Owned),
        }
    }

    /// The same if the plan may be about to write it.
    pub(super) fn planned_field<'a>(
        &mut self,
        plan: &Plan,
        field: Field<'a>,
        found_on: u32,
    ) -> Result<Cow<'a, [u8]>, EngineError> {
        match field {
            Field::Here(bytes) => Ok(Cow::Borrowed(bytes)),
            Field::Chain(chain) => self.chain(Some(plan), chain, found_on).map(Cow::Owned),
        }
    }

    fn chain(
        &mut self,
        plan: Option<&Plan>,
        chain: Chain,
        found_on: u32,
    ) -> Result<Vec<u8>, EngineError> {
        let pages = plan.map_or(self.pages, |plan| plan.pages);
        let mut assembly = Assembly::begin(chain, found_on, self.layout(), pages)?;
        while let Some(number) = assembly.wants() {
            let planned = plan.and_then(|plan| plan.fresh.iter().find(|(n, _)| *n == number));
            if let Some((_, image)) = planned {
                assembly.take(&Page::parse(image, self.layout(), number)?)?;
            } else {
                let bytes = self.read(number)?;
                assembly.take(&Page::parse(&bytes, self.layout(), number)?)?;
            }
        }
        Ok(assembly.finish())
    }

    /// A plan without writes.
    pub(super) fn plan(&self) -> Plan {
        Plan {
            fresh: Vec::new(),
            main: Vec::new(),
            released: Vec::new(),
            halves: Vec::new(),
            taken: Vec::new(),
            free: self.meta.free,
            pages: self.pages,
        }
    }

    /// Page `number` with other links to its siblings.
    pub(super) fn relinked(
        &mut self,
        number: u32,
        prev: u32,
        next: u32,
    ) -> Result<Vec<u8>, EngineError> {
        let order = self.layout().order;
        let mut image = self.read(number)?.to_vec();
        let links = [order.u32_bytes(prev), order.u32_bytes(next)];
        if let Some(place) = image.get_mut(4..12) {
            place.copy_from_slice(links.as_flattened());
        }
        Ok(image)
    }

    /// Carries out the plan in memory.
    pub(super) fn apply(&mut self, plan: Plan) -> Result<(), EngineError> {
        let Plan { fresh, main, released, halves, taken, free, pages } = plan;
        let was_fresh = |number: &u32| self.fresh.contains(number);
        let in_use = main.iter().map(|(number, _)| number).chain(&released);
        if let Some(number) = in_use.filter(|number| !was_fresh(number)).find(|number| {
            taken.contains(number) && !fresh.iter().any(|(fresh, _)| fresh == *number)
        }) {
            let fault = Fault::BadPage("on the free list, but in use or listed twice");
            return Err(fault.on(*number).into());
        }
        (self.meta.free, self.pages) = (free, pages);
        self.fresh.extend(taken);
        self.halves.extend(halves);
        for (number, image) in fresh.into_iter().chain(main) {
            self.changed.insert(number, Rc::new(image));
        }
        for number in released {
            self.changed.remove(&number);
            if self.fresh.contains(&number) {
                self.spare.push(number);
            } else {
                self.left.push(number);
            }
        }
        Ok(())
    }

    pub(super) fn offset(&self, number: u32) -> u64 {
        u64::from(number).saturating_mul(self.layout().page_size as u64)
    }
}

impl Plan {
    /// Adds a page to which nothing leads yet.
    pub(super) fn fresh(&mut self, number: u32, image: Vec<u8>) {
        self.fresh.push((number, image));
    }

    /// Changes a page in use.
    pub(super) fn change(&mut self, number: u32, image: Vec<u8>) {
        self.main.push((number, image));
    }

    /// Replaces a page by two fresh ones, which get its items.
    pub(super) fn split(&mut self, number: u32, left: u32) {
        self.halves.push((number, left));
    }

    /// The image of a page that the plan creates.
    pub(super) fn fresh_image(&mut self, number: u32) -> Option<&mut Vec<u8>> {
        self.fresh.iter_mut().find(|(fresh, _)| *fresh == number).map(|(_, image)| image)
    }
}

/// What must be known about a file before reading its pages.
struct Head {
    meta: Meta,
    /// The number of whole pages.
    pages: u32,
    length: u64,
}

impl Head {
    fn read<F: PageFile>(file: &F) -> Result<Head, EngineError> {
        let mut bytes = [0; Meta::SIZE];
        file.read_at(&mut bytes, 0)?;
        let meta = Meta::decode(&bytes)?;
        let length = file.length()?;
        let pages = length.checked_div(meta.layout.page_size as u64).unwrap_or_default();
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        if pages <= ROOT {
            return Err(Fault::TooShort.on(0).into());
        }
        if meta.free == ROOT || meta.free >= pages {
            return Err(Fault::Header("free").on(0).into());
        }
        Ok(Head { meta, pages, length })
    }
}
