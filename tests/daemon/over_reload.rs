//! What is kept across a reload: counters, traps and their reasons, `trap limit`, releases.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::process::until;
use crate::support::records::{Record, grey, host, invalid_senders, now, trapped};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A daemon that scans once an hour, after its first scan.
fn scanned(statements: &str, records: &[Record]) -> (Place, Daemon) {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}scan every 1h\n{statements}"));
    place.enter(records);
    let mut daemon = place.start();
    daemon.scan_done();
    (place, daemon)
}

fn status(daemon: &Daemon) -> Value {
    serde_json::from_str(&daemon.says(&["-j", "show"])).unwrap()
}

#[test]
fn sums_and_reasons_go_on() {
    let (_place, mut daemon) = scanned("", &invalid_senders(3));
    daemon.says(&["trap", "192.0.2.9"]);
    daemon.says(&["release", "192.0.2.9"]);
    let before = status(&daemon);
    for reloads in 1..=3 {
        daemon.says(&["reload"]);
        daemon.scan_done();
        let after = status(&daemon);
        assert_eq!(after["totals"]["scans"], 1 + reloads);
        assert_eq!(after["totals"]["trapped_by_rule"]["syntax"], 3);
        assert_eq!(after["totals"]["trapped_by_hand"], 1);
        assert_eq!(after["totals"]["released_hosts"], 1);
        assert_eq!(after["since"], before["since"]);
        assert!(after["up_us"].as_u64() > before["up_us"].as_u64(), "{after}");
    }
    let explained = daemon.says(&["explain", "10.0.0.1"]);
    assert!(explained.contains("Invalid source address"), "{explained}");
    assert!(daemon.says(&["show", "traps"]).contains("Invalid source address"));
}

#[test]
fn a_reload_that_fails_shows() {
    let (place, mut daemon) = scanned("", &[]);
    place.configure("scan never\n");
    daemon.signal(Signal::SIGHUP);
    daemon.exact_line("reload failed, keeping the old configuration");
    until("it shows", || daemon.says(&["show"]).contains("reload: "));
    let failure = status(&daemon)["last_failure"]["text"].as_str().unwrap().to_owned();
    assert!(failure.starts_with("reload: ") && failure.contains("conf:3: "), "{failure}");
}

/// Frequent reloads do not allow more traps.
#[test]
fn the_limit_counts_on() {
    let (place, mut daemon) = scanned("trap limit 5 per 1h\n", &[]);
    let mut next = 1;
    for _ in 0..4 {
        let hosts: Vec<_> = (next..next + 4).map(host).collect();
        next += 4;
        let hosts = hosts.iter().map(String::as_str);
        let arguments: Vec<_> = ["trap"].into_iter().chain(hosts).collect();
        daemon.ctl(&arguments);
        daemon.says(&["reload"]);
        daemon.scan_done();
    }
    assert_eq!(place.trapped(), (1..=5).map(host).collect::<Vec<_>>());
}

/// Those that the daemon has set, and no others.
#[test]
fn an_exception_ends_the_traps_that_it_covers() {
    let (place, mut daemon) = scanned("", &invalid_senders(3));
    place.enter(&[trapped("192.0.2.1")]);
    assert_eq!(place.trapped(), ["10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.1"]);
    place.configure(&format!("{NO_DNS}allow {{ 10.0.0.0/30, 192.0.2.0/24 }}\n"));
    daemon.says(&["reload"]);
    daemon.exact_line("Released 10.0.0.1: in allow");
    daemon.scan_done();
    assert_eq!(place.trapped(), ["192.0.2.1"]);
    assert_eq!(status(&daemon)["totals"]["released_hosts"], 3);
    // A second reload later too: what was set is known on.
    let (place, mut daemon) = scanned("", &invalid_senders(2));
    daemon.says(&["reload"]);
    daemon.scan_done();
    place.configure(&format!("{NO_DNS}allow {{ 10.0.0.2 }}\n"));
    daemon.says(&["reload"]);
    daemon.exact_line("Released 10.0.0.2: in allow");
    assert_eq!(place.trapped(), ["10.0.0.1"]);
    place.assert_sound();
}

/// A tuple that was there for so many seconds.
fn aged(address: &str, from: &str, seconds: i64) -> Record {
    let (key, mut data) = grey(address, "h.example", from, "user@example.org");
    (data.first, data.expire) = (now() - seconds, now() - seconds + 4 * 3600);
    (key, data)
}

#[test]
fn a_release_holds_until_what_was_judged_has_gone() {
    let (place, mut daemon) = scanned("", &[aged("192.0.2.1", "no domain", 60)]);
    assert_eq!(place.trapped(), ["192.0.2.1"]);
    daemon.says(&["release", "192.0.2.1"]);
    for scan in 0..4 {
        // Not undone by what comes later, nor by a reload.
        place.enter(&[aged("192.0.2.1", &format!("none {scan}"), -1)]);
        if scan == 2 {
            daemon.says(&["reload"]);
        } else {
            daemon.says(&["scan"]);
        }
        daemon.scan_done();
        assert_eq!(place.trapped(), [""; 0], "scan {scan}");
        let explained = daemon.says(&["explain", "192.0.2.1"]);
        assert!(explained.contains("released, spared"), "{explained}");
    }
    // Its tuples of then expire: what is left was sent since.
    place.enter(&[aged("192.0.2.1", "no domain", 5 * 3600)]);
    daemon.says(&["scan"]);
    daemon.line("Trapped 192.0.2.1: ");
    daemon.scan_done();
    assert_eq!(place.trapped(), ["192.0.2.1"]);
}
