//! Recipients that only strangers write to, and since when scans have watched for others.
//!
//! Scans tell with each batch when they looked for hosts that passed; of these times the first and the last without
//! a long gap ([`Watch`]) are kept. With `remember tuples no` nobody is known to have passed, and nothing is
//! watched.

use super::error::Error;
use super::key::{EVIDENCE, META};
use super::store::Store;
use crate::evidence::{Entry, Key, MANY, Watch};
use redb::{ReadableDatabase, ReadableTable, Table, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// Entries that are looked at for one page.
const LOOKED: usize = 50_000;
/// Recipients of a page.
const PAGE: usize = 500;
/// Where recipients begin and end in `evidence`.
const FIRST: &[u8] = b"r";
const BEYOND: &[u8] = b"s";

/// What is known of some keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Those of which something is known.
    pub entries: Vec<(Key, Entry)>,
    /// Since when scans have looked for hosts that passed, if they do.
    pub watch: Option<Watch>,
}

/// A recipient that many networks wrote to in the last days, and no host that passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Its address in lower case, without angle brackets.
    pub recipient: Vec<u8>,
    /// The networks; 11 means as many or more.
    pub networks: usize,
    /// When a stranger first wrote to it, in seconds since 1970, as far as is known.
    pub first: i64,
}

/// Recipients in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggested {
    /// Those of this page.
    pub found: Vec<Suggestion>,
    /// After which entry the next page begins, if there are more.
    pub next: Option<Vec<u8>>,
}

/// Notes a scan at this time.
pub fn watch(transaction: &WriteTransaction, time: Option<i64>) -> Result<(), Error> {
    let Some(time) = time else { return Ok(()) };
    let mut meta = transaction.open_table(META)?;
    let watch = stored(&meta)?;
    let Watch { since, last } = watch.map_or(Watch::begin(time), |watch| watch.go_on(time));
    meta.insert("watched since", u64::try_from(since).unwrap_or_default())?;
    meta.insert("watched", u64::try_from(last).unwrap_or_default())?;
    Ok(())
}

/// Whom a host that passed wrote to could not be kept: watching begins anew.
pub fn forget_watch(meta: &mut Table<'_, &'static str, u64>) -> Result<(), Error> {
    meta.remove("watched")?;
    Ok(())
}

fn stored(meta: &impl ReadableTable<&'static str, u64>) -> Result<Option<Watch>, Error> {
    let time = |name| -> Result<_, Error> {
        Ok(meta.get(name)?.and_then(|time| i64::try_from(time.value()).ok()))
    };
    let (since, last) = (time("watched since")?, time("watched")?);
    Ok(since.zip(last).map(|(since, last)| Watch { since, last }))
}

impl Store {
    /// Since when scans have looked for hosts that passed, if they do.
    ///
    /// # Errors
    /// Those of the file.
    pub fn watch(&self) -> Result<Option<Watch>, Error> {
        stored(&self.database.begin_read()?.open_table(META)?)
    }

    /// A page of recipients that at `now` many networks have written to, and no host that passed, after the
    /// place where the last page ended.
    ///
    /// # Errors
    /// Those of the file.
    pub fn suggestions(&self, now: i64, from: Option<&[u8]>) -> Result<Suggested, Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(EVIDENCE)?;
        let begin = from.unwrap_or(FIRST);
        let range = (Bound::Excluded(begin), Bound::Excluded(BEYOND));
        let mut page = Suggested::default();
        for (looked, found) in table.range::<&[u8]>(range)?.enumerate() {
            let (name, value) = found?;
            // What cannot be decoded is as good as not there.
            let entry: Entry = postcard::from_bytes(value.value()).unwrap_or_default();
            if entry.is_unwanted(now) {
                let recipient = name.value().strip_prefix(FIRST).unwrap_or_default().to_vec();
                let (networks, first) = (MANY, entry.first.unwrap_or(now));
                page.found.push(Suggestion { recipient, networks, first });
            }
            if page.found.len() >= PAGE || looked >= LOOKED {
                page.next = Some(name.value().to_vec());
                break;
            }
        }
        Ok(page)
    }
}
