//! Failing starts: a line with the reason, exit status 1, and nothing left behind.

use crate::support::daemon::{NO_DNS, Place};
use crate::support::process::{self, Ran};
use std::fs;
use std::process::Command;

/// Starts the daemon in the foreground and in the background; both must fail with the same message. Nothing
/// is left running, since it would keep the standard error open.
fn refused(place: &Place) -> String {
    let conf = place.path("conf");
    let run = |options: &[&str]| {
        let mut command = place.greytrapper(options);
        process::run(command.arg("-f").arg(&conf)).failed()
    };
    let (foreground, background) = (run(&["-d"]), run(&[]));
    assert_eq!(foreground, background);
    assert!(!place.socket().exists());
    let directory = place.path("");
    foreground.replace(directory.to_str().unwrap(), "DIR")
}

#[test]
fn a_wrong_configuration_is_told_line_by_line() {
    let place = Place::new();
    place.configure("scan evry 10m\ntrap for 0s\n");
    let told = refused(&place);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines[0].starts_with("DIR/conf:3: "), "{told}");
    assert!(lines[1].starts_with("DIR/conf:4: "), "{told}");
    fs::remove_file(place.path("conf")).unwrap();
    assert_eq!(refused(&place), "DIR/conf: No such file or directory\n");
}

/// A statement for a key that can be read, whatever there is of spamd's on this host.
fn own_key(place: &Place) -> String {
    format!("sync key \"{}\"\n", place.write("own", "key", 0o600).display())
}

#[test]
fn what_sync_cannot_do_without() {
    let place = Place::new();
    let key = place.write("key", "key", 0o644);
    let key = format!("sync to \"127.0.0.1\"\nsync key \"{}\"\n", key.display());
    let interface = format!("sync multicast on nosuch0\n{}", own_key(&place));
    for (statements, told) in [
        (key.as_str(), "DIR/key: group writable or world read/writable"),
        (
            "sync to \"127.0.0.1\"\nsync key \"/nowhere/key\"\n",
            "/nowhere/key: No such file or directory",
        ),
        (interface.as_str(), "sync multicast on nosuch0: no such interface"),
    ] {
        place.configure(&format!("{NO_DNS}{statements}"));
        assert_eq!(refused(&place), format!("greytrapper: sync: {told}\n"));
    }
}

#[test]
fn a_socket_that_cannot_be() {
    let place = Place::new();
    let database = place.database();
    let configure = |socket: &str| {
        let (database, socket) = (database.display(), place.path(socket));
        let text = format!("database \"{database}\"\nsocket \"{}\"\n{NO_DNS}", socket.display());
        place.write("conf", text, 0o644);
    };
    configure("missing/socket");
    assert_eq!(refused(&place), "greytrapper: DIR/missing/socket: No such file or directory\n");
    configure("file");
    place.write("file", "precious", 0o644);
    assert_eq!(refused(&place), "greytrapper: DIR/file: exists and is not a socket\n");
    assert_eq!(fs::read(place.path("file")).unwrap(), b"precious");
}

#[test]
fn a_second_daemon_leaves_the_first_alone() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let mut first = place.start();
    first.scan_done();
    let ended = place.begin().wait();
    assert_eq!(ended.status.code(), Some(1));
    let told = format!("{}: another greytrapper is listening", place.socket().display());
    assert_eq!(ended.lines, [told]);
    first.says(&["scan"]);
    first.scan_done();
}

#[test]
fn what_a_killed_daemon_left_is_no_obstacle() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let first = place.start();
    first.signal(nix::sys::signal::Signal::SIGKILL);
    first.wait();
    assert!(place.socket().exists());
    place.start().says(&["show"]);
}

/// In a file system of its own, in which the password file lacks a user.
#[test]
#[ignore = "needs root, the daemon's users and unshare(1)"]
fn root_needs_the_users() {
    let place = Place::of_root();
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]);
        command.arg(env!("CARGO_BIN_EXE_greytrapper")).arg("-df").arg(place.path("conf"));
        command
    };
    place.configure(NO_DNS);
    place.enter(&[]);
    // Whichever is first to say it.
    for (user, processes) in [("_spamd", &["store"][..]), ("_greytrapper", &["engine", "memory"])] {
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let without: String =
            passwd.split_inclusive('\n').filter(|line| !line.starts_with(user)).collect();
        let file = place.write("passwd", without, 0o644);
        let script = format!("mount --bind {} /etc/passwd && exec \"$@\"", file.display());
        let Ran { status, out, err, .. } = process::run(&mut unshared(&script));
        let told = |process| format!("greytrapper: {process}: user {user}: not found\n");
        let is_told = processes.iter().any(|process| err == told(process));
        assert!(is_told, "{err}");
        assert_eq!((status, out.as_str()), (Some(1), ""));
        assert!(!place.socket().exists());
    }
}

#[test]
fn a_reader_of_the_configuration_may_have_seen_enough() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.greytrapper(["-nv", "-f"]);
    let output = command.arg(place.path("conf")).stdout(writer).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
