//! The key file. In: a path. Out: the [`Key`].
//!
//! spamd(8) reads it with SHA1File(3) (`sync_init()` in libexec/spamd/sync.c). It refuses a file that
//! cannot be opened or read, but a missing file means the empty key. It checks neither mode nor owner. We
//! are stricter in two ways: a secret that others may read or change is refused, as OpenBSD's daemons do
//! with their own files, and so is anything but a regular file, which would be hashed as if it were empty.
//!
//! The contents may be any bytes, even none (spamd.8, SYNCHRONISATION). Called as root, before privileges
//! are dropped.
#![forbid(unsafe_code)]

use super::error::{Error, KeyFault};
use crate::spamd::sync::Key;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// spamd's own key file (SPAM_SYNC_KEY in sync.h).
pub const SPAMD_KEY: &str = "/etc/mail/spamd.key";

/// Permissions that a secret must not have: writable by the group, readable or writable by others.
const EXPOSING: u32 = 0o026;

/// What a missing key file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// An error, since the configuration names it.
    IsError,
    /// The empty key, as in spamd.
    IsNone,
}

/// The key made from the file at `path`.
///
/// # Errors
/// It cannot be read, is not a regular file, or others may read or write it.
pub fn read(path: &Path, missing: Missing) -> Result<Key, Error> {
    match contents(path) {
        Err(KeyFault::Io(error)) if is_missing(&error) && missing == Missing::IsNone => {
            Ok(Key::none())
        }
        outcome => outcome.map_err(|fault| Error::Key(path.to_path_buf(), fault)),
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Checks the type before opening, since opening a fifo waits for its other end.
fn contents(path: &Path) -> Result<Key, KeyFault> {
    if !fs::metadata(path)?.is_file() {
        return Err(KeyFault::NotAFile);
    }
    let file = File::open(path)?;
    if file.metadata()?.mode() & EXPOSING != 0 {
        return Err(KeyFault::Exposed);
    }
    Ok(Key::read(file)?)
}
