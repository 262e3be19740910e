//! Forgets what is too old or too much, a little with each batch.

use super::error::Error;
use super::key::{self, BLOCKS, HOST, HOSTS, META, PASSED, PLACE, Place, TUPLES, VERDICTS};
use super::record;
use super::store::Settings;
use super::vouched;
use redb::{ReadableTable, WriteTransaction};
use std::time::Duration;

/// Records that a batch forgets at most, so that it does not take long; far more than a scan adds.
const MOST: usize = 5000;
/// A day in seconds.
const DAY: u64 = 24 * 60 * 60;
/// How long it is known that a domain vouched for a host: longer than anybody asks.
const VOUCHED: Duration = Duration::from_secs(8 * DAY);
/// Tuples of all hosts, evidence and verdicts share the file. Of so many parts of it the first two have at most
/// these, so that a flood of tuples or names does not drive out verdicts. With the usual size, tuples have room
/// for 14 days of 100,000, in some 70 bytes each.
const PARTS: u64 = 20;
const OF_TUPLES: u64 = 8;
const OF_EVIDENCE: u64 = 5;
/// Of so many bytes of the file one may be a byte of a key or value: the pages of a B-tree are half
/// full at worst, a transaction needs room beside what it replaces, and redb doubles the file to grow.
const SHARE: u64 = 4;

/// The bytes that a value and its keys count for.
pub fn cost(value: &[u8], has_host: bool) -> u64 {
    let keys = if has_host { PLACE.saturating_add(HOST) } else { PLACE };
    u64::try_from(value.len().saturating_add(keys)).unwrap_or(u64::MAX)
}

/// The bytes of keys and values that the file may have.
fn most(settings: &Settings) -> u64 {
    settings.size.checked_div(SHARE).unwrap_or_default()
}

/// The bytes of keys and values that evidence may have.
pub fn most_evidence(settings: &Settings) -> u64 {
    part(settings, OF_EVIDENCE)
}

fn part(settings: &Settings, parts: u64) -> u64 {
    most(settings).saturating_mul(parts).checked_div(PARTS).unwrap_or_default()
}

/// Forgets records and tuples that are too old at `now`, and the oldest of too many; `size` is that of
/// everything before, the result afterwards.
pub fn forget(
    transaction: &WriteTransaction,
    settings: &Settings,
    now: i64,
    mut size: u64,
) -> Result<u64, Error> {
    let mut verdicts = transaction.open_table(VERDICTS)?;
    let mut tuples = transaction.open_table(TUPLES)?;
    let mut hosts = transaction.open_table(HOSTS)?;
    let age = settings.tuples.unwrap_or(Duration::ZERO);
    let before = key::place(cutoff(now, age, settings.tuples.is_some()), 0);
    for _ in 0..MOST {
        let Some((place, value)) = tuples.first()? else { break };
        if *place.value() >= before {
            break;
        }
        size = size.saturating_sub(cost(value.value(), false));
        drop((place, value));
        tuples.pop_first()?;
    }
    let most = most(settings);
    size = forget_blocks(transaction, &before, part(settings, OF_TUPLES), size)?;
    let before = cutoff(now, settings.verdicts, true);
    forget_hosts(transaction, before, now)?;
    let before = key::place(before, 0);
    for _ in 0..MOST {
        let Some((key, value)) = verdicts.first()? else { break };
        let place = *key.value();
        if place >= before && size <= most {
            break;
        }
        let address = record::decode(0, value.value(), None).and_then(|record| record.address);
        size = size.saturating_sub(cost(value.value(), address.is_some()));
        drop((key, value));
        verdicts.pop_first()?;
        if let Some(kept) = tuples.remove(&place)? {
            size = size.saturating_sub(cost(kept.value(), false));
        }
        if let Some(address) = address {
            hosts.remove(&key::host(address, &place))?;
        }
    }
    Ok(size)
}

/// Forgets blocks of before a place, and the oldest if they have more than `most` bytes.
fn forget_blocks(
    transaction: &WriteTransaction,
    before: &Place,
    most: u64,
    size: u64,
) -> Result<u64, Error> {
    let mut blocks = transaction.open_table(BLOCKS)?;
    let mut meta = transaction.open_table(META)?;
    let had = meta.get("blocks")?.map(|bytes| bytes.value()).unwrap_or_default();
    let mut own = had;
    for _ in 0..MOST {
        let Some((place, value)) = blocks.first()? else { break };
        if place.value() >= before && own <= most {
            break;
        }
        own = own.saturating_sub(cost(value.value(), false));
        drop((place, value));
        blocks.pop_first()?;
    }
    meta.insert("blocks", own)?;
    Ok(size.saturating_sub(had.saturating_sub(own)))
}

/// Forgets hosts that passed before this time, and those for which nobody has vouched for long, once a day.
fn forget_hosts(transaction: &WriteTransaction, before: i64, now: i64) -> Result<(), Error> {
    let mut meta = transaction.open_table(META)?;
    let last = meta.get("passes")?.map(|time| time.value()).unwrap_or_default();
    let day = u64::try_from(before).unwrap_or_default().checked_div(DAY).unwrap_or_default();
    if last < day {
        transaction.open_table(PASSED)?.retain(|_, time| time >= before)?;
        vouched::forget(transaction, cutoff(now, VOUCHED, true))?;
        meta.insert("passes", day)?;
    }
    Ok(())
}

/// Everything before this time is too old.
pub fn cutoff(now: i64, age: Duration, is_kept: bool) -> i64 {
    if !is_kept {
        return i64::MAX;
    }
    now.saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}
