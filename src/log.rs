//! The daemon's log: syslog(3), facility mail, ident `greytrapper`, with the pid; standard error before a
//! process is ready and for as long as the daemon stays in the foreground.
//!
//! Every process of the daemon writes its own lines: syslog(3) works in a chroot(2) and under pledge(2)
//! (sendsyslog(2)), elsewhere [`open_syslog`] opens the socket beforehand. Callers escape what came from
//! outside ([`crate::escape`]); a line that was forgotten is made harmless here.
#![forbid(unsafe_code)]

use crate::escape::escaped;
use nix::syslog::{Facility, LogFlags, Priority, Severity, openlog, syslog};
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static IN_SYSLOG: AtomicBool = AtomicBool::new(false);
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Opens the way to syslog(3), where that has a socket: to be called before chroot(2) and the locks.
pub fn open_syslog() {
    let flags = LogFlags::LOG_PID | LogFlags::LOG_NDELAY;
    // The C library keeps the pointer to an ident, of which nix's call has but a copy where it is no
    // Linux. The BSDs' lines bear the program's name without.
    #[cfg(target_os = "linux")]
    let opened = openlog(Some(c"greytrapper"), flags, Facility::LOG_MAIL);
    #[cfg(not(target_os = "linux"))]
    let opened = openlog(None::<&str>, flags, Facility::LOG_MAIL);
    // It does not fail.
    let _ = opened;
}

/// From now on lines go to syslog(3).
pub fn to_syslog() {
    IN_SYSLOG.store(true, Ordering::Relaxed);
}

/// Whether [`verbose`] lines are written.
pub fn set_verbose(verbose: bool) {
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// What the daemon cannot do, and somebody must see to.
pub fn error(line: impl fmt::Display) {
    write(Severity::LOG_ERR, &line);
}

/// What is odd.
pub fn warning(line: impl fmt::Display) {
    write(Severity::LOG_WARNING, &line);
}

/// What the daemon did.
pub fn info(line: impl fmt::Display) {
    write(Severity::LOG_INFO, &line);
}

/// How a scan goes: three lines for each.
pub fn debug(line: impl fmt::Display) {
    write(Severity::LOG_DEBUG, &line);
}

/// Everything else; nothing unless asked for.
pub fn verbose(line: impl fmt::Display) {
    if VERBOSE.load(Ordering::Relaxed) {
        write(Severity::LOG_DEBUG, &line);
    }
}

/// There is nobody to tell if a line cannot be written.
fn write(severity: Severity, line: &dyn fmt::Display) {
    let line = harmless(line.to_string());
    if IN_SYSLOG.load(Ordering::Relaxed) {
        let _ = syslog(Priority::new(severity, Facility::LOG_MAIL), &line);
    } else {
        // In one piece: several processes write to the same place.
        let _ = io::stderr().write_all(format!("greytrapper: {line}\n").as_bytes());
    }
}

/// A line without control characters, which could be taken for the end of it.
fn harmless(line: String) -> String {
    if line.chars().any(char::is_control) {
        return escaped(line.as_bytes()).to_string();
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
}
