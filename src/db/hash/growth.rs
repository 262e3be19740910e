//! How the table grows next: what dbopen(3) will split, and how far the file may then extend.
//!
//! In: a file that libc has written completely. Out: numbers with which `db::libc` makes sure that there is
//! room.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::header::{HEADER_PAGES, Header, SIZE};
use super::page::Page;
use crate::db::file::PageFile;
use crate::db::{EngineError, Fault};
use std::collections::HashSet;

/// The next splits of a table.
#[derive(Debug)]
pub struct Growth {
    /// For each split, in the order in which they will be made, the pages in the chain that it divides.
    pub chains: Vec<u64>,
    /// The pages that the file has when every bucket of the doubling in which the last split is has one,
    /// holes included.
    pub pages: u64,
}

impl Growth {
    /// At most `most` splits, and no more than can be foreseen: each divides a bucket that exists now, and
    /// none divides a bucket twice. There is always one.
    ///
    /// A put makes one split at most (`__addel()` in lib/libc/db/hash/hash_page.c).
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no header of a hash.
    pub fn of(file: &impl PageFile, most: u32) -> Result<Growth, EngineError> {
        let mut head = [0; SIZE];
        file.read_at(&mut head, 0)?;
        let header = Header::decode(&head).map_err(|fault| fault.on(0))?;
        let foreseen = most.min(header.max_bucket.div_ceil(2)).max(1);
        let last = header.max_bucket.saturating_add(foreseen);
        let new = header.max_bucket.saturating_add(1)..=last;
        let chains = new.map(|bucket| length(file, &header, divided(bucket)));
        let buckets = u64::from(last).saturating_add(1).next_power_of_two();
        let others = u64::from(HEADER_PAGES) + u64::from(header.overflow_pages());
        Ok(Growth {
            chains: chains.collect::<Result<_, _>>()?,
            pages: buckets.saturating_add(others),
        })
    }
}

/// The bucket from which a new one gets its pairs: the same without the highest bit (`__expand_table()` in
/// hash.c).
fn divided(new: u32) -> u32 {
    new & !new.checked_ilog2().map_or(0, |bit| 1 << bit)
}

/// The number of pages in the chain of a bucket.
fn length(file: &impl PageFile, header: &Header, bucket: u32) -> Result<u64, EngineError> {
    let mut bytes = vec![0; usize::try_from(header.bsize).unwrap_or(0)];
    let (mut number, mut seen) = (header.bucket_page(bucket), HashSet::new());
    while seen.insert(number) {
        file.read_at(&mut bytes, u64::from(number).saturating_mul(u64::from(header.bsize)))?;
        let page = Page::new(&bytes, header.order).map_err(|fault| fault.on(number))?;
        let Some(next) = page.next() else { break };
        number = header.overflow_page(next).ok_or(Fault::BadLink.on(number))?.page;
    }
    Ok(seen.len() as u64)
}
