//! The sandbox: limits what a process may still do.
//!
//! In: [`Rights`]. [`enter`] confines the calling process for good, and returns how strong the sandbox is.
//! Every process of the daemon calls it once, when it has its user, its sockets and its descriptors, while
//! it has a single thread, and before it reads the first byte from elsewhere. The rights are trusted; the
//! caller knows their reasons.
//!
//! * OpenBSD: pledge(2) and unveil(2). A violation kills the process with SIGABRT.
//! * Linux on x86-64 and AArch64: Landlock for files, TCP ports, abstract sockets and signals, and seccomp
//!   for system calls. A violation is an error, EPERM or EACCES. Programs that a process executes inherit
//!   the sandbox, so that of a process that starts programs is wide: see `linux`.
//! * Other systems have none: the change of user and chroot(2) must be enough.
//!
//! [`promise`] is only the part for OpenBSD, for a program with less to lose.
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
    /// What Landlock leaves accessible.
    pub landlock: Landlock<PathBuf>,
    /// The system calls that seccomp leaves.
    pub calls: Calls,
}

/// What Landlock leaves accessible of files, TCP ports, abstract sockets and signals to others; a file is a
/// path, or a placeholder for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landlock<P> {
    /// Everything: the programs that it starts have their own rights.
    All,
    /// Everything except signals to processes that it did not start.
    NoSignals,
    /// Only reading and writing one existing file, if given, and TCP.
    Only(Option<P>, Tcp),
    /// Only the files of one directory: reading, writing, making, removing and renaming them.
    Within(P),
}

/// The TCP ports for connect(2). bind(2) is never allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {
    /// None.
    Nowhere,
    /// This port.
    Port(u16),
    /// Any port.
    Anywhere,
}

/// The system calls that seccomp leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// All except those that neither the daemon nor its programs ever make.
    Usual,
    /// The usual ones for descriptors, memory, threads and the clock, and these groups.
    Only(&'static [Group]),
}

/// A group of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Opening existing files, stat(2), locks. Landlock decides which files.
    Files,
    /// Opening files and making them, stat(2), locks, rename(2). Landlock decides which files.
    MakingFiles,
    /// accept(2).
    Accept,
    /// Internet sockets, which are connected and never bound.
    Internet,
}

impl<P> Landlock<P> {
    /// The same, with paths instead of placeholders.
    pub fn at(self, path: impl FnOnce(P) -> PathBuf) -> Landlock<PathBuf> {
        match self {
            Landlock::All => Landlock::All,
            Landlock::NoSignals => Landlock::NoSignals,
            Landlock::Only(file, tcp) => Landlock::Only(file.map(path), tcp),
            Landlock::Within(directory) => Landlock::Within(path(directory)),
        }
    }
}

/// How well a process is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// As well as possible on this system.
    Full,
    /// Less, since the system lacks something.
    Partial(&'static str),
    /// Not at all: the system has no sandbox that this program can use.
    None,
}

/// What is missing.
impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Strength::Full => "confined",
            Strength::Partial(lack) => lack,
            Strength::None => "not confined: this system has no known way to do it",
        })
    }
}

/// Why a process could not be confined although the system can do it. The process must not continue.
#[derive(Debug)]
pub enum Error {
    /// A path that must remain accessible.
    Path {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The sandbox itself.
    Lock {
        /// The part that failed: `pledge`, `landlock` or `seccomp`.
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

/// Confines this process for good.
///
/// It must have a single thread: Landlock confines the calling thread and those that it starts.
///
/// # Errors
/// The directory of a path does not exist, or the system refuses the sandbox. Anything given up before
/// stays given up.
pub fn enter(rights: &Rights) -> Result<Strength, Error> {
    system::enter(rights)
}

/// Confines this process for good with pledge(2) and unveil(2), where available; elsewhere does nothing.
///
/// # Errors
/// Those of [`enter`].
pub fn promise(promises: &str, unveils: &[(&Path, &str)]) -> Result<(), Error> {
    #[cfg(target_os = "openbsd")]
    system::lock(promises, unveils)?;
    #[cfg(not(target_os = "openbsd"))]
    let _ = (promises, unveils);
    Ok(())
}

/// Names this process in ps(1): `greytrapper: ROLE (greytrapper)` with OpenBSD's setproctitle(3). Does
/// nothing on other systems.
pub fn title(role: &str) {
    system::title(role);
}

/// What is wrong with the promises and unveiled paths of a process; for tests of tables.
///
/// The words are those of pledge(2) in OpenBSD 7.6, which fails with EINVAL for unknown words. unveil(2)
/// permissions without a matching promise open nothing, and promises about paths without unveil(2) open
/// everything.
#[doc(hidden)]
pub fn misfits(promises: &str, permissions: &[&str]) -> Vec<String> {
    const KNOWN: [&str; 12] = [
        "stdio", "rpath", "wpath", "cpath", "fattr", "chown", "inet", "flock", "unix", "dns",
        "proc", "exec",
    ];
    let words: Vec<_> = promises.split(' ').collect();
    let unknown = words.iter().filter(|word| !KNOWN.contains(word));
    let mut misfits: Vec<_> = unknown.map(|word| format!("{word}: no promise")).collect();
    for (letter, word) in [('r', "rpath"), ('w', "wpath"), ('x', "exec"), ('c', "cpath")] {
        let unveiled = permissions.iter().any(|letters| letters.contains(letter));
        // With this promise alone, connect(2) writes to a path (`unp_connect` in uipc_usrreq.c).
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
        let error = || io::Error::from_raw_os_error(libc::ENOENT);
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
