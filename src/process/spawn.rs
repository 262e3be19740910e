//! New processes: this very program, executed afresh, with descriptors for it to inherit.
//!
//! The caller of [`Program::spawn`] passes the ends of socketpairs and whatever else the new process may not
//! open by itself; that process finds them at fixed numbers with [`inherited`]. All other
//! descriptors are closed in it, its environment is empty, its standard input and output are /dev/null, and it
//! has a process group of its own, so that the terminal's signals go to the parent alone.
//!
//! What whoever started the daemon left to it is undone by [`reset_signals`] and [`close_inherited`].
//!
//! `unsafe` is here for taking and closing descriptors by their numbers, and for signals' default actions.

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

/// In the environment of the first process, if it was started by another that waits for it.
pub const IS_PARENT: &str = "GREYTRAPPER_IS_PARENT";

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
        Err(io::Error::other("must be started with its absolute path"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Starts it as the first process, which tells `ready` when the daemon is. It bears the same
    /// arguments as this one: rc.subr(8) knows it by them.
    pub fn spawn_again(&self, ready: (RawFd, OwnedFd)) -> io::Result<Child> {
        let mut arguments = std::env::args_os();
        let mut command = self.command(vec![ready])?;
        command.arg0(arguments.next().unwrap_or_else(|| self.0.clone().into())).args(arguments);
        command.env(IS_PARENT, "").spawn()
    }

    /// Starts it under the name `name` with `arguments`, and with `descriptors` at their numbers.
    pub fn spawn(
        &self,
        name: &str,
        arguments: &[OsString],
        descriptors: Vec<(RawFd, OwnedFd)>,
    ) -> io::Result<Child> {
        let mut command = self.command(descriptors)?;
        command.arg0(name).args(arguments).process_group(0).spawn()
    }

    fn command(&self, descriptors: Vec<(RawFd, OwnedFd)>) -> io::Result<Command> {
        let mapped = |(child_fd, parent_fd)| FdMapping { parent_fd, child_fd };
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

/// The descriptor that this process found at its start at `number`; it can be taken once.
///
/// The first call looks at all `numbers`: it must come before the process opens anything.
///
/// # Errors
/// There is none, or it was taken.
pub fn inherited(number: RawFd, numbers: &[RawFd]) -> io::Result<OwnedFd> {
    static INHERITED: OnceLock<Mutex<Vec<(RawFd, OwnedFd)>>> = OnceLock::new();
    let inherited =
        INHERITED.get_or_init(|| Mutex::new(numbers.iter().copied().filter_map(find).collect()));
    let mut inherited = inherited.lock().unwrap_or_else(PoisonError::into_inner);
    let place = inherited.iter().position(|(found, _)| *found == number);
    let place = place.ok_or_else(|| io::Error::other("not started by greytrapper"))?;
    Ok(inherited.swap_remove(place).1)
}

/// The usual mask and the default actions of signals, whatever this process inherited: a supervisor may have
/// blocked SIGTERM, nohup(1) ignores SIGHUP, and with SIGCHLD ignored no child's status is to be had.
///
/// SIGPIPE stays ignored, as std has it.
pub fn reset_signals() {
    use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
    for number in Signal::iterator() {
        if !matches!(number, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGPIPE) {
            // SAFETY: no handler is set, so none can run.
            let _ = unsafe { signal(number, SigHandler::SigDfl) };
        }
    }
    let _ = SigSet::empty().thread_set_mask();
}

/// Closes all descriptors beyond standard error but those at `kept`.
///
/// To be called before this process has opened or taken anything.
pub fn close_inherited(kept: &[RawFd]) {
    const FIRST: RawFd = 3;
    let next = kept.iter().max().map_or(FIRST, |last| last.saturating_add(1));
    for number in (FIRST..next).filter(|number| !kept.contains(number)) {
        // SAFETY: this process has opened nothing yet, so nobody owns it; if it is not open, nothing happens.
        unsafe { nix::libc::close(number) };
    }
    close_from(next);
}

/// Closes what is at `first` and above.
#[cfg(target_os = "linux")]
fn close_from(first: RawFd) {
    use nix::libc::{SYS_close_range, c_long, c_uint, close, syscall};
    // SAFETY: as in `close_inherited`.
    let outcome = unsafe { syscall(SYS_close_range, c_long::from(first), c_uint::MAX, 0) };
    if outcome == 0 {
        return;
    }
    // Before Linux 5.9.
    let listed = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    for number in numbers.collect::<Vec<_>>() {
        if number >= first {
            // SAFETY: as in `close_inherited`; the directory that was read is closed by now.
            unsafe { close(number) };
        }
    }
}

/// Closes what is at `first` and above.
#[cfg(any(target_os = "openbsd", target_os = "freebsd", target_os = "netbsd"))]
fn close_from(first: RawFd) {
    // SAFETY: as in `close_inherited`.
    unsafe { nix::libc::closefrom(first) };
}

/// Systems that this is not known of keep them.
#[cfg(not(any(
    target_os = "linux",
    target_os = "openbsd",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
fn close_from(_: RawFd) {}

/// What is at a number, before anything else can be.
fn find(number: RawFd) -> Option<(RawFd, OwnedFd)> {
    if number < 0 {
        return None;
    }
    // SAFETY: `number` is not -1. It is only looked at, and nothing closes it meanwhile: nobody in this
    // process knows of it yet.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_GETFD).ok()?;
    // SAFETY: it is open, came with the process's execution and belongs to nobody. This happens once for
    // each number, in the initialisation above.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    // What a child of this process executes must not have it.
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some((number, owned))
}
