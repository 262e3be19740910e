//! Landlock: what of the file system, of TCP and of other processes a role can still reach.
//!
//! A [`Role`] comes in; the calling thread and all that it starts lose the rest. The paths are
//! trusted. Called by `super::enter` alone.
#![forbid(unsafe_code)]

use super::super::{Error, Role};
use super::Lock;
use ::landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use std::io;
use std::path::{Path, PathBuf};

/// The kernel interface that counts as whole: files (since Linux 5.13), TCP (6.7), abstract sockets and
/// signals (6.12).
const WHOLE: ABI = ABI::V6;

/// The port of the Domain Name System.
const DOMAIN: u16 = 53;

/// Takes from this thread what `role` does not need.
pub fn restrict(role: &Role<'_>) -> Result<Lock, Error> {
    match *role {
        // Its children must stay within its reach and have their own rights.
        Role::Parent { .. } => Ok(Lock::Whole),
        // Only what it starts may get its signals.
        Role::Checker { .. } => lock(Ruleset::default().scope(Scope::Signal), Ok),
        Role::Store { database } => {
            let directory = directory_of(database)?;
            let rights: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile;
            lock(everything(), |rules| rules.add_rule(PathBeneath::new(directory, rights)))
        }
        Role::Engine | Role::Sync => lock(everything(), Ok),
        Role::Resolver { only_dns_port: true } => {
            lock(everything(), |rules| rules.add_rule(NetPort::new(DOMAIN, AccessNet::ConnectTcp)))
        }
        Role::Resolver { only_dns_port: false } => lock(everything_but(AccessNet::BindTcp), Ok),
    }
}

/// All that Landlock knows to forbid.
fn everything() -> Result<Ruleset, RulesetError> {
    everything_but(AccessNet::from_all(WHOLE))
}

/// The same, with these of TCP's rights instead of all.
fn everything_but(net: impl Into<BitFlags<AccessNet>>) -> Result<Ruleset, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(WHOLE))?
        .handle_access(net.into())?
        .scope(Scope::from_all(WHOLE))
}

/// Forbids what `rules` names but for what `exceptions` adds.
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

/// The directory in which the database really lies, which a symbolic link may hide.
fn directory_of(database: &Path) -> Result<PathFd, Error> {
    let real = database.canonicalize().unwrap_or_else(|_| database.to_path_buf());
    let directory = match real.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    // The crate's error hides the number behind its words.
    std::fs::metadata(&directory)
        .map_err(|error| Error::Path { path: directory.clone(), error })?;
    PathFd::new(&directory)
        .map_err(|error| Error::Path { path: directory, error: io::Error::other(error) })
}

/// Landlock locks threads: each of these tries is one.
#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    /// What `deeds` says behind the lock; nothing if this kernel has none or not all of it.
    fn behind<T: Send>(role: &Role<'_>, deeds: impl FnOnce() -> T + Send) -> Option<T> {
        thread::scope(|scope| {
            let tried = scope.spawn(|| match restrict(role).unwrap() {
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

    #[test]
    fn the_store_sees_one_directory_and_makes_nothing_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("spamd"), "x").unwrap();
        std::os::unix::fs::symlink(path("spamd"), path("link")).unwrap();
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        for database in ["spamd", "link", "missing"].map(path) {
            behind(&Role::Store { database: &database }, || {
                File::options().read(true).write(true).open(path("spamd")).unwrap();
                assert!(denied(File::create_new(path("new"))));
                assert!(denied(fs::remove_file(path("spamd"))));
                assert!(denied(fs::rename(path("spamd"), path("other"))));
                assert!(denied(File::options().write(true).truncate(true).open(path("spamd"))));
                assert!(denied(File::open(elsewhere.path())));
            });
        }
    }

    #[test]
    fn a_relative_path_has_a_directory_too() {
        assert!(directory_of(Path::new("no-such-database")).is_ok());
    }

    #[test]
    fn who_needs_no_file_opens_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for role in [Role::Engine, Role::Sync, Role::Resolver { only_dns_port: true }] {
            behind(&role, || assert!(denied(File::open(file.path())), "{role:?}"));
        }
    }

    #[test]
    fn tcp_is_the_resolvers_and_port_53_where_that_is_all() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connects = |role| behind(&role, || TcpStream::connect(address).map(drop));
        for role in [Role::Engine, Role::Sync, Role::Resolver { only_dns_port: true }] {
            assert!(connects(role).is_none_or(denied), "{role:?}");
        }
        let any = Role::Resolver { only_dns_port: false };
        assert!(connects(any).is_none_or(|outcome| outcome.is_ok()));
        behind(&any, || assert!(denied(TcpListener::bind("127.0.0.1:0"))));
        // Refused by nobody but the peer.
        let domain = Role::Resolver { only_dns_port: true };
        behind(&domain, || assert!(!denied(TcpStream::connect("127.0.0.1:53"))));
    }
}
