//! A directory with a script in it, a pool that runs the script, and questions about processes.

use crate::support::patience::stretched;
use greytrapper::checker::{Pool, Verdict};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// More than any test needs, unless it is about time.
pub const LONG: Duration = Duration::from_secs(30);

pub struct Script {
    directory: TempDir,
}

impl Script {
    /// A program that runs `body` with sh(1). `$d` is a directory of its own.
    pub fn new(body: &str) -> Self {
        Self::raw(|directory| format!("#!/bin/sh\nd={}\n{body}\n", directory.display()))
    }

    /// A program with this text. Another process writes it: a descriptor of ours that is open for
    /// writing might be inherited by what a test beside us spawns, and then it could not be run.
    pub fn raw(text: impl FnOnce(&Path) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        fs::write(&source, text(directory.path())).unwrap();
        let program = directory.path().join("program");
        let status = Command::new("install").args(["-m", "755"]).arg(source).arg(program).status();
        assert!(status.unwrap().success());
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn program(&self) -> PathBuf {
        self.path("program")
    }

    /// What the script wrote to `$d/NAME`.
    pub fn wrote(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Waits until the script has written `lines` lines to `$d/NAME`.
    pub fn wait_for(&self, name: &str, lines: usize) -> String {
        assert!(soon(|| self.wrote(name).lines().count() >= lines), "{}", self.wrote(name));
        self.wrote(name)
    }

    /// The verdict on one address.
    pub fn ask(&self, address: &[u8]) -> Verdict {
        ask(&self.program(), LONG, address)
    }

    /// The same, to be found within `timeout`.
    pub fn ask_within(&self, timeout: Duration, address: &[u8]) -> Verdict {
        ask(&self.program(), timeout, address)
    }
}

/// A pool whose verdicts arrive at the receiver.
pub fn pool(program: &Path, timeout: Duration) -> (Pool, Receiver<(u64, Verdict)>) {
    let (sender, receiver) = channel();
    let done = move |ticket, verdict| _ = sender.send((ticket, verdict));
    (Pool::new(program, timeout, done).unwrap(), receiver)
}

/// The verdict of `program` on one address.
pub fn ask(program: &Path, timeout: Duration, address: &[u8]) -> Verdict {
    let (pool, verdicts) = pool(program, timeout);
    pool.submit(7, address);
    let (ticket, verdict) = verdicts.recv_timeout(LONG * 2).unwrap();
    assert_eq!(ticket, 7);
    verdict
}

/// Whether the process whose number this is runs or sleeps; one that nobody has reaped does not.
pub fn is_alive(pid: &str) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// Whether it becomes true within ten seconds.
pub fn soon(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < stretched(Duration::from_secs(10)) {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
