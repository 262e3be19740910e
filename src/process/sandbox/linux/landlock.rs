//! Landlock: limits access to the file system, to TCP and to other processes.
//!
//! The input is what remains accessible; the calling thread and everything that it starts lose the rest.
//! The path is trusted. Only `super::enter` calls this.
#![forbid(unsafe_code)]

use super::super::{Error, Landlock, Tcp};
use super::Lock;
use ::landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use std::io;
use std::path::{Path, PathBuf};

/// The kernel interface that counts as complete: files (since Linux 5.13), TCP (6.7), abstract sockets and
/// signals (6.12).
const WHOLE: ABI = ABI::V6;

/// Takes everything else away from this thread.
pub fn restrict(left: &Landlock<PathBuf>) -> Result<Lock, Error> {
    let (file, tcp) = match left {
        Landlock::All => return Ok(Lock::Whole),
        Landlock::NoSignals => return lock(Ruleset::default().scope(Scope::Signal), Ok),
        Landlock::Only(file, tcp) => (file, *tcp),
        Landlock::Within(directory) => return within(directory),
    };
    let file = file.as_deref().map_or(Ok(None), opened)?;
    let rules = match tcp {
        Tcp::Anywhere => everything_but(AccessNet::BindTcp),
        Tcp::Nowhere | Tcp::Port(_) => everything(),
    };
    lock(rules, |mut rules| {
        if let Some(file) = file {
            let rights: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile;
            rules = rules.add_rule(PathBeneath::new(file, rights))?;
        }
        match tcp {
            Tcp::Port(port) => rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp)),
            Tcp::Nowhere | Tcp::Anywhere => Ok(rules),
        }
    })
}

/// Forbids everything but files in one directory, if there is one at this path.
fn within(path: &Path) -> Result<Lock, Error> {
    let directory = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => PathFd::new(path).ok(),
        _ => None,
    };
    lock(everything(), |rules| match directory {
        Some(directory) => {
            let rights = AccessFs::ReadFile
                | AccessFs::WriteFile
                | AccessFs::MakeReg
                | AccessFs::RemoveFile
                | AccessFs::Truncate;
            rules.add_rule(PathBeneath::new(directory, rights))
        }
        None => Ok(rules),
    })
}

/// Everything that Landlock can forbid.
fn everything() -> Result<Ruleset, RulesetError> {
    everything_but(AccessNet::from_all(WHOLE))
}

/// The same, but only with these TCP rights.
fn everything_but(net: impl Into<BitFlags<AccessNet>>) -> Result<Ruleset, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(WHOLE))?
        .handle_access(net.into())?
        .scope(Scope::from_all(WHOLE))
}

/// Forbids what `rules` names, except what `exceptions` adds.
fn lock(
    rules: Result<Ruleset, RulesetError>,
    exceptions: impl FnOnce(RulesetCreated) -> Result<RulesetCreated, RulesetError>,
) -> Result<Lock, Error> {
    rules
        .and_then(Ruleset::create)
        .and_then(exceptions)
        .and_then(RulesetCreated::restrict_self)
        .map(|status: RestrictionStatus| match status.ruleset {
            RulesetStatus::FullyEnforced => Lock::Whole,
            RulesetStatus::PartiallyEnforced => Lock::Part,
            RulesetStatus::NotEnforced => Lock::Missing,
        })
        .map_err(|error| Error::Lock { what: "landlock", error: io::Error::other(error) })
}

/// The file at `path`, following symbolic links; `None` if there is none or it is not a file. Its directory
/// must exist.
fn opened(path: &Path) -> Result<Option<PathFd>, Error> {
    let failed = |path: &Path, error| Error::Path { path: path.to_path_buf(), error };
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let found = std::fs::metadata(directory);
            return found.map(|_| None).map_err(|error| failed(directory, error));
        }
        Err(error) => return Err(failed(path, error)),
    }
    // The crate's error hides the error number.
    PathFd::new(path).map(Some).map_err(|error| failed(path, io::Error::other(error)))
}

