//! The locks: what a process may still do once it is what it is.
//!
//! [`Rights`] come in; [`enter`] locks the calling process in for good and says how strong the lock is.
//! Called once by every process of the daemon, when it has its user, its sockets and its descriptors, runs
//! one thread, and before it reads the first byte that somebody else wrote. Trusted are the rights: whose
//! they are and why is the caller's affair.
//!
//! * OpenBSD: pledge(2) and unveil(2). What is not promised kills the process with SIGABRT.
//! * Linux on x86-64 and AArch64: Landlock for files, TCP ports, abstract sockets and signals, seccomp
//!   for system calls. What is not allowed is an error, EPERM or EACCES. The locks of Linux pass on to
//!   what a process executes, so those of a process that starts others are wide: see `linux`.
//! * Elsewhere nothing: a change of user and chroot(2) must do.
//!
//! [`promise`] is the part of it for a program in whose rights there is less to lose: OpenBSD's alone.
#![forbid(unsafe_op_in_unsafe_fn)]

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "linux/mod.rs"]
mod system;
#[cfg(target_os = "openbsd")]
#[path = "openbsd.rs"]
#[allow(unsafe_code)]
mod system;
#[cfg(not(any(
    target_os = "openbsd",
    all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))
)))]
#[path = "other.rs"]
mod system;

use crate::errno::reason;
use crate::escape::escaped_path;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What a process may still do, in the terms of each system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Words of pledge(2).
    pub promises: &'static str,
    /// Paths with permissions of unveil(2).
    pub unveils: Vec<(PathBuf, &'static str)>,
    /// What Landlock leaves.
    pub landlock: Landlock<PathBuf>,
    /// What seccomp leaves.
    pub calls: Calls,
}

/// What Landlock leaves of files, TCP ports, abstract sockets and signals to others; a file is a path, or
/// what stands for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landlock<P> {
    /// Everything: what the process starts has rights of its own.
    All,
    /// Everything but signals to processes that it did not start.
    NoSignals,
    /// Nothing but one file that is there, to be read and written, if any, and TCP.
    Only(Option<P>, Tcp),
}

/// Where connect(2) may lead by TCP. Nobody may bind(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {
    /// Nowhere.
    Nowhere,
    /// To this port.
    Port(u16),
    /// To any port.
    Anywhere,
}

/// Which system calls seccomp leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// All but what neither the daemon nor what it starts ever does.
    Usual,
    /// What everybody does with descriptors, memory, threads and the clock, and these groups.
    Only(&'static [Group]),
}

/// System calls that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Opening files that exist, stat(2), locks. Which files is Landlock's matter.
    Files,
    /// accept(2).
    Accept,
    /// Sockets of the Internet, connected, never bound.
    Internet,
}

impl<P> Landlock<P> {
    /// The same with a path for what stands for one.
    pub fn at(self, path: impl FnOnce(P) -> PathBuf) -> Landlock<PathBuf> {
        match self {
            Landlock::All => Landlock::All,
            Landlock::NoSignals => Landlock::NoSignals,
            Landlock::Only(file, tcp) => Landlock::Only(file.map(path), tcp),
        }
    }
}

/// How well a process is locked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// As this program can do it on this system.
    Full,
    /// Less, since the system cannot: what it lacks.
    Partial(&'static str),
    /// Not at all: the system has nothing that this program knows how to use.
    None,
}

/// What it lacks.
impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Strength::Full => "confined",
            Strength::Partial(lack) => lack,
            Strength::None => "not confined: this system has no known way to do it",
        })
    }
}

/// Why a process could not be locked in, though the system has the means: it must not go on.
#[derive(Debug)]
pub enum Error {
    /// A path that is to stay within reach.
    Path {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The lock itself.
    Lock {
        /// Which: `pledge`, `landlock` or `seccomp`.
        what: &'static str,
        /// The system's reason.
        error: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Path { path, error } => {
                write!(f, "{}: {}", escaped_path(path), reason(error))
            }
            Error::Lock { what, error } => write!(f, "{what}: {}", reason(error)),
        }
    }
}

impl std::error::Error for Error {}

/// Locks this process in for good.
///
/// It must be its only thread: Landlock locks the calling one and those that it starts.
///
/// # Errors
/// A path whose directory does not exist; a lock that the system has and refuses. What was locked
/// before stays so.
pub fn enter(rights: &Rights) -> Result<Strength, Error> {
    system::enter(rights)
}

/// Locks this process in for good by pledge(2) and unveil(2), where they are; elsewhere nothing happens.
///
/// # Errors
/// As [`enter`].
pub fn promise(promises: &str, unveils: &[(&Path, &str)]) -> Result<(), Error> {
    #[cfg(target_os = "openbsd")]
    system::lock(promises, unveils)?;
    #[cfg(not(target_os = "openbsd"))]
    let _ = (promises, unveils);
    Ok(())
}

/// Names this process in ps(1): `greytrapper: ROLE (greytrapper)` with OpenBSD's setproctitle(3).
/// Nothing happens on other systems.
pub fn title(role: &str) {
    system::title(role);
}

/// What is wrong with promises and unveiled paths that are to be one process's; for tests of tables.
///
/// Words as pledge(2) of OpenBSD 7.6 has them; a word that it does not know is EINVAL. unveil(2)
/// permissions that no promise stands behind open nothing, and promises about paths without unveil(2)
/// open everything.
#[doc(hidden)]
pub fn misfits(promises: &str, permissions: &[&str]) -> Vec<String> {
    const KNOWN: [&str; 10] =
        ["stdio", "rpath", "wpath", "cpath", "inet", "flock", "unix", "dns", "proc", "exec"];
    let words: Vec<_> = promises.split(' ').collect();
    let unknown = words.iter().filter(|word| !KNOWN.contains(word));
    let mut misfits: Vec<_> = unknown.map(|word| format!("{word}: no promise")).collect();
    for (letter, word) in [('r', "rpath"), ('w', "wpath"), ('x', "exec"), ('c', "cpath")] {
        let unveiled = permissions.iter().any(|letters| letters.contains(letter));
        // connect(2) writes to a path by this promise alone (`unp_connect` in uipc_usrreq.c).
        let connects = letter == 'w' && words.contains(&"unix");
        if unveiled != words.contains(&word) && !connects {
            misfits.push(format!("{promises}: {word} and unveil {letter}"));
        }
    }
    misfits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_object_and_the_reason() {
        let error = || io::Error::from_raw_os_error(nix::libc::ENOENT);
        let rows = [
            (
                Error::Path { path: PathBuf::from("/no\nway"), error: error() },
                "/no\\012way: No such file or directory",
            ),
            (Error::Lock { what: "seccomp", error: error() }, "seccomp: No such file or directory"),
        ];
        for (error, expected) in rows {
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn promises_and_paths_that_do_not_fit_are_named() {
        assert!(misfits("stdio rpath flock", &["r"]).is_empty());
        assert!(misfits("stdio unix", &["w"]).is_empty());
        assert_eq!(misfits("stdio tape", &[]), ["tape: no promise"]);
        assert_eq!(misfits("stdio", &["r"]), ["stdio: rpath and unveil r"]);
        assert_eq!(misfits("stdio cpath", &[]), ["stdio cpath: cpath and unveil c"]);
    }
}
