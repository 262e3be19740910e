//! Repairs a database in which pages have only zeros.
//!
//! When the disk is full, dbopen(3) drops the pages for which there is no room, and writes the others. What
//! is left is a file with holes, which nobody can write any more. In: its path. Out: a sound database in the
//! same file, with the records that can still be reached, and a copy of the file as it was.
//!
//! A page of zeros counts as empty, and so does one behind the end of such a file; what only such a page leads
//! to is lost. Nothing that no page leads to is taken from a hash: it may have been deleted long ago, and a
//! trap would return with it. Any other damage is not repaired, since then no page can be trusted.
//!
//! # In place
//!
//! The new database takes the place of the old one in the same file, under its lock. A rename would be
//! simpler, but spamd may be waiting for the lock of the file that it has open, and its next write would be
//! lost with that file. So the whole file is one transaction (`db::transaction`): zeros for the
//! first page, then all other pages, then the first page. If it is interrupted, the file has no header, and
//! nobody mistakes a mixture of both for a database; the copy has been on the disk since before the first
//! change. The file keeps its length, or grows: a page of zeros that nothing leads to does no harm.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::file::PageFile;
use super::lock::{self, Creation, Wait};
use super::memory::Memory;
use super::snapshot::{Condition, Snapshot};
use super::transaction::{self, Plan};
use super::{Damage, Error, ErrorKind, Fault, Record};
use std::fs::{self, File};
use std::io;
use std::path::Path;

mod bytes;
pub mod copy;

pub(super) use bytes::Bytes;

/// The records of a file with holes.
#[derive(Debug)]
pub struct Salvage<'a> {
    /// Those that can be reached, each key once.
    pub records: Vec<Record<'a>>,
    /// What could not be.
    pub gaps: Gaps,
}

/// What is missing in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The pages of zeros.
    pub zeros: usize,
    /// The pages behind the end of the file.
    pub beyond: usize,
    /// The number of records that there should be, by the header of a hash, which is not reliable.
    pub counted: Option<u64>,
}

impl Gaps {
    /// Takes a fault for a gap, if it is one.
    pub(super) fn count(&mut self, fault: Fault) -> bool {
        let number = match fault {
            Fault::Hole => &mut self.zeros,
            Fault::BeyondEnd | Fault::Cut => &mut self.beyond,
            _ => return false,
        };
        *number = number.saturating_add(1);
        true
    }
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: it is sound, or the next write repairs it.
    Sound,
    /// It was repaired.
    Repaired {
        /// The number of records that it has now.
        kept: usize,
        /// What was missing.
        gaps: Gaps,
    },
}

/// The memory that a repair takes beside the image, in bytes for each byte of the file. It was 3.9 with the
/// shortest records that there are.
const FACTOR: usize = 6;

const NOT_PUT_BACK: ErrorKind =
    ErrorKind::Refused("neither repaired nor as it was before: put back the copy");

/// Repairs the file at `path`; before the first change, a copy is made at `copy`.
///
/// # Errors
///
/// The file is not a database, or damaged in another way; the copy exists already; there is no room. The file
/// is as it was, and no copy was made, unless the error says so.
pub fn repair(path: &Path, copy: &Path, wait: &mut Wait<'_>) -> Result<Outcome, Error> {
    let error = |kind| Error { path: path.to_path_buf(), kind };
    let mut file = lock::open_exclusive(path, Creation::Never, wait)?;
    let image = lock::image_of(&file).map_err(error)?;
    // An allocation that fails between two writes would leave a file without a header.
    let needed = image.len().saturating_mul(FACTOR);
    Memory::require(needed, image.len() as u64).map_err(error)?;
    let Some(Rebuilt { image: new, page_size, kept, gaps }) = rebuild(&image).map_err(error)?
    else {
        return Ok(Outcome::Sound);
    };
    copy::make(copy, &file, &image)
        .map_err(|found| Error { path: copy.to_path_buf(), kind: ErrorKind::Io(found) })?;
    let replaced = replace(&mut file, &image, &new, page_size);
    replaced.map_err(|found| error(undone(&file, &image, copy, found)))?;
    Ok(Outcome::Repaired { kept, gaps })
}

/// The error of a file that could not be replaced. The copy goes only if the file is as it was.
fn undone(file: &File, image: &[u8], copy: &Path, found: io::Error) -> ErrorKind {
    match lock::image_of(file) {
        Ok(now) if *now == *image => {
            // A copy that cannot be removed does no harm.
            let _ = fs::remove_file(copy);
            ErrorKind::Io(found)
        }
        _ => NOT_PUT_BACK,
    }
}

/// A new database.
struct Rebuilt {
    image: Vec<u8>,
    page_size: u32,
    kept: usize,
    gaps: Gaps,
}

/// A sound database with the records of `image`; `None` if that needs no repair.
fn rebuild(image: &[u8]) -> Result<Option<Rebuilt>, ErrorKind> {
    let snapshot = Snapshot::new(image)?;
    let mut first: Option<Damage> = None;
    let condition = snapshot.condition(&mut |damage| _ = first.get_or_insert(damage));
    let (Condition::Damaged, Some(first), Some(page_size)) =
        (condition, first, snapshot.page_size())
    else {
        return Ok(None);
    };
    let Salvage { records, gaps } = snapshot.salvage()?;
    if gaps.zeros == 0 {
        return Err(first.into());
    }
    let image = snapshot.rebuilt(&records)?;
    require_same(&image, &records)?;
    Ok(Some(Rebuilt { image, page_size, kept: records.len(), gaps }))
}

/// Nothing takes the place of a file without having been read back.
fn require_same(image: &[u8], records: &[Record<'_>]) -> Result<(), ErrorKind> {
    let snapshot = Snapshot::new(image)?;
    let mut first = None;
    snapshot.check(&mut |damage| _ = first.get_or_insert(damage));
    if let Some(damage) = first {
        return Err(damage.into());
    }
    let mut wanted: Vec<_> = records.iter().map(|record| (&record.key, &record.value)).collect();
    let found = snapshot.records().collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<_> = found.iter().map(|record| (&record.key, &record.value)).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    match wanted == found {
        true => Ok(()),
        false => Err(ErrorKind::Refused("the repaired database is not right, nothing was changed")),
    }
}

/// Writes the database `new` over `old`, the contents of the file, completely or not at all.
///
/// # Errors
///
/// There is no room, or a write failed; the file is as it was, unless it cannot be written at all.
pub fn replace<F: PageFile>(
    file: &mut F,
    old: &[u8],
    new: &[u8],
    page_size: u32,
) -> io::Result<()> {
    let size = usize::try_from(page_size).unwrap_or(usize::MAX).max(1);
    let pages = old.len().max(new.len()).div_ceil(size);
    let page = |number: usize| {
        let start = number.saturating_mul(size);
        let rest = new.get(start..).unwrap_or_default();
        let mut bytes = rest.get(..size).unwrap_or(rest).to_vec();
        bytes.resize(size, 0);
        (start as u64, bytes)
    };
    // The first page comes twice: what is before the last group is on the disk when that is written.
    let [head, others] = [vec![page(0)], (1..pages).map(page).collect()];
    let groups = vec![vec![(0, vec![0; size])], others, head.clone(), head];
    let rooms = (0..pages).map(|number| number.saturating_mul(size) as u64).collect();
    transaction::write(file, old.len() as u64, &Plan { page_size: size, rooms, groups })
}
