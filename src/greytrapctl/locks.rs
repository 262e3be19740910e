//! What each command of greytrapctl(8) still needs once it has read its configuration.
//!
//! On OpenBSD, [`Task::lock_in`] confines the process according to its row in the table, before the command
//! decodes bytes from strangers or from the daemon, which is not trusted. Elsewhere it does nothing, and
//! the program keeps the operator's rights.
#![forbid(unsafe_code)]

use crate::process::sandbox::{self, Error};
use std::path::Path;

/// What a command is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task<'a> {
    /// Read a database.
    Read {
        /// The database.
        database: &'a Path,
    },
    /// Change a database, which is created if it is missing.
    Write {
        /// The database.
        database: &'a Path,
    },
    /// Change a database after a copy was made of it.
    Repair {
        /// The database.
        database: &'a Path,
        /// Where the copy is made.
        copy: &'a Path,
        /// The directory of the copy, which is written to the disk too.
        directory: &'a Path,
    },
    /// Read a database and ask name servers.
    Judge {
        /// The database.
        database: &'a Path,
        /// Whether all name servers are on port 53.
        only_dns_port: bool,
    },
    /// Read a script that is open.
    Convert,
    /// Ask name servers.
    Lookup {
        /// Whether all of them are on port 53.
        only_dns_port: bool,
    },
    /// Read the traps in a database.
    ExportFile {
        /// The database.
        database: &'a Path,
        /// Where a file is replaced, if one is.
        directory: Option<&'a Path>,
        /// Whether a command is run after that.
        runs: bool,
    },
    /// Ask the daemon, and name servers.
    Replay {
        /// The daemon's socket.
        socket: &'a Path,
        /// Whether all name servers are on port 53.
        only_dns_port: bool,
    },
    /// Ask the daemon.
    Ask {
        /// The daemon's socket.
        socket: &'a Path,
        /// Where a file is replaced, if one is.
        directory: Option<&'a Path>,
        /// Whether a command is run after that.
        runs: bool,
    },
}

impl<'a> Task<'a> {
    /// Confines this process for good.
    ///
    /// # Errors
    /// The directory of a path does not exist.
    pub fn lock_in(self) -> Result<(), Error> {
        let (promises, unveils) = self.row();
        sandbox::promise(&promises, &unveils)
    }

    /// The table: promises, and paths with permissions. The daemon's roles explain the words.
    #[rustfmt::skip]
    fn row(self) -> (String, Vec<(&'a Path, &'static str)>) {
        let (promises, unveils) = match self {
            Task::Read { database } => ("stdio rpath flock", vec![(database, "r")]),
            // cpath: open(2) with O_CREAT.
            Task::Write { database } => ("stdio rpath wpath cpath flock", vec![(database, "rwc")]),
            // fattr, chown: the copy has the mode and the owner of the database.
            Task::Repair { database, copy, directory } => (
                "stdio rpath wpath cpath fattr chown flock",
                vec![(database, "rw"), (copy, "rwc"), (directory, "r")],
            ),
            Task::Judge { database, only_dns_port: true } =>
                ("stdio rpath flock dns", vec![(database, "r")]),
            Task::Judge { database, only_dns_port: false } =>
                ("stdio rpath flock inet", vec![(database, "r")]),
            Task::Convert => ("stdio", vec![]),
            Task::Lookup { only_dns_port: true } => ("stdio dns", vec![]),
            Task::Lookup { only_dns_port: false } => ("stdio inet", vec![]),
Task::ExportFile { database, directory, runs } =>
                return replacing("rpath flock", (database, "r"), directory, runs),
            Task::Replay { socket, only_dns_port: true } =>
                ("stdio unix dns", vec![(socket, "w")]),
            Task::Replay { socket, only_dns_port: false } =>
                ("stdio unix inet", vec![(socket, "w")]),
            // unix: connect(2), which needs write access to the socket.
            Task::Ask { socket, directory, runs } =>
                return replacing("unix", (socket, "w"), directory, runs),
        };
        (promises.into(), unveils)
    }
}

/// What is needed to use one path and, in addition, to replace a file in a directory: wpath and cpath for a new
/// file beside the old one, rpath and cpath for rename(2), which also wants `r` and `c` (`dorenameat` in OpenBSD's
/// vfs_syscalls.c), fattr for its mode.
fn replacing<'a>(
    promise: &str,
    path: (&'a Path, &'static str),
    directory: Option<&'a Path>,
    runs: bool,
) -> (String, Vec<(&'a Path, &'static str)>) {
    let (mut promises, mut unveils) = (format!("stdio {promise}"), vec![path]);
    if let Some(directory) = directory {
        let missing =
            ["rpath", "wpath", "cpath", "fattr"].iter().filter(|word| !promise.contains(**word));
        for word in missing {
            promises.extend([" ", word]);
        }
        unveils.push((directory, "rwc"));
    }
    if runs {
        promises.push_str(" proc exec");
        unveils.push((Path::new("/bin/sh"), "x"));
    }
    (promises, unveils)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_and_unveiled_paths_fit() {
        let path = Path::new("/some/file");
        let tasks = [
            Task::Read { database: path },
            Task::Write { database: path },
            Task::Repair { database: path, copy: path, directory: path },
            Task::Judge { database: path, only_dns_port: true },
            Task::Judge { database: path, only_dns_port: false },
            Task::Convert,
            Task::Lookup { only_dns_port: true },
            Task::Lookup { only_dns_port: false },
            Task::Ask { socket: path, directory: None, runs: false },
            Task::Ask { socket: path, directory: Some(path), runs: true },
            Task::ExportFile { database: path, directory: Some(path), runs: true },
            Task::Replay { socket: path, only_dns_port: true },
            Task::Replay { socket: path, only_dns_port: false },
        ];
        for task in tasks {
            let (promises, unveils) = task.row();
            let permissions: Vec<_> = unveils.iter().map(|(_, letters)| *letters).collect();
            assert_eq!(sandbox::misfits(&promises, &permissions), [""; 0], "{task:?}");
        }
    }
}
