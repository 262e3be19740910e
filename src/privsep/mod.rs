//! The daemon's processes: how they come to be, what each may do, and what they say to each other.
//!
//! ```text
//!            parent   starts, watches and stops all others; timer; signals
//!              |
//!   +----------+----------+-----------+-----------+
//!   |          |          |           |           |
//!  sync <- store <-> engine <-> resolver       checker
//!              |          | <-------------------> |
//!          database   control socket
//! ```
//!
//! Every process is the same program, executed afresh with a hidden flag that names its role, so that it
//! has memory, descriptors and stack protection of its own. [`spawn`] does that; [`channel`] carries the
//! [`frame`]s of [`ipc`]'s messages over socketpairs; [`become_role`] gives up root; [`shared`] is the
//! memory in which the store hands a database's image to the engine. [`parent`] is the first process, a
//! [`generation`] the others together; [`life`] is what they have in common, [`roles`] each of them, one file
//! a role.

pub mod become_role;
pub mod channel;
pub mod frame;
pub mod generation;
pub mod ipc;
pub mod life;
mod limit;
pub mod parent;
pub mod roles;
pub mod shared;
pub mod spawn;

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Starts, watches and stops the others.
    Parent,
    /// Reads the configuration and ends.
    Reader,
    /// Reads and writes the database.
    Store,
    /// Judges, and answers at the control socket.
    Engine,
    /// Asks name servers.
    Resolver,
    /// Runs the external program.
    Checker,
    /// Tells others of traps.
    Sync,
}

impl Process {
    /// All of them.
    pub const ALL: [Process; 7] = [
        Process::Parent,
        Process::Reader,
        Process::Store,
        Process::Engine,
        Process::Resolver,
        Process::Checker,
        Process::Sync,
    ];

    /// The name on its command line, in its title and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Process::Parent => "parent",
            Process::Reader => "reader",
            Process::Store => "store",
            Process::Engine => "engine",
            Process::Resolver => "resolver",
            Process::Checker => "checker",
            Process::Sync => "sync",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Process> {
        Process::ALL.into_iter().find(|process| process.name() == name)
    }
}
