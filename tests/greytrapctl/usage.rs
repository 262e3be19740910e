//! Wrong command lines, and commands for a daemon that is not there.

use crate::support::cmd::{Dir, ctl, data};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::UnixListener;

const USAGE: &str = "\
usage: greytrapctl [-jv] [-s socket] command [argument ...]
       greytrapctl [-jv] list file
       greytrapctl [-jv] check [-x] file
       greytrapctl [-jv] simulate [-f conf] [-t epoch] file
       greytrapctl [-jv] lookup [-f conf] [domain ...]
       greytrapctl [-jv] -F file [-t epoch] trap [-f] address ...
       greytrapctl [-jv] -F file [-t epoch] release address ...
";

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
    assert_eq!(ctl([OsStr::new("c"), file.as_os_str()]).succeeds(), b"");
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
