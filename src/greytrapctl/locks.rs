//! What each command of greytrapctl(8) still needs once it has read its configuration.
//!
//! A [`Task`] comes in; [`Task::lock_in`] locks the process in by its row, on OpenBSD. What the command
//! then decodes is strangers' bytes, or what a daemon says that is not trusted. Elsewhere nothing
//! happens: the program is the operator's and has the operator's rights.
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
    /// Change a database, which is made if it is missing.
    Write {
        /// The database.
        database: &'a Path,
    },
    /// Read a database and ask name servers.
    Judge {
        /// The database.
        database: &'a Path,
        /// Whether all name servers are on port 53.
        only_dns_port: bool,
    },
    /// Ask name servers.
    Lookup {
        /// Whether all of them are on port 53.
        only_dns_port: bool,
    },
    /// Ask the daemon.
    Ask {
        /// The daemon's socket.
        socket: &'a Path,
    },
}

impl<'a> Task<'a> {
    /// Locks this process in for good.
    ///
    /// # Errors
    /// A path whose directory does not exist.
    pub fn lock_in(self) -> Result<(), Error> {
        let (promises, unveils) = self.row();
        sandbox::promise(promises, &unveils)
    }

    /// The table: promises, and paths with permissions. What the words are for: see the daemon's roles.
    #[rustfmt::skip]
    fn row(self) -> (&'static str, Vec<(&'a Path, &'static str)>) {
        match self {
            Task::Read { database } => ("stdio rpath flock", vec![(database, "r")]),
            // cpath: open(2) with O_CREAT.
            Task::Write { database } => ("stdio rpath wpath cpath flock", vec![(database, "rwc")]),
            Task::Judge { database, only_dns_port: true } =>
                ("stdio rpath flock dns", vec![(database, "r")]),
            Task::Judge { database, only_dns_port: false } =>
                ("stdio rpath flock inet", vec![(database, "r")]),
            Task::Lookup { only_dns_port: true } => ("stdio dns", vec![]),
            Task::Lookup { only_dns_port: false } => ("stdio inet", vec![]),
            // unix: connect(2), which looks for the socket as if to write to it.
            Task::Ask { socket } => ("stdio unix", vec![(socket, "w")]),
        }
    }
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
            Task::Judge { database: path, only_dns_port: true },
            Task::Judge { database: path, only_dns_port: false },
            Task::Lookup { only_dns_port: true },
            Task::Lookup { only_dns_port: false },
            Task::Ask { socket: path },
        ];
        for task in tasks {
            let (promises, unveils) = task.row();
            let permissions: Vec<_> = unveils.iter().map(|(_, letters)| *letters).collect();
            assert_eq!(sandbox::misfits(promises, &permissions), [""; 0], "{task:?}");
        }
    }
}
