//! Finds a key: the chain of the bucket that its hash selects is read and checked completely.
//!
//! A pair outside its own bucket is damage, unless an unfinished split has left a copy.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::chain::{Bucket, Node, Spot};
use super::header::hash;
use super::store::Writer;
use crate::db::file::PageFile;
use crate::db::{EngineError, Fault, Record};
use std::collections::HashSet;

impl<F: PageFile> Writer<F> {
    /// Reads and checks a bucket's chain.
    pub(super) fn load(&self, bucket: u32) -> Result<Bucket, EngineError> {
        let chain = self.load_pages(bucket)?;
        self.look_along(&chain, bucket, &mut |_, _| {})?;
        Ok(chain)
    }

    /// The same; also returns the place of `key` in the chain.
    pub(super) fn search(
        &self,
        bucket: u32,
        key: &[u8],
    ) -> Result<(Bucket, Vec<Spot>), EngineError> {
        let chain = self.load_pages(bucket)?;
        let mut found = Vec::new();
        self.look_along(&chain, bucket, &mut |spot, record| {
            if *record.key == *key {
                found.push(spot);
            }
        })?;
        Ok((chain, found))
    }

    /// The value of `key` in a bucket. This does not check whether keys are in the right bucket, since
    /// nothing is written.
    pub(super) fn value_in(&self, bucket: u32, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let chain = self.load_pages(bucket)?;
        let mut records = chain.records()?.into_iter();
        let found = records.find(|(_, record)| *record.key == *key);
        Ok(found.map(|(_, record)| record.value.into_owned()))
    }

    /// Checks that every pair in a chain is in its own bucket, or a copy of one that is.
    fn look_along(
        &self,
        chain: &Bucket,
        bucket: u32,
        tell: &mut dyn FnMut(Spot, Record<'_>),
    ) -> Result<(), EngineError> {
        let is_unmended = self.note.is_some() && !self.is_mended;
        for (spot, record) in chain.records()? {
            let home = self.header.bucket_of(hash(&record.key));
            if home != bucket && !is_unmended && !self.is_copy(&record.key, home)? {
                let (Spot::Page { node, .. } | Spot::Big { first: node, .. }) = spot;
                let number = chain.nodes.get(node).map_or(0, |node| node.number);
                return Err(Fault::BadPage("key in the wrong bucket").on(number).into());
            }
            tell(spot, record);
        }
        Ok(())
    }

    /// Whether a key found elsewhere is in its own bucket too, because of an unfinished split.
    fn is_copy(&self, key: &[u8], home: u32) -> Result<bool, EngineError> {
        let chain = self.load_pages(home)?;
        let records = chain.records()?;
        Ok(records.iter().any(|(_, record)| *record.key == *key))
    }

    pub(super) fn load_pages(&self, bucket: u32) -> Result<Bucket, EngineError> {
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
                let fault = Fault::BadPage("in use, but not marked in use");
                return Err(fault.on(page.page).into());
            }
            let bytes = self.read_page(page.page)?;
            nodes.push(Node { number: page.page, address: Some(address), page: bytes });
        }
        Ok(Bucket { nodes })
    }
}
