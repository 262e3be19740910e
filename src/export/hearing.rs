//! A file that other sites' hosts are heard from: open, and read again when it has changed.
//!
//! It is opened once, before its owner enters a sandbox; only then is it read. A file that has been replaced by
//! another can only be noticed here ([`Hearing::is_replaced`]). What was read before is forgotten when the
//! file can no longer be heard, or is [old](super::hearsay::OLD).
#![forbid(unsafe_code)]

use super::hearsay::{Hearsay, NotHeard, OLD};
use crate::config::{Networks, Rules};
use crate::errno::reason;
use crate::escape::escaped_path;
use crate::machine::host_name;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct Hearing {
    path: PathBuf,
    file: io::Result<File>,
    site: String,
    /// When it was last read.
    seen: Option<State>,
    /// What was last said of it.
    told: Option<String>,
    heard: Option<Arc<Networks>>,
}

/// What distinguishes two states of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// The times of the last write and of the last change.
    times: [(i64, i64); 2],
    length: u64,
}

impl Hearing {
    /// The file of a configuration, if it has one, open; it is to be read in the sandbox.
    pub fn configured(rules: &Rules) -> Option<Hearing> {
        rules.hear.as_deref().map(|path| Hearing::open(path, host_name()))
    }

    /// Opens a file, and does not read it yet; `site` is this one. Whatever is wrong comes out later.
    pub fn open(path: &Path, site: String) -> Hearing {
        // Otherwise a pipe would wait for its writer.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        Hearing { path: path.into(), file, site, seen: None, told: None, heard: None }
    }

    /// Reads the file if it has changed; `now` is in seconds since 1970. What is wrong, once.
    pub fn listen(&mut self, now: i64) -> Option<String> {
        let said = match self.read(now) {
            Ok(None) => return None,
            Ok(Some(Hearsay { networks, bad })) => {
                self.heard = Some(Arc::new(networks));
                bad.map(|bad| bad.to_string())
            }
            Err(why) => {
                self.heard = None;
                Some(format!("{why}, not heard"))
            }
        };
        let said = said.map(|said| format!("hear file {}: {said}", escaped_path(&self.path)));
        let is_new = said != self.told;
        self.told.clone_from(&said);
        said.filter(|_| is_new)
    }

    /// The hosts that others have in the trap, if they are heard.
    pub fn heard(&self) -> Option<Arc<Networks>> {
        self.heard.clone()
    }

    /// Whether the open file no longer has a name: another is in its place, or none.
    pub fn is_replaced(&self) -> bool {
        let metadata = self.file.as_ref().ok().and_then(|file| file.metadata().ok());
        metadata.is_some_and(|metadata| metadata.nlink() == 0)
    }

    /// What is new in it, if anything is.
    fn read(&mut self, now: i64) -> Result<Option<Hearsay>, NotHeard> {
        let file = self
            .file
            .as_ref()
            .map_err(|error| NotHeard::Io(io::Error::other(reason(error).to_string())))?;
        let state = State::of(file).map_err(NotHeard::Io)?;
        let [(written, _), _] = state.times;
        let is_old = written < now.saturating_sub(OLD);
        if self.seen == Some(state) && !is_old {
            return Ok(None);
        }
        self.seen = Some(state);
        Hearsay::read(file, &self.site, now).map(Some)
    }
}

impl State {
    fn of(file: &File) -> io::Result<State> {
        let found = file.metadata()?;
        let times = [(found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec())];
        Ok(State { times, length: found.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    fn now() -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("black");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        (directory, path)
    }

    fn open(path: &Path) -> Hearing {
        Hearing::open(path, "mx1.example.org".into())
    }

    fn has(hearing: &Hearing, address: &str) -> bool {
        hearing.heard().is_some_and(|heard| heard.contains(address.parse().unwrap()))
    }

    /// What is said, without the path.
    fn said(hearing: &mut Hearing, now: i64) -> Option<String> {
        let said = hearing.listen(now)?;
        Some(said.split_once("black: ").unwrap().1.to_owned())
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed() {
        let (_directory, path) = file("192.0.2.1\n");
        let mut hearing = open(&path);
        assert!(!has(&hearing, "192.0.2.1"), "not read yet");
        assert_eq!(said(&mut hearing, now()), None);
        assert!(has(&hearing, "192.0.2.1"));
        fs::write(&path, "192.0.2.2\nnonsense\n").unwrap();
        let bad = "1 line skipped, the first is line 2: \"nonsense\"";
        assert_eq!(said(&mut hearing, now()).as_deref(), Some(bad));
        assert!(!has(&hearing, "192.0.2.1") && has(&hearing, "192.0.2.2"));
        assert_eq!(said(&mut hearing, now()), None, "once");
        let own = "# written by greytrapctl export at mx1.example.org\n192.0.2.3\n";
        fs::write(&path, own).unwrap();
        let refused = "has an export of this site, not heard";
        assert_eq!(said(&mut hearing, now()).as_deref(), Some(refused));
        assert!(!has(&hearing, "192.0.2.2") && !has(&hearing, "192.0.2.3"), "nothing is kept");
        fs::write(&path, "192.0.2.4\n").unwrap();
        assert_eq!(said(&mut hearing, now()), None);
        assert!(has(&hearing, "192.0.2.4") && !hearing.is_replaced());
        let other = path.with_extension("new");
        fs::write(&other, "192.0.2.5\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(hearing.is_replaced());
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let (_directory, path) = file("192.0.2.1\n");
        let mut hearing = open(&path);
        assert_eq!(said(&mut hearing, now() + OLD - 60), None);
        assert!(has(&hearing, "192.0.2.1"));
        for said_then in [Some("not written for 7 days, not heard"), None] {
            assert_eq!(said(&mut hearing, now() + OLD + 60).as_deref(), said_then);
            assert!(!has(&hearing, "192.0.2.1"));
        }
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
        assert_eq!(said(&mut hearing, now() + 120), None);
        assert!(has(&hearing, "192.0.2.1"));
    }

    #[test]
    fn what_is_no_file_or_unsafe_is_not_heard() {
        let (directory, path) = file("192.0.2.1\n");
        let mut missing = open(&directory.path().join("missing.black"));
        let none = "No such file or directory, not heard";
        assert_eq!(said(&mut missing, now()).as_deref(), Some(none));
        assert_eq!((said(&mut missing, now()), missing.is_replaced()), (None, false));
        fs::set_permissions(&path, Permissions::from_mode(0o646)).unwrap();
        let mut exposed = open(&path);
        let why = "File is writable by everyone, not heard";
        assert_eq!(said(&mut exposed, now()).as_deref(), Some(why));
        assert!(!has(&exposed, "192.0.2.1"));
        let pipe = directory.path().join("pipe.black");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let no_file = "not a regular file, not heard";
        assert_eq!(said(&mut open(&pipe), now()).as_deref(), Some(no_file));
        let large = directory.path().join("large.black");
        File::create(&large).unwrap().set_len((64 << 20) + 1).unwrap();
        fs::set_permissions(&large, Permissions::from_mode(0o600)).unwrap();
        let why = "larger than 64 MB, not heard";
        assert_eq!(said(&mut open(&large), now()).as_deref(), Some(why));
    }
}
