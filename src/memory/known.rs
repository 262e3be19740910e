//! Evidence by its keys: added to, asked for, and forgotten when it is old.

use super::error::Error;
use super::keep;
use super::key::{self, EVIDENCE, LIVE, META};
use super::recipients::{self, Watched};
use super::store::{Settings, Store, encoded};
use crate::evidence::{Entry, KEPT, Key, Kind};
use redb::{ReadableDatabase, ReadableTable, WriteTransaction};
use std::ops::Bound;
use std::time::Duration;

/// Keys that a batch looks at to find old ones: all in a few hours.
const SWEPT: usize = 5000;
/// How long it is known at least that a host which passed wrote to a recipient.
const PASSED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What evidence is too old.
#[derive(Clone, Copy)]
struct Age {
    since: i64,
    passed: i64,
}

impl Age {
    fn at(now: i64, settings: &Settings) -> Age {
        let before = |age| keep::cutoff(now, age, true);
        Age { since: before(KEPT), passed: before(PASSED.max(settings.verdicts)) }
    }
}

/// Adds evidence; the bytes that are then remembered, `size` being that of everything before.
pub fn add(
    transaction: &WriteTransaction,
    settings: &Settings,
    evidence: &[(Key, Entry)],
    now: i64,
    mut size: u64,
) -> Result<u64, Error> {
    let mut table = transaction.open_table(EVIDENCE)?;
    let mut meta = transaction.open_table(META)?;
    let mut own = meta.get("evidence")?.map(|bytes| bytes.value()).unwrap_or_default();
    let others = size.saturating_sub(own);
    // If there is no room, no new keys are entered.
    let most = keep::most_evidence(settings);
    let age = Age::at(now, settings);
    // Where tuples may not be kept, whom strangers wrote to is not kept either.
    let mut is_lost = false;
    let is_kept = |key: &Key| settings.tuples.is_some() || key.kind != Kind::Recipient;
    for (key, entry) in evidence.iter().filter(|(key, _)| is_kept(key)) {
        let name = key::evidence(key);
        let mut entry = entry.clone();
        if let Some(before) = table.get(name.as_slice())? {
            own = own.saturating_sub(cost(&name, before.value()));
            // What cannot be decoded is as good as not there.
            entry.merge(&postcard::from_bytes(before.value()).unwrap_or_default());
        } else if own >= most {
            is_lost |= entry.passed.is_some();
            continue;
        }
        entry.forget(age.since, age.passed);
        let value = encoded(&entry)?;
        own = own.saturating_add(cost(&name, &value));
        table.insert(name.as_slice(), value.as_slice())?;
    }
    if is_lost {
        recipients::forget_watch(&mut meta)?;
    }
    own = sweep(transaction, &mut table, age, own)?;
    meta.insert("evidence", own)?;
    size = others.saturating_add(own);
    Ok(size)
}

/// The bytes that an entry counts for.
fn cost(name: &[u8], value: &[u8]) -> u64 {
    u64::try_from(name.len().saturating_add(value.len())).unwrap_or(u64::MAX)
}

/// Forgets old entries among the next few; the bytes of evidence afterwards.
fn sweep(
    transaction: &WriteTransaction,
    table: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    age: Age,
    mut own: u64,
) -> Result<u64, Error> {
    let mut live = transaction.open_table(LIVE)?;
    let from = live.get("swept")?.map(|name| name.value().to_vec()).unwrap_or_default();
    let (mut old, mut next, mut count) = (Vec::new(), Vec::new(), 0usize);
    for found in table.range::<&[u8]>((Bound::Excluded(from.as_slice()), Bound::Unbounded))? {
        let (name, value) = found?;
        let entry = postcard::from_bytes::<Entry>(value.value());
        if entry.is_ok_and(|mut entry| !entry.forget(age.since, age.passed)) {
            next = name.value().to_vec();
        } else {
            own = own.saturating_sub(cost(name.value(), value.value()));
            old.push(name.value().to_vec());
        }
        count = count.saturating_add(1);
        if count >= SWEPT {
            break;
        }
    }
    if count < SWEPT {
        next.clear();
    }
    for name in old {
        table.remove(name.as_slice())?;
    }
    live.insert("swept", next.as_slice())?;
    Ok(own)
}

impl Store {
    /// What is known of these keys, and since when recipients are watched.
    ///
    /// # Errors
    /// Those of the file.
    pub fn known(&self, keys: &[Key]) -> Result<Watched, Error> {
        Ok(Watched { entries: self.evidence(keys)?, watch: self.watch()? })
    }

    /// What is known of these keys; those of which nothing is known are left out.
    ///
    /// # Errors
    /// Those of the file.
    pub fn evidence(&self, keys: &[Key]) -> Result<Vec<(Key, Entry)>, Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(EVIDENCE)?;
        let mut found = Vec::new();
        for key in keys {
            let Some(value) = table.get(key::evidence(key).as_slice())? else { continue };
            if let Ok(entry) = postcard::from_bytes(value.value()) {
                found.push((key.clone(), entry));
            }
        }
        Ok(found)
    }
}
