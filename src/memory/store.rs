//! The file: opened, set aside if it is bad, and written batch by batch.

use super::error::Error;
use super::file::Locked;
use super::keep;
use super::key::{
    self, BLOCKS, EVIDENCE, HOSTS, LIVE, META, PASSED, PLACE, Place, TUPLES, VERDICTS, VOUCHED,
};
use super::record::{self, BareHold, Batch, Block, Hold, Recalled, Record, VERSION};
use super::{known, passes, recipients, vouched};
use crate::date::Date;
use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, StorageBackend, Table, WriteTransaction,
};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file's name in its directory.
pub const FILE: &str = "memory.redb";
/// redb's cache, in bytes. Nothing is read often.
const CACHE: usize = 4 << 20;

/// How much is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory.
    pub directory: PathBuf,
    /// How long records are kept.
    pub verdicts: Duration,
    /// How long their tuples are kept; `None`: not at all.
    pub tuples: Option<Duration>,
    /// The largest size of the file in bytes.
    pub size: u64,
}

/// A file that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub store: Store,
    /// The bad file in its place, renamed, and what is wrong with it.
    pub set_aside: Option<(PathBuf, Error)>,
}

/// See the module.
#[derive(Debug)]
pub struct Store {
    pub(super) database: Database,
    settings: Settings,
}

impl Store {
    /// Opens the file, or makes a new one if there is none or it is bad, at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The directory or the file cannot be read or written, or another process has it open.
    pub fn open(settings: Settings, now: i64) -> Result<Opened, Error> {
        let path = settings.directory.join(FILE);
        match open(&path) {
            Ok(database) => Ok(Opened { store: Store { database, settings }, set_aside: None }),
            Err(error) if error.is_bad() => {
                let aside = settings.directory.join(format!("{FILE}.bad-{}", Date(now)));
                fs::rename(&path, &aside)?;
                let store = Store { database: open(&path)?, settings };
                Ok(Opened { store, set_aside: Some((aside, error)) })
            }
            Err(error) => Err(error),
        }
    }

    /// Opens a file, or makes it if there is none. What is no such file is left as it is.
    ///
    /// # Errors
    /// It cannot be read or written, is something else or damaged, or another process has it open.
    pub fn at(path: &Path, settings: Settings) -> Result<Store, Error> {
        Ok(Store { database: open(path)?, settings })
    }

    /// Writes a batch, and forgets what is too old or too much, in one transaction: all of it is on the disk
    /// afterwards, or nothing.
    ///
    /// # Errors
    /// Those of the file. It must be opened again.
    pub fn write(&self, batch: Batch) -> Result<(), Error> {
        let transaction = self.database.begin_write()?;
        let has_tuples = self.settings.tuples.is_some();
        let size = add(&transaction, batch.records, has_tuples)?;
        let blocks = if has_tuples { batch.blocks } else { Vec::new() };
        let size = add_blocks(&transaction, &blocks, size)?;
        let mut evidence = batch.evidence;
        evidence.extend(passes::note(&transaction, &batch.white, batch.now)?);
        recipients::watch(&transaction, batch.watched.filter(|_| has_tuples))?;
        vouched::note(&transaction, &batch.vouched)?;
        let size = known::add(&transaction, &self.settings, &evidence, batch.now, size)?;
        {
            let mut live = transaction.open_table(LIVE)?;
            if let Some(holds) = &batch.holds {
                live.insert("held", encoded(holds)?.as_slice())?;
                live.remove("holds")?;
            }
            if let Some(counters) = &batch.counters {
                live.insert("counters", encoded(counters)?.as_slice())?;
            }
            if let Some(whites) = &batch.whites {
                live.insert("whites", encoded(whites)?.as_slice())?;
            }
            if let Some(good) = &batch.good {
                live.insert("good", encoded(good)?.as_slice())?;
            }
            if let Some(warned) = &batch.warned {
                live.insert("warned", encoded(warned)?.as_slice())?;
            }
        }
        let size = keep::forget(&transaction, &self.settings, batch.now, size)?;
        transaction.open_table(META)?.insert("bytes", size)?;
        Ok(transaction.commit()?)
    }

