//! The writer: pairs put into a hash file and taken out of it, in place.
//!
//! Every operation writes through at once, in an order that leaves the file whole between any two
//! writes: what is new is written where nothing leads yet, then one write of one page makes it part of
//! the table.
//!
//! | change | writes |
//! |---|---|
//! | a pair put where it fits, taken off, replaced by one of its size | its page |
//! | a pair that needs another page | bitmaps; header; the new pages; the page that leads to them |
//! | a pair replaced that must move | the new one as above; then the old one's page |
//! | a big pair taken off | its first page, now a link past it; bitmaps |
//! | a bucket split | see `split` |
//!
//! The header's number of keys is exact after closing; until then the file has one that is too high if
//! anything, since libc would count down from one too low until it is negative.
//!
//! Pairs go where libc would put them, so that a walk gives them in the same order. Two things differ: a
//! pair that is alone on a page in front of a link is replaced there, in one write, where libc would move
//! it to a later page; and a split packs what stays and what moves closer than libc does around big pairs.
//!
//! Before a chain is changed all of it is read and looked at; a file that does not hold is not written.
//! The lock is the caller's.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::alloc::{Map, Pages};
use super::big;
use super::chain::{Loaded, Node, Spot};
use super::edit::PageBuf;
use super::header::{FFACTOR_UNKNOWN, Header, hash};
use super::note::{self, Note};
use crate::db::file::PageFile;
use crate::db::{ByteOrder, Engine, EngineError, Fault, Record};
use std::borrow::Cow;
use std::collections::HashSet;

/// libc's 16-bit offsets overflow in larger pages.
const LARGEST_PAGE: u32 = 32768;
/// `MIN_FFACTOR`.
const MIN_FFACTOR: i32 = 4;
/// How far the number of keys in the file is ahead: one more write for so many new keys.
const KEYS_AHEAD: i32 = 64;
/// Larger pairs than this are refused: spamd's are of five kilobytes at most.
const LARGEST_PAIR: usize = 1 << 20;

/// Where a pair is, and its value.
type Found = (Spot, Vec<u8>);

/// A hash file open for writing.
#[derive(Debug)]
pub struct Writer<F> {
    pub(super) file: F,
    pub(super) header: Header,
    /// What is to be found in the file.
    written: (Header, Option<Note>),
    pub(super) note: Option<Note>,
    pub(super) pages: Pages,
    length: u64,
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
        let mut writer = Writer { file, header, written, note, pages: Pages::default(), length };
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
            written: (header.clone(), None),
            header,
            note: None,
            pages: Pages { maps: vec![Map { bytes: map, changed: false }] },
            length: image.len() as u64,
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

    /// Makes the number of keys in the file one that a new key may be added to.
    fn count_ahead(&mut self) -> Result<(), EngineError> {
        if self.written.0.nkeys > self.header.nkeys { Ok(()) } else { self.write_header() }
    }

    /// Writes the header with more keys than there are, so that some may be added.
    fn write_header(&mut self) -> Result<(), EngineError> {
        let nkeys = self.header.nkeys.saturating_add(KEYS_AHEAD);
        self.write_exactly(Header { nkeys, ..self.header.clone() })
    }

    fn write_exactly(&mut self, header: Header) -> Result<(), EngineError> {
        let head = note::append(&header.encode(), self.note);
        let length = if self.note == self.written.1 { super::header::SIZE } else { head.len() };
        self.file.write_at(head.get(..length).unwrap_or(&head), 0)?;
        self.written = (header, self.note);
        Ok(())
    }

    /// Reads a bucket's chain and looks at all of it.
    pub(super) fn load(&self, bucket: u32) -> Result<Loaded, EngineError> {
        let chain = self.load_pages(bucket)?;
        self.look_along(&chain, bucket, &mut |_, _| {})?;
        Ok(chain)
    }

    /// The same; also tells where in the chain `key` is, and with which values.
    fn search(&self, bucket: u32, key: &[u8]) -> Result<(Loaded, Vec<Found>), EngineError> {
        let chain = self.load_pages(bucket)?;
        let mut found = Vec::new();
        self.look_along(&chain, bucket, &mut |spot, record| {
            if *record.key == *key {
                found.push((spot, record.value.into_owned()));
            }
        })?;
        Ok((chain, found))
    }

