//! Giving up root: a user's name in, a process that is this user and cannot be root again.
//!
//! [`User::named`] asks the system's user database, so it comes before chroot(2) and before the locks;
//! [`User::assume`] comes after everything that needs root and before the first byte that somebody
//! else wrote. A process that is not root calls neither: it stays who it is. Nothing here is trusted
//! but the system's answers, and those about oneself are checked again.
#![forbid(unsafe_code)]

use crate::errno::reason;
use crate::escape::{escaped, escaped_path};
use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The users of greytrapper, as its port makes them, and of spamd, whose database it is.
pub const GREYTRAPPER: &str = "_greytrapper";
/// The owner of spamd's database (spamd(8), FILES).
pub const SPAMD: &str = "_spamd";

/// A directory with nothing in it, of OpenBSD's hier(7).
pub const EMPTY: &str = "/var/empty";

/// wheel or root.
const ROOT_GROUP: Gid = Gid::from_raw(0);

/// Whom a process becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: Uid,
    /// The user's group, the only one.
    pub gid: Gid,
}

/// Why a process is not who it should be. It must not go on.
#[derive(Debug)]
pub enum Error {
    /// There is no such user.
    NotFound(String),
    /// Whether there is such a user is not to be known now.
    Lookup(String, Errno),
    /// The user is root, or of root's group.
    Root,
    /// chroot(2) or chdir(2) into it.
    Directory(PathBuf, Errno),
    /// The call of this name.
    Call(&'static str, Errno),
    /// All calls succeeded, and yet this process can be root.
    Kept,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound(name) => write!(f, "user {}: not found", escaped(name.as_bytes())),
            Error::Lookup(name, error) => {
                write!(f, "user {}: {}", escaped(name.as_bytes()), text(*error))
            }
            Error::Root => f.write_str("user: must not be root or in root's group"),
            Error::Directory(path, error) => {
                write!(f, "chroot {}: {}", escaped_path(path), text(*error))
            }
            Error::Call(name, error) => write!(f, "{name}: {}", text(*error)),
            Error::Kept => f.write_str("setresuid: root can be regained"),
        }
    }
}

impl std::error::Error for Error {}

fn text(error: Errno) -> String {
    reason(&io::Error::from(error)).to_string()
}

impl User {
    /// The user of that name, with the group that passwd(5) gives it.
    ///
    /// # Errors
    /// There is none, or the user database cannot be read.
    pub fn named(name: &str) -> Result<User, Error> {
        match unistd::User::from_name(name) {
            Ok(Some(unistd::User { uid, gid, .. })) => Ok(User { uid, gid }),
            Ok(None) => Err(Error::NotFound(name.to_owned())),
            Err(error) => Err(Error::Lookup(name.to_owned(), error)),
        }
    }

    /// Makes this process, which is root, that user for good, and `chroot`, if any, all that it sees
    /// of the file system.
    ///
    /// The order is that of OpenBSD's daemons (`ntp_main` in ntpd's ntp.c): what needs root first, the
    /// user last.
    ///
    /// # Errors
    /// The first call that fails. What was given up before stays so.
    pub fn assume(&self, chroot: Option<&Path>) -> Result<(), Error> {
        if self.uid.is_root() || self.gid == ROOT_GROUP {
            return Err(Error::Root);
        }
        if let Some(directory) = chroot {
            enter(directory).map_err(|error| Error::Directory(directory.to_path_buf(), error))?;
        }
        set_groups(self.gid).map_err(|error| Error::Call("setgroups", error))?;
        set_group(self.gid).map_err(|error| Error::Call("setresgid", error))?;
        set_user(self.uid).map_err(|error| Error::Call("setresuid", error))?;
        self.verify()
    }

    /// Whether this process is this user and no other, and cannot be.
    fn verify(&self) -> Result<(), Error> {
        let is = unistd::getuid() == self.uid
            && unistd::geteuid() == self.uid
            && unistd::getgid() == self.gid
            && unistd::getegid() == self.gid;
        let may_be_root = || {
            let root = Uid::from_raw(0);
            unistd::seteuid(root).is_ok()
                || unistd::setuid(root).is_ok()
                || unistd::setegid(ROOT_GROUP).is_ok()
        };
        if is && !may_be_root() { Ok(()) } else { Err(Error::Kept) }
    }
}

/// Without chdir(2) the old directory would remain a way out.
fn enter(directory: &Path) -> Result<(), Errno> {
    unistd::chroot(directory)?;
    unistd::chdir("/")
}

#[cfg(not(target_vendor = "apple"))]
fn set_groups(gid: Gid) -> Result<(), Errno> {
    unistd::setgroups(&[gid])
}

/// nix has no setgroups(2) for macOS, whose groups are another matter.
#[cfg(target_vendor = "apple")]
fn set_groups(_: Gid) -> Result<(), Errno> {
    Err(Errno::ENOTSUP)
}

#[cfg(any(target_os = "openbsd", target_os = "freebsd", target_os = "linux"))]
fn set_group(gid: Gid) -> Result<(), Errno> {
    unistd::setresgid(gid, gid, gid)
}

#[cfg(any(target_os = "openbsd", target_os = "freebsd", target_os = "linux"))]
fn set_user(uid: Uid) -> Result<(), Errno> {
    unistd::setresuid(uid, uid, uid)
}

/// For root, setgid(2) and setuid(2) set the saved one as well (POSIX).
#[cfg(not(any(target_os = "openbsd", target_os = "freebsd", target_os = "linux")))]
fn set_group(gid: Gid) -> Result<(), Errno> {
    unistd::setgid(gid)
}

#[cfg(not(any(target_os = "openbsd", target_os = "freebsd", target_os = "linux")))]
fn set_user(uid: Uid) -> Result<(), Errno> {
    unistd::setuid(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name() {
        let root = User::named("root").unwrap();
        assert_eq!((root.uid.as_raw(), root.gid.as_raw()), (0, 0));
        let id = std::process::Command::new("id").args(["-u", "nobody"]).output().unwrap();
        let nobody = User::named("nobody").unwrap();
        assert_eq!(nobody.uid.to_string(), String::from_utf8(id.stdout).unwrap().trim());
    }

    #[test]
    fn an_unknown_user_is_named() {
        let error = User::named("_no such\nuser").unwrap_err();
        assert_eq!(error.to_string(), "user _no such\\012user: not found");
    }

    #[test]
    fn nobody_becomes_root() {
        let root = User::named("root").unwrap();
        let nobody = Uid::from_raw(65534);
        for user in [root, User { uid: nobody, ..root }] {
            let error = user.assume(None).unwrap_err();
            assert_eq!(error.to_string(), "user: must not be root or in root's group");
        }
    }

    /// What a user may not do fails at the first call, and is named.
    #[test]
    fn who_is_not_root_becomes_nobody_else() {
        if unistd::geteuid().is_root() {
            // Tried by tests/daemon/sandbox, in a process of its own.
            return;
        }
        let nobody = User { uid: Uid::from_raw(65534), gid: Gid::from_raw(65534) };
        let error = nobody.assume(None).unwrap_err();
        assert_eq!(error.to_string(), "setgroups: Operation not permitted");
        let error = nobody.assume(Some(Path::new("/"))).unwrap_err();
        assert_eq!(error.to_string(), "chroot /: Operation not permitted");
    }
}
