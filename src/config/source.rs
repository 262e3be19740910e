//! The source of the texts of a configuration: the disk, or a test.
//!
//! `input` asks for whole files, up to a limit. A file on disk must not be world writable or, if root owns
//! it, writable by a group other than wheel: whoever can write it decides which hosts are trapped and which
//! program runs.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Texts by path.
pub trait Source {
    /// The bytes of a file; if there are more than `limit`, only `limit` + 1 need be returned.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Whether `path` is a program that can be run.
    fn is_program(&self, path: &Path) -> bool;
}

/// The files of the system.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        refuse_exposed(&file.metadata()?)?;
        read(file, limit)
    }

    fn is_program(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|m| m.is_file() && m.mode() & 0o111 != 0)
    }
}

/// The files of the system for a program that acts on them, perhaps as root. They must also be owned by
/// root or by this user, and nobody else may write to them, as with `check_file_secrecy()` in OpenBSD's
/// daemons.
#[derive(Clone, Copy, Debug)]
pub struct Guarded;

impl Source for Guarded {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        refuse_exposed(&found)?;
        let own = nix::unistd::Uid::effective().as_raw();
        refuse(distrust(found.is_file(), found.mode(), found.uid(), own))?;
        read(file, limit)
    }

    fn is_program(&self, path: &Path) -> bool {
        Disk.is_program(path)
    }
}

/// One text that includes no other, and whose program was checked before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a>(pub &'a str);

impl Source for Given<'_> {
    fn read(&self, _: &Path, _: usize) -> io::Result<Vec<u8>> {
        Ok(self.0.into())
    }

    fn is_program(&self, _: &Path) -> bool {
        true
    }
}

fn read(file: File, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Fails for regular files that others may write. Devices and pipes are protected otherwise.
fn refuse_exposed(metadata: &Metadata) -> io::Result<()> {
    refuse(exposure_of(metadata))
}

/// How others may write a regular file, if they may.
pub(crate) fn exposure_of(metadata: &Metadata) -> Option<&'static str> {
    exposure(metadata.is_file(), metadata.mode(), metadata.uid(), metadata.gid())
}

fn refuse(reason: Option<&'static str>) -> io::Result<()> {
    match reason {
        Some(reason) => Err(io::Error::new(io::ErrorKind::PermissionDenied, reason)),
        None => Ok(()),
    }
}

fn distrust(is_regular: bool, mode: u32, uid: u32, own: u32) -> Option<&'static str> {
    match (is_regular, uid == ROOT || uid == own) {
        (false, _) => None,
        (true, false) => Some("File is owned by neither root nor this user"),
        (true, true) if mode & 0o022 != 0 => Some("File is writable by users other than its owner"),
        (true, true) => None,
    }
}

fn exposure(is_regular: bool, mode: u32, uid: u32, gid: u32) -> Option<&'static str> {
    match (is_regular, uid, gid) {
        (false, _, _) => None,
        _ if mode & 0o002 != 0 => Some("File is writable by everyone"),
        (_, ROOT, WHEEL) => None,
        (_, ROOT, _) if mode & 0o020 != 0 => Some("File is owned by root and group writable"),
        _ => None,
    }
}

const ROOT: u32 = 0;
const WHEEL: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn who_may_write() {
        let everyone = Some("File is writable by everyone");
        for (regular, mode, uid, gid, expected) in [
            (true, 0o644, 0, 0, None),
            (true, 0o664, 0, 0, None),
            (true, 0o664, 1000, 1000, None),
            (true, 0o664, 0, 1000, Some("File is owned by root and group writable")),
            (true, 0o646, 0, 0, everyone),
            (true, 0o666, 1000, 1000, everyone),
            (false, 0o666, 0, 0, None),
        ] {
            assert_eq!(exposure(regular, mode, uid, gid), expected, "{mode:o} {uid} {gid}");
        }
    }

    #[test]
    fn whose_file_it_must_be() {
        let (stranger, group) = (
            Some("File is owned by neither root nor this user"),
            Some("File is writable by users other than its owner"),
        );
        for (regular, mode, uid, own, expected) in [
            (true, 0o644, 0, 0, None),
            (true, 0o644, 0, 1000, None),
            (true, 0o600, 1000, 1000, None),
            (true, 0o644, 1000, 0, stranger),
            (true, 0o600, 1001, 1000, stranger),
            (true, 0o664, 0, 0, group),
            (true, 0o620, 1000, 1000, group),
            (true, 0o646, 1000, 1000, group),
            (false, 0o666, 1001, 1000, None),
        ] {
            assert_eq!(distrust(regular, mode, uid, own), expected, "{mode:o} {uid} {own}");
        }
    }

    #[test]
    fn files_of_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.conf");
        fs::write(&path, "0123456789").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Disk.read(&path, 10).unwrap(), b"0123456789");
        assert_eq!(Disk.read(&path, 3).unwrap(), b"0123");
        fs::set_permissions(&path, Permissions::from_mode(0o602)).unwrap();
        assert_eq!(Disk.read(&path, 10).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(Disk.read(dir.path(), 10).is_err());
        assert!(Disk.read(Path::new("/dev/null"), 10).unwrap().is_empty());
        assert_eq!(Disk.read(Path::new("/dev/zero"), 10).unwrap().len(), 11);
    }

    #[test]
    fn programs_are_files_with_a_mode_to_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        assert!(!Disk.is_program(&path));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(!Disk.is_program(&path));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert!(Disk.is_program(&path));
        assert!(!Disk.is_program(dir.path()));
    }
}
