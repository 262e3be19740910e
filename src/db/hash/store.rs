//! The file below the writer: its pages as changed by the batch, with header, note and bitmaps.
//!
//! [`super::write`] and [`super::split`] change pages and allocate pages here. Everything that is read is
//! checked before it is used. Nothing is written before [`Writer::commit`](super::commit), which knows the
//! order.
//!
//! To keep that order simple, every batch observes two rules:
//!
//! * it allocates a page only if the page is free in the file or does not exist yet; pages that it frees
//!   are available to the next batch;
//! * it moves a pair only to allocated pages or to a new bucket, never to another page in use.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::alloc::{Map, Pages};
use super::chain::Bucket;
use super::edit::PageBuf;
use super::header::Header;
use super::note::{self, Note};
use crate::db::file::PageFile;
use crate::db::{ByteOrder, EngineError, Fault};
use std::collections::{BTreeMap, BTreeSet};

/// libc's 16-bit offsets overflow in larger pages.
const LARGEST_PAGE: u32 = 32768;

/// A hash file open for writing.
#[derive(Debug)]
pub struct Writer<F> {
    pub(super) file: F,
    /// The length of the file.
    pub(super) length: u64,
    pub(super) header: Header,
    pub(super) pages: Pages,
    /// The header in the file.
    pub(super) written: Header,
    /// The note in the file, until the repair that it asks for is done.
    pub(super) note: Option<Note>,
    /// The pages that the batch has changed, except bitmaps.
    pub(super) changed: BTreeMap<u32, PageBuf>,
    /// The overflow pages that it has allocated.
    pub(super) fresh: BTreeSet<u32>,
    /// The overflow pages of the file to which nothing will lead.
    pub(super) freed: Vec<u16>,
    /// The pages to which those of old buckets that give away pairs are copied while the batch is written.
    pub(super) copies: BTreeMap<u32, u16>,
    /// Whether the batch has done the repair that the note asks for.
    pub(super) is_mended: bool,
    /// Whether the file is known to be as it was when the batch began.
    pub(super) is_known: bool,
}

/// Whether a file was to become an empty table but is incomplete: everything in it is part of an empty
/// table, but something is missing.
pub fn is_begun(image: &[u8]) -> bool {
    let sizes = (9..=LARGEST_PAGE.ilog2()).map(|shift| 1_u32 << shift);
    sizes.map(empty_table).any(|table| {
        let alike = table.iter().zip(image).all(|(whole, begun)| *begun == 0 || begun == whole);
        !image.is_empty() && image.len() <= table.len() && alike && *image != *table
    })
}

/// The bytes of an empty table.
fn empty_table(page_size: u32) -> Vec<u8> {
    let header = Header::fresh(page_size, ByteOrder::NATIVE);
    let size = usize::try_from(page_size).unwrap_or(0);
    let mut table = vec![0; size.saturating_mul(3)];
    table.iter_mut().zip(header.encode()).for_each(|(place, byte)| *place = byte);
    table.extend(header.fresh_map());
    table
}

impl<F: PageFile> Writer<F> {
    /// Opens a file with a table.
    ///
    /// # Errors
    ///
    /// The header or a bitmap page is damaged, or the pages have 65536 bytes.
    pub fn open(file: F) -> Result<Self, EngineError> {
        let header = Header::fresh(LARGEST_PAGE, ByteOrder::NATIVE);
        let mut writer = Writer::new(file, header);
        writer.read_anew()?;
        Ok(writer)
    }

    /// Makes an empty table in an empty file, as spamd's dbopen(3) makes it: two buckets, one bitmap,
    /// one free overflow page (`init_htab()` in lib/libc/db/hash/hash.c). It is written with the first batch.
    ///
    /// # Errors
    ///
    /// The page size is not a power of two from 512 to 32768, or the file is not empty.
    pub fn create(file: F, page_size: u32) -> Result<Self, EngineError> {
        Self::create_in_order(file, page_size, ByteOrder::NATIVE)
    }

    /// Like [`Self::create`], for a machine with the given byte order.
    pub fn create_in_order(file: F, page_size: u32, order: ByteOrder) -> Result<Self, EngineError> {
        if !page_size.is_power_of_two() || !(512..=LARGEST_PAGE).contains(&page_size) {
            return Err(EngineError::Refused("page size is not a power of two from 512 to 32768"));
        }
        if file.length()? > 0 {
            return Err(EngineError::Refused("file is not empty"));
        }
        Ok(Writer::new(file, Header::fresh(page_size, order)))
    }

    pub(super) fn new(file: F, header: Header) -> Self {
        let map = Map { bytes: header.fresh_map(), changed: false };
        Writer {
            file,
            length: 0,
            written: header.clone(),
            header,
            pages: Pages { maps: vec![map] },
            note: None,
            changed: BTreeMap::new(),
            fresh: BTreeSet::new(),
            freed: Vec::new(),
            copies: BTreeMap::new(),
            is_mended: false,
            is_known: true,
        }
    }

    /// Drops the batch and reads the file again.
    fn read_anew(&mut self) -> Result<(), EngineError> {
        self.length = self.file.length()?;
        let mut head = [0; note::END];
        self.file.read_at(&mut head, 0)?;
        self.header = Header::decode(&head).map_err(|fault| fault.on(0))?;
        if let Some(fault) = self.header.faults().next() {
            return Err(fault.on(0).into());
        }
        if self.header.bsize > LARGEST_PAGE {
            return Err(EngineError::Refused("hash with pages of 65536 bytes cannot be written"));
        }
        self.written = self.header.clone();
        self.note = Note::decode(&head);
        self.forget();
        self.pages.maps = self.read_maps()?;
        Ok(())
    }

