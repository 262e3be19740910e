//! kill -9 of each process at any moment: the whole daemon exits and logs which process died, the database
//! is sound, no record is lost, and a new start continues.
//!
//! `KILLS` in the environment is the number of scans that are interrupted at random; a few without it.

use crate::support::daemon::{Daemon, Ended, Place};
use crate::support::dice::Dice;
use crate::support::patience::patience;
use crate::support::process::{is_alive, until};
use crate::support::records::{grey, invalid_senders};
use crate::support::responder::Responder;
use crate::world;
use nix::sys::signal::{Signal, kill};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const ROLES: [&str; 7] = ["parent", "store", "engine", "resolver", "checker", "memory", "sync"];

/// Kills without `KILLS`.
const KILLS: usize = 12;

/// A place whose daemon has all processes, with work for each.
fn place_of_all() -> (Place, Responder) {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    // Takes a moment, so that it is met at work.
    let checker = place.write("checker", "#!/bin/sh\nsleep 0.02\n", 0o755);
    let key = place.write("key", "shared\n", 0o600);
    place.configure(&format!(
        "{}trap limit 100000 per 1m\ncheck rcpt with \"{}\"\nsync to \"127.0.0.1\"\nsync key \"{}\"\n",
        world::statements(&server),
        checker.display(),
        key.display()
    ));
    (place, server)
}

/// Kills the process of that role. The daemon must end, all of it.
fn kill_one(daemon: Daemon, role: &str) -> Ended {
    let children = daemon.children();
    let victim = if role == "parent" { daemon.pid() } else { daemon.child(role) };
    kill(victim, Signal::SIGKILL).unwrap();
    let ended = daemon.wait();
    until("the end of all", || !children.iter().any(|(_, pid)| is_alive(*pid)));
    if role != "parent" {
        assert_eq!(ended.status.code(), Some(1), "{role}: {ended:#?}");
        let expected = format!("{role}: killed by signal 9 (SIGKILL)");
        let told: Vec<_> = ended.lines.iter().filter(|line| line.contains("SIGKILL")).collect();
        assert_eq!(told, [&expected]);
    }
    // One of those who saw the parent die says so, and only then.
    let died = ended.lines.iter().filter(|line| *line == "parent: has died, terminating").count();
    assert_eq!(died, usize::from(role == "parent"), "{role}: {:#?}", ended.lines);
    ended
}

#[test]
fn whoever_is_killed_takes_all_down_and_is_named() {
    let (place, _server) = place_of_all();
    place.enter(&world::records());
    for role in ROLES {
        let mut daemon = place.start();
        daemon.scan_done();
        assert_eq!(daemon.children().len(), ROLES.len() - 1);
        kill_one(daemon, role);
        place.assert_sound();
    }
    // What a killed parent left, the socket, is no obstacle.
    place.start().scan_done();
}

/// A program that ends it by another signal, or by its status, is told from a kill.
#[test]
fn another_end_is_told_as_what_it_is() {
    let (place, _server) = place_of_all();
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    kill(daemon.child("resolver"), Signal::SIGABRT).unwrap();
    let ended = daemon.wait();
    let line = ended.lines.last().unwrap();
    assert!(line.starts_with("resolver: killed by signal 6 (SIGABRT)"), "{ended:#?}");
    assert_eq!(line.contains("pledge"), cfg!(target_os = "openbsd"), "{line}");
    assert!(line.contains("without memory"), "{line}");
}

#[test]
fn at_random_moments_of_scans() {
    let kills = std::env::var("KILLS").ok().map_or(KILLS, |text| text.parse().unwrap());
    let mut dice = Dice(7);
    let (place, _server) = place_of_all();
    place.enter(&world::records());
    place.enter(&invalid_senders(3000));
    let mut known = 3000;
    let mut longest = Duration::from_millis(50);
    let mut completed = 0;
    for number in 0..kills {
        // New ones to be trapped.
        let fresh: Vec<_> = (known..known + 400).map(bad).collect();
        known += 400;
        place.enter(&fresh);
        let before = lasting(&place);
        let begun = Instant::now();
        let daemon = place.start();
        let started = begun.elapsed();
        std::thread::sleep(longest.mul_f64(dice.roll(1000) as f64 / 1000.0));
        let role = ROLES[dice.roll(ROLES.len())];
        let ended = kill_one(daemon, role);
        let is_completed = ended.lines.contains(&"Scan completed".into());
        completed += usize::from(is_completed);
        // Interrupt half of the scans, whatever the machine.
        longest = if is_completed { longest.mul_f64(0.9) } else { longest.mul_f64(1.1) };
        place.assert_sound();
        let lost: Vec<_> = before.difference(&lasting(&place)).cloned().collect();
        assert!(lost.is_empty(), "{number}, {role}: {lost:#?}\n{ended:#?}");
        assert!(started < patience());
    }
    println!("{kills} kills, {completed} of them after the scan");
    assert!(completed < kills, "none in the middle");
    let mut daemon = place.start();
    daemon.scan_done();
    drop(daemon.stop());
    let traps: BTreeSet<_> = place.trapped().into_iter().collect();
    for (key, _) in (1..known).map(bad) {
        let host = key.split('\n').next().unwrap();
        assert!(traps.contains(host), "{host}");
    }
    place.assert_sound();
}

fn bad(n: u32) -> crate::support::records::Record {
    let host = crate::support::records::host(n);
    grey(&host, "h.example", "no domain", "user@example.org")
}

/// All records; for traps only the address.
fn lasting(place: &Place) -> BTreeSet<String> {
    let line = |line: String| match line.strip_prefix("TRAPPED|") {
        Some(rest) => format!("TRAPPED|{}", rest.split('|').next().unwrap_or_default()),
        None => line,
    };
    place.listing().into_iter().map(line).collect()
}
