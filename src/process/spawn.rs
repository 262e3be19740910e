//! Starts new processes: this program, executed again, with inherited descriptors.
//!
//! The caller of [`Program::spawn`] passes the ends of socketpairs and anything else that the new process
//! may not open by itself; that process finds them at fixed numbers with [`inherited`]. All its other
//! descriptors are closed, its environment is empty, its standard input and output are /dev/null, and it
//! has its own process group, so that signals from the terminal go only to the parent.
//!
//! [`reset_signals`] and [`close_inherited`] undo the state inherited from whoever started the daemon.
//!
//! `unsafe` is needed for taking and closing descriptors by number, and for the default actions of signals.

use command_fds::{CommandFdExt, FdMapping};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::{AccessFlags, access};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// In the environment of the first process if another one started it and waits for it.
pub const IS_PARENT: &str = "GREYTRAPPER_IS_PARENT";

/// This program, by its path.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Finds this program.
    ///
    /// # Errors
    /// Its full path is unknown: OpenBSD knows only the name with which it was called, and that is not in PATH.
    pub fn this() -> io::Result<Program> {
        let path = std::env::current_exe()?;
        if path.is_absolute() {
            return Ok(Program(path));
        }
        let search = std::env::var_os("PATH").unwrap_or_default();
        let found = located(path.as_os_str(), &search).map(Program);
        found.ok_or_else(|| io::Error::other("must be started with its absolute path"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Starts it as the first process, which writes to `ready` when the daemon is ready. It has the same
    /// arguments as this one, since rc.subr(8) recognizes it by them; but instead of a name that was found in
    /// PATH it has its path, by which it can execute itself.
    pub fn spawn_again(&self, ready: (RawFd, OwnedFd)) -> io::Result<Child> {
        let mut arguments = std::env::args_os();
        let mut command = self.command(vec![ready])?;
        let name = arguments.next().filter(|name| name.as_encoded_bytes().contains(&b'/'));
        command.arg0(name.unwrap_or_else(|| self.0.clone().into())).args(arguments);
        command.env(IS_PARENT, "").spawn()
    }

    /// Starts it with the name `name`, with `arguments`, and with `descriptors` at their numbers.
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

/// The program of that name in the directories of PATH, as a shell finds it; without those that are relative.
fn located(name: &OsStr, search: &OsStr) -> Option<PathBuf> {
    let directories = std::env::split_paths(search).filter(|directory| directory.is_absolute());
    let mut paths = directories.map(|directory| directory.join(name));
    paths.find(|path| path.is_file() && access(path, AccessFlags::X_OK).is_ok())
}

/// Both ends of a socketpair.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = UnixStream::pair()?;
    Ok((one.into(), other.into()))
}

/// Redirects the standard error to where the standard output goes, which is /dev/null.
pub fn silence() -> io::Result<()> {
    Ok(nix::unistd::dup2_stderr(io::stdout())?)
}

/// The descriptor that this process inherited at `number`; it can be taken once.
///
/// The first call takes all `numbers`: it must come before the process opens anything.
///
/// # Errors
/// There is none, or it has been taken.
pub fn inherited(number: RawFd, numbers: &[RawFd]) -> io::Result<OwnedFd> {
    static INHERITED: OnceLock<Mutex<Vec<(RawFd, OwnedFd)>>> = OnceLock::new();
    let inherited =
        INHERITED.get_or_init(|| Mutex::new(numbers.iter().copied().filter_map(find).collect()));
    let mut inherited = inherited.lock().unwrap_or_else(PoisonError::into_inner);
    let place = inherited.iter().position(|(found, _)| *found == number);
    let place = place.ok_or_else(|| io::Error::other("not started by greytrapper"))?;
    Ok(inherited.swap_remove(place).1)
}

/// Resets the signal mask and the actions of signals, whatever this process inherited: a supervisor may
/// have blocked SIGTERM, nohup(1) ignores SIGHUP, and if SIGCHLD is ignored the status of children cannot
/// be obtained.
///
/// SIGPIPE stays ignored, as std sets it.
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

/// Closes all descriptors above the standard error except those at `kept`.
///
/// Must be called before this process has opened or taken any.
pub fn close_inherited(kept: &[RawFd]) {
    const FIRST: RawFd = 3;
    let next = kept.iter().max().map_or(FIRST, |last| last.saturating_add(1));
    for number in (FIRST..next).filter(|number| !kept.contains(number)) {
        // SAFETY: this process has opened nothing yet, so nobody owns it; if it is not open, nothing happens.
        unsafe { libc::close(number) };
    }
    close_from(next);
}

/// Closes what is at `first` and above.
#[cfg(target_os = "linux")]
fn close_from(first: RawFd) {
    use libc::{SYS_close_range, c_long, c_uint, close, syscall};
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
    unsafe { libc::closefrom(first) };
}

/// Other systems keep them.
#[cfg(not(any(
    target_os = "linux",
    target_os = "openbsd",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
fn close_from(_: RawFd) {}

/// Takes the descriptor at a number, before anything else can have that number.
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
    // Programs that a child of this process executes must not inherit it.
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some((number, owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_bare_name_is_searched_for_as_a_shell_does() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str, mode| {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        };
        place("data/program", 0o644);
        fs::create_dir_all(directory.path().join("folder/program")).unwrap();
        let (wanted, _) = (place("first/program", 0o755), place("second/program", 0o755));
        let at = |name| directory.path().join(name);
        let search = ["empty", "data", "folder", "first", "second"].map(at);
        let search = std::env::join_paths(search).unwrap();
        assert_eq!(located("program".as_ref(), &search), Some(wanted));
        assert_eq!(located("programs".as_ref(), &search), None);
        // What is relative leads elsewhere after the daemon has changed its directory.
        assert_eq!(located("Cargo.toml".as_ref(), ".:".as_ref()), None);
    }
}
