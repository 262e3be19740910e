//! What can be reached in a table with holes, and a new table of it ([`crate::db::repair`]).
//!
//! A hole ends the chain that leads to it. What libc has freed stays in the file, so a page that no chain
//! leads to says nothing, even if a bitmap marks it as in use.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::header::hash;
use super::note::Note;
use super::read::{Table, Walker};
use super::sound::{Maps, WRONG_BUCKET, require_account};
use super::store::Writer;
use super::walk::{Chain, Place, Source};
use crate::db::repair::{Bytes, Gaps, Salvage};
use crate::db::{Damage, Engine, EngineError, Fault, Record};
use std::borrow::Cow;
use std::collections::HashSet;

impl<'a> Table<'a> {
    /// The records that can be reached, and what is missing.
    ///
    /// # Errors
    ///
    /// The file is damaged in another way than by holes.
    pub fn salvage(&self) -> Result<Salvage<'a>, Damage> {
        let mut reach = Reach::new(self)?;
        for bucket in 0..=self.header.max_bucket {
            if let Err(damage) = reach.bucket(bucket) {
                reach.gap(damage)?;
                reach.broken.insert(bucket);
                // Later buckets are after this one.
                if damage == Fault::BeyondEnd.on(self.header.bucket_page(bucket)) {
                    reach.lose_from(bucket);
                    break;
                }
            }
        }
        reach.settle()
    }

    /// A new table with these records, otherwise like this one.
    ///
    /// # Errors
    ///
    /// The pages are too large for our writer, or there are no overflow pages left.
    pub fn rebuilt(&self, records: &[Record<'_>]) -> Result<Vec<u8>, EngineError> {
        let header = &self.header;
        let mut writer = Writer::create_in_order(Bytes::default(), header.bsize, header.order)?;
        writer.header.ffactor = header.ffactor;
        for record in records {
            writer.put(&record.key, &record.value)?;
        }
        writer.commit()?;
        Ok(writer.file.0)
    }
}

/// The walk over all chains.
struct Reach<'s, 'a> {
    table: &'s Table<'a>,
    walker: Walker<'s, 'a>,
    maps: Maps<'a>,
    gaps: Gaps,
    /// The buckets of which something is missing.
    broken: HashSet<u32>,
    /// The first bucket behind the end of the file.
    lost_from: Option<u32>,
    records: Vec<Record<'a>>,
    present: HashSet<Cow<'a, [u8]>>,
    /// Records in the wrong bucket, each with its page.
    astray: Vec<(Record<'a>, u32)>,
}

impl<'s, 'a> Reach<'s, 'a> {
    /// Checks everything but the chains.
    fn new(table: &'s Table<'a>) -> Result<Self, Damage> {
        let mut other = table.header.faults().next().map(|fault| fault.on(0));
        let counted = u64::try_from(table.header.nkeys).ok();
        let mut gaps = Gaps { counted, ..Gaps::default() };
        let mut tell = |damage: Damage| {
            if !gaps.count(damage.fault) {
                other.get_or_insert(damage);
            }
        };
        let maps = Maps::of(table, &mut tell);
        if Note::decode(table.image).is_some() {
            tell(Fault::CutShort.on(0));
        }
        table.unmade(None, &mut tell);
        if let Some(damage) = other {
            return Err(damage);
        }
        Ok(Reach {
            table,
            walker: Walker::new(table),
            maps,
            gaps,
            broken: HashSet::new(),
            lost_from: None,
            records: Vec::new(),
            present: HashSet::new(),
            astray: Vec::new(),
        })
    }

    fn gap(&mut self, damage: Damage) -> Result<(), Damage> {
        if self.gaps.count(damage.fault) { Ok(()) } else { Err(damage) }
    }

    fn lose_from(&mut self, bucket: u32) {
        let later = self.table.header.max_bucket.saturating_sub(bucket);
        let later = usize::try_from(later).unwrap_or(usize::MAX);
        self.gaps.beyond = self.gaps.beyond.saturating_add(later);
        self.lost_from = Some(bucket);
    }

    /// Collects the records of a bucket, up to a fault.
    fn bucket(&mut self, bucket: u32) -> Result<(), Damage> {
        let head = self.table.head(bucket)?;
        self.table.require_head(bucket, head)?;
        let mut chain = Chain::new(head);
        while let Some(item) = chain.next(self) {
            let record = item?;
            if self.table.header.bucket_of(hash(&record.key)) == bucket {
                self.take(record);
            } else {
                self.astray.push((record, chain.page()));
            }
        }
        Ok(())
    }

    fn take(&mut self, record: Record<'a>) {
        if self.present.insert(record.key.clone()) {
            self.records.push(record);
        }
    }

    /// A record in the wrong bucket is what a split has left, if its own bucket has it too or is missing.
    fn settle(mut self) -> Result<Salvage<'a>, Damage> {
        for (record, page) in std::mem::take(&mut self.astray) {
            let home = self.table.header.bucket_of(hash(&record.key));
            let is_lost = self.lost_from.is_some_and(|from| from <= home);
            let lacks = is_lost || self.broken.contains(&home);
            if !lacks && !self.present.contains(&record.key) {
                return Err(WRONG_BUCKET.on(page));
            }
            self.take(record);
        }
        Ok(Salvage { records: self.records, gaps: self.gaps })
    }
}

impl<'a> Source<'a> for Reach<'_, 'a> {
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        let place = self.walker.follow(from, address)?;
        require_account(place)?;
        self.maps.require_used(&self.table.header, address, place)?;
        Ok(place)
    }
}
