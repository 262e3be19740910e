//! greytrapctl(8)'s locks: what each of its commands still needs once it has read its configuration.
//!
//! A [`Task`] comes in; [`narrow`] locks the calling process in by its row, on OpenBSD. What the command
//! then decodes is strangers' bytes, or what a daemon says that is not trusted. Elsewhere nothing
//! happens: the program is the operator's and has the operator's rights.

use super::Error;
#[cfg(any(target_os = "openbsd", test))]
use super::Row;
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

#[cfg(any(target_os = "openbsd", test))]
impl<'a> Task<'a> {
    /// The table of promises, in the terms of the daemon's (`Role::row`).
    #[rustfmt::skip]
    pub(super) fn row(&self) -> Row<'a> {
        let (promises, paths) = match *self {
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
        };
        Row { promises, paths }
    }
}

/// Locks this process in for good.
///
/// # Errors
/// A path whose directory does not exist.
pub fn narrow(task: &Task<'_>) -> Result<(), Error> {
    #[cfg(target_os = "openbsd")]
    super::system::lock(&task.row())?;
    #[cfg(not(target_os = "openbsd"))]
    let _ = task;
    Ok(())
}
