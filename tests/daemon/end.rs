//! How the daemon exits, at rest and in the middle of work, and the other signals.

use crate::support::daemon::{Daemon, Ended, NO_DNS, Place};
use crate::support::patience::stretched;
use crate::support::process::{is_alive, until};
use crate::support::records::{grey, invalid_senders};
use crate::support::responder::{Act, Responder};
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

/// Much longer than exiting may take, for a busy machine.
const SOON: Duration = Duration::from_secs(5);

fn ends_well(place: &Place, daemon: Daemon, signal: Signal) -> Ended {
    let children = daemon.children();
    daemon.signal(signal);
    let ended = daemon.wait();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    // Other processes may still say what they have done.
    assert!(ended.lines.contains(&"terminating".into()), "{ended:#?}");
    assert!(ended.took < stretched(SOON), "{:?}", ended.took);
    assert!(!children.iter().any(|(_, pid)| is_alive(*pid)), "{children:?}");
    assert!(!place.socket().exists());
    place.assert_sound();
    ended
}

fn idle() -> (Place, Daemon) {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&invalid_senders(1));
    let mut daemon = place.start();
    daemon.scan_done();
    (place, daemon)
}

/// A scan that waits for DNS, which never answers.
fn waiting_for_dns() -> (Place, Daemon, Responder) {
    let place = Place::new();
    let server = Responder::start(|query| query.control().unwrap_or_default() as Vec<Act>);
    let port = server.address.port();
    place.configure(&format!("dns {{ nameserver 127.0.0.1 port {port}, timeout 10s }}\n"));
    place.enter(&[grey("192.0.2.1", "h.example", "a@d.example", "user@example.org")]);
    let daemon = place.start();
    until("a question", || server.asked() > 1);
    (place, daemon, server)
}

#[test]
fn at_rest() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (place, daemon) = idle();
        ends_well(&place, daemon, signal);
    }
}

#[test]
fn while_dns_is_waited_for() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (place, daemon, _server) = waiting_for_dns();
        let ended = ends_well(&place, daemon, signal);
        assert!(!ended.lines.contains(&"Scan completed".into()), "{ended:#?}");
    }
}

/// Traps are written completely or left to the next start.
#[test]
fn while_traps_are_written() {
    const HOSTS: u32 = 20_000;
    let place = Place::new();
    place.configure(&format!("{NO_DNS}trap limit 100000 per 1m\n"));
    place.enter(&invalid_senders(HOSTS));
    let mut daemon = place.start();
    daemon.line("Trapped ");
    let ended = ends_well(&place, daemon, Signal::SIGTERM);
    let trapped = place.trapped().len();
    assert!((1..HOSTS as usize).contains(&trapped), "{trapped} trapped: not in the middle");
    assert_eq!(place.listing().len(), HOSTS as usize + trapped);
    assert!(!ended.lines.contains(&"Scan completed".into()));
    let mut daemon = place.start();
    daemon.scan_done();
    assert_eq!(place.trapped().len(), HOSTS as usize);
    place.assert_sound();
}

#[test]
fn while_another_has_the_lock() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let file = std::fs::File::open(place.database()).unwrap();
    file.lock().unwrap();
    let mut daemon = place.start();
    daemon.line("locked by another process, waiting");
    drop(file.try_clone().unwrap());
    let children = daemon.children();
    let ended = daemon.stop();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(ended.took < stretched(SOON), "{:?}", ended.took);
    assert!(!children.iter().any(|(_, pid)| is_alive(*pid)));
}

#[test]
fn while_it_starts() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    for pause in [0, 1, 3, 10, 30] {
        let daemon = place.begin();
        std::thread::sleep(Duration::from_millis(pause));
        daemon.signal(Signal::SIGTERM);
        let ended = daemon.wait();
        // Before it handles signals, they kill it like any program.
        let is_well = ended.status.success() || ended.lines.is_empty();
        assert!(is_well && ended.took < stretched(SOON), "{pause} ms: {ended:#?}");
        assert!(!place.socket().exists(), "{pause} ms");
    }
}

/// As killall(1) does.
#[test]
fn signals_to_all_processes_are_the_parents_to_heed() {
    let (place, daemon) = idle();
    for (_, pid) in daemon.children() {
        kill(pid, Signal::SIGTERM).unwrap();
        kill(pid, Signal::SIGINT).unwrap();
        kill(pid, Signal::SIGHUP).unwrap();
    }
    daemon.says(&["show"]);
    ends_well(&place, daemon, Signal::SIGTERM);
}

#[test]
fn a_summary_for_the_asking() {
    let (_place, mut daemon) = idle();
    daemon.signal(Signal::SIGUSR1);
    let summary = daemon.line(" scans, ");
    let expected = "1 scans, 0 failed; 1 hosts trapped, 0 by hand, 0 released; \
                    last scan: 1 judged, 1 trapped, ";
    assert!(summary.starts_with(expected) && summary.ends_with(" ms"), "{summary}");
}

#[test]
fn a_broken_pipe_harms_nobody() {
    let (place, daemon) = idle();
    daemon.signal(Signal::SIGPIPE);
    daemon.children().into_iter().for_each(|(_, pid)| kill(pid, Signal::SIGPIPE).unwrap());
    daemon.says(&["show", "traps"]);
    ends_well(&place, daemon, Signal::SIGTERM);
}

#[test]
fn questions_are_answered_and_no_second_scan_begins_in_the_middle_of_one() {
    let (_place, daemon, _server) = waiting_for_dns();
    assert!(daemon.says(&["show"]).contains("waiting for DNS, next in "));
    let refused = daemon.ctl(&["scan"]).failed();
    assert_eq!(refused, "greytrapctl: a scan is under way\n");
    // The store writes meanwhile.
    daemon.says(&["trap", "203.0.113.1"]);
    let started = daemon.lines().iter().filter(|line| *line == "Scan started").count();
    assert_eq!(started, 1);
}
