//! The table of roles: what each of the daemon's processes is, what it is given, and what it may do.
//!
//! An auditor of the daemon has to read only [`ROLES`]. A new role is a row here and a file for its work
//! ([`run`]), and its messages in `messages`. [`run`] starts a role: it opens what it needs, gives up root,
//! enters its sandbox (`Life::lock_in`), reports that it is ready, and works until its parent has gone.
#![forbid(unsafe_code)]

use super::life::Life;
use super::messages::{Needs, ToParent};
use super::reader::Sources;
use super::slot::Slot;
use super::{checker, engine, memory, reader, resolver, store, sync};
use crate::errno::reason;
use crate::heap;
use crate::log;
use crate::process::sandbox::{Calls, Group, Landlock, Rights, Tcp};
use crate::process::spawn;
use crate::process::user::{EMPTY, GREYTRAPPER, SPAMD};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The port of the Domain Name System.
const DOMAIN: u16 = 53;

/// How long the end of a process without a write to finish is waited for: it takes some milliseconds, on a
/// machine that has much else to do a thousand times as long.
const SHORT: Duration = Duration::from_secs(3);

/// The table. No row has `sendfd` or `recvfd`, since descriptors are handed over before; `stdio` is all of
/// what a process does with descriptors that it has, with its memory, its threads and the clock, and
/// syslog(3). The reason of every other word stands above its row (OpenBSD's kern_pledge.c, and tried on
/// a kernel).
#[rustfmt::skip]
pub const ROLES: [Role; 9] = [
    // Starts, watches and stops the others.  proc: fork(2), kill(2).  exec: its own binary.  cpath: unlink(2).
    Role { process: Process::Parent, variant: Variant::Usual, user: None, chroot: None, is_needed: |_| false,
        promises: "stdio proc exec cpath", unveils: &[(Place::Program, "x"), (Place::Socket, "c")],
        landlock: Landlock::All, calls: Calls::Usual,
        given: &[Slot::Parent], answers: None, patience: SHORT },
    // Reads the configuration with the rights of the user who started the daemon, without a sandbox, and
    // exits.
    Role { process: Process::Reader, variant: Variant::Usual, user: None, chroot: None, is_needed: |_| false,
        promises: "", unveils: &[], landlock: Landlock::All, calls: Calls::Usual,
        given: &[Slot::Parent], answers: None, patience: SHORT },
    // Reads and writes the database.  rpath: stat(2), open(2).  wpath: open(2) to write.  flock: O_EXLOCK, flock(2).
    // It may be in the middle of a write: killing it is the last resort.
    Role { process: Process::Store, variant: Variant::Usual, user: Some(SPAMD), chroot: None, is_needed: |_| true,
        promises: "stdio rpath wpath flock", unveils: &[(Place::Database, "rw")],
        landlock: Landlock::Only(Some(Place::Database), Tcp::Nowhere), calls: Calls::Only(&[Group::Files]),
        given: &[Slot::Parent, Slot::Asker, Slot::Sync, Slot::ImageToWrite],
        answers: Some((Process::Engine, Slot::Store)), patience: Duration::from_secs(60) },
    // Judges, and serves the control socket; the file of `hear file` is open before.  unix: accept(2); nothing is
    // left to connect(2) or bind(2) to.
    Role { process: Process::Engine, variant: Variant::Usual, user: Some(GREYTRAPPER), chroot: Some(EMPTY), is_needed: |_| true,
        promises: "stdio unix", unveils: &[(Place::Root, "")],
        landlock: Landlock::Only(None, Tcp::Nowhere), calls: Calls::Only(&[Group::Accept]),
        given: &[Slot::Parent, Slot::Store, Slot::Resolver, Slot::Checker, Slot::ImageToRead, Slot::Control, Slot::Memory],
        answers: None, patience: SHORT },
    // Asks name servers.  dns: sockets with SOCK_DNS, connected to port 53.
    Role { process: Process::Resolver, variant: Variant::Usual, user: Some(GREYTRAPPER), chroot: Some(EMPTY), is_needed: |needs| needs.resolver,
        promises: "stdio dns", unveils: &[],
        landlock: Landlock::Only(None, Tcp::Port(DOMAIN)), calls: Calls::Only(&[Group::Internet]),
        given: &[Slot::Parent, Slot::Asker], answers: Some((Process::Engine, Slot::Resolver)), patience: SHORT },
    // The same where one of them is on another port.  inet: sockets without SOCK_DNS, which kills under this promise.
    Role { process: Process::Resolver, variant: Variant::AnyPort, user: Some(GREYTRAPPER), chroot: Some(EMPTY), is_needed: |_| false,
        promises: "stdio inet", unveils: &[],
        landlock: Landlock::Only(None, Tcp::Anywhere), calls: Calls::Only(&[Group::Internet]),
        given: &[Slot::Parent, Slot::Asker], answers: Some((Process::Engine, Slot::Resolver)), patience: SHORT },
    // Runs the external program, without promises and with all files in its sight.  proc: fork(2).  exec: that program.
    Role { process: Process::Checker, variant: Variant::Usual, user: Some(GREYTRAPPER), chroot: None, is_needed: |needs| needs.checker,
        promises: "stdio proc exec", unveils: &[(Place::Checker, "x")],
        landlock: Landlock::NoSignals, calls: Calls::Usual,
        given: &[Slot::Parent, Slot::Asker], answers: Some((Process::Engine, Slot::Checker)), patience: SHORT },
    // Remembers over restarts, in a directory of its own.  rpath, wpath, cpath: open(2), also of a new file, and
    // rename(2) of a bad one.  flock: flock(2) on it.  A write that is interrupted costs its last batch.
    Role { process: Process::Memory, variant: Variant::Usual, user: Some(GREYTRAPPER), chroot: None, is_needed: |_| true,
        promises: "stdio rpath wpath cpath flock", unveils: &[(Place::Memory, "rwc")],
        landlock: Landlock::Within(Place::Memory), calls: Calls::Only(&[Group::MakingFiles]),
        given: &[Slot::Parent, Slot::Asker], answers: Some((Process::Engine, Slot::Memory)), patience: Duration::from_secs(10) },
    // Tells others of traps by sockets that are connected already.
    Role { process: Process::Sync, variant: Variant::Usual, user: Some(GREYTRAPPER), chroot: Some(EMPTY), is_needed: |needs| needs.sync,
        promises: "stdio", unveils: &[],
        landlock: Landlock::Only(None, Tcp::Nowhere), calls: Calls::Only(&[]),
        given: &[Slot::Parent, Slot::Asker], answers: Some((Process::Store, Slot::Sync)), patience: SHORT },
];

