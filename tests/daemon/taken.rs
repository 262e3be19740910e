//! What a compromised child can make the parent do: the test takes a descriptor from the running process
//! (pidfd_getfd(2)) and sends messages in its place.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::process::is_alive;
use crate::support::records::invalid_senders;
use greytrapper::daemon::messages::{Checked, Needs, ToParent};
use greytrapper::daemon::slot::Slot;
use greytrapper::frame;
use nix::unistd::Pid;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A descriptor of a running process, as long as both have it.
#[allow(unsafe_code)]
fn take(pid: Pid, slot: Slot) -> io::Result<UnixStream> {
    let owned = |number: libc::c_long| match i32::try_from(number) {
        // SAFETY: the kernel has just made it for this call, and nobody else knows of it.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(io::Error::last_os_error()),
    };
    // SAFETY: two numbers go in, a descriptor comes out.
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    use std::os::fd::AsRawFd;
    let number = process.as_raw_fd();
    // SAFETY: three numbers go in, a descriptor comes out.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, number, slot as i32, 0) }).map(Into::into)
}

/// Has `role` of a running daemon say `message` to the parent.
fn say(daemon: &Daemon, role: &str, message: &ToParent) {
    let mut way = take(daemon.child(role), Slot::Parent).expect("pidfd_getfd(2)");
    let mut bytes = Vec::new();
    frame::encode(message, 1 << 20, &mut bytes).unwrap();
    way.write_all(&bytes).unwrap();
}

/// A configuration that an attacker might send: a program of his choice.
fn configuration(place: &Place, program: &str) -> Checked {
    let (database, socket) = (place.database(), place.socket());
    Checked {
        text: format!(
            "database {database:?}\nsocket {socket:?}\n{NO_DNS}check rcpt with {program:?}\n"
        ),
        origins: Default::default(),
        warnings: Vec::new(),
        socket,
        scan_every: Duration::from_secs(600),
        needs: Needs { checker: true, ..Needs::default() },
    }
}

#[test]
#[ignore = "needs root, for pidfd_getfd(2)"]
fn nobody_but_the_reader_has_a_configuration() {
    for role in ["engine", "store"] {
        let place = Place::new();
        let ran = place.path("ran");
        let program =
            place.write("program", format!("#!/bin/sh\ntouch {}\n", ran.display()), 0o755);
        place.configure(NO_DNS);
        place.enter(&invalid_senders(1));
        let mut daemon = place.start();
        daemon.scan_done();
        let children = daemon.children();
        let config = configuration(&place, program.to_str().unwrap());
        say(&daemon, role, &ToParent::Config(Ok(config)));
        let ended = daemon.wait();
        assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
        let told = format!("{role}: sent a message that it must not send");
        assert_eq!(ended.lines.last(), Some(&told), "{ended:#?}");
        assert!(!children.iter().any(|(_, pid)| is_alive(*pid)));
        assert!(!ran.exists());
    }
}

#[test]
#[ignore = "needs root, for pidfd_getfd(2)"]
fn nobody_but_the_engine_speaks_for_clients() {
    for message in [ToParent::Reload, ToParent::Verbose(true)] {
        let place = Place::new();
        place.configure(NO_DNS);
        place.enter(&[]);
        let mut daemon = place.start();
        daemon.scan_done();
        say(&daemon, "store", &message);
        let ended = daemon.wait();
        assert_eq!(
            ended.lines.last().unwrap(),
            "store: sent a message that it must not send",
            "{ended:#?}"
        );
    }
}

/// No process can blame another: the parent knows the sender.
#[test]
#[ignore = "needs root, for pidfd_getfd(2)"]
fn a_failure_is_that_of_whoever_tells_it() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    let failure = ToParent::Failed("store: killed\nTrapped 192.0.2.1: x".into());
    say(&daemon, "engine", &failure);
    nix::sys::signal::kill(daemon.child("engine"), nix::sys::signal::Signal::SIGKILL).unwrap();
    let ended = daemon.wait();
    let told = "engine: store: killed\\012Trapped 192.0.2.1: x";
    assert_eq!(ended.lines.last().unwrap(), told, "{ended:#?}");
}
