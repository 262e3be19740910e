//! One attempt, seen from both sides: the test that starts a process, and that process.
//!
//! The environment says what to do, the exit status says what came of it; what the sandbox lacks, and the
//! text of errors, go to the standard error.

use super::scene::DATABASE;
use super::{deeds, not_proven, work};
use greytrapper::daemon::roles::{Place, Process, Role, Variant};
use greytrapper::process::sandbox::{self, Strength};
use greytrapper::process::user::User;
use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio, exit};

pub const DEED: &str = "SANDBOX_DEED";
pub const ROLE: &str = "SANDBOX_ROLE";
pub const USER: &str = "SANDBOX_USER";

/// Exit statuses.
const DONE: i32 = 0;
const REFUSED: i32 = 10;
const UNPREPARED: i32 = 11;

const SIGABRT: i32 = libc::SIGABRT;

/// What comes before a line of standard error that is meant for the test.
const WEAK: &str = "lock lacks: ";

/// What a deed is in the end: something to call behind the lock.
pub type Act = Box<dyn FnOnce() -> Result<(), Box<dyn Error>>>;

/// What came of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The deed is done.
    Done,
    /// It ended with an error.
    Refused(String),
    /// The process got SIGABRT.
    Aborted,
    /// Anything else: the process did not get so far, or died.
    Broken(String),
}

/// Starts a process that tries what `environment` says.
pub fn attempt(environment: &[(&str, String)]) -> Outcome {
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "sandbox::a_process_tries",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if let Some(lacking) = errors.lines().find_map(|line| line.strip_prefix(WEAK)) {
        not_proven(&format!("{environment:?}: {lacking}"));
    }
    match (output.status.code(), output.status.signal()) {
        (Some(DONE), _) => Outcome::Done,
        (Some(REFUSED), _) => Outcome::Refused(errors.trim().to_owned()),
        (_, Some(SIGABRT)) => Outcome::Aborted,
        _ => Outcome::Broken(format!("{}: {}", output.status, errors.trim())),
    }
}

/// Does, in a process that [`attempt`] started, what it is there for; returns in any other.
pub fn act_if_asked() {
    let Ok(deed) = env::var(DEED) else { return };
    let end = match prepared(&deed) {
        Err(error) => {
            eprintln!("not prepared: {error}");
            UNPREPARED
        }
        Ok(act) => match act() {
            Ok(()) => DONE,
            Err(error) => {
                eprintln!("{error}");
                REFUSED
            }
        },
    };
    wait_for_harness();
    exit(end);
}

/// Waits until the harness's own thread sleeps. glibc makes every thread change its user by a signal, whose
/// handler runs on std's alternate stack. A thread that exits unmaps that of the first thread, which died of
/// SIGSEGV if it was still in the handler. The daemon's processes have one thread when they change their user.
#[cfg(target_os = "linux")]
fn wait_for_harness() {
    use std::{thread::sleep, time::Duration};

    // The third field of proc_pid_stat(5): the state of the first thread.
    let sleeps = |stat: &str| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'));
    for _ in 0..1000 {
        match std::fs::read_to_string("/proc/self/stat") {
            Ok(stat) if !sleeps(&stat) => sleep(Duration::from_millis(1)),
            Ok(_) => return,
            // Behind a lock it cannot be read.
            Err(_) => return sleep(Duration::from_millis(10)),
        }
    }
}

/// Elsewhere no thread is sent such a signal, and under pledge(2) it would be death to look.
#[cfg(not(target_os = "linux"))]
fn wait_for_harness() {}

/// Becomes the user, prepares the deed, locks the process in.
fn prepared(deed: &str) -> Result<Act, Box<dyn Error>> {
    let env = Env::read()?;
    if let Some(user) = env.user.as_deref().filter(|_| !deeds::begins_as_root(deed)) {
        User::named(user)?.assume(None)?;
    }
    wait_for_harness();
    let act = deeds::find(deed, &env).or_else(|| work::find(deed, &env)).ok_or("unknown")??;
    if let Some(role) = env.role() {
        match sandbox::enter(&role.rights(|place| env.place(place)))? {
            Strength::Full => {}
            Strength::Partial(why) => eprintln!("{WEAK}{why}"),
            Strength::None => eprintln!("{WEAK}everything"),
        }
    }
    Ok(act)
}

/// The scene as a process that tries sees it.
pub struct Env {
    directory: PathBuf,
    role: String,
    user: Option<String>,
    program: PathBuf,
    database: PathBuf,
    socket: PathBuf,
}

impl Env {
    fn read() -> Result<Env, env::VarError> {
        let directory = PathBuf::from(env::var("SCENE")?);
        let env = Env {
            role: env::var(ROLE)?,
            user: Some(env::var(USER)?).filter(|user| !user.is_empty()),
            program: directory.join("program"),
            database: directory.join("spamd"),
            socket: directory.join("control"),
            directory,
        };
        Ok(env)
    }

    /// A file of the scene.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A name in the scene that no other process uses.
    pub fn own_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}-{}", std::process::id()))
    }

    /// A database of this process's own, and its directory.
    pub fn own_database(&self) -> std::io::Result<PathBuf> {
        std::fs::write(&self.database, DATABASE)?;
        Ok(self.database.clone())
    }

    /// An address of the scene.
    pub fn address(&self, name: &str) -> Result<SocketAddr, Box<dyn Error>> {
        Ok(env::var(name)?.parse()?)
    }

    /// The daemon's own row.
    fn role(&self) -> Option<&'static Role> {
        Some(match self.role.as_str() {
            "" => return None,
            "dns" => Process::Resolver.role(Variant::Usual),
            "inet" => Process::Resolver.role(Variant::AnyPort),
            name => Process::named(name).unwrap().role(Variant::Usual),
        })
    }

    fn place(&self, place: Place) -> PathBuf {
        match place {
            Place::Program | Place::Checker => self.program.clone(),
            Place::Socket => self.socket.clone(),
            Place::Database => self.database.clone(),
            Place::Memory => self.path("memory"),
            Place::Root => "/".into(),
        }
    }
}
