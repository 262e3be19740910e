//! The file under the writer: its pages, and what is kept of it in memory, header, note and bitmaps.
//!
//! [`super::write`] and [`super::split`] come here with pages to be written and for pages to write on. What
//! is read is looked at before anybody builds on it. Nothing is held back but the header and the bitmaps,
//! which [`Writer::commit`] writes, the bitmaps first.
//!
//! The header's number of keys is exact after closing; until then the file has one that is too high if
//! anything, since libc would count down from one too low until it is negative.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::alloc::{Map, Pages};
use super::edit::PageBuf;
use super::header::{self, Header};
use super::note::{self, Note};
use crate::db::file::PageFile;
use crate::db::{ByteOrder, EngineError, Fault};

/// libc's 16-bit offsets overflow in larger pages.
const LARGEST_PAGE: u32 = 32768;
/// How far the number of keys in the file is ahead: one more write for so many new keys.
const KEYS_AHEAD: i32 = 64;

/// A hash file open for writing.
#[derive(Debug)]
pub struct Writer<F> {
    file: F,
    length: u64,
    pub(super) header: Header,
    pub(super) note: Option<Note>,
    pub(super) pages: Pages,
    /// The header and the note that are in the file.
    written: (Header, Option<Note>),
}

impl<F: PageFile> Writer<F> {
    /// Opens a file that holds a table.
    ///
    /// # Errors
    ///
    /// The header or a bitmap page does not hold, or the pages are of 65536 bytes.
    pub fn open(file: F) -> Result<Self, EngineError> {
        let length = file.length()?;
        let mut head = [0; note::END];
        file.read_at(&mut head, 0)?;
        let header = Header::decode(&head).map_err(|fault| fault.on(0))?;
        if let Some(fault) = header.faults().next() {
            return Err(fault.on(0).into());
        }
        if header.bsize > LARGEST_PAGE {
            return Err(EngineError::Refused("hash with pages of 65536 bytes cannot be written"));
        }
        let note = Note::decode(&head);
        let written = (header.clone(), note);
        let pages = Pages::default();
        let mut writer = Writer { file, length, header, note, pages, written };
        writer.pages.maps = writer.read_maps()?;
        Ok(writer)
    }

    /// Makes an empty table in an empty file, as spamd's dbopen(3) makes it: two buckets, one bitmap,
    /// one free overflow page (`init_htab()` in lib/libc/db/hash/hash.c). The file is whole after the one
    /// write that this takes.
    ///
    /// # Errors
    ///
    /// The page size is no power of two from 512 to 32768, or the file is not empty.
    pub fn create(file: F, page_size: u32) -> Result<Self, EngineError> {
        Self::create_in_order(file, page_size, ByteOrder::NATIVE)
    }

    /// As [`Self::create`], for a machine of either byte order.
    pub fn create_in_order(
        mut file: F,
        page_size: u32,
        order: ByteOrder,
    ) -> Result<Self, EngineError> {
        if !page_size.is_power_of_two() || !(512..=LARGEST_PAGE).contains(&page_size) {
            return Err(EngineError::Refused("page size is no power of two from 512 to 32768"));
        }
        if file.length()? > 0 {
            return Err(EngineError::Refused("file is not empty"));
        }
        let header = Header::fresh(page_size, order);
        let map = header.fresh_map();
        let size = usize::try_from(page_size).unwrap_or(0);
        let mut image = vec![0; size.saturating_mul(3)];
        image.iter_mut().zip(header.encode()).for_each(|(place, byte)| *place = byte);
        image.extend_from_slice(&map);
        file.write_at(&image, 0)?;
        Ok(Writer {
            file,
            length: image.len() as u64,
            written: (header.clone(), None),
            header,
            note: None,
            pages: Pages { maps: vec![Map { bytes: map, changed: false }] },
        })
    }

    fn read_maps(&self) -> Result<Vec<Map>, EngineError> {
        (0..self.header.maps())
            .map(|map| {
                let page = self.header.map_page(map).map_err(|fault| fault.on(0))?.page;
                let bytes = self.read_bytes(page)?;
                if !self.header.is_set(&bytes, 0) {
                    return Err(Fault::BadPage("bitmap has itself free").on(page).into());
                }
                Ok(Map { bytes, changed: false })
            })
            .collect()
    }

