//! Incorrect command lines, and commands for a daemon that is not running.

use crate::support::cmd::{Dir, ctl, data};
use greytrapper::greytrapctl::usage::USAGE;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::UnixListener;

#[test]
fn a_wrong_command_line_is_told_with_the_usage_and_status_2() {
    let rows: [(&[&str], &str); 6] = [
        (&[], "no command"),
        (&["l", "x"], "ambiguous command \"l\" (list, log, lookup)"),
        (&["frob\x1b"], "unknown command \"frob\\033\""),
        (&["list"], "list: expected one file"),
        (&["-x"], "unknown option -x"),
        (&["trap", "-t"], "option -t needs a value"),
    ];
    for (arguments, why) in rows {
        let ran = ctl(arguments).run();
        assert_eq!(ran.err, format!("greytrapctl: {why}\n{USAGE}"));
        assert_eq!((ran.status, ran.out.len()), (Some(2), 0));
    }
}

#[test]
fn commands_may_be_shortened() {
    let file = data("hash/kinds.db");
    let expected = fs::read(file.with_extension("txt")).unwrap();
    assert_eq!(ctl([OsStr::new("li"), file.as_os_str()]).succeeds(), expected);
    assert_eq!(ctl([OsStr::new("ch"), file.as_os_str()]).succeeds(), b"");
}

#[test]
fn without_a_daemon_its_commands_fail() {
    let dir = Dir::new();
    let socket = dir.path("socket");
    let ask = |words: &[&str]| {
        let mut command = ctl(["-s"]);
        command.0.arg(&socket).args(words);
        command.fails()
    };
    let words: [&[&str]; 6] =
        [&["show"], &["show", "metrics"], &["scan"], &["reload"], &["monitor"], &["log", "brief"]];
    for words in words {
        let expected = format!("greytrapctl: {}: No such file or directory\n", socket.display());
        assert_eq!(ask(words), expected);
    }
    drop(UnixListener::bind(&socket).unwrap());
    let expected = format!("greytrapctl: {}: Connection refused\n", socket.display());
    assert_eq!(ask(&["explain", "192.0.2.1"]), expected);
    assert_eq!(ask(&["trap", "192.0.2.1"]), expected);
}

#[test]
fn help_and_version_are_answered_on_standard_output() {
    assert_eq!(ctl(["-h"]).succeeds(), USAGE.as_bytes());
    let version = format!("greytrapctl {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(ctl(["-V"]).succeeds(), version.as_bytes());
    // Whatever else is asked for.
    assert_eq!(ctl(["list", "-h"]).succeeds(), USAGE.as_bytes());
}

/// The daemon's commands were left out.
#[test]
fn the_usage_names_every_command() {
    let words = [
        "check", "explain", "list", "log", "lookup", "monitor", "release", "reload", "scan",
        "show", "simulate", "trap",
    ];
    for word in words {
        assert!(USAGE.split_whitespace().any(|found| found == word), "{word}");
    }
}
