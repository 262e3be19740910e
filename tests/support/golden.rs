//! The golden files of tests/data: databases that OpenBSD's own code wrote, and what it printed of them.

use std::fs;
use std::path::{Path, PathBuf};

/// Where `hash/kinds.db` is.
pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// The databases in a directory of golden files, sorted by name; never none.
pub fn databases(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data(directory)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "db"));
    paths.sort();
    assert!(!paths.is_empty(), "{directory}");
    paths
}

/// The bytes of `hash/kinds.db`.
pub fn image(path: &str) -> Vec<u8> {
    fs::read(data(path)).unwrap()
}