    fn read_bytes(&self, number: u32) -> Result<Vec<u8>, EngineError> {
        let size = u64::from(self.header.bsize);
        let start = u64::from(number).saturating_mul(size);
        if start >= self.length {
            return Err(Fault::BeyondEnd.on(number).into());
        }
        if start.saturating_add(size) > self.length {
            return Err(Fault::Cut.on(number).into());
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        self.file.read_at(&mut bytes, start)?;
        Ok(bytes)
    }

    pub(super) fn read_page(&self, number: u32) -> Result<PageBuf, EngineError> {
        let page = PageBuf::new(self.read_bytes(number)?, self.header.order)
            .map_err(|fault| fault.on(number))?;
        if page.view().accounts() {
            Ok(page)
        } else {
            Err(Fault::BadPage("free space is not what the pairs leave").on(number).into())
        }
    }

    pub(super) fn write_page(&mut self, number: u32, page: &PageBuf) -> Result<(), EngineError> {
        self.write_bytes(number, page.bytes())
    }

    fn write_bytes(&mut self, number: u32, bytes: &[u8]) -> Result<(), EngineError> {
        let start = u64::from(number).saturating_mul(u64::from(self.header.bsize));
        self.file.write_at(bytes, start)?;
        self.length = self.length.max(start.saturating_add(bytes.len() as u64));
        Ok(())
    }

    /// Writes the bitmaps that have changed, then the header if pages, buckets or the note have.
    pub(super) fn commit(&mut self) -> Result<(), EngineError> {
        for at in 0..self.pages.maps.len() {
            let changed = self.pages.maps.get_mut(at).filter(|map| map.changed);
            let Some(map) = changed else { continue };
            map.changed = false;
            let bytes = map.bytes.clone();
            let page = self.header.map_page(at).map_err(|fault| fault.on(0))?.page;
            self.write_bytes(page, &bytes)?;
        }
        let (mut written, note) = self.written.clone();
        // What only hastens libc's work can wait, and keys are counted by themselves.
        written.nkeys = self.header.nkeys;
        written.last_freed = self.header.last_freed;
        if written != self.header || note != self.note { self.write_header() } else { Ok(()) }
    }

    /// Makes the number of keys in the file the exact one.
    pub(super) fn finish(&mut self) -> Result<(), EngineError> {
        let header = self.header.clone();
        if self.written.0 == header { Ok(()) } else { self.write_exactly(header) }
    }

    /// Makes the number of keys in the file one that a new key may be added to.
    pub(super) fn count_ahead(&mut self) -> Result<(), EngineError> {
        if self.written.0.nkeys > self.header.nkeys { Ok(()) } else { self.write_header() }
    }

    /// Writes the header with more keys than there are, so that some may be added.
    fn write_header(&mut self) -> Result<(), EngineError> {
        let nkeys = self.header.nkeys.saturating_add(KEYS_AHEAD);
        self.write_exactly(Header { nkeys, ..self.header.clone() })
    }

    fn write_exactly(&mut self, header: Header) -> Result<(), EngineError> {
        let head = note::append(&header.encode(), self.note);
        let length = if self.note == self.written.1 { header::SIZE } else { head.len() };
        self.file.write_at(head.get(..length).unwrap_or(&head), 0)?;
        self.written = (header, self.note);
        Ok(())
    }

    /// Has so many overflow pages given out: their addresses. [`Self::commit`] must come before any of
    /// them is written: to a header that does not know of a page, its place may be that of a bucket to
    /// come.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<u16>, EngineError> {
        (0..count).map(|_| self.pages.take(&mut self.header)).collect()
    }

    /// Writes pages one behind the other to the overflow pages of these addresses.
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
            self.write_page(place.page, &page)?;
        }
        Ok(())
    }

    /// Takes pages back that nothing leads to any more.
    pub(super) fn free(
        &mut self,
        addresses: impl IntoIterator<Item = u16>,
    ) -> Result<(), EngineError> {
        for address in addresses {
            self.pages.free(&mut self.header, address)?;
        }
        self.commit()
    }
}