    /// What an engine must know at its start: at most `most` of the traps that stand at `now`, which are
    /// looked for among records that are not older than `since`.
    ///
    /// # Errors
    /// Those of the file.
    pub fn recall(&self, since: i64, now: i64, most: usize) -> Result<Recalled, Error> {
        let transaction = self.database.begin_read()?;
        let live = transaction.open_table(LIVE)?;
        let mut recalled = Recalled::default();
        // What cannot be decoded is as good as not there.
        if let Some(bytes) = live.get("held")? {
            recalled.holds = postcard::from_bytes(bytes.value()).unwrap_or_default();
        } else if let Some(bytes) = live.get("holds")? {
            let bare: Vec<BareHold> = postcard::from_bytes(bytes.value()).unwrap_or_default();
            recalled.holds = bare.into_iter().map(Hold::from).collect();
        }
        if let Some(bytes) = live.get("counters")? {
            recalled.counters = postcard::from_bytes(bytes.value()).unwrap_or_default();
        }
        if let Some(bytes) = live.get("whites")? {
            recalled.whites = postcard::from_bytes(bytes.value()).unwrap_or_default();
        }
        if let Some(bytes) = live.get("good")? {
            recalled.good = postcard::from_bytes(bytes.value()).unwrap_or_default();
        }
        if let Some(bytes) = live.get("warned")? {
            recalled.warned = postcard::from_bytes(bytes.value()).unwrap_or_default();
        }
        recalled.vouched = vouched::all(&transaction)?;
        if let Some(until) = transaction.open_table(META)?.get("until")? {
            recalled.until = i64::try_from(until.value()).unwrap_or_default();
        }
        let (verdicts, tuples) =
            (transaction.open_table(VERDICTS)?, transaction.open_table(TUPLES)?);
        let mut seen = HashSet::new();
        for entry in verdicts.range::<&Place>(&key::place(since, 0)..)?.rev() {
            if recalled.standing.len() >= most {
                break;
            }
            let (place, verdict) = entry?;
            let (place, kept) = (*place.value(), tuples.get(place.value())?);
            let kept = kept.as_ref().map(|kept| kept.value());
            let Some(record) = record::decode(key::time(&place), verdict.value(), kept) else {
                continue;
            };
            let Some(address) = record.address else { continue };
            let Some(is_trap) = record.deed.is_trap() else { continue };
            // The last word on each host counts.
            let is_last = seen.insert(address);
            if is_last && is_trap && record.until.is_some_and(|until| until > now) {
                recalled.standing.push(record);
            }
        }
        recalled.standing.reverse();
        Ok(recalled)
    }
}

/// Opens a file, or makes it if it is missing or empty: beside it, and renamed when it is complete, so that a
/// kill meanwhile leaves no half of it.
fn open(path: &Path) -> Result<Database, Error> {
    let has_content = match fs::metadata(path) {
        Ok(found) => found.len() > 0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error.into()),
    };
    if has_content {
        return load(Locked::open(path)?);
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let file = Locked::open(Path::new(&new))?;
    file.set_len(0)?;
    let database = load(file)?;
    fs::rename(&new, path)?;
    Ok(database)
}

/// Verifies a file, and makes the tables that it lacks.
fn load(file: Locked) -> Result<Database, Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    let database = builder.create_with_backend(file)?;
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        let found = meta.get("version")?.map(|found| found.value());
        match found {
            Some(VERSION) => {}
            // What it has is in the same form; it lacks tables.
            Some(1) => drop(meta.insert("version", VERSION)?),
            Some(other) => return Err(Error::Bad(format!("version {other}, not {VERSION}"))),
            None => drop(meta.insert("version", VERSION)?),
        }
        transaction.open_table(VERDICTS)?;
        transaction.open_table(TUPLES)?;
        transaction.open_table(HOSTS)?;
        transaction.open_table(LIVE)?;
        transaction.open_table(EVIDENCE)?;
        transaction.open_table(PASSED)?;
        transaction.open_table(VOUCHED)?;
        transaction.open_table(BLOCKS)?;
    }
    transaction.commit()?;
    Ok(database)
}

pub(super) fn encoded(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(value).map_err(|error| Error::Other(error.to_string()))
}

