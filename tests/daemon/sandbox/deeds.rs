//! What a role must not do, or only some may: one function for each deed, which prepares it and returns the
//! act.

use super::process::{Act, Env};
use greytrapper::process::user::User;
use nix::sys::ptrace;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, send, socket,
};
use nix::unistd::{self, Pid};
use std::error::Error;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

type Prepared = Result<Act, Box<dyn Error>>;

/// The deed of that name.
pub fn find(deed: &str, env: &Env) -> Option<Prepared> {
    let path = |name| env.path(name);
    Some(match deed {
        "open the database" => open(path("spamd"), OpenOptions::new().read(true).write(true)),
        "truncate the database" => replaceable(env)
            .and_then(|_| open(path("spamd"), OpenOptions::new().write(true).truncate(true))),
        "remove the database" => replaceable(env).map(|path| act(move || fs::remove_file(path))),
        "rename the database" => {
            let new = env.own_path("renamed");
            replaceable(env).map(|path| act(move || fs::rename(path, new)))
        }
        "open another file to read" => open(path("other"), OpenOptions::new().read(true)),
        "open another file to write" => open(path("other"), OpenOptions::new().write(true)),
        "open /etc/passwd" => open("/etc/passwd".into(), OpenOptions::new().read(true)),
        "list /etc" => Ok(act(|| fs::read_dir("/etc"))),
        "look up a user" => Ok(act(look_up)),
        "create a file" => {
            open(env.own_path("new"), OpenOptions::new().write(true).create_new(true))
        }
        "create a file without a name" => Ok(act({
            let directory = path(".");
            move || tempfile::tempfile_in(directory)
        })),
        "make a directory" => Ok(act({
            let directory = env.own_path("directory");
            move || fs::create_dir(directory)
        })),
        "change a file's mode" => Ok(act({
            let path = path("other");
            move || fs::set_permissions(path, Permissions::from_mode(0o600))
        })),
        "remove a file" => remove(env.own_path("doomed")),
        "make a file of the memory" => {
            open(env.own_path("memory/new"), OpenOptions::new().write(true).create_new(true))
        }
        "rename a file of the memory" => {
            let (old, new) = (env.own_path("memory/old"), env.own_path("memory/renamed"));
            File::create(&old).map_err(Into::into).map(|_| act(move || fs::rename(old, new)))
        }
        "remove a file of the memory" => remove(env.own_path("memory/doomed")),
        "make a directory in the memory" => Ok(act({
            let directory = env.own_path("memory/directory");
            move || fs::create_dir(directory)
        })),
        "remove the control socket" => remove(path("control")),
        "execute the program" => execute(path("program")),
        "execute another program" => execute(path("another")),
        "start the program" => start(Command::new(path("program")), 3),
        "start a shell" => start(shell("exit 3"), 3),
        "fork" => Ok(act(fork)),
        "trace another process" => trace(),
        "leave its namespaces" => Ok(act(leave_namespaces)),
        "make an x32 call" => Ok(act(x32)),
        "kill another process" => kill_another(),
        "raise its limits" => raise_limits(),
        "change its user" => Ok(act(|| unistd::setuid(unistd::getuid()))),
        "leave its directory for the root" => Ok(act(|| unistd::chdir("/"))),
        "abort" => Ok(Box::new(|| std::process::abort())),
        "be nobody for good" => Ok(Box::new(be_nobody)),
        "see nothing behind chroot" => see_nothing(env),
        _ => return network(deed, env),
    })
}

/// Whether the process must still be root when this deed begins.
pub fn begins_as_root(deed: &str) -> bool {
    ["be nobody for good", "see nothing behind chroot"].contains(&deed)
}

fn network(deed: &str, env: &Env) -> Option<Prepared> {
    const ANY: &str = "127.0.0.1:0";
    Some(match deed {
        "open an inet socket" => Ok(act(|| inet_socket(SockType::Stream))),
        "connect to a tcp port" => {
            env.address("SCENE_TCP").map(|address| act(move || TcpStream::connect(address)))
        }
        "send to a udp port" => {
            env.address("SCENE_UDP").map(|address| act(move || send_to(address)))
        }
        "bind a tcp port" => Ok(act(|| TcpListener::bind(ANY))),
        "bind a udp port" => Ok(act(|| UdpSocket::bind(ANY))),
        "open a unix socket" => Ok(act(unix_socket)),
        "connect to a unix socket" => Ok(act({
            let path = env.path("listener");
            move || UnixStream::connect(path)
        })),
        "bind a unix socket" => Ok(act({
            let path = env.own_path("socket");
            move || UnixListener::bind(path)
        })),
        "send to a unix socket by name" => {
            UnixDatagram::unbound().map_err(Into::into).map(|socket| {
                let path = env.path("datagrams");
                act(move || socket.send_to(b"x", path))
            })
        }
        _ => return None,
    })
}

/// A deed that one call is.
fn act<T, E: Into<Box<dyn Error>> + 'static>(call: impl FnOnce() -> Result<T, E> + 'static) -> Act {
    Box::new(|| call().map(drop).map_err(Into::into))
}

fn open(path: PathBuf, options: &OpenOptions) -> Prepared {
    let options = options.clone();
    Ok(act(move || options.open(path)))
}

