//! What may happen to the database of a running daemon: there is a line in the log, and the next scan
//! continues.
//!
//! Tests with `at_length` in their names take a minute.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::patience::stretched;
use crate::support::process::until;
use crate::support::records::{Record, grey, invalid_senders, white};
use greytrapper::db::database::Database;
use greytrapper::db::lock::{Creation, Wait};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A daemon that scans every second and has trapped one host.
fn scanning(place: &Place) -> Daemon {
    place.configure(&format!("scan every 1s\n{NO_DNS}"));
    place.enter(&invalid_senders(1));
    let mut daemon = place.start();
    daemon.line("Trapped 10.0.0.1: ");
    daemon
}

fn bad(host: &str) -> Record {
    grey(host, "h.example", "nobody", "user@example.org")
}

/// What the daemon said of failed scans.
pub fn failures(daemon: &Daemon) -> Vec<String> {
    let lines = daemon.lines().into_iter();
    lines.filter(|line| line.starts_with("scan failed: ")).collect()
}

/// It makes calls of its own, in the sandbox of the store.
#[test]
#[cfg(libc_db)]
fn written_by_dbopen() {
    let place = Place::new();
    place.configure(&format!("engine libc\nscan every 1h\n{NO_DNS}"));
    place.enter(&invalid_senders(300));
    let mut daemon = place.start();
    daemon.scan_done();
    assert_eq!(place.trapped().len(), 300);
    assert!(failures(&daemon).is_empty());
    assert_eq!(daemon.stop().status.code(), Some(0));
    place.assert_sound();
}

#[test]
fn replaced_by_another() {
    replaced_by_another_under(Place::new());
}

#[test]
#[ignore = "needs root and the daemon's users"]
fn replaced_by_another_where_root_started_it() {
    replaced_by_another_under(Place::of_root());
}

#[test]
fn removed_and_made_again() {
    removed_and_made_again_under(Place::new());
}

#[test]
#[ignore = "needs root and the daemon's users"]
fn removed_and_made_again_where_root_started_it() {
    removed_and_made_again_under(Place::of_root());
}

#[test]
fn made_unreadable() {
    made_unreadable_under(Place::new());
}

#[test]
#[ignore = "needs root and the daemon's users"]
fn made_unreadable_where_root_started_it() {
    made_unreadable_under(Place::of_root());
}

fn replaced_by_another_under(place: Place) {
    let mut daemon = scanning(&place);
    let inode = fs::metadata(place.database()).unwrap().ino();
    let other = place.path("other");
    crate::support::records::enter(&other, &[bad("192.0.2.1"), white("192.0.2.202")]);
    place.give("other");
    fs::rename(&other, place.database()).unwrap();
    assert_ne!(fs::metadata(place.database()).unwrap().ino(), inode);
    daemon.line("Trapped 192.0.2.1: ");
    assert_eq!(place.trapped(), ["192.0.2.1"]);
    place.assert_sound();
    assert_eq!(failures(&daemon), [""; 0]);
}

fn removed_and_made_again_under(place: Place) {
    let mut daemon = scanning(&place);
    fs::remove_file(place.database()).unwrap();
    let missing = format!("scan failed: {}: No such file or directory", place.database().display());
    daemon.exact_line(&missing);
    // Not made by the daemon, whatever it is asked.
    daemon.ctl(&["trap", "192.0.2.9"]).failed();
    assert!(!place.database().exists());
    // Empty, as spamd makes it; then filled.
    place.enter(&[]);
    daemon.scan_done();
    place.enter(&[bad("192.0.2.1")]);
    daemon.line("Trapped 192.0.2.1: ");
    place.assert_sound();
    assert_eq!(failures(&daemon), [missing]);
}

fn made_unreadable_under(place: Place) {
    let mut daemon = scanning(&place);
    let mode = |mode| {
        fs::set_permissions(place.database(), Permissions::from_mode(mode)).unwrap();
    };
    mode(0);
    let refused = format!("scan failed: {}: Permission denied", place.database().display());
    daemon.exact_line(&refused);
    daemon.exact_line("Scan started");
    daemon.exact_line("Scan started");
    mode(0o644);
    daemon.scan_done();
    place.enter(&[bad("192.0.2.1")]);
    daemon.line("Trapped 192.0.2.1: ");
    assert_eq!(failures(&daemon), [refused]);
}

#[test]
fn damaged_and_mended() {
    let place = Place::new();
    let mut daemon = scanning(&place);
    let sound = fs::read(place.database()).unwrap();
    let file = File::options().read(true).write(true).open(place.database()).unwrap();
    // A number of buckets beyond the end of the file (`max_bucket` of hash.h).
    file.write_all_at(&[0, 0, 0x10, 0], 40).unwrap();
    let damaged = fs::read(place.database()).unwrap();
    assert_ne!(damaged, sound);
    let told = daemon.line("scan failed: ");
    assert!(told.contains("spamd: "), "{told}");
    // Once for this state of the file, and nothing is written to it, whoever wants it.
    daemon.exact_line("Scan started");
    daemon.exact_line("Scan started");
    daemon.ctl(&["trap", "192.0.2.9"]).failed();
    assert_eq!(fs::read(place.database()).unwrap(), damaged);
    assert_eq!(failures(&daemon), [told]);
    // Damaged in another way, at another time: once more.
    file.write_all_at(&[0, 0, 0x20, 0], 40).unwrap();
    daemon.line("scan failed: ");
    file.write_all_at(&sound, 0).unwrap();
    daemon.scan_done();
    place.enter(&[bad("192.0.2.1")]);
    daemon.line("Trapped 192.0.2.1: ");
    assert_eq!(failures(&daemon).len(), 2, "{:#?}", daemon.lines());
}

