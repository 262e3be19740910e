//! A file that is written beside its place and then renamed, so that whoever reads it has all of it, old or new.
#![forbid(unsafe_code)]

use crate::errno::reason;
use crate::escape::escaped_path;
use crate::greytrapctl::console::Failure;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

/// The directory of a file.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Replaces the contents of a file; its old ones stay if that fails. A symbolic link is replaced itself.
pub fn replace(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    let beside = beside(path);
    let said = |path: &Path, error: &io::Error| {
        Failure::Because(format!("{}: {}", escaped_path(path), reason(error)))
    };
    let mut file = create(&beside).map_err(|error| said(&beside, &error))?;
    let written = file.write_all(contents).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| fs::rename(&beside, path));
    placed.map_err(|error| {
        // What could not be put in its place is of no use.
        let _ = fs::remove_file(&beside);
        said(path, &error)
    })
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// A name that no other process uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", process::id()));
    folder(path).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("page.html");
        let names = || fs::read_dir(place.path()).unwrap().count();
        replace(&path, b"one").ok().unwrap();
        replace(&path, b"two").ok().unwrap();
        assert_eq!((fs::read(&path).unwrap(), names()), (b"two".to_vec(), 1));
        // In its place is something that cannot be replaced.
        let taken = place.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(matches!(replace(&taken, b"x"), Err(Failure::Because(_))));
        assert_eq!(names(), 2, "nothing is left behind");
        let missing = place.path().join("missing/page.html");
        let Err(Failure::Because(text)) = replace(&missing, b"x") else { panic!() };
        assert!(text.ends_with(": No such file or directory"), "{text}");
        assert_eq!(folder(Path::new("page.html")), Path::new("."));
    }
}
