//! libc's walk over a database, `R_FIRST` and then `R_NEXT`, as a second opinion on our reader.
//!
//! A path, its locked file and the image read under that lock come in, how the two walks differ goes out
//! ([`Difference`]). Called by greytrapctl's `check -x` alone.
//!
//! **The library does not validate.** The caller has found the whole structure sound; of what libc's
//! walk does not survive even in a sound file (`hash::Table::unseen` has the list), the walk is refused.
#![forbid(unsafe_code)]

use super::handle::{Access, Step};
use super::{Shape, UNWRITABLE_PAGE, refusal, refuse};
use crate::db::compare::{Difference, differences};
use crate::db::snapshot::Snapshot;
use crate::db::{EngineError, Format, Record, hash};
use std::fs::File;
use std::path::Path;

/// Compares our reader's records with libc's walk over the file at `path`, of which `lock` holds the
/// lock and `image` has the bytes, found sound.
///
/// # Errors
///
/// libc cannot be let loose on the file, refuses it, or fails on its way.
pub fn compare<'a>(
    path: &Path,
    lock: &File,
    image: &'a [u8],
) -> Result<Vec<Difference<'a>>, EngineError> {
    if image.is_empty() {
        // A fresh database; to dbopen(3) it is one only if it may write.
        return Ok(Vec::new());
    }
    let shape = Shape::of(lock)?;
    if shape.page_size == UNWRITABLE_PAGE {
        return refuse("dbopen(3) does not know pages of 65536 bytes");
    }
    let unseen = match shape.format {
        Format::Hash => hash::Table::new(image)?.unseen()?,
        Format::Btree => Vec::new(),
    };
    let ours = Snapshot::new(image)?.records().collect::<Result<Vec<_>, _>>()?;
    let theirs = walk(path, lock, shape, ours.len())?;
    Ok(differences(ours, &unseen, theirs))
}

/// The records of libc's walk, in its order. Of a file with `expected` records it gives no more than
/// twice as many.
fn walk(
    path: &Path,
    lock: &File,
    shape: Shape,
    expected: usize,
) -> Result<Vec<Record<'static>>, EngineError> {
    let mut handle = shape.open(path, lock, Access::Read)?;
    let mut records = Vec::with_capacity(expected);
    let mut step = Step::First;
    while let Some((key, value)) = handle.seq(step).map_err(refusal)? {
        if records.len() > expected.saturating_mul(2) {
            return refuse("libc's walk does not end");
        }
        records.push(Record { key: key.into(), value: value.into() });
        step = Step::Next;
    }
    handle.close().map_err(refusal)?;
    Ok(records)
}
