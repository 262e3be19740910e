//! The file that the store can open: where the sandbox goes by inode, only the one that was there when it
//! was entered.
#![forbid(unsafe_code)]

use std::fs::{Metadata, metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The device and inode of the file at the database's path when the sandbox was entered, if there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known(Option<(u64, u64)>);

impl Known {
    /// The file that is there now.
    pub fn of(path: &Path) -> Known {
        Known(metadata(path).ok().and_then(|found| identity(&found)))
    }

    /// Whether another file is there, which this process cannot open. If there is no regular file, no
    /// process could open it.
    pub fn is_replaced(self, path: &Path) -> bool {
        let found = Known::of(path);
        cfg!(target_os = "linux") && found.0.is_some() && found != self
    }
}

fn identity(found: &Metadata) -> Option<(u64, u64)> {
    found.is_file().then(|| (found.dev(), found.ino()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn another_file_in_its_place_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spamd");
        assert!(!Known::of(&path).is_replaced(&path), "none is there");
        let none = Known::of(&path);
        fs::write(&path, "x").unwrap();
        assert!(none.is_replaced(&path), "made after the lock");
        let known = Known::of(&path);
        fs::write(&path, "changed").unwrap();
        assert!(!known.is_replaced(&path));
        let other = directory.path().join("other");
        fs::write(&other, "y").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(known.is_replaced(&path));
        fs::remove_file(&path).unwrap();
        assert!(!known.is_replaced(&path));
        fs::create_dir(&path).unwrap();
        assert!(!known.is_replaced(&path));
    }
}