#[test]
fn something_else_in_its_place() {
    let place = Place::new();
    let mut daemon = scanning(&place);
    let path = place.database();
    fs::rename(&path, place.path("kept")).unwrap();
    let mut expected = Vec::new();
    // What is unveiled under OpenBSD's unveil(2) is a file of that name: no directory is seen there.
    let directory = match cfg!(target_os = "openbsd") {
        true => "No such file or directory",
        false => "is a directory",
    };
    for (what, told) in [("directory", directory), ("fifo", "is a fifo")] {
        match what {
            "directory" => fs::create_dir(&path).unwrap(),
            _ => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
        }
        expected.push(format!("scan failed: {}: {told}", path.display()));
        daemon.exact_line(expected.last().unwrap());
        if fs::remove_dir(&path).is_err() {
            fs::remove_file(&path).unwrap();
        }
    }
    fs::write(&path, "no database at all\n").unwrap();
    place.give("spamd");
    daemon.line("not a spamd database (neither hash nor btree)");
    fs::rename(place.path("kept"), &path).unwrap();
    daemon.scan_done();
}

/// Another process holds the lock for longer than anybody waits.
#[test]
#[ignore = "takes a minute"]
fn locked_at_length() {
    let place = Place::new();
    let mut daemon = scanning(&place);
    let file = File::open(place.database()).unwrap();
    file.lock().unwrap();
    let since = Instant::now();
    daemon.line("locked by another process, waiting");
    while since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
        // It answers meanwhile.
        assert!(daemon.says(&["show"]).contains("every 1s"));
    }
    let told = format!("scan failed: {}: locked by another process", place.database().display());
    // A second scan also waited in vain, which is not logged again.
    assert_eq!(failures(&daemon), [told]);
    drop(file);
    daemon.scan_done();
    place.enter(&[bad("192.0.2.1")]);
    daemon.line("Trapped 192.0.2.1: ");
}

/// After waiting in vain for the lock once, the engine does not wait again for the next traps.
#[test]
#[ignore = "takes a minute"]
fn locked_at_length_before_many_traps_are_written() {
    let place = Place::new();
    let go = place.path("go");
    let script = format!("#!/bin/sh\nwhile ! test -e {}; do sleep 0.05; done\n", go.display());
    let checker = place.write("checker", script, 0o755);
    place.configure(&format!(
        "scan every 1h\n{NO_DNS}trap limit 100000 per 1m\ncheck rcpt with {checker:?} timeout 1m\n"
    ));
    place.enter(&invalid_senders(3000));
    place.enter(&[grey("192.0.2.1", "h.example", "a@d.example", "user@example.org")]);
    let mut daemon = place.start();
    until("the checker", || daemon.says(&["show"]).contains("waiting for the address checker"));
    let file = File::open(place.database()).unwrap();
    file.lock().unwrap();
    fs::write(&go, "").unwrap();
    let since = Instant::now();
    daemon.line("locked by another process, waiting");
    while failures(&daemon).is_empty() {
        std::thread::sleep(Duration::from_millis(100));
        assert!(since.elapsed() < stretched(Duration::from_secs(45)), "{:#?}", daemon.lines());
    }
    assert!(daemon.says(&["show"]).contains("idle, next in"));
    drop(file);
    daemon.says(&["scan"]);
    daemon.scan_done();
    assert_eq!(place.trapped().len(), 3000);
}

/// Writes as spamd does: with the lock, one tuple, closed again.
fn like_spamd(path: &Path, record: &Record) {
    let mut ignored = || ();
    let mut wait = Wait::new(Duration::from_secs(20), Duration::MAX, &mut ignored);
    let mut database = Database::new(path, Creation::Never);
    let mut put = |engine: &mut dyn greytrapper::db::Engine, (key, data): &Record| {
        let order = engine.byte_order();
        engine.put(key.as_bytes(), &data.encode(order))
    };
    database.in_batches(std::slice::from_ref(record), &mut wait, &mut put).whole().unwrap();
}

#[test]
fn another_writes_all_the_while() {
    let place = Place::new();
    place.configure(&format!("scan every 1s\n{NO_DNS}trap limit 100000 per 1m\n"));
    place.enter(&invalid_senders(2000));
    let mut daemon = place.start();
    let mut count = 0;
    while place.trapped().len() < 2000 + count.min(1) {
        count += 1;
        assert!(count < 5000, "{:#?}", daemon.lines());
        like_spamd(&place.database(), &bad(&format!("192.0.2.{}", count % 250)));
    }
    daemon.line("Trapped 192.0.2.1: ");
    place.assert_sound();
    assert_eq!(failures(&daemon), [""; 0]);
}
