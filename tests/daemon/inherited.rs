//! Inherited state that the daemon does not keep: descriptors, blocked and ignored signals.

use crate::background::Background;
use crate::support::daemon::{NO_DNS, Place};
use crate::support::patience::patience;
use crate::support::process::{self, children, finish, is_alive, until};
use crate::support::records::invalid_senders;
use command_fds::{CommandFdExt, FdMapping};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::process::{Command, Stdio};

fn place() -> Place {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&invalid_senders(1));
    place
}

/// What its descriptors are.
fn descriptors(pid: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.map(|target| target.to_string_lossy().into_owned()).collect()
}

/// In the numbers that the daemon uses itself, and above.
#[test]
fn descriptors_beyond_standard_error() {
    for in_background in [false, true] {
        let place = place();
        let secret = place.write("secret", "x", 0o644);
        let mapped = [3, 4, 7, 9, 11, 63, 200]
            .map(|child_fd| FdMapping { parent_fd: File::open(&secret).unwrap().into(), child_fd });
        let mut command = place.greytrapper(["-f"]);
        command.arg(place.path("conf")).fd_mappings(mapped.into()).unwrap();
        // It is killed when its guard goes.
        let mut background = None;
        let (parent, mut child) = if in_background {
            assert_eq!(process::run(&mut command).succeeded(), "");
            let daemon = background.insert(Background::of(&place).expect("the daemon"));
            (daemon.0, None)
        } else {
            let child = command.arg("-d").stderr(Stdio::null()).spawn().unwrap();
            let pid = Pid::from_raw(child.id().cast_signed());
            until("it works", || place.ctl(&["show"]).status == Some(0));
            (pid, Some(child))
        };
        until("all are there", || children(parent).len() == 3);
        let all: Vec<_> =
            children(parent).into_iter().map(|(_, pid)| pid).chain([parent]).collect();
        assert_eq!(all.len(), 4);
        for pid in all {
            let found = descriptors(pid);
            assert!(!found.iter().any(|target| target.contains("secret")), "{found:?}");
        }
        kill(parent, Signal::SIGTERM).unwrap();
        match &mut child {
            Some(child) => assert!(finish(child, patience()).success()),
            None => until("the end", || !is_alive(parent)),
        }
    }
}

/// Started by a supervisor that blocks them, or ignores them as nohup(1) does.
#[test]
#[ignore = "needs env(1) that blocks signals"]
fn signals() {
    let block = ["--block-signal=TERM,HUP,INT,CHLD", "--"];
    let ignore = ["--ignore-signal=TERM,HUP,INT,CHLD,USR1", "--"];
    for through in [block, ignore] {
        let place = place();
        let program = place.greytrapper(["-d", "-f"]);
        let mut command = Command::new("env");
        command.args(through).arg(program.get_program()).args(program.get_args());
        place.demote(&mut command);
        command.arg(place.path("conf")).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        until("it works", || place.ctl(&["show"]).status == Some(0));
        let before = children(pid);
        kill(pid, Signal::SIGHUP).unwrap();
        until("new processes", || {
            let after = children(pid);
            after.len() == before.len() && !after.iter().any(|one| before.contains(one))
        });
        kill(pid, Signal::SIGTERM).unwrap();
        assert!(finish(&mut child, patience()).success(), "{through:?}");
    }
}
