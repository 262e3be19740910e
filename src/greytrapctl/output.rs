//! A file that another program reads, replaced as a whole: whoever opens it sees the old text or the new one.
//!
//! The new text is written beside the file and renamed. If anything fails, the old file stays as it is, and
//! nothing is left beside it. A symbolic link is refused: renaming would replace it, not what it leads to.
#![forbid(unsafe_code)]

use super::console::Failure;
use crate::errno::reason;
use crate::escape::escaped_path;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

/// The mode of a new file.
const MODE: u32 = 0o644;

/// A file that is to be replaced.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    /// Its text; empty if it does not exist.
    pub previous: Vec<u8>,
    mode: u32,
}

impl Output {
    /// Reads the file, if it exists.
    ///
    /// # Errors
    /// It is not a regular file, or cannot be read.
    pub fn open(path: &Path) -> Result<Output, Failure> {
        let (previous, mode) = match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => {
                let text = fs::read(path).map_err(|error| failed(path, &error))?;
                (text, found.permissions().mode() & 0o7777)
            }
            Ok(_) => {
                let what = format!("{}: not a regular file", escaped_path(path));
                return Err(Failure::Because(what));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => (Vec::new(), MODE),
            Err(error) => return Err(failed(path, &error)),
        };
        Ok(Output { path: path.to_path_buf(), previous, mode })
    }

    /// The directory in which the new text is written.
    pub fn directory(&self) -> &Path {
        directory(&self.path)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The directory cannot be written, or is full; the file is unchanged.
    pub fn replace(&self, text: &[u8]) -> Result<(), Failure> {
        let new = self.beside();
        let written = self.write(&new, text).and_then(|()| fs::rename(&new, &self.path));
        written.map_err(|error| {
            let _ = fs::remove_file(&new);
            failed(&self.path, &error)
        })
    }

    fn write(&self, new: &Path, text: &[u8]) -> io::Result<()> {
        let _ = fs::remove_file(new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(self.mode).open(new)?;
        file.write_all(text)?;
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.sync_all()
    }

    /// The name of the new file until it is complete: no program reads files with such names.
    fn beside(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}", process::id()));
        self.directory().join(name)
    }
}

/// The directory of a file.
pub fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Because(format!("{}: {}", escaped_path(path), reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::symlink;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn refusal(outcome: Result<Output, Failure>) -> String {
        match outcome {
            Err(Failure::Because(why)) => why.rsplit(": ").next().unwrap().into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("list");
        let first = Output::open(&path).unwrap();
        assert_eq!(first.previous, b"");
        first.replace(b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let reader = File::open(&path).unwrap();
        let second = Output::open(&path).unwrap();
        assert_eq!(second.previous, b"one");
        second.replace(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(io::read_to_string(reader).unwrap(), "one", "whoever has it open");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(names(place.path()), ["list"]);
    }

    #[test]
    fn nothing_but_a_file_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let (path, link) = (place.path().join("list"), place.path().join("link"));
        fs::write(&path, "precious").unwrap();
        symlink(&path, &link).unwrap();
        assert_eq!(refusal(Output::open(&link)), "not a regular file");
        assert_eq!(refusal(Output::open(place.path())), "not a regular file");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn after_a_failure_the_old_file_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("gone").join("list");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "old").unwrap();
        let output = Output::open(&path).unwrap();
        fs::rename(place.path().join("gone"), place.path().join("here")).unwrap();
        let Err(Failure::Because(why)) = output.replace(b"new") else { panic!() };
        assert!(why.ends_with("list: No such file or directory"), "{why}");
        assert_eq!(fs::read(place.path().join("here/list")).unwrap(), b"old");
        // The rename fails, after the text was written.
        let directory = place.path().join("directory");
        let output = Output::open(&directory).unwrap();
        fs::create_dir(&directory).unwrap();
        assert!(output.replace(b"new").is_err());
        assert_eq!(names(place.path()).len(), 2, "nothing is left beside it");
    }
}
