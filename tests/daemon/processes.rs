//! Each process of a running daemon as the kernel sees it: user, root directory, sandbox, descriptors.

use crate::support::daemon::{Daemon, Place};
use crate::support::process::until;
use crate::support::responder::Responder;
use crate::world;
use nix::unistd::{Pid, User};
use std::fs;
use std::path::{Path, PathBuf};

/// A daemon with all the processes there are, after its first scan.
fn all(place: &Place) -> (Responder, Daemon) {
    let server = Responder::start(world::answer);
    let key = place.write("key", "shared\n", 0o600);
    place.configure(&format!(
        "{}check rcpt with \"/bin/true\"\nsync to \"127.0.0.1\"\nsync key \"{}\"\n",
        world::statements(&server),
        key.display()
    ));
    place.enter(&world::records());
    let mut daemon = place.start();
    daemon.scan_done();
    assert_eq!(daemon.children().len(), 6);
    (server, daemon)
}

/// A field of /proc/PID/status, its words.
fn status(pid: Pid, name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name}:")));
    line.unwrap().split_ascii_whitespace().skip(1).map(Into::into).collect()
}

fn link(pid: Pid, name: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/{name}")).unwrap()
}

/// What its descriptors are, without the numbers of sockets.
fn descriptors(pid: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = entries.map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
    let kind = |target: PathBuf| target.to_str().unwrap().split(':').next().unwrap().to_owned();
    targets.map(kind).collect()
}

/// seccomp's filters and `no_new_privs`, of every process but the parent's own beginnings.
fn is_locked_in(daemon: &Daemon) {
    for (role, pid) in daemon.children() {
        assert_eq!(status(pid, "Seccomp"), ["2"], "{role}");
        assert_eq!(status(pid, "NoNewPrivs"), ["1"], "{role}");
    }
    assert_eq!(status(daemon.pid(), "Seccomp"), ["2"]);
}

#[test]
#[ignore = "needs root and the daemon's users"]
fn roots_children_are_other_users_and_see_nothing() {
    let place = Place::of_root();
    let (_server, daemon) = all(&place);
    is_locked_in(&daemon);
    for (role, pid) in daemon.children() {
        let name = if role == "store" { "_spamd" } else { "_greytrapper" };
        let user = User::from_name(name).unwrap().unwrap();
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        // Real, effective, saved, of the file system.
        assert_eq!(status(pid, "Uid"), vec![uid; 4], "{role}");
        assert_eq!(status(pid, "Gid"), vec![gid.clone(); 4], "{role}");
        assert_eq!(status(pid, "Groups"), [gid], "{role}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status(pid, set), ["0000000000000000"], "{role}: {set}");
        }
        let root = match role.as_str() {
            "engine" | "resolver" | "sync" => Path::new("/var/empty"),
            _ => Path::new("/"),
        };
        assert_eq!(link(pid, "root"), root, "{role}");
        assert_eq!(link(pid, "cwd"), root, "{role}");
    }
}

#[test]
fn an_ordinary_users_are_locked_in_as_well() {
    let place = Place::new();
    let (_server, daemon) = all(&place);
    is_locked_in(&daemon);
}

/// No process has a file of the file system open but /dev/null and the memory, between scans; no scan and no reload leaves
/// a descriptor behind.
#[test]
fn descriptors_stay_few_and_the_same() {
    let place = Place::new();
    let (_server, mut daemon) = all(&place);
    let count = |pid| descriptors(pid).len();
    for (role, pid) in daemon.children() {
        let found = descriptors(pid);
        let known = ["/dev/null", "socket", "pipe", "anon_inode", "/memfd"];
        let memory = place.memory().join("memory.redb");
        let is_own = |target: &String| role == "memory" && Path::new(target) == memory;
        let is_known = |target: &String| known.contains(&target.as_str()) || is_own(target);
        assert!(found.iter().all(is_known), "{role}: {found:#?}");
        assert!(found.len() < 20, "{role}: {found:#?}");
    }
    let before: Vec<_> = daemon.children().into_iter().map(|(_, pid)| (pid, count(pid))).collect();
    for _ in 0..10 {
        daemon.says(&["scan"]);
        daemon.scan_done();
        daemon.says(&["show", "hosts"]);
    }
    for (pid, count_before) in before {
        until("as few descriptors", || count(pid) <= count_before);
    }
    let parents = count(daemon.pid());
    for _ in 0..5 {
        daemon.says(&["reload"]);
        daemon.exact_line("configuration reloaded");
        daemon.scan_done();
    }
    until("as few descriptors of the parent", || count(daemon.pid()) <= parents);
    assert_eq!(daemon.children().len(), 6);
}
