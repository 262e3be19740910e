//! The database that a command reads: read under its lock, and its header looked at.
#![forbid(unsafe_code)]

use crate::db::lock::{self, Wait};
use crate::db::memory::Memory;
use crate::db::snapshot::Snapshot;
use crate::db::{Damage, Error};
use crate::escape::escaped_path;
use crate::greytrapctl::console::{Console, Failure};
use crate::scan;
use std::path::Path;

/// Reads `file` in one pass under a shared lock.
pub fn read(console: &mut Console<'_>, file: &Path) -> Result<Memory, Failure> {
    let mut notice = || waiting(console, file);
    let image = lock::read_image(file, &mut Wait::usual(&mut notice))?;
    if console.verbose {
        let (size, held, waited) = (image.bytes.len(), image.held, image.waited);
        console.tell(format_args!(
            "{}: {size} bytes read, lock held {:.1} ms after waiting {:.1} ms",
            escaped_path(file),
            held.as_secs_f64() * 1e3,
            waited.as_secs_f64() * 1e3,
        ));
    }
    Ok(image.bytes)
}

/// The same for a scan, which needs more memory than the image: an allocation that fails would abort.
pub fn read_to_scan(console: &mut Console<'_>, file: &Path) -> Result<Memory, Failure> {
    let image = read(console, file)?;
    let error = |kind| Error { path: file.to_path_buf(), kind };
    scan::require_room(image.len() as u64).map_err(error)?;
    Ok(image)
}

/// Opens `file` with a shared lock, which goes when it is closed.
#[cfg(libc_db)]
pub fn open(console: &mut Console<'_>, file: &Path) -> Result<std::fs::File, Failure> {
    Ok(lock::open_shared(file, &mut Wait::usual(&mut || waiting(console, file)))?)
}

fn waiting(console: &mut Console<'_>, file: &Path) {
    console.tell(format_args!("{}: waiting for the lock", escaped_path(file)));
}

/// Looks at the header of what was read from `file`.
pub fn snapshot<'a>(file: &Path, image: &'a [u8]) -> Result<Snapshot<'a>, Failure> {
    Snapshot::new(image).map_err(|damage| error(file, damage))
}

/// The failure that `damage` is to a command that cannot go on.
pub fn error(file: &Path, damage: Damage) -> Failure {
    Error { path: file.to_path_buf(), kind: damage.into() }.into()
}
