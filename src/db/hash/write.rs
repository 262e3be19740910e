//! The writer: adds pairs to a hash file and removes them, in place.
//!
//! An operation changes pages in memory, and [`Writer::commit`](super::commit) writes a batch of
//! operations. Pairs go where libc would put them, so that a walk returns them in the same order, with two
//! exceptions: a pair that is alone on a page before a link is replaced there, while libc would move it to
//! a later page; and when a bucket is split, or a pair outgrows its page, pairs are packed more tightly
//! than in libc.
//!
//! Before a chain is changed, all of it is read and checked; a damaged file is not written. The caller
//! holds the lock.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::big;
use super::chain::{Bucket, Node, Spot};
use super::edit::PageBuf;
use super::header::{FFACTOR_UNKNOWN, hash};
use super::store::Writer;
use crate::db::file::PageFile;
use crate::db::{ByteOrder, Engine, EngineError, Fault, Record};

/// `MIN_FFACTOR`.
const MIN_FFACTOR: i32 = 4;
/// Larger pairs than this are refused: spamd's have at most five kilobytes.
const LARGEST_PAIR: usize = 1 << 20;

impl<F: PageFile> Writer<F> {
    /// Adds a pair, without searching the chain for its key, where `__addel()` in hash_page.c would: on the
    /// first page of `nodes`, the end of its chain, that already has pairs and room for one more, otherwise
    /// on the last.
    fn insert(&mut self, nodes: &[Node], key: &[u8], value: &[u8]) -> Result<Growth, EngineError> {
        let Some(last) = nodes.last() else {
            return Err(Fault::BadPage("chain has no end").on(0).into());
        };
        let squeezes = |node: &&Node| node.page.has_pairs() && node.page.squeezes(key, value);
        let fits = || Some(last).filter(|last| last.page.fits(key, value));
        if let Some(node) = nodes.iter().find(squeezes).or_else(fits) {
            let mut page = node.page.clone();
            page.put(key, value);
            self.write_page(node.number, page);
            return Ok(Growth::None);
        }
        if !last.page.links() {
            return Err(Fault::BadPage("no room for a link").on(last.number).into());
        }
        if self.header.ffactor == FFACTOR_UNKNOWN {
            let pairs = i32::try_from(last.page.view().entries() / 2).unwrap_or(i32::MAX);
            self.header.ffactor = pairs.max(MIN_FFACTOR);
        }
        let fresh = self.pages_for(key, value)?;
        let addresses = self.take(fresh.len())?;
        self.write_chain(fresh, &addresses)?;
        let mut page = last.page.clone();
        page.set_next(addresses.first().copied().unwrap_or(0));
        self.write_page(last.number, page);
        Ok(Growth::Chain)
    }

    /// The pages of a pair that needs its own.
    pub(super) fn pages_for(&self, key: &[u8], value: &[u8]) -> Result<Vec<PageBuf>, EngineError> {
        let mut page = self.blank();
        if page.fits(key, value) {
            page.put(key, value);
            Ok(vec![page])
        } else if value.is_empty() {
            Err(EngineError::Refused("key is too large for a page and has no data"))
        } else {
            Ok(big::pages(key, value, self.page_size(), self.header.order))
        }
    }

    /// Removes a pair from its chain.
    fn take_out(&mut self, chain: &Bucket, spot: Spot) -> Result<(), EngineError> {
        match spot {
            Spot::Page { node, index } => {
                let Some(node) = chain.nodes.get(node) else { return Ok(()) };
                let mut page = node.page.clone();
                page.remove(index);
                self.write_page(node.number, page);
                Ok(())
            }
            Spot::Big { first, last } => {
                // The page that leads to the first one is not searched for: the first one stays, empty.
                let pages = chain.nodes.get(first..=last).unwrap_or(&[]);
                let (Some(head), Some(tail)) = (pages.first(), pages.last()) else { return Ok(()) };
                let mut page = self.blank();
                if let Some(address) = tail.page.view().next() {
                    page.link(address);
                }
                self.write_page(head.number, page);
                self.free(pages.iter().skip(1).filter_map(|node| node.address))
            }
        }
    }

