//! A separate directory for each test, and greytrapctl, run there with a time limit.

pub use super::golden::{data, databases, image};
use super::patience::patience;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A directory that goes with the test.
pub struct Dir(TempDir);

impl Dir {
    pub fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A writable copy of a database, called `spamd`.
    pub fn copy(&self, from: &Path) -> PathBuf {
        let path = self.path("spamd");
        fs::write(&path, fs::read(from).unwrap()).unwrap();
        path
    }
}

/// A run of greytrapctl.
pub struct Cmd(pub Command);

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
    pub took: Duration,
}

/// greytrapctl with these arguments.
pub fn ctl<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Cmd {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greytrapctl"));
    command.args(arguments).stdin(Stdio::null());
    Cmd(command)
}

impl Cmd {
    /// Runs it; kills it and fails if it does not end.
    pub fn run(mut self) -> Ran {
        let scratch = Dir::new();
        let (out, err) = (scratch.path("out"), scratch.path("err"));
        self.0.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let start = Instant::now();
        let mut child = self.0.spawn().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > patience() {
                child.kill().unwrap();
                panic!("{:?} did not end", self.0);
            }
            thread::sleep(Duration::from_micros(500));
        };
        Ran {
            status: status.code(),
            out: fs::read(out).unwrap(),
            err: String::from_utf8(fs::read(err).unwrap()).unwrap(),
            took: start.elapsed(),
        }
    }

    /// What it printed; it must have ended well and without a word on standard error.
    pub fn succeeds(self) -> Vec<u8> {
        let ran = self.run();
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        ran.out
    }

    /// The same of a simulation, which ends with its summary on standard error.
    pub fn sums_up(self) -> Vec<u8> {
        let ran = self.run();
        assert!(
            ran.err.ends_with(" 1\n") && ran.err.contains(": 1 host would be trapped: "),
            "{ran:?}"
        );
        assert_eq!((ran.status, ran.err.lines().count()), (Some(0), 1), "{ran:?}");
        ran.out
    }

    /// What it said on standard error; it must have failed and printed nothing.
    pub fn fails(self) -> String {
        let ran = self.run();
        assert_eq!((ran.status, ran.out.len()), (Some(1), 0), "{ran:?}");
        ran.err
    }
}

/// The lines of a listing in an order of its own, for comparing what is in two databases.
pub fn sorted(listing: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = listing.split_inclusive(|byte| *byte == b'\n').map(Vec::from).collect();
    lines.sort();
    lines
}

/// What `list` prints of a sound file.
pub fn listing(file: &Path) -> Vec<u8> {
    ctl([OsStr::new("list"), file.as_os_str()]).succeeds()
}

/// The same, sorted.
pub fn contents(file: &Path) -> Vec<Vec<u8>> {
    sorted(&listing(file))
}