/// The database, anew: the last deed may have removed it.
fn replaceable(env: &Env) -> Result<PathBuf, Box<dyn Error>> {
    Ok(env.own_database()?)
}

fn look_up() -> io::Result<()> {
    match unistd::User::from_name("root")? {
        Some(_) => Ok(()),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

fn remove(path: PathBuf) -> Prepared {
    File::create(&path)?;
    Ok(act(move || fs::remove_file(path)))
}

/// The process becomes the program: an error if it is still there.
fn execute(program: PathBuf) -> Prepared {
    Ok(Box::new(move || Err(Command::new(program).arg("fine").exec().into())))
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn start(mut command: Command, status: i32) -> Prepared {
    Ok(act(move || match command.stdin(Stdio::null()).status()?.code() {
        Some(code) if code == status => Ok(()),
        other => Err(io::Error::other(format!("exit status {other:?}"))),
    }))
}

/// A copy that ends at once.
#[allow(unsafe_code)]
fn fork() -> Result<(), Box<dyn Error>> {
    // SAFETY: the child calls nothing but _exit(2).
    match unsafe { unistd::fork() }? {
        // SAFETY: it ends the process and runs nothing of its.
        unistd::ForkResult::Child => unsafe { libc::_exit(0) },
        unistd::ForkResult::Parent { child } => {
            nix::sys::wait::waitpid(child, None)?;
            Ok(())
        }
    }
}

/// Another process of the same user, started before the lock; it ends when its standard input does.
fn another_process() -> io::Result<Child> {
    Command::new("/bin/cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// As root with unshare(2) alone; as another user with a user namespace first.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn leave_namespaces() -> nix::Result<()> {
    use libc::{CLONE_NEWNS, CLONE_NEWUSER, unshare};
    // SAFETY: it takes a number and touches no memory.
    let leave = |flag| nix::errno::Errno::result(unsafe { unshare(flag) }).map(drop);
    leave(CLONE_NEWNS).or_else(|_| leave(CLONE_NEWUSER))
}

#[cfg(not(target_os = "linux"))]
fn leave_namespaces() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// getpid(2) under its second number; a kernel without those calls it "no such call".
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(unsafe_code)]
fn x32() -> io::Result<()> {
    const X32: libc::c_long = 0x4000_0000;
    // SAFETY: it takes no arguments and touches no memory.
    match unsafe { libc::syscall(X32 | libc::SYS_getpid) } {
        -1 => match io::Error::last_os_error() {
            // Nobody refused it: there is nothing to call.
            error if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn x32() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn pid(child: &Child) -> Result<Pid, Box<dyn Error>> {
    Ok(Pid::from_raw(child.id().try_into()?))
}

fn trace() -> Prepared {
    let mut child = another_process()?;
    let pid = pid(&child)?;
    Ok(act(move || -> io::Result<()> {
        ptrace::attach(pid)?;
        // It would stay as it is now, stopped.
        child.kill()?;
        child.wait().map(drop)
    }))
}

fn kill_another() -> Prepared {
    let child = another_process()?;
    let pid = pid(&child)?;
    Ok(act(move || {
        let outcome = kill(pid, Signal::SIGKILL);
        drop(child);
        outcome
    }))
}

/// Back to the limit that it had.
fn raise_limits() -> Prepared {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, soft - 1, hard)?;
    Ok(act(move || setrlimit(Resource::RLIMIT_NOFILE, soft, hard)))
}

fn inet_socket(kind: SockType) -> nix::Result<std::os::fd::OwnedFd> {
    socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)
}

fn unix_socket() -> nix::Result<std::os::fd::OwnedFd> {
    socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
}

fn send_to(address: SocketAddr) -> nix::Result<usize> {
    let socket = inet_socket(SockType::Datagram)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    send(socket.as_raw_fd(), b"x", MsgFlags::empty())
}

/// Becomes nobody and looks for a way back.
fn be_nobody() -> Result<(), Box<dyn Error>> {
    let nobody = User::named("nobody")?;
    nobody.assume(None)?;
    let groups = Command::new("id").arg("-G").output()?.stdout;
    if String::from_utf8(groups)?.trim() != nobody.gid.to_string() {
        return Err("other groups are left".into());
    }
    let root = unistd::Uid::from_raw(0);
    let back = [unistd::setuid(root), unistd::seteuid(root)];
    if back.iter().any(Result::is_ok) || !unistd::getuid().eq(&nobody.uid) {
        return Err("root again".into());
    }
    // The second time there is nothing left to give up with.
    match nobody.assume(None) {
        Err(error) if error.to_string() == "setgroups: Operation not permitted" => Ok(()),
        other => Err(format!("once more: {other:?}").into()),
    }
}

/// Becomes nobody in a directory that then is the root, the current one too.
fn see_nothing(env: &Env) -> Prepared {
    let directory = env.own_path("empty");
    fs::create_dir(&directory)?;
    Ok(Box::new(move || {
        User::named("nobody")?.assume(Some(&directory))?;
        let seen = [".", "/", ".."].map(|path| fs::read_dir(path).map(Iterator::count));
        let expected = seen.iter().all(|count| matches!(count, Ok(0)));
        if expected { Ok(()) } else { Err(format!("{seen:?}").into()) }
    }))
}
