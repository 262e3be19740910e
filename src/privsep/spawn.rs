//! New processes: this very program, executed afresh for a role, with descriptors for it to inherit.
//!
//! The parent calls [`Program::spawn_child`] with the ends of socketpairs and whatever else the role may not
//! open by itself; the new process finds them at fixed numbers ([`Slot`]) with [`inherited`]. All other
//! descriptors are closed in it, its environment is empty, its standard input and output are /dev/null, and it
//! has a process group of its own, so that the terminal's signals go to the parent alone.
//!
//! `unsafe` is here for one act: taking a descriptor by its number.
#![allow(unsafe_code)]

use super::Process;
use super::channel::Channel;
use super::ipc::{FromParent, ToParent};
use command_fds::{CommandFdExt, FdMapping};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::ffi::OsString;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The flag that names a role; not for users.
pub const FLAG: &str = "-x";

/// In the environment of the first process, if it was started by another that waits for it.
pub const IS_PARENT: &str = "GREYTRAPPER_IS_PARENT";

/// At which number a process finds a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Slot {
    /// The way to the parent, or for the parent to whoever waits in the foreground until all is ready.
    Parent = 3,
    /// For the store, resolver and checker the way to the engine, for sync that to the store.
    Asker = 4,
    /// For the engine the way to the store.
    Store = 5,
    /// For the engine the way to the resolver.
    Resolver = 6,
    /// For the engine the way to the checker.
    Checker = 7,
    /// For the store the way to sync.
    Sync = 8,
    /// The database's image ([`super::shared`]).
    Image = 9,
    /// For the engine the control socket, which listens already.
    Control = 10,
}

impl Slot {
    const ALL: [Slot; 8] = [
        Slot::Parent,
        Slot::Asker,
        Slot::Store,
        Slot::Resolver,
        Slot::Checker,
        Slot::Sync,
        Slot::Image,
        Slot::Control,
    ];
}

/// This program, by its path.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Finds it.
    ///
    /// # Errors
    /// Its path is not known in full: on OpenBSD, which keeps nothing but the name that it was called by.
    pub fn this() -> io::Result<Program> {
        let path = std::env::current_exe()?;
        if path.is_absolute() {
            return Ok(Program(path));
        }
        Err(io::Error::other("must be started by its absolute path"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Starts it as the first process, which tells `ready` when the daemon is. It bears the same
    /// arguments as this one: rc.subr(8) knows it by them.
    pub fn spawn_parent(&self, ready: OwnedFd) -> io::Result<Child> {
        let mut arguments = std::env::args_os();
        let mut command = self.command(vec![(Slot::Parent, ready)])?;
        command.arg0(arguments.next().unwrap_or_else(|| self.0.clone().into())).args(arguments);
        command.env(IS_PARENT, "").spawn()
    }

    /// Starts it as `process` with further `arguments`, `descriptors` in their slots, and a way to
    /// speak with it.
    pub fn spawn_child(
        &self,
        process: Process,
        arguments: &[OsString],
        mut descriptors: Vec<(Slot, OwnedFd)>,
    ) -> io::Result<(Child, Channel<FromParent, ToParent>)> {
        let (ours, theirs) = pair()?;
        descriptors.push((Slot::Parent, theirs));
        let channel = Channel::new(ours)?;
        let mut command = self.command(descriptors)?;
        command.arg0("greytrapper").arg(FLAG).arg(process.name()).args(arguments);
        Ok((command.process_group(0).spawn()?, channel))
    }

    fn command(&self, descriptors: Vec<(Slot, OwnedFd)>) -> io::Result<Command> {
        let mapped = |(slot, parent_fd)| FdMapping { parent_fd, child_fd: slot as RawFd };
        let mut command = Command::new(&self.0);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        command
            .fd_mappings(descriptors.into_iter().map(mapped).collect())
            .map_err(io::Error::other)?;
        Ok(command)
    }
}

/// Both ends of a socketpair.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = UnixStream::pair()?;
    Ok((one.into(), other.into()))
}

/// From now on standard error goes where standard output went from the start, which is /dev/null.
pub fn silence() -> io::Result<()> {
    Ok(nix::unistd::dup2_stderr(io::stdout())?)
}

/// The descriptor that this process found at its start in `slot`; it can be taken once.
///
/// The first call looks at all slots: it must come before the process opens anything.
///
/// # Errors
/// There is none, or it was taken.
pub fn inherited(slot: Slot) -> io::Result<OwnedFd> {
    static INHERITED: OnceLock<Mutex<Vec<(Slot, OwnedFd)>>> = OnceLock::new();
    let inherited =
        INHERITED.get_or_init(|| Mutex::new(Slot::ALL.into_iter().filter_map(find).collect()));
    let mut inherited = inherited.lock().unwrap_or_else(PoisonError::into_inner);
    let place = inherited.iter().position(|(found, _)| *found == slot);
    let place = place.ok_or_else(|| io::Error::other("not started by greytrapper"))?;
    Ok(inherited.swap_remove(place).1)
}

/// What is in a slot, before anything else can be.
fn find(slot: Slot) -> Option<(Slot, OwnedFd)> {
    let number = slot as RawFd;
    // SAFETY: `number` is not -1. It is only looked at, and nothing closes it meanwhile: nobody in this
    // process knows of it yet.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_GETFD).ok()?;
    // SAFETY: it is open, came with the process's execution and belongs to nobody. This happens once for
    // each number, in the initialisation above.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    // What a child of this process executes must not have it.
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some((slot, owned))
}
