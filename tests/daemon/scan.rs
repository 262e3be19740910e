//! The main job: which hosts are trapped, which are not, and the log lines.

use crate::support::daemon::{Ended, NO_DNS, Place};
use crate::support::records::{grey, invalid_senders};
use crate::support::responder::Responder;
use crate::world;

/// A scan of everything by `place`'s daemon: what it logged of it.
fn one_scan(place: &Place) -> (Vec<String>, Ended) {
    let mut daemon = place.start();
    let lines = daemon.scan_done();
    (lines, daemon.stop())
}

fn judges_them_all(place: &Place) {
    let server = Responder::start(world::answer);
    place.configure(&world::statements(&server));
    place.enter(&world::records());
    let (lines, ended) = one_scan(place);

    let mut expected: Vec<_> =
        world::TRAPPED.iter().map(|(host, reason)| format!("Trapped {host}: {reason}")).collect();
    expected.extend(
        ["Scan started", "scanned 1 whitelisted, 1 trapped, 15 unique greys", "Scan completed"]
            .map(String::from),
    );
    let mut found = lines.clone();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    // The order that log watchers know.
    assert_eq!(lines[..2], ["Scan started", "scanned 1 whitelisted, 1 trapped, 15 unique greys"]);

    let mut hosts: Vec<_> = world::TRAPPED.iter().map(|(host, _)| *host).collect();
    hosts.push("192.0.2.76");
    hosts.sort();
    assert_eq!(place.trapped(), hosts);
    place.assert_sound();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(ended.lines.first().map(String::as_str), Some("startup"), "{ended:?}");
    assert_eq!(ended.lines.last().map(String::as_str), Some("terminating"), "{ended:?}");
}

#[test]
fn hosts_of_every_rule_are_trapped_and_no_others() {
    judges_them_all(&Place::new());
}

/// The same with the processes' users changed, in their chroot(2).
#[test]
#[ignore = "needs root and the daemon's users"]
fn the_same_as_root() {
    judges_them_all(&Place::of_root());
}

#[test]
fn records_keep_what_they_were_but_for_the_traps() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&world::records());
    let before = place.listing();
    one_scan(&place);
    let traps = place.trapped();
    let after: Vec<_> = place
        .listing()
        .into_iter()
        .filter(|line| before.contains(line) || !line.starts_with("TRAPPED|"))
        .collect();
    assert_eq!(after, before);
    assert!(traps.len() > 1, "{traps:?}");
}

#[test]
fn a_first_scan_at_the_start_and_then_one_every_interval() {
    let place = Place::new();
    place.configure(&format!("scan every 1s\n{NO_DNS}"));
    place.enter(&invalid_senders(1));
    let mut daemon = place.start();
    let lines = daemon.scan_done();
    assert!(
        lines.contains(&"scanned 0 whitelisted, 0 trapped, 1 unique greys".into()),
        "{lines:?}"
    );
    let since = std::time::Instant::now();
    let started = "Scan started";
    let trapped = "scanned 0 whitelisted, 1 trapped, 1 unique greys";
    for _ in 0..2 {
        assert_eq!(daemon.scan_done(), [started, trapped, "Scan completed"]);
    }
    let took = since.elapsed().as_millis();
    assert!((1500..5000).contains(&took), "{took} ms for two intervals of a second");
}

#[test]
fn a_host_that_came_later_is_found_by_a_scan_that_was_asked_for() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.exact_line("scanned 0 whitelisted, 0 trapped, 0 unique greys");
    daemon.scan_done();
    place.enter(&[grey("192.0.2.1", "h.example", "nobody", "user@example.org")]);
    assert_eq!(daemon.says(&["scan"]), "");
    let lines = daemon.scan_done();
    assert!(lines.contains(&"Trapped 192.0.2.1: Invalid source address nobody (no @)".into()));
}

#[test]
fn what_strangers_wrote_is_one_line_in_the_log() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[grey("192.0.2.1", "h", "x\rTrapped 1.2.3.4: \x1b[31m\u{9b}y", "u@example.org")]);
    let (lines, _) = one_scan(&place);
    let trapped: Vec<_> = lines.iter().filter(|line| line.contains("Trapped ")).collect();
    assert_eq!(trapped.len(), 1, "{lines:?}");
    assert!(trapped[0].starts_with("Trapped 192.0.2.1: Invalid source address x\\"), "{lines:?}");
    assert!(!trapped[0].contains(char::is_control), "{lines:?}");
}

#[test]
fn a_database_that_is_not_there_fails_the_scan_not_the_daemon() {
    let place = Place::new();
    place.configure(&format!("scan every 1s\n{NO_DNS}"));
    let mut daemon = place.start();
    let path = place.database();
    let missing = format!("scan failed: {}: No such file or directory", path.display());
    daemon.exact_line(&missing);
    // It is not said again.
    daemon.exact_line("Scan started");
    place.enter(&invalid_senders(1));
    daemon.line("Trapped 10.0.0.1: ");
    let ended = daemon.stop();
    assert_eq!(ended.lines.iter().filter(|line| **line == missing).count(), 1, "{ended:?}");
}
