//! The key file: a path in, the [`Key`] out.
//!
//! spamd(8) reads it with SHA1File(3) (`sync_init()` in libexec/spamd/sync.c). It refuses what cannot
//! be opened or read, whatever the reason, except that a file that does not exist means the empty key.
//! It looks at neither mode nor owner. Two rows are stricter here: a secret that others may read or
//! change is none, as OpenBSD's daemons say of their own files, and what is no regular file would be
//! hashed by its size, which is that of nothing.
//!
//! The contents can be any bytes, even none (spamd.8, SYNCHRONISATION). Called as root, before the
//! privileges are dropped.
#![forbid(unsafe_code)]

use super::error::{Error, KeyFault};
use crate::spamd::sync::Key;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// spamd's own key file (SPAM_SYNC_KEY in sync.h).
pub const SPAMD_KEY: &str = "/etc/mail/spamd.key";

/// Permissions that a secret must not give: writing by the group, reading and writing by others.
const EXPOSING: u32 = 0o026;

/// What a key file that does not exist means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// An error: somebody named it.
    IsError,
    /// The empty key, as it does to spamd.
    IsNone,
}

/// The key that the file at `path` makes.
///
/// # Errors
/// If it cannot be read, is no regular file, or others may read or write it.
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

/// Looks before it opens, since opening a fifo waits for its other end.
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
