//! Hosts that passed: they had waited, and are whitelisted now.
//!
//! spamd removes the tuples of a host that passes, and its WHITE record has the time at which the tuple that
//! passed was entered. The tuples are found again among those remembered since then; whoever is whitelisted
//! without any has not waited. With `remember tuples no` nobody is known to have passed.

use super::block::{Seen, unpack};
use super::error::Error;
use super::key::{self, BLOCKS, PASSED, Place};
use super::record::Tuples;
use super::store::Store;
use crate::evidence::{Entry, Key};
use redb::{ReadableDatabase, ReadableTable, WriteTransaction};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Hosts that are known to have passed at most.
const MOST: u64 = 500_000;

/// Notes which of these hosts have passed, with the time of the tuple that did; the evidence that this is.
pub fn note(
    transaction: &WriteTransaction,
    white: &[(IpAddr, i64)],
    now: i64,
) -> Result<Vec<(Key, Entry)>, Error> {
    let mut passed = transaction.open_table(PASSED)?;
    let mut new = HashMap::new();
    for (address, first) in white {
        let known = passed.get(&key::passed(*address))?.map(|time| time.value());
        if known.is_none_or(|known| known < *first) {
            new.insert(address.to_canonical(), *first);
        }
    }
    let Some(since) = new.values().min() else { return Ok(Vec::new()) };
    let blocks = transaction.open_table(BLOCKS)?;
    let (mut evidence, mut hosts) = (Vec::new(), HashSet::new());
    // A scan saw the tuple after it had been entered.
    for block in blocks.range::<&Place>(&key::place(*since, 0)..)? {
        for Seen { address, to, .. } in unpack(block?.1.value()) {
            if !new.contains_key(&address.to_canonical()) {
                continue;
            }
            hosts.insert(address.to_canonical());
            if let Some(key) = Key::recipient(&to) {
                let mut entry = Entry::default();
                entry.note_passed(now);
                evidence.push((key, entry));
            }
        }
    }
    for address in hosts {
        if redb::ReadableTableMetadata::len(&passed)? < MOST {
            passed.insert(&key::passed(address), now)?;
        }
    }
    evidence.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    evidence.dedup_by(|(one, _), (other, _)| one == other);
    Ok(evidence)
}

impl Store {
    /// When a host passed, in seconds since 1970, if it is known to have done so.
    ///
    /// # Errors
    /// Those of the file.
    pub fn passed(&self, address: IpAddr) -> Result<Option<i64>, Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(PASSED)?;
        Ok(table.get(&key::passed(address))?.map(|time| time.value()))
    }

    /// All hosts that are known to have passed since a time in seconds since 1970, each with its time.
    ///
    /// # Errors
    /// Those of the file.
    pub fn all_passed(&self, since: i64) -> Result<Vec<(IpAddr, i64)>, Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(PASSED)?;
        let mut found = Vec::new();
        for entry in table.iter()? {
            let (address, time) = entry?;
            if time.value() >= since {
                found.push((IpAddr::from(*address.value()).to_canonical(), time.value()));
            }
        }
        Ok(found)
    }

    /// A page of at most `most` blocks of tuples in the order of scans, from `from` on, none of a scan before
    /// `since`.
    ///
    /// # Errors
    /// Those of the file.
    pub fn tuples(&self, since: i64, from: Option<Place>, most: usize) -> Result<Tuples, Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(BLOCKS)?;
        let first = from.unwrap_or_else(|| key::place(since, 0));
        let mut found = Tuples::default();
        for entry in table.range::<&Place>(&first..)? {
            let (place, bytes) = entry?;
            if found.blocks.len() >= most {
                found.next = Some(*place.value());
                return Ok(found);
            }
            found.blocks.push((key::time(place.value()), bytes.value().to_vec()));
        }
        found.passed = self.all_passed(since)?;
        Ok(found)
    }
}