    /// Every pair of a chain must be in its own bucket, or a copy of one that is.
    fn look_along(
        &self,
        chain: &Loaded,
        bucket: u32,
        tell: &mut dyn FnMut(Spot, Record<'_>),
    ) -> Result<(), EngineError> {
        for (spot, record) in chain.records()? {
            let home = self.header.bucket_of(hash(&record.key));
            if home != bucket && self.note.is_none() && !self.is_copy(&record.key, home)? {
                let (Spot::Page { node, .. } | Spot::Big { first: node, .. }) = spot;
                let number = chain.nodes.get(node).map_or(0, |node| node.number);
                return Err(Fault::BadPage("key in the wrong bucket").on(number).into());
            }
            tell(spot, record);
        }
        Ok(())
    }

    /// Whether a key found elsewhere is in its own bucket too: a split that was not finished.
    fn is_copy(&self, key: &[u8], home: u32) -> Result<bool, EngineError> {
        let chain = self.load_pages(home)?;
        let records = chain.records()?;
        Ok(records.iter().any(|(_, record)| *record.key == *key))
    }

    fn load_pages(&self, bucket: u32) -> Result<Loaded, EngineError> {
        let number = self.header.bucket_page(bucket);
        let mut nodes = vec![Node { number, address: None, page: self.read_page(number)? }];
        let mut seen = HashSet::new();
        while let Some(last) = nodes.last()
            && let Some(address) = last.page.view().next()
        {
            let page = self.header.overflow_page(address).ok_or(Fault::BadLink.on(last.number))?;
            if !seen.insert(address) {
                return Err(Fault::UsedTwice.on(page.page).into());
            }
            if !self.pages.is_used(&self.header, page.ordinal) {
                let fault = Fault::BadPage("in use, and not marked as a page in use");
                return Err(fault.on(page.page).into());
            }
            let bytes = self.read_page(page.page)?;
            nodes.push(Node { number: page.page, address: Some(address), page: bytes });
        }
        Ok(Loaded { nodes })
    }

    /// Puts a pair whose key the chain need not be searched for where `__addel()` in hash_page.c puts
    /// it: on the first page of `nodes`, the end of its chain, that has pairs already and room for one
    /// more, otherwise on the last.
    fn insert(&mut self, nodes: &[Node], key: &[u8], value: &[u8]) -> Result<Grown, EngineError> {
        let Some(last) = nodes.last() else {
            return Err(Fault::BadPage("chain has no end").on(0).into());
        };
        let squeezes = |node: &&Node| node.page.has_pairs() && node.page.squeezes(key, value);
        let fits = || Some(last).filter(|last| last.page.fits(key, value));
        if let Some(node) = nodes.iter().find(squeezes).or_else(fits) {
            let mut page = node.page.clone();
            page.put(key, value);
            self.count_ahead()?;
            self.write_page(node.number, &page)?;
            return Ok(Grown::No);
        }
        if !last.page.links() {
            return Err(Fault::BadPage("no room for a link").on(last.number).into());
        }
        self.look_ahead()?;
        if self.header.ffactor == FFACTOR_UNKNOWN {
            let pairs = i32::try_from(last.page.view().entries() / 2).unwrap_or(i32::MAX);
            self.header.ffactor = pairs.max(MIN_FFACTOR);
        }
        let fresh = self.pages_for(key, value)?;
        let addresses = self.take(fresh.len())?;
        self.commit()?;
        self.count_ahead()?;
        self.write_chain(fresh, &addresses)?;
        let mut page = last.page.clone();
        page.set_next(addresses.first().copied().unwrap_or(0));
        self.write_page(last.number, &page)?;
        Ok(Grown::Yes)
    }

    /// The pages that a pair takes for itself.
    pub(super) fn pages_for(&self, key: &[u8], value: &[u8]) -> Result<Vec<PageBuf>, EngineError> {
        let size = usize::try_from(self.header.bsize).unwrap_or(0);
        let mut page = PageBuf::blank(size, self.header.order);
        if page.fits(key, value) {
            page.put(key, value);
            Ok(vec![page])
        } else if value.is_empty() {
            Err(EngineError::Refused("key too large for a page, and no data"))
        } else {
            Ok(big::pages(key, value, size, self.header.order))
        }
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

    /// Takes a pair out of its chain.
    fn take_out(&mut self, chain: &Loaded, spot: Spot) -> Result<(), EngineError> {
        match spot {
            Spot::Page { node, index } => {
                let Some(node) = chain.nodes.get(node) else { return Ok(()) };
                let mut page = node.page.clone();
                page.remove(index);
                self.write_page(node.number, &page)
            }
            Spot::Big { first, last } => {
                // The page that leads to the first is not looked for: the first stays, empty.
                let pages = chain.nodes.get(first..=last).unwrap_or(&[]);
                let (Some(head), Some(tail)) = (pages.first(), pages.last()) else { return Ok(()) };
                let size = head.page.bytes().len();
                let mut page = PageBuf::blank(size, self.header.order);
                if let Some(address) = tail.page.view().next() {
                    page.link(address);
                }
                self.write_page(head.number, &page)?;
                self.free(pages.iter().skip(1).filter_map(|node| node.address))
            }
        }
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

    /// Puts a pair in place of the one at `spot`, on the same page; false if it does not fit there.
    fn replace(
        &mut self,
        chain: &Loaded,
        spot: Spot,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, EngineError> {
        let Spot::Page { node, index } = spot else { return Ok(false) };
        let Some(node) = chain.nodes.get(node) else { return Ok(false) };
        let mut page = node.page.clone();
        page.remove(index);
        // libc leaves a page with nothing but its link as it is; this saves a write and a gap.
        let fits = page.fits(key, value) || page.squeezes(key, value);
        if fits {
            page.put(key, value);
            self.write_page(node.number, &page)?;
        }
        Ok(fits)
    }

    /// Puts a pair; tells whether its bucket needed a new page, and whether the key is new.
    fn put_pair(&mut self, key: &[u8], value: &[u8]) -> Result<(Grown, bool), EngineError> {
        let bucket = self.header.bucket_of(hash(key));
        let (chain, spots) = self.search(bucket, key)?;
        let Some((first, _)) = spots.first() else {
            return Ok((self.insert(chain.last(), key, value)?, true));
        };
        let alone = spots.len() == 1;
        if alone && self.replace(&chain, *first, key, value)? {
            return Ok((Grown::No, false));
        }
        let grown = self.insert(chain.from(*first), key, value)?;
        self.drop_others(bucket, key, value)?;
        Ok((grown, false))
    }

    /// Puts a pair where it belongs unless its key is there.
    pub(super) fn put_missing(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let (chain, spots) = self.search(self.header.bucket_of(hash(key)), key)?;
        if spots.is_empty() {
            self.insert(chain.last(), key, value)?;
        }
        Ok(())
    }

    /// Takes out every pair with this key but one with this value.
    fn drop_others(&mut self, bucket: u32, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        loop {
            let (chain, spots) = self.search(bucket, key)?;
            let keep = spots.iter().position(|(_, found)| found == value);
            let other = spots.iter().enumerate().find(|(at, _)| Some(*at) != keep);
            match other {
                Some((_, (spot, _))) if keep.is_some() => self.take_out(&chain, *spot)?,
                _ => return Ok(()),
            }
        }
    }

    fn count(&mut self, difference: i32) {
        self.header.nkeys = self.header.nkeys.saturating_add(difference).max(0);
    }

    /// Whether the table, with so many pairs more, has more than it should.
    fn is_crowded(&self, more: i64) -> bool {
        let buckets = i64::from(self.header.max_bucket).saturating_add(1);
        i64::from(self.header.nkeys).saturating_add(more) / buckets > i64::from(self.header.ffactor)
    }
}

/// Whether a chain became longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grown {
    No,
    Yes,
}

impl<F: PageFile> Engine for Writer<F> {
    fn byte_order(&self) -> ByteOrder {
        self.header.order
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        // Nothing is built on what is only read: that the keys are at home need not be proved.
        let chain = self.load_pages(self.header.bucket_of(hash(key)))?;
        let mut records = chain.records()?.into_iter();
        let found = records.find(|(_, record)| *record.key == *key);
        Ok(found.map(|(_, record)| Cow::into_owned(record.value)))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        if key.len().saturating_add(value.len()) > LARGEST_PAIR {
            return Err(EngineError::Refused("pair larger than a megabyte"));
        }
        // Refused before anything is looked at: a change must not fail half-way.
        self.pages_for(key, value)?;
        self.finish_split()?;
        if self.is_crowded(1) {
            self.look_ahead()?;
        }
        let (grown, new) = self.put_pair(key, value)?;
        self.count(i32::from(new));
        if grown == Grown::Yes || self.is_crowded(0) { self.expand() } else { Ok(()) }
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, EngineError> {
        let bucket = self.header.bucket_of(hash(key));
        self.finish_split()?;
        let mut found = false;
        loop {
            let (chain, spots) = self.search(bucket, key)?;
            let Some((spot, _)) = spots.into_iter().next() else { break };
            self.take_out(&chain, spot)?;
            found = true;
        }
        self.count(if found { -1 } else { 0 });
        Ok(found)
    }

    fn close(mut self: Box<Self>) -> Result<(), EngineError> {
        let header = self.header.clone();
        if self.written.0 == header { Ok(()) } else { self.write_exactly(header) }
    }
}
