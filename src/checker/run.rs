//! One program for one address: spawn, wait, kill.
//!
//! In: an address. Out: a verdict. [`super::pool`] calls from its threads. The address is not trusted: it
//! reaches the program as one argument or not at all, and never passes through a shell.
//!
//! Only the thread that spawned a program waits for it and kills it, and it never kills a program that it
//! has reaped, since the process id may be in use again. So it polls at growing intervals. A blocking
//! wait(2) would reap the program, so that another thread that watches the clock could not know what it
//! kills, and waitid(2) with WNOWAIT is not available to safe code on OpenBSD.

use super::{Verdict, Why};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for a killed program. If the kernel does not end it by then (a file server may be
/// down), it is left alone.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// Longer addresses are not passed to the program. RFC 5321, 4.5.3.1 allows 254 bytes.
const LONGEST_ADDRESS: usize = 1024;

/// The search path of daemons on OpenBSD. Source: PATH in rc(8), and `_PATH_STDPATH` in <paths.h>.
const PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin";

/// How long to sleep before polling a program again: at least this,
const SHORTEST_PAUSE: Duration = Duration::from_micros(500);
/// at most this,
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// and otherwise this fraction of the time for which it has been running.
const PAUSE_PART: u32 = 8;

/// The program, how long it may take, and what it reads and writes.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    timeout: Duration,
    null: File,
}

impl Program {
    /// Opens /dev/null, since later the sandbox may forbid it. Fails if that fails.
    pub fn new(path: &Path, timeout: Duration) -> io::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        Ok(Self { path: path.to_owned(), timeout, null })
    }

    /// Runs the program and waits for it. `pause` sleeps and returns true; if it returns false, the program
    /// is killed and there is no verdict.
    pub fn ask(&self, address: &[u8], pause: impl Fn(Duration) -> bool) -> Option<Verdict> {
        if !is_fit(address) {
            return Some(Verdict::Unknown(Why::Address));
        }
        match self.spawn(address) {
            Ok(child) => self.wait(child, pause),
            Err(error) => Some(system(&error)),
        }
    }

    /// Does not use `current_dir`: a chdir(2) in the child would need the promise `rpath`.
    fn spawn(&self, address: &[u8]) -> io::Result<Child> {
        Command::new(&self.path)
            .arg(OsStr::from_bytes(address))
            .env_clear()
            .env("PATH", PATH)
            .stdin(self.null.try_clone()?)
            .stdout(self.null.try_clone()?)
            .stderr(self.null.try_clone()?)
            .process_group(0)
            .spawn()
    }

    fn wait(&self, mut child: Child, pause: impl Fn(Duration) -> bool) -> Option<Verdict> {
        let started = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Some(said(status)),
                Ok(None) => {}
                Err(error) => return Some(system(&error)),
            }
            let elapsed = started.elapsed();
            let left = self.timeout.saturating_sub(elapsed);
            if left.is_zero() {
                kill(child);
                return Some(Verdict::Unknown(Why::Timeout));
            }
            if !pause(pause_after(elapsed).min(left)) {
                kill(child);
                return None;
            }
        }
    }
}

/// Whether the address can be passed to a program that expects neither options nor control characters.
fn is_fit(address: &[u8]) -> bool {
    let starts_well = address.first().is_some_and(|first| *first != b'-');
    starts_well && address.len() <= LONGEST_ADDRESS && !address.iter().any(u8::is_ascii_control)
}

/// Short programs are noticed soon, long ones are polled rarely.
fn pause_after(elapsed: Duration) -> Duration {
    (elapsed / PAUSE_PART).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

fn said(status: ExitStatus) -> Verdict {
    match status.code() {
        Some(0) => Verdict::Good,
        Some(status) if is_failure(status) => Verdict::Unknown(Why::Status(status)),
        Some(_) => Verdict::Bad,
        None => Verdict::Unknown(Why::Signal(status.signal().unwrap_or_default())),
    }
}

/// Whether an exit status means that the program could not find out, rather than that an address is bad:
///
/// * 64 to 78: sysexits(3), including EX_TEMPFAIL; the price is that EX_NOUSER (67) is among them too.
/// * 111: a temporary failure in qmail-command(8).
/// * 126 and 127: the program that a script runs cannot be executed or found, sh(1).
/// * 128 and higher: a program was killed by a signal, sh(1); 255: an error in perl(1) and ssh(1).
fn is_failure(status: i32) -> bool {
    matches!(status, 64..=78 | 111 | 126..)
}

/// The verdict if the system refuses. std returns errors of its own only for input that `is_fit` and the
/// configuration reject.
pub(super) fn system(error: &io::Error) -> Verdict {
    let number = error.raw_os_error().unwrap_or(Errno::EINVAL as i32);
    Verdict::Unknown(Why::System(number))
}

/// Kills the program and everything in its process group, and reaps it.
fn kill(mut child: Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // This fails if all have exited by themselves or now run as another user; there is nothing more to
        // do then.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let killed = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && killed.elapsed() < GRACE {
        thread::sleep(pause_after(killed.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_an_address_is_fit() {
        let long = [b'a'; LONGEST_ADDRESS + 1];
        for (address, fit) in [
            (&b"user@example.org"[..], true),
            (b"$(touch x)@example.org", true),
            (b"a b;c|d>e'f\"g`h\\@example.org", true),
            ("j\u{f6}rg@b\u{fc}cher.example".as_bytes(), true),
            (b"\xff@example.org", true),
            (b"a-b", true),
            (&long[1..], true),
            (&long, false),
            (b"", false),
            (b"-", false),
            (b"-rf", false),
            (b"--help@example.org", false),
            (b"a\0b", false),
            (b"a\nb", false),
            (b"a\x1b[2Jb", false),
            (b"a\x7fb", false),
        ] {
            assert_eq!(is_fit(address), fit, "{}", crate::escape::escaped(address));
        }
    }

    #[test]
    fn pauses_grow_with_the_time_but_stay_within_bounds() {
        for (elapsed, pause) in [(0, 500), (4_000, 500), (8_000, 1_000), (160_000, 20_000)] {
            assert_eq!(pause_after(Duration::from_micros(elapsed)), Duration::from_micros(pause));
        }
        assert_eq!(pause_after(Duration::MAX), LONGEST_PAUSE);
    }
}
