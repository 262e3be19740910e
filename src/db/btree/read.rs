//! The image of a whole file: its meta page, and its other pages by number, each checked when it is read.
//!
//! Called by [`crate::db::snapshot`]; [`super::walk`] walks the records, [`super::check`] reports every
//! fault. The image is untrusted: page numbers may be wrong, and a chain of pages may lead anywhere.

use super::super::{ByteOrder, Damage, Fault};
use super::big::Assembly;
use super::header::{Duplicates, Meta, ROOT};
use super::page::{Chain, Field, Page};
use super::set::PageSet;
use super::walk::Records;
use std::borrow::Cow;

/// A btree whose meta page makes sense.
#[derive(Debug)]
pub struct Tree<'a> {
    image: &'a [u8],
    pub(super) meta: Meta,
    /// Whole pages in the file, the meta page included.
    pub(super) pages: u32,
}

impl<'a> Tree<'a> {
    /// Takes the bytes of a whole file and checks the meta page.
    pub fn new(image: &'a [u8]) -> Result<Tree<'a>, Damage> {
        let meta = Meta::decode(image)?;
        let pages = image.len().checked_div(meta.layout.page_size).unwrap_or_default();
        // If the file has more than 2^32 pages, the others have no page number.
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        if pages <= ROOT {
            return Err(Fault::TooShort.on(0));
        }
        Ok(Tree { image, meta, pages })
    }

    /// The byte order of pages and values.
    pub fn byte_order(&self) -> ByteOrder {
        self.meta.layout.order
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u32 {
        u32::try_from(self.meta.layout.page_size).unwrap_or(u32::MAX)
    }

    /// Every record that can be reached, in file order, with the faults met in between.
    pub fn records(&self) -> Records<'_, 'a> {
        Records::new(self)
    }

    /// Whether the file ends in the middle of a page.
    pub(super) fn has_partial_page(&self) -> bool {
        !self.image.len().is_multiple_of(self.meta.layout.page_size)
    }

    /// The page that follows page `number` on the free list. The page was used before and may contain
    /// anything, except for that link.
    pub(super) fn free_after(&self, number: u32) -> u32 {
        let start = (number as usize).saturating_mul(self.meta.layout.page_size);
        self.byte_order().u32_at(self.image, start.saturating_add(8)).unwrap_or_default()
    }

    /// Whether a key may occur more than once.
    pub(super) fn allows_duplicates(&self) -> bool {
        self.meta.duplicates == Duplicates::Allowed
    }

    /// Whether the file has only zeros where page `number` would be.
    pub(super) fn is_hole(&self, number: u32) -> bool {
        let size = self.meta.layout.page_size;
        let start = (number as usize).checked_mul(size);
        let bytes = start.and_then(|start| self.image.get(start..)?.get(..size));
        bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    }

    /// Page `number`, which must not be the meta page.
    pub(super) fn page(&self, number: u32) -> Result<Page<'a>, Damage> {
        if number < ROOT {
            return Err(Fault::BadPage("linked to the meta page").on(number));
        }
        let size = self.meta.layout.page_size;
        let start = (number as usize).checked_mul(size).filter(|&start| start < self.image.len());
        let bytes = start.and_then(|start| self.image.get(start..)).ok_or(Fault::BeyondEnd);
        let bytes = bytes.map_err(|fault| fault.on(number))?;
        let bytes = bytes.get(..size).ok_or(Fault::Cut.on(number))?;
        Page::parse(bytes, self.meta.layout, number)
    }

    /// Page `number`, entered in `seen`.
    pub(super) fn unseen_page(&self, number: u32, seen: &mut PageSet) -> Result<Page<'a>, Damage> {
        let page = self.page(number)?;
        if seen.insert(number) { Ok(page) } else { Err(Fault::Loop.on(number)) }
    }

    /// The bytes of a key or data, found on page `found_on`.
    pub(super) fn bytes(
        &self,
        field: Field<'a>,
        found_on: u32,
        seen: &mut PageSet,
    ) -> Result<Cow<'a, [u8]>, Damage> {
        match field {
            Field::Here(bytes) => Ok(Cow::Borrowed(bytes)),
            Field::Chain(chain) => self.chain(chain, found_on, seen).map(Cow::Owned),
        }
    }

    fn chain(&self, chain: Chain, found_on: u32, seen: &mut PageSet) -> Result<Vec<u8>, Damage> {
        let mut assembly = Assembly::begin(chain, found_on, self.meta.layout, self.pages)?;
        while let Some(number) = assembly.wants() {
            assembly.take(&self.unseen_page(number, seen)?)?;
        }
        Ok(assembly.finish())
    }
}
