//! `hear file` in the daemon: the file is read again when it changes, also if another takes its place.

use crate::support::daemon::{Daemon, Place};
use crate::support::process::until;
use crate::support::records::grey;
use crate::support::responder::Responder;
use crate::world;
use std::fs;

/// A host with a sign in its sender.
fn enter(place: &Place, host: &str) {
    place.enter(&[grey(host, "out.provider.example", "a@example.org", "user@example.org")]);
}

/// The lines of another scan.
fn scan(daemon: &mut Daemon) -> Vec<String> {
    until("time for another scan", || daemon.ctl(&["scan"]).status == Some(0));
    daemon.scan_done()
}

fn begin(place: &Place, black: &str) -> Responder {
    let server = Responder::start(world::answer);
    let path = place.write("black", black, 0o644);
    let statements = world::statements(&server);
    place.configure(&format!("{statements}hear file {path:?} as sign\n"));
    server
}

#[test]
fn a_file_that_is_written_again_is_read_by_the_next_scan() {
    let place = Place::new();
    let _server = begin(&place, "192.0.2.101\n");
    let black = place.path("black");
    enter(&place, "192.0.2.101");
    let mut daemon = place.start();
    let lines = daemon.scan_done();
    let reason = format!("Stranger: listed in {}, sender in the recipient's", black.display());
    assert!(lines.iter().any(|line| line.contains(&reason)), "{lines:#?}");
    let said = daemon.says(&["explain", "192.0.2.101"]);
    assert!(said.contains(&format!("list\t{}\tlisted\t-", black.display())), "{said}");
    fs::write(&black, "192.0.2.102\nnonsense\n").unwrap();
    enter(&place, "192.0.2.102");
    enter(&place, "192.0.2.103");
    let lines = scan(&mut daemon);
    assert!(lines.iter().any(|line| line.starts_with("Trapped 192.0.2.102: ")), "{lines:#?}");
    let damaged = "1 line skipped, the first is line 2: \"nonsense\"";
    assert!(lines.iter().any(|line| line.contains(damaged)), "{lines:#?}");
    // A list with one's own is not heard, and nothing is kept of the old one.
    let own = place.ctl(&["export", "-f", "plain"]).out;
    assert!(own.contains("192.0.2.101\n"), "{own}");
    fs::write(&black, format!("192.0.2.103\n{own}")).unwrap();
    let lines = scan(&mut daemon);
    let refused = "has an export of this site, not heard";
    assert!(lines.iter().any(|line| line.contains(refused)), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("Trapped ")), "{lines:#?}");
    assert_eq!(place.trapped(), ["192.0.2.101", "192.0.2.102"]);
}

#[test]
fn a_file_in_the_place_of_another_is_read_by_new_processes() {
    let place = Place::new();
    let _server = begin(&place, "192.0.2.101\n");
    enter(&place, "192.0.2.102");
    let mut daemon = place.start();
    daemon.scan_done();
    assert!(place.trapped().is_empty());
    let new = place.write("black.new", "192.0.2.102\n", 0o644);
    fs::rename(new, place.path("black")).unwrap();
    daemon.says(&["scan"]);
    daemon.line("Trapped 192.0.2.102: Stranger: listed in ");
}

#[test]
fn without_the_file_the_daemon_does_its_work() {
    let place = Place::new();
    let server = Responder::start(world::answer);
    let path = place.path("nowhere/black");
    let statements = world::statements(&server);
    place.configure(&format!("{statements}hear file {path:?} as sign\n"));
    place.enter(&world::records());
    let mut daemon = place.start();
    let lines = daemon.scan_done();
    let missing = format!("hear file {}: No such file or directory, not heard", path.display());
    assert_eq!(lines.iter().filter(|line| **line == missing).count(), 1, "{lines:#?}");
    assert_eq!(place.trapped().len(), 9);
    let lines = scan(&mut daemon);
    assert!(!lines.contains(&missing), "{lines:#?}");
}
