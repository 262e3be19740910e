//! Faults in the environment, each with its whole message.

use super::{golden, key_file};
use crate::support::alone;
use greytrapper::config;
use greytrapper::sync::key::{self, Missing};
use greytrapper::sync::{Announcer, Error};
use nix::unistd::{Gid, Uid, setgid, setuid};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// What the operator reads.
fn line<T>(outcome: Result<T, Error>) -> String {
    outcome.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
}

fn key_line(path: &Path, missing: Missing) -> String {
    let line = line(key::read(path, missing));
    line.replace(path.parent().unwrap().to_str().unwrap(), "DIR")
}

fn open_line(sync: config::Sync) -> String {
    let (_folder, key) = key_file();
    line(Announcer::open(&config::Sync { key: Some(key), ..sync }, 8025))
}

/// Why its only peer is not reached yet.
fn unreached_line(sync: config::Sync) -> String {
    let (_folder, key) = key_file();
    let announcer = Announcer::open(&config::Sync { key: Some(key), ..sync }, 8025).unwrap();
    assert_eq!(announcer.peers().len(), 1);
    announcer.unreached().map(|unreached| unreached.to_string()).collect()
}

fn to(host: &str) -> config::Sync {
    config::Sync { peers: vec![host.to_owned()], ..config::Sync::default() }
}

fn on(interface: &str) -> config::Sync {
    config::Sync { multicast: vec![(interface.to_owned(), 1)], ..config::Sync::default() }
}

#[test]
fn a_key_that_others_may_read_or_change_is_none() {
    let (_folder, path) = key_file();
    let exposed = "DIR/spamd.key: group writable or world read/writable";
    let modes = [
        (0o400, "fine"),
        (0o600, "fine"),
        (0o640, "fine"),
        (0o644, exposed),
        (0o604, exposed),
        (0o602, exposed),
        (0o620, exposed),
        (0o666, exposed),
    ];
    for (mode, expected) in modes {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        for missing in [Missing::IsError, Missing::IsNone] {
            assert_eq!(key_line(&path, missing), expected, "{mode:o}");
        }
    }
}

#[test]
fn only_a_missing_default_key_means_none() {
    let (folder, path) = key_file();
    let missing = folder.path().join("missing");
    assert_eq!(key_line(&missing, Missing::IsNone), "fine");
    assert_eq!(key_line(&missing, Missing::IsError), "DIR/missing: No such file or directory");
    let below = path.join("missing");
    let below = line(key::read(&below, Missing::IsNone));
    assert!(below.ends_with("/spamd.key/missing: Not a directory"), "{below}");
}

#[test]
fn what_holds_no_key_is_refused_without_waiting_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let [directory, fifo, circle] = ["directory", "fifo", "circle"].map(|n| folder.path().join(n));
    fs::create_dir(&directory).unwrap();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink(&circle, &circle).unwrap();
    let expected = [
        (directory, "DIR/directory: not a regular file"),
        (fifo, "DIR/fifo: not a regular file"),
        (circle, "DIR/circle: Too many levels of symbolic links"),
    ];
    for (path, line) in expected {
        assert_eq!(key_line(&path, Missing::IsNone), line);
    }
    assert_eq!(key_line(Path::new("/dev/null"), Missing::IsError), "DIR/null: not a regular file");
}

/// Root may read everything, so its process becomes nobody.
#[test]
fn an_unreadable_key_is_refused() {
    if Uid::effective().is_root() {
        if alone::is_alone() {
            setgid(Gid::from_raw(65_534)).unwrap();
            setuid(Uid::from_raw(65_534)).unwrap();
        } else {
            alone::run("sync::faults::an_unreadable_key_is_refused", &[], |_| ());
            return;
        }
    }
    let (_folder, path) = key_file();
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    assert_eq!(key_line(&path, Missing::IsNone), "DIR/spamd.key: Permission denied");
}

#[test]
fn a_bad_key_stops_the_start() {
    let (_folder, path) = key_file();
    fs::write(&path, golden("spamd.key")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let sync = config::Sync { key: Some(path.clone()), ..to("127.0.0.1") };
    let expected = format!("{}: group writable or world read/writable", path.display());
    assert_eq!(line(Announcer::open(&sync, 8025)), expected);
}

#[test]
fn hosts_and_interfaces_that_are_not_there() {
    assert_eq!(open_line(to("::1")), "sync to ::1: host has no IPv4 address");
    assert_eq!(open_line(on("nosuch0")), "sync multicast on nosuch0: no such interface");
}

/// In a network namespace of its own, in which the loopback has no address yet and nothing a route.
#[test]
#[ignore = "needs unshare(1), user namespaces"]
fn without_a_network_every_statement_has_its_line() {
    if alone::is_alone() {
        return in_an_empty_network();
    }
    let test = "sync::faults::without_a_network_every_statement_has_its_line";
    alone::run(test, &["unshare", "-rn"], |_| ());
}

fn in_an_empty_network() {
    let unreachable = "sync to 192.0.2.1: Network is unreachable";
    assert_eq!(unreached_line(to("192.0.2.1")), unreachable);
    let without = "sync multicast on lo: interface has no IPv4 address";
    assert_eq!(unreached_line(on("lo")), without);
    let unresolved = unreached_line(to("mx9.invalid"));
    let reason = unresolved.strip_prefix("sync to mx9.invalid: host does not resolve: ").unwrap();
    assert!(reason.contains("name resolution") || reason.contains("not known"), "{reason}");
}
