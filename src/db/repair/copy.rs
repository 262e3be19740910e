//! The copy of a file as it was before it is repaired.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Where the copy of the file at `path` is made: beside it.
pub fn path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".before-repair");
    name.into()
}

/// The directory that has the copy.
pub fn directory(copy: &Path) -> &Path {
    copy.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a new file at `copy` with the contents `image` of `file`, and its mode and owner. It is on the disk,
/// and so is its name, before this returns; if it fails, there is no copy.
///
/// # Errors
///
/// There is something at `copy` already, which stays, or it cannot be written.
pub fn make(copy: &Path, file: &File, image: &[u8]) -> io::Result<()> {
    // Until it has its owner, only we read it.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(copy)?;
    fill(made, copy, file, image).inspect_err(|_| drop(fs::remove_file(copy)))
}

fn fill(mut made: File, copy: &Path, file: &File, image: &[u8]) -> io::Result<()> {
    let metadata = file.metadata()?;
    made.write_all(image)?;
    fchown(&made, Some(metadata.uid()), Some(metadata.gid()))?;
    made.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777))?;
    made.sync_all()?;
    File::open(directory(copy))?.sync_all()
}