/// A row of the table.
#[derive(Debug)]
pub struct Role {
    /// Which process has it.
    pub process: Process,
    /// Which of the rows of that process it is.
    pub variant: Variant,
    /// Whom it becomes if root starts the daemon; nobody else if there is none.
    pub user: Option<&'static str>,
    /// All that it then sees of the file system.
    pub chroot: Option<&'static str>,
    /// Whether a generation has one.
    pub is_needed: fn(&Needs) -> bool,
    /// Words of pledge(2).
    pub promises: &'static str,
    /// Places with permissions of unveil(2).
    pub unveils: &'static [(Place, &'static str)],
    /// What Landlock leaves.
    pub landlock: Landlock<Place>,
    /// What seccomp leaves.
    pub calls: Calls,
    /// The descriptors that it may find at its start; all others are closed.
    pub given: &'static [Slot],
    /// Whose questions it answers, which has the way to it in that slot.
    pub answers: Option<(Process, Slot)>,
    /// How long its end is waited for before it is killed.
    pub patience: Duration,
}

/// Which row of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// That which most have.
    Usual,
    /// For name servers on any port.
    AnyPort,
}

/// What stands for a path in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// This program.
    Program,
    /// The control socket.
    Socket,
    /// The database.
    Database,
    /// The directory of the memory.
    Memory,
    /// The external program.
    Checker,
    /// The whole file system.
    Root,
}

