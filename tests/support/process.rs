//! Processes: run with a time limit, and found by their parent.

use super::patience::patience;
use mio::{Events, Poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A user without a name and a password entry, for tests that root runs.
pub const SOMEBODY: u32 = 65_534;
/// Between two looks at a process.
const PAUSE: Duration = Duration::from_millis(1);

/// What came of a program.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; none if a signal killed it.
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Ran {
    /// What it printed; it must have ended well and without a word on standard error.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!((self.status, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// What it said on standard error; it must have failed and printed nothing.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_eq!((self.status, self.out.as_str()), (Some(1), ""), "{self:?}");
        self.err
    }
}

/// Runs a command.
pub fn run(command: &mut Command) -> Ran {
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Whoever else has the other end, a daemon say, must let go of it.
    let read = |mut from: Box<dyn Read + Send>| {
        let (sender, text) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        text
    };
    let out = read(Box::new(child.stdout.take().unwrap()));
    let err = read(Box::new(child.stderr.take().unwrap()));
    let status = finish(&mut child, patience()).code();
    let took = start.elapsed();
    let text = |of: mpsc::Receiver<String>| of.recv_timeout(patience()).expect("held open");
    Ran { status, out: text(out), err: text(err), took }
}

/// Waits for a child's end; kills it and fails if that does not come.
pub fn finish(child: &mut Child, patience: Duration) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > patience {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("process {} did not end", child.id());
        }
        thread::sleep(PAUSE);
    }
}

/// A server that ends with the test.
pub struct Server(Child);

impl Server {
    /// Starts a program that stays in the foreground.
    pub fn start(command: &mut Command) -> Server {
        Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // TERM, so that it ends its children too.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Waits for events, also when a signal comes meanwhile.
pub fn poll(poll: &mut Poll, events: &mut Events, wait: Option<Duration>) {
    while let Err(error) = poll.poll(events, wait) {
        assert_eq!(error.kind(), io::ErrorKind::Interrupted, "{error}");
    }
}

/// Waits until something is true.
#[track_caller]
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let patience = patience();
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < patience, "{what}: not so");
        thread::sleep(PAUSE);
    }
}

/// Whether there is a process of that id (and not only its exit status).
pub fn is_alive(pid: Pid) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"),
        Err(_) if cfg!(target_os = "linux") => false,
        Err(_) => kill(pid, None).is_ok(),
    }
}

/// Waits for processes to end by themselves, kills those that do not.
pub fn kill_hard(pids: impl Iterator<Item = Pid>, patience: Duration) {
    let start = Instant::now();
    for pid in pids {
        while is_alive(pid) && start.elapsed() < patience {
            thread::sleep(PAUSE);
        }
        if is_alive(pid) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// The daemon's processes whose parent is `parent`, by role.
pub fn children(parent: Pid) -> Vec<(String, Pid)> {
    let is_child = |(pid, ppid, command): (i32, i32, String)| {
        let words: Vec<_> = command.split_ascii_whitespace().collect();
        // The command line, or the title that the process gave itself.
        let (["greytrapper", "-x", role, ..] | ["greytrapper:", role, ..]) = words.as_slice()
        else {
            return None;
        };
        (ppid == parent.as_raw()).then(|| ((*role).to_owned(), Pid::from_raw(pid)))
    };
    all().into_iter().filter_map(is_child).collect()
}

/// All processes: their ids, their parents', their command lines.
#[cfg(target_os = "linux")]
fn all() -> Vec<(i32, i32, String)> {
    let process = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // Its name may hold anything; behind it come the state and the parent.
        let ppid = stat.rsplit(')').next()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some((pid, ppid, command))
    };
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| process(entry.ok()?)).collect()
}

/// All processes: their ids, their parents', their command lines.
#[cfg(not(target_os = "linux"))]
fn all() -> Vec<(i32, i32, String)> {
    let output = Command::new("ps").args(["-axwwo", "pid=,ppid=,command="]).output().unwrap();
    let process = |line: &str| {
        let (pid, rest) = line.trim_start().split_once(' ')?;
        let (ppid, command) = rest.trim_start().split_once(' ')?;
        Some((pid.parse().ok()?, ppid.parse().ok()?, command.to_owned()))
    };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(process).collect()
}

/// The process with exactly this command line.
pub fn with_command(wanted: &str) -> Option<Pid> {
    let found = all().into_iter().find(|(_, _, command)| command.trim_end() == wanted);
    found.map(|(pid, ..)| Pid::from_raw(pid))
}

/// The session of a process and its group.
#[cfg(not(target_os = "openbsd"))]
pub fn session_and_group(pid: Pid) -> (Pid, Pid) {
    (nix::unistd::getsid(Some(pid)).unwrap(), nix::unistd::getpgid(Some(pid)).unwrap())
}

/// The same where getsid(2) and getpgid(2) tell nothing of other sessions.
#[cfg(target_os = "openbsd")]
pub fn session_and_group(pid: Pid) -> (Pid, Pid) {
    let output =
        Command::new("ps").args(["-o", "sess=,pgid=", "-p", &pid.to_string()]).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    let (session, group) = line.trim().split_once(' ').expect("a session and a group");
    let pid = |text: &str| Pid::from_raw(text.trim().parse().unwrap());
    (pid(session), pid(group))
}

/// Has a command run as an ordinary user, even if root runs the test.
pub fn as_ordinary_user(command: &mut Command) -> &mut Command {
    if Uid::effective().is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    command
}

/// The name of this process's user, as the system knows it.
pub fn user() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}
