//! The daemon's log: syslog(3) with facility mail, ident `greytrapper` and the pid; or the standard error
//! before a process is ready, and while the daemon stays in the foreground.
//!
//! On OpenBSD every process of the daemon writes its own lines: syslog(3) works in a chroot(2) and under
//! pledge(2) (sendsyslog(2)). Elsewhere it needs a socket in the file system, and a new one after each
//! restart of syslogd(8), so a confined process [keeps](keep) its lines for its parent, which can reach the
//! socket. Callers escape strangers' bytes ([`crate::escape`]); a line where this was forgotten is made
//! harmless here.
#![forbid(unsafe_code)]

use crate::escape::escaped;
use nix::syslog::{Facility, LogFlags, Priority, Severity, openlog, syslog};
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static IN_SYSLOG: AtomicBool = AtomicBool::new(false);
/// Lines for the parent, once they are kept.
static KEPT: Mutex<Option<Vec<(u8, String)>>> = Mutex::new(None);
/// The maximum number of lines that are kept; later ones are lost.
const KEPT_MAX: usize = 10_000;
/// The maximum length of a line in bytes; more is cut off. With its header it fits in a packet of RFC 3164
/// (4.1), whose 1024 bytes many receivers still enforce.
pub const LINE_MAX: usize = 900;
/// The end of a line that was cut.
const CUT: &str = "...";
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Opens the socket of syslog(3), if it has one.
pub fn open_syslog() {
    let flags = LogFlags::LOG_PID | LogFlags::LOG_NDELAY;
    // The C library keeps the pointer to the ident, but nix passes only a temporary copy on systems other
    // than Linux. On the BSDs the lines have the program's name anyway.
    #[cfg(target_os = "linux")]
    let opened = openlog(Some(c"greytrapper"), flags, Facility::LOG_MAIL);
    #[cfg(not(target_os = "linux"))]
    let opened = openlog(None::<&str>, flags, Facility::LOG_MAIL);
    // It does not fail.
    let _ = opened;
}

/// Writes lines to syslog(3) from now on.
pub fn to_syslog() {
    IN_SYSLOG.store(true, Ordering::Relaxed);
}

/// Keeps lines from now on, until they are [taken](take_kept).
pub fn keep() {
    kept().get_or_insert_default();
}

/// Takes the lines kept since the last call, each with its severity.
pub fn take_kept() -> Vec<(u8, String)> {
    kept().as_mut().map(std::mem::take).unwrap_or_default()
}

/// Writes a line that another process has kept.
pub fn write_kept(severity: u8, line: &str) {
    let severity = match severity {
        0..=3 => Severity::LOG_ERR,
        4 => Severity::LOG_WARNING,
        5 | 6 => Severity::LOG_INFO,
        _ => Severity::LOG_DEBUG,
    };
    write(severity, &line);
}

fn kept() -> MutexGuard<'static, Option<Vec<(u8, String)>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether [`verbose`] lines are written.
pub fn set_verbose(verbose: bool) {
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// Logs what the daemon cannot do, and an operator must fix.
pub fn error(line: impl fmt::Display) {
    write(Severity::LOG_ERR, &line);
}

/// Logs what is odd.
pub fn warning(line: impl fmt::Display) {
    write(Severity::LOG_WARNING, &line);
}

/// Logs what the daemon did.
pub fn info(line: impl fmt::Display) {
    write(Severity::LOG_INFO, &line);
}

/// Logs the progress of a scan: three lines for each.
pub fn debug(line: impl fmt::Display) {
    write(Severity::LOG_DEBUG, &line);
}

/// Logs everything else, only if requested.
pub fn verbose(line: impl fmt::Display) {
    if VERBOSE.load(Ordering::Relaxed) {
        write(Severity::LOG_DEBUG, &line);
    }
}

/// An error is ignored, since it could not be reported.
fn write(severity: Severity, line: &dyn fmt::Display) {
    let line = bounded(harmless(line.to_string()));
    if let Some(kept) = kept().as_mut() {
        if kept.len() < KEPT_MAX {
            kept.push((severity as u8, line));
        }
    } else if IN_SYSLOG.load(Ordering::Relaxed) {
        let _ = syslog(Priority::new(severity, Facility::LOG_MAIL), &line);
    } else {
        // In one write, since several processes write to the same place.
        let _ = io::stderr().write_all(format!("greytrapper: {line}\n").as_bytes());
    }
}

/// Removes control characters from a line, since they could look like its end.
fn harmless(line: String) -> String {
    if line.chars().any(char::is_control) {
        return escaped(line.as_bytes()).to_string();
    }
    line
}

/// Cuts a line that is too long: strangers choose what some lines contain, and how much of it.
fn bounded(mut line: String) -> String {
    if line.len() > LINE_MAX {
        let last = (0..=LINE_MAX - CUT.len()).rev().find(|end| line.is_char_boundary(*end));
        line.truncate(last.unwrap_or(0));
        line.push_str(CUT);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(harmless("Trapped 192.0.2.1: x\u{e4}\\".into()), "Trapped 192.0.2.1: x\u{e4}\\");
        let forged = harmless("x\nTrapped 192.0.2.1: \u{9b}31m".into());
        assert!(!forged.contains(char::is_control), "{forged}");
        assert!(forged.starts_with("x") && forged.contains("Trapped 192.0.2.1"), "{forged}");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let whole = "x".repeat(LINE_MAX);
        assert_eq!(bounded(whole.clone()), whole);
        for start in ["", "x", "xx", "xxx"] {
            let cut = bounded(format!("{start}{}", "\u{20ac}".repeat(LINE_MAX)));
            assert!((LINE_MAX - 3..=LINE_MAX).contains(&cut.len()), "{}", cut.len());
            assert!(cut.starts_with(start) && cut.ends_with("\u{20ac}..."));
        }
    }
}