impl Role {
    /// What its process may still do once it is locked in, with a path for each place.
    pub fn rights(&self, at: impl Fn(Place) -> PathBuf) -> Rights {
        let at = |place| match place {
            Place::Root => "/".into(),
            place => at(place),
        };
        Rights {
            promises: self.promises,
            unveils: self.unveils.iter().map(|(place, letters)| (at(*place), *letters)).collect(),
            landlock: self.landlock.at(at),
            calls: self.calls,
        }
    }

    /// The numbers of the descriptors that it may find.
    pub fn numbers(&self) -> Vec<RawFd> {
        self.given.iter().map(|slot| *slot as RawFd).collect()
    }
}

/// Runs this process as `process` until its parent is gone; `sources` say where the configuration is.
pub fn run(process: Process, sources: &Sources) -> ExitCode {
    heap::keep_little();
    spawn::close_inherited(&process.role(Variant::Usual).numbers());
    let mut life = match Life::begin(process) {
        Ok(life) => life,
        Err(error) => {
            log::error(format_args!("{}: {}", process.name(), reason(&error)));
            return ExitCode::FAILURE;
        }
    };
    let outcome = match process {
        Process::Reader => reader::run(&mut life, sources),
        Process::Store => store::run(&mut life),
        Process::Engine => engine::run(&mut life),
        Process::Resolver => resolver::run(&mut life),
        Process::Checker => checker::run(&mut life),
        Process::Sync => sync::run(&mut life),
        Process::Memory => memory::run(&mut life),
        Process::Parent => Err("has no parent".into()),
    };
    life.hand_on_log();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            life.tell(&ToParent::Failed(failure));
            ExitCode::FAILURE
        }
    }
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
    /// Remembers over restarts.
    Memory,
}

impl Process {
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
            Process::Memory => "memory",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Process> {
        ROLES.iter().map(|role| role.process).find(|process| process.name() == name)
    }

    /// Its row; the usual one if it has none for that variant.
    pub fn role(self, variant: Variant) -> &'static Role {
        static TABLE: [Role; ROLES.len()] = ROLES;
        // A test sees that each process has a row; the first is the parent's, which may do the least to others.
        let rows = || TABLE.iter().filter(|role| role.process == self);
        rows().find(|role| role.variant == variant).or_else(|| rows().next()).unwrap_or(&TABLE[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::sandbox::misfits;

    #[test]
    fn every_process_has_a_row_and_a_name_of_its_own() {
        for role in &ROLES {
            assert_eq!(Process::named(role.process.name()), Some(role.process));
            assert_eq!(role.process.role(role.variant).promises, role.promises);
        }
    }

    #[test]
    fn promises_and_unveiled_places_fit() {
        for role in ROLES.iter().filter(|role| role.process != Process::Reader) {
            let permissions: Vec<_> = role.unveils.iter().map(|(_, letters)| *letters).collect();
            assert_eq!(misfits(role.promises, &permissions), [""; 0], "{}", role.process.name());
        }
    }

    /// Both a process that answers and the one that asks are given their ends of the channel.
    #[test]
    fn both_ends_of_every_way_are_given() {
        for role in &ROLES {
            let Some((asker, slot)) = role.answers else { continue };
            assert!(role.given.contains(&Slot::Asker), "{}", role.process.name());
            assert!(asker.role(Variant::Usual).given.contains(&slot), "{}", asker.name());
        }
        assert!(ROLES.iter().all(|role| role.given.contains(&Slot::Parent)));
    }

    /// Who decodes strangers' bytes or hears the Internet sees no files and becomes a user of its own.
    #[test]
    fn whoever_hears_strangers_is_nobody_and_nowhere() {
        for process in [Process::Engine, Process::Resolver, Process::Sync] {
            for role in ROLES.iter().filter(|role| role.process == process) {
                assert_eq!((role.user, role.chroot), (Some(GREYTRAPPER), Some(EMPTY)));
                assert!(matches!(role.landlock, Landlock::Only(None, _)));
            }
        }
    }
}
