//! The daemon as rc.d(8) starts it: in the background once all is ready.

use crate::support::daemon::{NO_DNS, Place};
use crate::support::process::{self, is_alive, until};
use crate::support::records::invalid_senders;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::path::Path;

/// A daemon in the background, found by its command line; ends with the test.
pub struct Background(pub Pid);

impl Background {
    /// The one with that place's configuration.
    pub fn of(place: &Place) -> Option<Background> {
        let program = env!("CARGO_BIN_EXE_greytrapper");
        let command = format!("{program} -f {}", place.path("conf").display());
        process::with_command(&command).map(Background)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if is_alive(self.0) {
            let _ = kill(self.0, Signal::SIGKILL);
        }
    }
}

fn start(place: &Place) -> process::Ran {
    process::run(
        place.greytrapper([OsStr::new("-f"), place.path("conf").as_os_str()]).env("A", "b"),
    )
}

#[test]
fn who_started_it_returns_once_it_is_ready_and_hears_no_more_of_it() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&invalid_senders(1));
    // Returns only when nobody has its standard error any more.
    assert_eq!(start(&place).succeeded(), "");
    // Its command line is unchanged, or rc.subr(8) would not recognize it.
    let daemon = Background::of(&place).expect("the daemon");
    // It answers at once.
    place.ctl(&["show"]).succeeded();
    // In a session of its own, of which its children are too, each in a group of its own.
    assert_eq!(process::session_and_group(daemon.0).0, daemon.0);
    let children = process::children(daemon.0);
    let mut roles: Vec<_> = children.iter().map(|(role, _)| role.as_str()).collect();
    roles.sort();
    assert_eq!(roles, ["engine", "memory", "store"]);
    for (role, pid) in &children {
        assert_eq!(process::session_and_group(*pid), (daemon.0, *pid), "{role}");
    }
    until("a trap", || place.trapped() == ["10.0.0.1"]);
    kill(daemon.0, Signal::SIGTERM).unwrap();
    until("the end", || !is_alive(daemon.0));
    assert!(children.iter().all(|(_, pid)| !is_alive(*pid)));
    assert!(!place.socket().exists());
}

/// With the name of a program in PATH alone, the daemon could not execute itself on OpenBSD, nor would rc.subr(8)
/// recognize it.
#[test]
fn started_by_a_bare_name_it_has_its_path() {
    use std::os::unix::process::CommandExt;
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let mut command = place.greytrapper([OsStr::new("-f"), place.path("conf").as_os_str()]);
    let folder = Path::new(env!("CARGO_BIN_EXE_greytrapper")).parent().unwrap();
    let search = format!("{}:/usr/bin:/bin", folder.display());
    let command = command.arg0("greytrapper").env("PATH", search);
    assert_eq!(process::run(command).succeeded(), "");
    let daemon = Background::of(&place).expect("the daemon");
    kill(daemon.0, Signal::SIGTERM).unwrap();
    until("the end", || !is_alive(daemon.0));
}

#[test]
fn a_relative_file_is_found_after_a_reload_too() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    // By its command line the daemon is found: no other test has the same.
    let name = format!("conf-{}", std::process::id());
    std::fs::rename(place.path("conf"), place.path(&name)).unwrap();
    let mut command = place.greytrapper(["-f", name.as_str()]);
    process::run(command.current_dir(place.path(""))).succeeded();
    let command = format!("{} -f {name}", env!("CARGO_BIN_EXE_greytrapper"));
    let daemon = Background(process::with_command(&command).expect("the daemon"));
    place.ctl(&["reload"]).succeeded();
    kill(daemon.0, Signal::SIGTERM).unwrap();
    until("the end", || !is_alive(daemon.0));
}
