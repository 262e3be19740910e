//! libc's walk over a database, `R_FIRST` and then `R_NEXT`, as a second opinion on our reader.
//!
//! In: a path, its locked file, and the image read under that lock. Out: the differences between the two
//! walks ([`Difference`]). Only greytrapctl's `check -x` calls it.
//!
//! **The library does not validate the file.** The caller has found the whole structure sound; sound files
//! that libc's walk does not survive (`hash::Table::unseen` has the list) are refused.
#![forbid(unsafe_code)]

use super::handle::{Access, Step};
use super::{Shape, UNWRITABLE_PAGE, refusal, refuse};
use crate::db::compare::{Difference, differences};
use crate::db::snapshot::Snapshot;
use crate::db::{EngineError, Format, Record, hash};
use std::fs::File;
use std::path::Path;

/// Compares our reader's records with libc's walk over the file at `path`, which `lock` holds locked, and
/// which `image` has the bytes of, found sound.
///
/// # Errors
///
/// libc must not walk the file, refuses it, or fails.
pub fn compare<'a>(
    path: &Path,
    lock: &File,
    image: &'a [u8],
) -> Result<Vec<Difference<'a>>, EngineError> {
    if image.is_empty() {
        // A fresh database, which dbopen(3) accepts only for writing.
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

/// The records of libc's walk, in its order. If the file has `expected` records, it returns at most twice
/// as many.
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