/// Enters records; the bytes that are then remembered.
fn add(
    transaction: &WriteTransaction,
    records: Vec<Record>,
    with_tuples: bool,
) -> Result<u64, Error> {
    let mut verdicts = transaction.open_table(VERDICTS)?;
    let mut tuples = transaction.open_table(TUPLES)?;
    let mut hosts = transaction.open_table(HOSTS)?;
    let before = transaction.open_table(META)?.get("bytes")?.map(|bytes| bytes.value());
    let mut size = before.unwrap_or_default();
    for record in records {
        let place = free(&verdicts, record.time)?;
        let address = record.address;
        let (verdict, kept) =
            record::encode(record).map_err(|error| Error::Other(error.to_string()))?;
        size = size.saturating_add(keep::cost(&verdict, address.is_some()));
        verdicts.insert(&place, verdict.as_slice())?;
        if let Some(address) = address {
            hosts.insert(&key::host(address, &place), ())?;
        }
        if let Some(kept) = kept.filter(|_| with_tuples) {
            size = size.saturating_add(keep::cost(&kept, false));
            tuples.insert(&place, kept.as_slice())?;
        }
    }
    Ok(size)
}

/// Enters tuples that were seen for the first time; the bytes that are then remembered.
fn add_blocks(
    transaction: &WriteTransaction,
    blocks: &[Block],
    mut size: u64,
) -> Result<u64, Error> {
    let mut table = transaction.open_table(BLOCKS)?;
    let mut meta = transaction.open_table(META)?;
    let mut own = meta.get("blocks")?.map(|bytes| bytes.value()).unwrap_or_default();
    for Block { time, until, bytes } in blocks {
        let place = free(&table, *time)?;
        let cost = keep::cost(bytes, false);
        (size, own) = (size.saturating_add(cost), own.saturating_add(cost));
        table.insert(&place, bytes.as_slice())?;
        meta.insert("until", u64::try_from(*until).unwrap_or_default())?;
    }
    meta.insert("blocks", own)?;
    Ok(size)
}

/// The next place of this second.
fn free(
    verdicts: &Table<'_, &'static [u8; PLACE], &'static [u8]>,
    time: i64,
) -> Result<Place, Error> {
    let (first, last) = (key::place(time, 0), key::place(time, u32::MAX));
    let taken = verdicts.range::<&Place>(&first..=&last)?.next_back().transpose()?;
    let number = taken.map_or(0, |(place, _)| key::number(place.value()).saturating_add(1));
    Ok(key::place(time, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(place: &tempfile::TempDir) -> Settings {
        Settings {
            directory: place.path().into(),
            verdicts: Duration::from_secs(60),
            tuples: None,
            size: 1 << 30,
        }
    }

    #[test]
    fn who_was_vouched_for_is_known_for_a_week() {
        let place = tempfile::tempdir().unwrap();
        let settings = settings(&place);
        let store = Store::open(settings.clone(), 0).unwrap().store;
        let hosts = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        let day = 24 * 60 * 60;
        let written = |days: i64, vouched| {
            let now = days * day;
            store.write(Batch { now, vouched, ..Batch::default() }).unwrap();
            store.recall(0, now, 9).unwrap().vouched
        };
        let first = vec![(hosts[0], 10 * day), (hosts[1], 10 * day)];
        assert_eq!(written(10, first.clone()), first);
        let later = vec![(hosts[0], 10 * day), (hosts[1], 14 * day)];
        assert_eq!(written(14, vec![(hosts[1], 14 * day)]), later);
        assert_eq!(written(17, vec![]), later);
        assert_eq!(written(20, vec![]), later[1..]);
    }

    /// A release that is forgotten would be a false trap.
    #[test]
    fn holds_without_a_reason_are_known_too() {
        let place = tempfile::tempdir().unwrap();
        let settings = settings(&place);
        let store = Store::open(settings, 0).unwrap().store;
        let address = |number: u8| std::net::IpAddr::from([192, 0, 2, number]);
        let bare = [1, 2].map(|number| (address(number), 5i64, i64::from(number)));
        let transaction = store.database.begin_write().unwrap();
        let bytes = postcard::to_stdvec(&bare.to_vec()).unwrap();
        transaction.open_table(LIVE).unwrap().insert("holds", bytes.as_slice()).unwrap();
        transaction.commit().unwrap();
        let found = store.recall(0, 0, 9).unwrap().holds;
        let hold = |number| Hold {
            address: address(number),
            since: 5,
            until: number.into(),
            reason: String::new(),
        };
        assert_eq!(found, [hold(1), hold(2)]);
        // What is written now takes their place.
        let batch = Batch { holds: Some(vec![hold(2)]), ..Batch::default() };
        store.write(batch).unwrap();
        assert_eq!(store.recall(0, 0, 9).unwrap().holds, [hold(2)]);
    }
}
