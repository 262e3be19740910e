//! The daemon's log in syslog(3), which a test can have for itself only on Linux.

use crate::background::Background;
use crate::support::daemon::{NO_DNS, Place};
use crate::support::patience::patience;
use crate::support::process::{self, is_alive, until};
use crate::support::records::invalid_senders;
use nix::sys::signal::{Signal, kill};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::Shutdown;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

/// syslog(3)'s socket is the test's, in a file system of its own, and the daemon is root's: all its processes
/// have left that file system's root.
#[test]
#[ignore = "needs root, the daemon's users and unshare(1)"]
fn the_log_goes_to_syslog() {
    let place = Place::of_root();
    let devices = place.path("dev");
    fs::create_dir(&devices).unwrap();
    let mut script = String::new();
    for name in ["null", "zero", "urandom", "random"] {
        File::create(devices.join(name)).unwrap();
        script += &format!("mount --bind /dev/{name} {0}/{name} && ", devices.display());
    }
    script += &format!("mount --rbind {} /dev && exec \"$@\"", devices.display());
    let unshared = |program: &OsStr| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh"]).arg(program);
        command
    };
    let log = UnixDatagram::bind(devices.join("log")).unwrap();
    log.set_read_timeout(Some(patience())).unwrap();
    place.configure(NO_DNS);
    place.enter(&invalid_senders(1));
    let mut command = unshared(OsStr::new(env!("CARGO_BIN_EXE_greytrapper")));
    assert_eq!(process::run(command.arg("-f").arg(place.path("conf"))).succeeded(), "");
    let daemon = Background::of(&place).expect("the daemon");
    let lines = until_scanned(&log);
    // Facility mail (2), severity info (6) or debug (7): RFC 3164 4.1.1. Then the time, 16 octets.
    let reason = "Invalid source address no domain (blank outside quotes)";
    // The engine's lines come through the parent, whose id they bear.
    let pid = daemon.0;
    for (priority, text) in [
        ("<23>", "Scan started"),
        ("<23>", "scanned 0 whitelisted, 0 trapped, 1 unique greys"),
        ("<22>", &format!("Trapped 10.0.0.1: {reason}")),
        ("<23>", "Scan completed"),
    ] {
        let is_it = |line: &&String| {
            line.starts_with(priority)
                && line.get(20..) == Some(&format!("greytrapper[{pid}]: {text}"))
        };
        assert_eq!(lines.iter().filter(is_it).count(), 1, "{text}: {lines:#?}");
    }
    // syslogd(8) is started again, and has another socket. Children of other tests that have not yet executed
    // their programs have the old one open too, and a daemon could go on writing to it.
    log.shutdown(Shutdown::Both).unwrap();
    drop(log);
    fs::remove_file(devices.join("log")).unwrap();
    let log = UnixDatagram::bind(devices.join("log")).unwrap();
    log.set_read_timeout(Some(patience())).unwrap();
    place.enter(&invalid_senders(2));
    place.ctl(&["scan"]).succeeded();
    let lines = until_scanned(&log);
    let told = format!("Trapped 10.0.0.2: {reason}");
    assert!(lines.iter().any(|line| line.ends_with(&told)), "{lines:#?}");
    kill(daemon.0, Signal::SIGTERM).unwrap();
    until("the end", || !is_alive(daemon.0));
}

/// All lines up to the end of a scan.
fn until_scanned(log: &UnixDatagram) -> Vec<String> {
    let mut lines = Vec::new();
    let mut buffer = [0; 2048];
    while lines.last().is_none_or(|line: &String| !line.ends_with(": Scan completed")) {
        let length = log.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {lines:#?}"));
        lines.push(String::from_utf8_lossy(&buffer[..length]).trim_end_matches('\0').to_owned());
    }
    lines
}
