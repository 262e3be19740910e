//! The real daemon for tests: a [`Place`] with a configuration and a database, a [`Daemon`] that runs
//! there, its log line by line, and greytrapctl(8).
//!
//! The daemon runs as an ordinary user: the test's own or, if that is root, one without a name. With
//! [`Place::of_root`] it runs as root, and its processes change their users. Tests wait for log lines
//! instead of sleeping, and never for ever. Only processes that a test started are killed, by their ids.
#![allow(dead_code, reason = "each test target takes what it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

use super::patience::{patience, stretched};
use super::process::{self, Ran, SOMEBODY, as_ordinary_user, finish, kill_hard};
use super::records::{self, Record};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A configuration that asks no name server.
pub const NO_DNS: &str = "check sender dns no\ncheck identity no\n";

/// A directory with a configuration, a database and a socket; it goes with the test.
pub struct Place {
    directory: TempDir,
    owner: Owner,
    /// Options besides -d and -f.
    pub options: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq)]
enum Owner {
    /// Who runs the test.
    Tester,
    /// [`SOMEBODY`], since the test is root's.
    Somebody,
    /// root, whose daemon's processes change their users.
    Root,
}

impl Place {
    /// One in which the daemon is an ordinary user's.
    pub fn new() -> Place {
        let owner = if Uid::effective().is_root() { Owner::Somebody } else { Owner::Tester };
        Place::of(owner)
    }

    /// One in which the daemon is root's, for tests that are ignored unless root asks for them.
    pub fn of_root() -> Place {
        assert!(Uid::effective().is_root(), "needs root");
        for name in ["_spamd", "_greytrapper"] {
            assert!(matches!(User::from_name(name), Ok(Some(_))), "needs a user {name}");
        }
        Place::of(Owner::Root)
    }

    fn of(owner: Owner) -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap(), owner, options: Vec::new() };
        // Whoever the processes become has to get there.
        let mode = Permissions::from_mode(0o755);
        fs::set_permissions(place.directory.path(), mode).unwrap();
        place.give("");
        place
    }

    /// Where something of that name is.
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.directory.path().into()
        } else {
            self.directory.path().join(name)
        }
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.path("spamd")
    }

    /// The directory of what is remembered.
    pub fn memory(&self) -> PathBuf {
        self.path("memory")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// Makes a file the daemon's user's: of root's daemon, the store's.
    pub fn give(&self, name: &str) {
        let (uid, gid) = match self.owner {
            Owner::Tester => return,
            Owner::Somebody => (SOMEBODY, SOMEBODY),
            Owner::Root if name.is_empty() => return,
            Owner::Root => {
                let spamd = User::from_name("_spamd").unwrap().unwrap();
                (spamd.uid.as_raw(), spamd.gid.as_raw())
            }
        };
        chown(self.path(name), Some(uid), Some(gid)).unwrap();
    }

    /// Writes a file that root's daemon trusts: nobody else may write to it.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        if self.owner == Owner::Somebody {
            self.give(name);
        }
        path
    }

    /// Writes the configuration: the database and the socket of this place, these statements from the third
    /// line on, and its memory.
    pub fn configure(&self, statements: &str) {
        let (database, socket) = (self.database(), self.socket());
        let text = format!(
            "database {database:?}\nsocket {socket:?}\n{statements}\nmemory {:?}\n",
            self.memory()
        );
        self.write("conf", text, 0o644);
    }

    /// Enters records into the database, which is made if there is none.
    pub fn enter(&self, records: &[Record]) {
        records::enter(&self.database(), records);
        self.give("spamd");
    }

    /// The lines that `greytrapctl list` prints of the database, sorted.
    pub fn listing(&self) -> Vec<String> {
        let path = self.database();
        let ran = greytrapctl([OsStr::new("list"), path.as_os_str()]);
        // Beside one who writes all the while it may take more than a moment.
        let waited = format!("greytrapctl: {}: waiting for the lock\n", path.display());
        assert!(ran.status == Some(0) && (ran.err.is_empty() || ran.err == waited), "{ran:?}");
        let mut lines: Vec<_> = ran.out.lines().map(String::from).collect();
        lines.sort();
        lines
    }

    /// The hosts in a trap, sorted as texts.
    pub fn trapped(&self) -> Vec<String> {
        let listing = self.listing();
        let traps = listing.iter().filter_map(|line| line.strip_prefix("TRAPPED|"));
        let mut hosts: Vec<_> =
            traps.filter_map(|rest| rest.split('|').next()).map(String::from).collect();
        hosts.sort();
        hosts
    }

    /// Fails unless the database's structure holds.
    pub fn assert_sound(&self) {
        let path = self.database();
        let ran = greytrapctl([OsStr::new("check"), path.as_os_str()]);
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    }

    /// greytrapper(8) with these arguments, as the daemon's user, not yet run.
    pub fn greytrapper<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_greytrapper"));
        command.args(arguments).stdin(Stdio::null());
        self.demote(&mut command);
        command
    }

    /// Has a command run as the daemon's user.
    pub fn demote(&self, command: &mut Command) {
        if self.owner == Owner::Somebody {
            as_ordinary_user(command);
        }
    }

    /// Starts the daemon in the foreground, and waits until it is at work.
    pub fn start(&self) -> Daemon {
        let mut daemon = self.begin();
        daemon.line("startup");
        daemon
    }

    /// Starts the daemon in the foreground.
    pub fn begin(&self) -> Daemon {
        let mut command = self.greytrapper(["-d", "-f"]);
        command.arg(self.path("conf")).args(&self.options);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                panic!("{}: not for everybody to run", env!("CARGO_BIN_EXE_greytrapper"))
            }
            child => child.unwrap(),
        };
        let log = Arc::new(Log::default());
        let (stderr, filled) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                filled.add(String::from_utf8_lossy(&line).into_owned());
            }
            filled.end();
        });
        Daemon { child, log, read: 0, socket: self.socket(), reader: Some(reader) }
    }

    /// Has greytrapctl(8) ask the daemon of this place.
    pub fn ctl(&self, arguments: &[&str]) -> Ran {
        ctl(&self.socket(), arguments)
    }
}