    /// Replaces the pair at `spot` by another, on the same page; false if it does not fit there.
    fn replace(
        &mut self,
        chain: &Bucket,
        spot: Spot,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, EngineError> {
        let Spot::Page { node, index } = spot else { return Ok(false) };
        let Some(node) = chain.nodes.get(node) else { return Ok(false) };
        let mut page = node.page.clone();
        page.remove(index);
        // libc leaves a page that has only a link alone; using it saves a write and a gap.
        let fits = page.fits(key, value) || page.squeezes(key, value);
        if fits {
            page.put(key, value);
            self.write_page(node.number, page);
        }
        Ok(fits)
    }

    /// Puts a pair; returns whether its bucket needed a new page, and whether the key is new.
    fn put_pair(&mut self, key: &[u8], value: &[u8]) -> Result<(Growth, bool), EngineError> {
        let bucket = self.header.bucket_of(hash(key));
        let (chain, spots) = self.search(bucket, key)?;
        let Some(first) = spots.first() else {
            return Ok((self.insert(chain.last(), key, value)?, true));
        };
        let alone = spots.len() == 1;
        if alone && self.replace(&chain, *first, key, value)? {
            return Ok((Growth::None, false));
        }
        self.repack(&chain, key, value)?;
        Ok((Growth::None, false))
    }

    /// Packs a chain again, with one pair instead of all that have its key.
    fn repack(&mut self, chain: &Bucket, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let pair = Record { key: key.into(), value: value.into() };
        let records: Vec<_> = chain.records()?.into_iter().map(|(_, record)| record).collect();
        let others = records.iter().filter(|record| *record.key != *key);
        let (head, tail) = self.pack(others.chain([&pair]))?;
        self.replace_chain(chain, head, tail)
    }

    /// Puts a pair where it belongs, unless its key is already there.
    pub(super) fn put_missing(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let (chain, spots) = self.search(self.header.bucket_of(hash(key)), key)?;
        if spots.is_empty() {
            self.insert(chain.last(), key, value)?;
        }
        Ok(())
    }

    fn count(&mut self, difference: i32) {
        self.header.nkeys = self.header.nkeys.saturating_add(difference).max(0);
    }

    /// Whether the table has more pairs than it should.
    fn is_crowded(&self) -> bool {
        let buckets = i64::from(self.header.max_bucket).saturating_add(1);
        i64::from(self.header.nkeys) / buckets > i64::from(self.header.ffactor)
    }
}

/// Whether a chain became longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    None,
    Chain,
}

impl<F: PageFile> Engine for Writer<F> {
    fn byte_order(&self) -> ByteOrder {
        self.header.order
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.refresh()?;
        match self.value_in(self.header.bucket_of(hash(key)), key)? {
            Some(value) => Ok(Some(value)),
            None => self.value_left(key),
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        if key.len().saturating_add(value.len()) > LARGEST_PAIR {
            return Err(EngineError::Refused("pair larger than a megabyte"));
        }
        // Refuse it first: a change must not fail half-way.
        self.pages_for(key, value)?;
        self.refresh()?;
        self.mend()?;
        let (grown, new) = self.put_pair(key, value)?;
        self.count(i32::from(new));
        if grown == Growth::Chain || self.is_crowded() { self.expand() } else { Ok(()) }
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, EngineError> {
        self.refresh()?;
        self.mend()?;
        let bucket = self.header.bucket_of(hash(key));
        let mut found = false;
        loop {
            let (chain, spots) = self.search(bucket, key)?;
            let Some(spot) = spots.into_iter().next() else { break };
            self.take_out(&chain, spot)?;
            found = true;
        }
        self.count(if found { -1 } else { 0 });
        Ok(found)
    }

    fn close(mut self: Box<Self>) -> Result<(), EngineError> {
        self.commit()
    }
}