/// Landlock confines threads, so each attempt runs in its own thread.
#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    const NOTHING: Landlock<PathBuf> = Landlock::Only(None, Tcp::Nowhere);

    /// The result of `deeds` under Landlock; `None` if this kernel does not have it completely.
    fn behind<T: Send>(left: &Landlock<PathBuf>, deeds: impl FnOnce() -> T + Send) -> Option<T> {
        thread::scope(|scope| {
            let tried = scope.spawn(|| match restrict(left).unwrap() {
                Lock::Whole => Some(deeds()),
                other => {
                    eprintln!("not proven: Landlock of this kernel: {other:?}");
                    None
                }
            });
            tried.join().unwrap()
        })
    }

    fn denied<T>(outcome: io::Result<T>) -> bool {
        matches!(outcome, Err(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Other files in the same directory, which the user may read and write too, are not accessible.
    #[test]
    fn one_file_and_nothing_of_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("spamd"), "x").unwrap();
        fs::write(path("beside"), "x").unwrap();
        fs::create_dir(path("below")).unwrap();
        fs::write(path("below/it"), "x").unwrap();
        std::os::unix::fs::symlink(path("spamd"), path("link")).unwrap();
        for file in ["spamd", "link"].map(path) {
            behind(&Landlock::Only(Some(file), Tcp::Nowhere), || {
                File::options().read(true).write(true).open(path("spamd")).unwrap();
                assert!(denied(File::create_new(path("new"))));
                assert!(denied(fs::remove_file(path("spamd"))));
                assert!(denied(fs::rename(path("spamd"), path("other"))));
                assert!(denied(File::options().write(true).truncate(true).open(path("spamd"))));
                assert!(denied(File::open(path("beside"))));
                assert!(denied(File::options().write(true).open(path("beside"))));
                assert!(denied(File::open(path("below/it"))));
                assert!(denied(fs::read_dir(directory.path())));
            });
        }
    }

    /// A directory in place of the file gives no access to its contents.
    #[test]
    fn what_is_no_file_opens_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("directory")).unwrap();
        fs::write(path("directory/file"), "x").unwrap();
        for place in ["directory", "missing"].map(path) {
            behind(&Landlock::Only(Some(place), Tcp::Nowhere), || {
                assert!(denied(File::open(path("directory/file"))));
            });
        }
        assert!(opened(Path::new("no-such-database")).unwrap().is_none());
        assert!(opened(&path("no/such/directory")).is_err());
    }

    #[test]
    fn one_directory_and_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("own")).unwrap();
        fs::write(path("beside"), "x").unwrap();
        for own in ["own", "own/"].map(path) {
            behind(&Landlock::Within(own), || {
                let file = File::create(path("own/new")).unwrap();
                file.set_len(5).unwrap();
                fs::rename(path("own/new"), path("own/old")).unwrap();
                File::options().read(true).write(true).open(path("own/old")).unwrap();
                assert!(denied(File::open(path("beside"))));
                assert!(denied(File::create(path("beside 2"))));
                assert!(denied(fs::rename(path("own/old"), path("old"))));
                assert!(denied(fs::rename(path("beside"), path("own/beside"))));
                assert!(denied(fs::remove_file(path("beside"))));
                assert!(denied(fs::create_dir(path("own/below"))));
                assert!(denied(fs::read_dir(path("own"))));
                fs::remove_file(path("own/old")).unwrap();
            });
        }
        for none in ["missing", "beside"].map(path) {
            behind(&Landlock::Within(none), || assert!(denied(File::open(path("beside")))));
        }
    }

    #[test]
    fn who_needs_no_file_opens_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for left in [NOTHING, Landlock::Only(None, Tcp::Port(53))] {
            behind(&left, || assert!(denied(File::open(file.path())), "{left:?}"));
        }
    }

    #[test]
    fn tcp_leads_to_one_port_or_all_or_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connects = |left| behind(&left, || TcpStream::connect(address).map(drop));
        for left in [NOTHING, Landlock::Only(None, Tcp::Port(53))] {
            assert!(connects(left.clone()).is_none_or(denied), "{left:?}");
        }
        let anywhere = Landlock::Only(None, Tcp::Anywhere);
        assert!(connects(anywhere.clone()).is_none_or(|outcome| outcome.is_ok()));
        behind(&anywhere, || assert!(denied(TcpListener::bind("127.0.0.1:0"))));
        // Only the peer refuses it.
        let domain = Landlock::Only(None, Tcp::Port(53));
        behind(&domain, || assert!(!denied(TcpStream::connect("127.0.0.1:53"))));
    }
}