    /// Reads the file again if the last batch could not be written.
    pub(super) fn refresh(&mut self) -> Result<(), EngineError> {
        if self.is_known {
            return Ok(());
        }
        if self.file.length()? > 0 {
            return self.read_anew();
        }
        let order = self.header.order;
        let fresh = Header::fresh(self.header.bsize, order);
        self.pages.maps = vec![Map { bytes: fresh.fresh_map(), changed: false }];
        (self.length, self.written, self.header) = (0, fresh.clone(), fresh);
        self.forget();
        Ok(())
    }

    /// Drops the batch.
    fn forget(&mut self) {
        self.changed.clear();
        self.fresh.clear();
        self.freed.clear();
        self.copies.clear();
        (self.is_mended, self.is_known) = (false, true);
    }

    fn read_maps(&self) -> Result<Vec<Map>, EngineError> {
        (0..self.header.maps())
            .map(|map| {
                let page = self.header.map_page(map).map_err(|fault| fault.on(0))?.page;
                let bytes = self.read_bytes(page)?;
                if !self.header.is_set(&bytes, 0) {
                    return Err(Fault::BadPage("bitmap marks its own page free").on(page).into());
                }
                Ok(Map { bytes, changed: false })
            })
            .collect()
    }

    /// The offset of a page in the file.
    pub(super) fn offset(&self, number: u32) -> u64 {
        u64::from(number).saturating_mul(u64::from(self.header.bsize))
    }

    pub(super) fn read_bytes(&self, number: u32) -> Result<Vec<u8>, EngineError> {
        let start = self.offset(number);
        let is_first = self.length == 0 && self.is_empty_bucket(number);
        if start >= self.length && !is_first {
            return Err(Fault::BeyondEnd.on(number).into());
        }
        if start.saturating_add(u64::from(self.header.bsize)) > self.length && !is_first {
            return Err(Fault::Cut.on(number).into());
        }
        let mut bytes = vec![0; self.page_size()];
        self.file.read_at(&mut bytes, start)?;
        Ok(bytes)
    }

    /// Whether a page belongs to a bucket of an empty table.
    fn is_empty_bucket(&self, number: u32) -> bool {
        (0..self.header.first_buckets()).any(|bucket| self.header.bucket_page(bucket) == number)
    }

    pub(super) fn page_size(&self) -> usize {
        usize::try_from(self.header.bsize).unwrap_or(0)
    }

    /// A page as it is in the file.
    pub(super) fn read_stored(&self, number: u32) -> Result<PageBuf, EngineError> {
        let page = PageBuf::new(self.read_bytes(number)?, self.header.order)
            .map_err(|fault| fault.on(number))?;
        if page.view().accounts() {
            Ok(page)
        } else {
            Err(Fault::BadPage("free space does not match the pairs").on(number).into())
        }
    }

    /// A page as changed by the batch.
    pub(super) fn read_page(&self, number: u32) -> Result<PageBuf, EngineError> {
        match self.changed.get(&number) {
            Some(page) => Ok(page.clone()),
            None => self.read_stored(number),
        }
    }

    pub(super) fn write_page(&mut self, number: u32, page: PageBuf) {
        self.changed.insert(number, page);
    }

    /// Allocates overflow pages; returns their addresses.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<u16>, EngineError> {
        let mut taken = Vec::with_capacity(count);
        for _ in 0..count {
            match self.pages.take(&mut self.header) {
                Ok(address) => {
                    let place = self.header.overflow_page(address).ok_or(Fault::BadLink.on(0))?;
                    // It may have been blanked as the place of a bucket, which is now elsewhere.
                    self.changed.remove(&place.page);
                    self.fresh.insert(place.page);
                    taken.push(address);
                }
                Err(error) => {
                    self.free(taken)?;
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    /// Writes a chain of pages to the overflow pages with these addresses.
    pub(super) fn write_chain(
        &mut self,
        pages: Vec<PageBuf>,
        addresses: &[u16],
    ) -> Result<(), EngineError> {
        let mut addresses = addresses.iter().copied().peekable();
        for mut page in pages {
            let address = addresses.next().unwrap_or(0);
            let place = self.header.overflow_page(address).ok_or(Fault::BadLink.on(0))?;
            if let Some(next) = addresses.peek() {
                page.set_next(*next);
            }
            self.write_page(place.page, page);
        }
        Ok(())
    }

    /// Replaces a whole chain by other pages. Only the bucket's own page is overwritten.
    pub(super) fn replace_chain(
        &mut self,
        old: &Bucket,
        head: PageBuf,
        tail: Vec<PageBuf>,
    ) -> Result<(), EngineError> {
        let Some(own) = old.nodes.first() else { return Ok(()) };
        let addresses = self.take(tail.len())?;
        self.write_chain(tail, &addresses)?;
        let head = self.linked(head, &addresses);
        self.write_page(own.number, head);
        self.free(old.nodes.iter().filter_map(|node| node.address))
    }

    /// Frees pages to which nothing leads any more.
    pub(super) fn free(
        &mut self,
        addresses: impl IntoIterator<Item = u16>,
    ) -> Result<(), EngineError> {
        for address in addresses {
            let page = self.header.overflow_page(address).ok_or(Fault::BadLink.on(0))?.page;
            self.changed.remove(&page);
            if self.fresh.remove(&page) {
                self.pages.free(&mut self.header, address)?;
            } else {
                self.freed.push(address);
            }
        }
        Ok(())
    }
}
