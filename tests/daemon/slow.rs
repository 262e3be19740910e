//! Slow answers delay nothing else: hosts whose verdict needs no answer are trapped at once, whatever name
//! servers and the external program do, and a scan ends in time.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::patience::stretched;
use crate::support::process::until;
use crate::support::records::{Record, grey, host};
use crate::support::responder::{Act, Responder};
use std::time::{Duration, Instant};

/// The budget is one second on an idle machine.
const AT_ONCE: Duration = Duration::from_secs(5);

/// One that is against the syntax, and one whose senders are of so many domains.
fn records(domains: u32) -> Vec<Record> {
    let bad = grey("192.0.2.1", "h.example", "nobody", "user@example.org");
    let senders = (0..domains).map(|n| {
        let (from, to) = (format!("a@r{n}.example"), format!("user{n}@example.org"));
        grey("192.0.2.202", "h.example", &from, &to)
    });
    [bad].into_iter().chain(senders).collect()
}

fn trapped_after(mut daemon: Daemon, started: Instant) -> (Daemon, Duration) {
    daemon.line("Trapped 192.0.2.1: ");
    (daemon, started.elapsed())
}

#[test]
fn a_name_server_that_never_answers() {
    let place = Place::new();
    let server = Responder::start(|query| query.control().unwrap_or_default() as Vec<Act>);
    let port = server.address.port();
    place.configure(&format!("dns {{ nameserver 127.0.0.1 port {port}, timeout 10s }}\n"));
    place.enter(&records(300));
    let (daemon, took) = trapped_after(place.begin(), Instant::now());
    assert!(took < stretched(AT_ONCE), "{took:?}");
    assert_eq!(place.trapped(), ["192.0.2.1"]);
    // Before anything was answered.
    until("DNS", || daemon.says(&["show"]).contains("waiting for DNS"));
}

/// A host with as many tuples as make its recipients worth a question.
fn suspect(address: &str, to: &str) -> Vec<Record> {
    let tuple = |n| grey(address, "h.example", "a@d.example", &format!("{to}{n}@example.org"));
    (0..6).map(tuple).collect()
}

#[test]
fn a_program_that_takes_its_time() {
    let place = Place::new();
    let checker = place.write("checker", "#!/bin/sh\nexec sleep 600\n", 0o755);
    place.configure(&format!("{NO_DNS}check rcpt with {checker:?} timeout 10m\n"));
    place.enter(&records(0));
    place.enter(&suspect("192.0.2.202", "user"));
    let (daemon, took) = trapped_after(place.begin(), Instant::now());
    assert!(took < stretched(AT_ONCE), "{took:?}");
    until("the checker", || daemon.says(&["show"]).contains("waiting for the address checker"));
}

/// Verdicts of the program are not delayed by missing ones, nor by silent name servers.
#[test]
fn some_answers_are_enough_for_those_whom_they_settle() {
    let place = Place::new();
    let server = Responder::start(|query| query.control().unwrap_or_default() as Vec<Act>);
    let port = server.address.port();
    // The last one takes longer than what is gathered.
    let script = "#!/bin/sh\n\
        case $1 in postmaster@*) exit 0;; slow*) exec sleep 600;; gone5*) sleep 3;; esac\n\
        exit 1\n";
    let checker = place.write("checker", script, 0o755);
    place.configure(&format!(
        "dns {{ nameserver 127.0.0.1 port {port}, timeout 10s }}\n\
         check rcpt with {checker:?} timeout 10m\n"
    ));
    place.enter(&suspect("192.0.2.1", "gone"));
    place.enter(&suspect("192.0.2.202", "slow"));
    let mut daemon = place.begin();
    daemon.line("Trapped 192.0.2.1: ");
    assert_eq!(place.trapped(), ["192.0.2.1"]);
}

/// Half the time between two scans; then the next one is not skipped.
#[test]
fn a_scan_ends_in_its_time() {
    let place = Place::new();
    let server = Responder::start(|query| query.control().unwrap_or_default() as Vec<Act>);
    let port = server.address.port();
    let checker = place.write("checker", "#!/bin/sh\nexec sleep 600\n", 0o755);
    let every = stretched(Duration::from_secs(4));
    place.configure(&format!(
        "scan every {}s\ndns {{ nameserver 127.0.0.1 port {port}, timeout 60s }}\n\
         check rcpt with {checker:?} timeout 10m\n",
        every.as_secs()
    ));
    place.enter(&records(20));
    let mut daemon = place.start();
    for _ in 0..3 {
        daemon.exact_line("Scan started");
        let start = Instant::now();
        daemon.scan_done();
        assert!(start.elapsed() < every, "{:?}", start.elapsed());
    }
    let skipped = daemon.lines().iter().any(|line| line.contains("under way, none started"));
    assert!(!skipped, "{:#?}", daemon.lines());
}

/// Nothing is written twice, and nothing is lost, however many.
#[test]
fn many_at_once_and_the_rest_later() {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}trap limit 100000 per 1m\n"));
    let many = |n| grey(&host(n), "h.example", "no domain", "user@example.org");
    place.enter(&(1..=1700).map(many).collect::<Vec<_>>());
    let mut daemon = place.start();
    let lines = daemon.scan_done();
    let trapped = lines.iter().filter(|line| line.starts_with("Trapped ")).count();
    assert_eq!((trapped, place.trapped().len()), (1700, 1700));
}
