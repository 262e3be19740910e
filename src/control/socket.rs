//! Creates the control socket. In: a path. Out: a listening socket. The parent calls this before it gives
//! up its privileges, and passes the socket on.
//!
//! Nobody can connect before owner and mode are set, whatever the umask: until listen(2), connect(2) is
//! refused (POSIX connect: ECONNREFUSED). The directory is trusted: only root writes to /var/run.
#![forbid(unsafe_code)]

use crate::errno::reason;
use crate::escape::escaped_path;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_to, connect, listen, socket,
};
use nix::unistd::Group;
use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The group that may use the socket: that of the operators on the BSDs (group(5)).
pub const GROUP: &str = "wheel";
/// Owner and [`GROUP`] may write, which connect(2) requires (unix(4), unix(7)).
const MODE: u32 = 0o660;
/// The same without the group.
const MODE_ALONE: u32 = 0o600;
/// The number of connections that may wait to be accepted: more than any operator makes at once.
const BACKLOG: i32 = 64;
/// How long a process may still listen after its daemon was killed: it notices that and exits.
const PATIENCE: Duration = Duration::from_secs(3);
/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Why there is no socket.
#[derive(Debug)]
pub struct Error {
    /// Its path.
    pub path: PathBuf,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong with a path for the socket.
#[derive(Debug)]
pub enum ErrorKind {
    /// A process is listening there.
    InUse,
    /// The path exists and is not a socket.
    NotASocket,
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", escaped_path(&self.path))?;
        match &self.kind {
            ErrorKind::InUse => f.write_str("another greytrapper is listening"),
            ErrorKind::NotASocket => f.write_str("exists and is not a socket"),
            ErrorKind::Io(error) => reason(error).fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// Listens at `path`, for the owner and `group`. If the group does not exist, or this user may not give
/// files to it, only the owner has access.
///
/// A socket on which no process listens is replaced. If one listens, it has three seconds to exit, since its
/// daemon may have been killed a moment ago.
///
/// # Errors
/// A process is listening there, the path is not a socket, or the system refuses.
pub fn bind(path: &Path, group: &str) -> Result<UnixListener, Error> {
    try_bind(path, group).map_err(|kind| Error { path: path.into(), kind })
}

fn try_bind(path: &Path, group: &str) -> Result<UnixListener, ErrorKind> {
    let address = UnixAddr::new(path)?;
    clear_soon(path, &address)?;
    let socket = fresh(SockFlag::SOCK_CLOEXEC)?;
    bind_to(socket.as_raw_fd(), &address)?;
    let ready = give(path, group).and_then(|()| Ok(listen(&socket, Backlog::new(BACKLOG)?)?));
    match ready {
        Ok(()) => Ok(UnixListener::from(socket)),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error.into())
        }
    }
}

fn fresh(flags: SockFlag) -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// The same as [`clear`], but waits a little for a process that listens.
fn clear_soon(path: &Path, address: &UnixAddr) -> Result<(), ErrorKind> {
    let start = Instant::now();
    loop {
        match clear(path, address) {
            Err(ErrorKind::InUse) if start.elapsed() < PATIENCE => thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Removes a socket that an earlier daemon left.
fn clear(path: &Path, address: &UnixAddr) -> Result<(), ErrorKind> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(ErrorKind::NotASocket),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    // This does not wait for a daemon that does not accept: it is running all the same (EAGAIN).
    let probe = fresh(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
    match connect(probe.as_raw_fd(), address) {
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS) => Err(ErrorKind::InUse),
        Err(Errno::ECONNREFUSED) => Ok(fs::remove_file(path)?),
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn give(path: &Path, group: &str) -> io::Result<()> {
    let mode = match Group::from_name(group)? {
        None => MODE_ALONE,
        Some(group) => match chown(path, None, Some(group.gid.as_raw())) {
            Ok(()) => MODE,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => MODE_ALONE,
            Err(error) => return Err(error),
        },
    };
    fs::set_permissions(path, Permissions::from_mode(mode))
}

impl From<io::Error> for ErrorKind {
    fn from(error: io::Error) -> Self {
        ErrorKind::Io(error)
    }
}

impl From<Errno> for ErrorKind {
    fn from(error: Errno) -> Self {
        ErrorKind::Io(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::UnixStream;

    fn own_group() -> Group {
        Group::from_gid(nix::unistd::getegid()).unwrap().unwrap()
    }

    fn refused(path: &Path) -> String {
        let error = bind(path, "no-such-group").unwrap_err().to_string();
        error.strip_prefix(path.to_str().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_socket_is_the_owners_and_the_groups() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = bind(&path, &own_group().name).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & 0o7777, found.gid()), (0o660, own_group().gid.as_raw()));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn without_the_group_it_is_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = bind(&path, "no-such-group").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_daemon_that_answers_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = bind(&path, "no-such-group").unwrap();
        assert_eq!(refused(&path), ": another greytrapper is listening");
        UnixStream::connect(&path).unwrap();
        drop(listener);
        bind(&path, "no-such-group").unwrap();
    }

    /// Started at once after a kill, the daemon said that another was listening.
    #[test]
    fn a_process_of_a_killed_daemon_may_exit_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = bind(&path, "no-such-group").unwrap();
        let old = thread::spawn(move || {
            thread::sleep(2 * PAUSE);
            drop(listener);
        });
        let _new = bind(&path, "no-such-group").unwrap();
        UnixStream::connect(&path).unwrap();
        old.join().unwrap();
    }

    /// The queue of connections is full, and connect(2) would wait.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_daemon_that_accepts_nobody_is_there_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = bind(&path, "no-such-group").unwrap();
        let address = UnixAddr::new(&path).unwrap();
        let mut queue = Vec::new();
        loop {
            let probe = fresh(SockFlag::SOCK_NONBLOCK).unwrap();
            if connect(probe.as_raw_fd(), &address).is_err() {
                break;
            }
            queue.push(probe);
        }
        assert_eq!(refused(&path), ": another greytrapper is listening");
    }

    #[test]
    fn nothing_but_a_socket_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "precious").unwrap();
        assert_eq!(refused(&file), ": exists and is not a socket");
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        drop(UnixListener::bind(&target).unwrap());
        symlink(&target, &link).unwrap();
        assert_eq!(refused(&link), ": exists and is not a socket");
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert!(fs::symlink_metadata(&target).is_ok());
    }

    #[test]
    fn the_systems_refusals_are_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(refused(&dir.path().join("missing/socket")), ": No such file or directory");
        assert_eq!(refused(&dir.path().join("x".repeat(120))), ": File name too long");
    }
}
