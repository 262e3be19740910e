//! The file under the writer: pages in, whole plans of page writes out.
//!
//! An operation reads what it needs, thinks it through to the end in a [`Plan`], and hands the plan to
//! [`Store::commit`]: what is wrong with the file is found before the first byte is written. All pages
//! that come out of here have been judged by their reader; the file is locked by the caller, so nobody
//! else changes it meanwhile.
//!
//! # Order of writes
//!
//! A plan of one write is that write. Any other is bracketed by two writes of the meta page: the first
//! takes the pages that the plan reuses off the free list and marks the update as under way, the last
//! puts the pages it released on the list and takes the mark away. In between come
//!
//! 1. pages to which nothing leads yet;
//! 2. pages in use, in the order that the operation gave;
//! 3. pages to which nothing leads any more, with their links on the free list.
//!
//! After each of these writes the file is one in which the reference finds every record. A kill in
//! between costs the pages of 1 and 3 until the mark is seen: see [`super::mend`].

use super::super::file::PageFile;
use super::super::{Damage, EngineError, Fault};
use super::big::Assembly;
use super::header::{Duplicates, Meta, ROOT, Update};
use super::page::{Chain, Field, Kind, Layout, Page};
use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

/// What the internal pages kept in memory may take.
const CACHE_BYTES: usize = 32 << 20;

/// A btree file opened for reading and writing.
#[derive(Debug)]
pub(super) struct Store<F> {
    file: F,
    pub(super) meta: Meta,
    /// Whole pages in the file.
    pub(super) pages: u32,
    /// Internal pages: every search passes them.
    cache: HashMap<u32, Rc<Vec<u8>>>,
    /// Whether there are pages that ever were on an overflow chain, once that was looked for.
    pub(super) overflow_pages: Option<bool>,
    /// A write failed: what is in memory may not be what is in the file.
    stale: bool,
}

/// The writes of one operation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fresh: Vec<(u32, Vec<u8>)>,
    pub(super) main: Vec<(u32, Vec<u8>)>,
    pub(super) released: Vec<(u32, Vec<u8>)>,
    /// The head of the free list once the pages that the plan reuses are taken off.
    pub(super) taken: u32,
    /// The same once those that it releases are put on.
    pub(super) free: u32,
    /// Pages in the file once the fresh ones are written.
    pub(super) pages: u32,
    /// The pages that the plan reuses.
    pub(super) reused: Vec<u32>,
}

impl<F: PageFile> Store<F> {
    /// Takes a file whose meta page and root make sense.
    pub(super) fn open(file: F) -> Result<Store<F>, EngineError> {
        let (meta, pages) = read_meta(&file)?;
        if meta.duplicates == Duplicates::Allowed {
            return Err(EngineError::Refused("a tree that allows duplicate keys is not written"));
        }
        let cache = HashMap::new();
        Ok(Store { file, meta, pages, cache, overflow_pages: None, stale: false })
    }

    pub(super) fn into_file(self) -> F {
        self.file
    }

    pub(super) fn layout(&self) -> Layout {
        self.meta.layout
    }

    /// Looks at the file again if the last write failed.
    pub(super) fn refresh(&mut self) -> Result<(), EngineError> {
        if self.stale {
            self.cache.clear();
            (self.meta, self.pages) = read_meta(&self.file)?;
            self.stale = false;
        }
        Ok(())
    }

    /// The bytes of page `number`, for [`Page::parse`].
    pub(super) fn read(&mut self, number: u32) -> Result<Rc<Vec<u8>>, EngineError> {
        if let Some(bytes) = self.cache.get(&number) {
            return Ok(Rc::clone(bytes));
        }
        if number < ROOT {
            return Err(Fault::BadPage("the meta page is linked to").on(number).into());
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

    /// Whether any page is or was on an overflow chain: freed pages keep their kind. Looks at the head
    /// of every page, once.
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

    /// The same, where the plan may be about to write it.
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
        let free = self.meta.free;
        let (fresh, main, released) = (Vec::new(), Vec::new(), Vec::new());
        Plan { fresh, main, released, taken: free, free, pages: self.pages, reused: Vec::new() }
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

    /// Makes the plan's writes.
    pub(super) fn commit(&mut self, plan: Plan) -> Result<(), EngineError> {
        let Plan { fresh, main, released, taken, free, reused, .. } = plan;
        let is_fresh = |number: &u32| fresh.iter().any(|(fresh, _)| fresh == number);
        let in_use = main.iter().chain(&released).map(|(number, _)| *number);
        let mut in_use = in_use.filter(|number| !is_fresh(number));
        if let Some(number) = in_use.find(|number| reused.contains(number)) {
            let fault = Fault::BadPage("on the free list, but in use or there twice");
            return Err(fault.on(number).into());
        }
        let mut writes = fresh.into_iter().chain(main).chain(released);
        let before = self.meta.free;
        match (writes.next(), writes.next()) {
            (None, _) => Ok(()),
            (Some((number, image)), None) if free == before => self.write(number, &image),
            (first, second) => {
                self.write_meta(Update::CutShort, taken)?;
                for (number, image) in first.into_iter().chain(second).chain(writes) {
                    self.write(number, &image)?;
                }
                self.write_meta(Update::Complete, free)
            }
        }
    }

    pub(super) fn write(&mut self, number: u32, image: &[u8]) -> Result<(), EngineError> {
        self.cache.remove(&number);
        self.stale = true;
        self.file.write_at(image, self.offset(number))?;
        self.stale = false;
        self.pages = self.pages.max(number.saturating_add(1));
        Ok(())
    }

    pub(super) fn write_meta(&mut self, update: Update, free: u32) -> Result<(), EngineError> {
        let meta = Meta { update, free, ..self.meta };
        self.stale = true;
        self.file.write_at(&meta.encode(), 0)?;
        self.stale = false;
        self.meta = meta;
        Ok(())
    }

    fn offset(&self, number: u32) -> u64 {
        u64::from(number).saturating_mul(self.layout().page_size as u64)
    }
}

impl Plan {
    /// A page to which nothing leads yet.
    pub(super) fn fresh(&mut self, number: u32, image: Vec<u8>) {
        self.fresh.push((number, image));
    }

    /// A page in use.
    pub(super) fn change(&mut self, number: u32, image: Vec<u8>) {
        self.main.push((number, image));
    }

    /// The image of a page that the plan makes anew.
    pub(super) fn fresh_image(&mut self, number: u32) -> Option<&mut Vec<u8>> {
        self.fresh.iter_mut().find(|(fresh, _)| *fresh == number).map(|(_, image)| image)
    }
}

/// The meta page, and the number of whole pages in the file.
fn read_meta<F: PageFile>(file: &F) -> Result<(Meta, u32), EngineError> {
    let mut bytes = [0; Meta::SIZE];
    file.read_at(&mut bytes, 0)?;
    let meta = Meta::decode(&bytes)?;
    let pages = file.length()?.checked_div(meta.layout.page_size as u64).unwrap_or_default();
    let pages = u32::try_from(pages).unwrap_or(u32::MAX);
    let damaged = |damage: Damage| Err(damage.into());
    if pages <= ROOT {
        return damaged(Fault::TooShort.on(0));
    }
    if meta.free == ROOT || meta.free >= pages {
        return damaged(Fault::Header("free").on(0));
    }
    Ok((meta, pages))
}