/// Lines as they come.
#[derive(Default)]
struct Log {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Log {
    fn add(&self, line: String) {
        self.state.lock().unwrap().0.push(line);
        self.changed.notify_all();
    }

    fn end(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

/// A daemon in the foreground. It ends with the test.
pub struct Daemon {
    child: Child,
    log: Arc<Log>,
    /// Lines that were waited for already.
    read: usize,
    socket: PathBuf,
    reader: Option<thread::JoinHandle<()>>,
}

/// What became of a daemon.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub took: Duration,
    /// Everything it logged, without `greytrapper: `.
    pub lines: Vec<String>,
}

impl Daemon {
    /// The first process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Waits for a line that contains `text`, behind those that were waited for before; gives it without
    /// `greytrapper: `.
    pub fn line(&mut self, text: &str) -> String {
        self.line_that(text, |line| line.contains(text))
    }

    /// Waits for a line that is `text` and nothing else.
    pub fn exact_line(&mut self, text: &str) {
        self.line_that(text, |line| line == text);
    }

    fn line_that(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        let mut state = self.log.state.lock().unwrap();
        loop {
            while let Some(line) = state.0.get(self.read) {
                self.read += 1;
                let line = plain(line);
                if is_it(line) {
                    return line.to_owned();
                }
            }
            let left = patience().saturating_sub(start.elapsed());
            assert!(!left.is_zero() && !state.1, "no line \"{what}\" in {:#?}", state.0);
            state = self.log.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Everything logged so far, without `greytrapper: `.
    pub fn lines(&self) -> Vec<String> {
        self.log.state.lock().unwrap().0.iter().map(|line| plain(line).to_owned()).collect()
    }

    /// Waits for the end of a scan; everything logged since the last line that was waited for.
    pub fn scan_done(&mut self) -> Vec<String> {
        let from = self.read;
        self.exact_line("Scan completed");
        self.lines().get(from..self.read).unwrap_or_default().to_vec()
    }

    /// Has greytrapctl(8) ask it.
    pub fn ctl(&self, arguments: &[&str]) -> Ran {
        ctl(&self.socket, arguments)
    }

    /// What greytrapctl(8) prints; it must have ended well and without a word on standard error.
    pub fn says(&self, arguments: &[&str]) -> String {
        self.ctl(arguments).succeeded()
    }

    /// Its children by role.
    pub fn children(&self) -> Vec<(String, Pid)> {
        process::children(self.pid())
    }

    /// That child.
    pub fn child(&self, role: &str) -> Pid {
        let children = self.children();
        let found = children.iter().find(|(name, _)| name == role);
        found.unwrap_or_else(|| panic!("no {role} among {children:?}")).1
    }

    /// Sends the first process a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for its end and for the end of its log, which all of its processes write.
    pub fn wait(mut self) -> Ended {
        let start = Instant::now();
        let status = finish(&mut self.child, patience());
        let took = start.elapsed();
        self.reader.take().unwrap().join().unwrap();
        Ended { status, took, lines: self.lines() }
    }

    /// Ends it as rc.d(8) does.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

/// What a test that failed leaves behind.
impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let children = self.children();
            let _ = self.child.kill();
            let _ = self.child.wait();
            // They end by themselves, unless that is what is wrong.
            kill_hard(children.into_iter().map(|(_, pid)| pid), stretched(Duration::from_secs(2)));
        }
    }
}

fn plain(line: &str) -> &str {
    line.strip_prefix("greytrapper: ").unwrap_or(line)
}

/// Runs greytrapctl(8) with these arguments.
pub fn greytrapctl<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greytrapctl"));
    process::run(command.args(arguments))
}

/// Has greytrapctl(8) ask the daemon at a socket.
pub fn ctl(socket: &Path, arguments: &[&str]) -> Ran {
    let first = [OsStr::new("-s"), socket.as_os_str()];
    greytrapctl(first.into_iter().chain(arguments.iter().map(OsStr::new)))
}
