//! The locks: what each of the daemon's processes may still do once it is what it is.
//!
//! A [`Role`] comes in, with the paths that it must go on reaching; [`enter`] locks the calling process in
//! for good and says how strong the lock is. Called once by every process of the daemon, when it has
//! its user, its sockets and its descriptors, runs one thread, and before it reads the first byte that
//! somebody else wrote. Trusted are the paths: they come from the configuration.
//!
//! * OpenBSD: pledge(2) and unveil(2), by the table of `Role::row`. What is not promised kills the
//!   process with SIGABRT.
//! * Linux on x86-64 and AArch64: Landlock for files, TCP ports, abstract sockets and signals, seccomp
//!   for system calls. What is not allowed is an error, EPERM or EACCES. The locks of Linux pass on to
//!   what a process executes, so those of the parent and the checker are wide: see `linux`.
//! * Elsewhere nothing: a change of user and chroot(2) must do.
//!
//! `task` has the same for greytrapctl(8), in whose rights there is less to lose.
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
mod task;

pub use task::{Task, narrow};

use crate::errno::reason;
use crate::escape::escaped_path;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What a process is, and what it must be able to reach once it is locked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<'a> {
    /// Starts, watches and stops the others.
    Parent {
        /// The program that it starts, again and again: its own. An absolute path.
        binary: &'a Path,
        /// The control socket, which it removes at the end.
        socket: &'a Path,
    },
    /// Reads and writes the database, which others may replace meanwhile, and fills memory that it
    /// shares with the engine.
    Store {
        /// The database. Its directory must exist.
        database: &'a Path,
    },
    /// Decodes strangers' bytes; accepts connections at the control socket, which listens already.
    Engine,
    /// Asks name servers.
    Resolver {
        /// Whether all of them are on port 53.
        only_dns_port: bool,
    },
    /// Runs the external address checker.
    Checker {
        /// That program.
        program: &'a Path,
    },
    /// Sends to spamd's peers by sockets that are connected already.
    Sync,
}

/// One row of the table: words of pledge(2), and paths with permissions of unveil(2).
#[cfg(any(target_os = "openbsd", test))]
struct Row<'a> {
    promises: &'static str,
    paths: Vec<(&'a Path, &'static str)>,
}

#[cfg(any(target_os = "openbsd", test))]
impl<'a> Role<'a> {
    /// The table of promises. Each word is needed (OpenBSD's kern_pledge.c, and tried on a kernel).
    ///
    /// `stdio` is all of what a process does with descriptors that it has, with its memory, its threads
    /// and the clock, and syslog(3). No row has `sendfd` or `recvfd`: descriptors are handed over
    /// before.
    #[rustfmt::skip]
    fn row(&self) -> Row<'a> {
        let (promises, paths) = match *self {
            // proc: fork(2), kill(2) of the others. exec: its own binary. cpath: unlink(2).
            Role::Parent { binary, socket } =>
                ("stdio proc exec cpath", vec![(binary, "x"), (socket, "c")]),
            // rpath: stat(2) and open(2) to read. wpath: open(2) to write. flock: O_EXLOCK, flock(2).
            Role::Store { database } => ("stdio rpath wpath flock", vec![(database, "rw")]),
            // unix: accept(2). It would also do for connect(2) and bind(2) to a path: none is left.
            Role::Engine => ("stdio unix", vec![(Path::new("/"), "")]),
            // dns: sockets with SOCK_DNS, connected to port 53.
            Role::Resolver { only_dns_port: true } => ("stdio dns", vec![]),
            // inet: sockets without SOCK_DNS, which kills under this promise.
            Role::Resolver { only_dns_port: false } => ("stdio inet", vec![]),
            // proc, exec: as above. What is executed runs without promises and sees all files.
            Role::Checker { program } => ("stdio proc exec", vec![(program, "x")]),
            Role::Sync => ("stdio", vec![]),
        };
        Row { promises, paths }
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
            Strength::Full => "locked in",
            Strength::Partial(lack) => lack,
            Strength::None => "not locked in: this system has no means for it that are known",
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
pub fn enter(role: &Role<'_>) -> Result<Strength, Error> {
    system::enter(role)
}

/// Names this process in ps(1): `greytrapper: ROLE (greytrapper)` with OpenBSD's setproctitle(3).
/// Nothing happens on other systems.
pub fn title(role: &str) {
    system::title(role);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row<'static>> {
        let [path, other] = ["/some/file", "/other/file"].map(Path::new);
        let roles = [
            Role::Parent { binary: path, socket: other },
            Role::Store { database: path },
            Role::Engine,
            Role::Resolver { only_dns_port: true },
            Role::Resolver { only_dns_port: false },
            Role::Checker { program: path },
            Role::Sync,
        ];
        let tasks = [
            Task::Read { database: path },
            Task::Write { database: path },
            Task::Judge { database: path, only_dns_port: true },
            Task::Judge { database: path, only_dns_port: false },
            Task::Lookup { only_dns_port: true },
            Task::Lookup { only_dns_port: false },
            Task::Ask { socket: path },
        ];
        roles.iter().map(Role::row).chain(tasks.iter().map(Task::row)).collect()
    }

    /// Words as pledge(2) of OpenBSD 7.6 has them; a word that it does not know is EINVAL.
    #[test]
    fn the_words_are_those_of_pledge() {
        let known =
            ["stdio", "rpath", "wpath", "cpath", "inet", "flock", "unix", "dns", "proc", "exec"];
        for word in rows().iter().flat_map(|row| row.promises.split(' ')) {
            assert!(known.contains(&word), "{word}");
        }
    }

    /// unveil(2) permissions that no promise stands behind open nothing, and promises about paths
    /// without unveil(2) open everything.
    #[test]
    fn paths_and_promises_fit() {
        let pairs = [('r', "rpath"), ('w', "wpath"), ('x', "exec"), ('c', "cpath")];
        for row in rows() {
            let words: Vec<_> = row.promises.split(' ').collect();
            for (letter, word) in pairs {
                let unveiled = row.paths.iter().any(|(_, letters)| letters.contains(letter));
                // connect(2) writes to a path by this promise alone (`unp_connect` in uipc_usrreq.c).
                let connects = letter == 'w' && words.contains(&"unix");
                let fits = unveiled == words.contains(&word) || connects;
                assert!(fits, "{}: {word}", row.promises);
            }
        }
    }

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
}
