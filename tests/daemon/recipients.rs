//! Recipients that only strangers write to: suggested, adopted as spamtraps, and learnt.

use crate::support::daemon::{Daemon, Place};
use crate::support::process::until;
use crate::support::records::{Record, enter, grey, now, spamtrap, white};
use crate::support::responder::Responder;
use crate::world;
use greytrapper::memory::{Batch, Settings, Store};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const DAY: i64 = 24 * 3600;

/// Nobody is trapped by what speaks against a host alone.
fn configure(place: &Place, server: &Responder, statements: &str) {
    let off = "check sender dns no\nmax helo names off\n";
    place.configure(&format!("{}{off}{statements}", world::statements(server)));
}

/// So many strangers, each from a network of its own, write to this recipient.
fn mail(networks: u8, to: &str) -> Vec<Record> {
    let host = |n| format!("10.{n}.0.1");
    (0..networks).map(|n| grey(&host(n), "none.provider.example", "", to)).collect()
}

fn suggested(daemon: &Daemon) -> Vec<String> {
    let out = daemon.says(&["suggest"]);
    out.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

fn spamtraps(place: &Place) -> Vec<String> {
    place.listing().into_iter().filter(|line| line.starts_with("SPAMTRAP|")).collect()
}

/// A daemon that has seen mail to these recipients.
fn started(place: &Place, server: &Responder, statements: &str, records: &[Record]) -> Daemon {
    configure(place, server, statements);
    place.enter(records);
    let mut daemon = place.start();
    daemon.scan_done();
    daemon
}

#[test]
fn suggestions_are_those_that_could_be_spamtraps() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    let mut records = mail(12, "Many@Example.org");
    records.extend(mail(11, "zeven@example.org"));
    records.extend(mail(10, "few@example.org"));
    for name in ["postmaster", "Abuse", "old", "wanted"] {
        records.extend(mail(12, &format!("{name}@example.org")));
    }
    records.extend([spamtrap("old@example.org")]);
    let daemon = started(&place, &server, "pass rcpt \"^wanted@\"\n", &records);
    until("it is remembered", || !daemon.says(&["suggest"]).is_empty());
    assert_eq!(suggested(&daemon), ["many@example.org", "zeven@example.org"]);
    for line in daemon.says(&["-j", "suggest"]).lines() {
        let found: Value = serde_json::from_str(line).unwrap();
        let ago = now() - found["first"].as_i64().unwrap();
        // Tuples are dated in steps of ten minutes.
        assert!((0..=60 + 600 + 30).contains(&ago), "{line}");
        assert_eq!(found["networks"], 11);
    }
    let report: Value = serde_json::from_str(&daemon.says(&["-j", "report"])).unwrap();
    let new = report["new_recipients"].as_array().unwrap();
    let new: Vec<_> = new.iter().map(|found| found["recipient"].as_str().unwrap()).collect();
    assert_eq!(new, ["many@example.org", "zeven@example.org"]);
    assert!(daemon.says(&["report"]).contains("\n  many@example.org  "));
}

#[test]
fn a_recipient_that_a_host_wrote_to_which_passes_is_no_longer_suggested_nor_adopted() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    let mut records = mail(12, "info@example.org");
    records.extend(mail(12, "bait@example.org"));
    let waiting = grey("192.0.2.200", "mail.good.example", "a@good.example", "INFO@example.org");
    records.push(waiting.clone());
    let mut daemon = started(&place, &server, "", &records);
    until("it is remembered", || suggested(&daemon) == ["bait@example.org", "info@example.org"]);
    // It passes: spamd removes the tuple, and the record has its time.
    fs::remove_file(place.database()).unwrap();
    records.pop();
    let (key, mut data) = white("192.0.2.200");
    data.first = waiting.1.first;
    records.push((key, data));
    enter(&place.database(), &records);
    place.give("spamd");
    daemon.says(&["reload"]);
    daemon.scan_done();
    until("it is remembered", || suggested(&daemon) == ["bait@example.org"]);
    let failed = daemon.ctl(&["adopt", "bait@example.org", "Info@Example.org"]).failed();
    let why = "a host that passed wrote to it, no spamtrap (-f makes it one)";
    assert_eq!(failed, format!("greytrapctl: info@example.org: {why}\n"));
    assert_eq!(spamtraps(&place), ["SPAMTRAP|bait@example.org"]);
    daemon.says(&["adopt", "-f", "info@example.org"]);
    assert_eq!(spamtraps(&place).len(), 2);
    assert_eq!(suggested(&daemon), [""; 0]);
}

#[test]
fn an_adoption_is_logged_remembered_and_once_enough() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    let mut daemon = started(&place, &server, "pass rcpt \"^wanted@\"\n", &[]);
    let done = daemon.says(&["-v", "adopt", "<Bait@Example.org>"]);
    assert_eq!(done, "bait@example.org: made a spamtrap\n");
    let told = daemon.line("Spamtrap bait@example.org: by hand (");
    assert_eq!(spamtraps(&place), ["SPAMTRAP|bait@example.org"]);
    let done = daemon.says(&["-v", "adopt", "bait@example.org"]);
    assert_eq!(done, "bait@example.org: already a spamtrap\n");
    until("it is remembered", || daemon.says(&["history"]).contains("\tadopted\t"));
    let history = daemon.says(&["history"]);
    let line = history.lines().find(|line| line.contains("\tadopted\t")).unwrap();
    let fields: Vec<_> = line.split('\t').skip(1).collect();
    let reason = &told[told.find("Spamtrap").unwrap()..];
    assert_eq!(fields, ["adopted", "-", "-", reason]);
    assert_eq!(history.matches("\tadopted\t").count(), 1);
    // What the configuration lets pass is adopted only by force.
    let failed = daemon.ctl(&["adopt", "wanted@example.org"]).failed();
    let why = "in pass rcpt, no spamtrap (-f makes it one)";
    assert_eq!(failed, format!("greytrapctl: wanted@example.org: {why}\n"));
    daemon.says(&["adopt", "-f", "wanted@example.org"]);
    assert_eq!(spamtraps(&place).len(), 2);
    place.assert_sound();
}

/// Without memory it is not known who wrote to whom.
#[test]
fn without_memory_an_adoption_needs_force() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    fs::write(place.memory(), "").unwrap();
    let daemon = started(&place, &server, "", &[]);
    let failed = daemon.ctl(&["adopt", "bait@example.org"]).failed();
    let why = "memory: nothing is remembered (-f adopts without it)";
    assert_eq!(failed, format!("greytrapctl: {why}\n"));
    assert_eq!(daemon.ctl(&["suggest"]).failed(), "greytrapctl: nothing is remembered\n");
    daemon.says(&["adopt", "-f", "bait@example.org"]);
    assert_eq!(spamtraps(&place), ["SPAMTRAP|bait@example.org"]);
}

/// A memory in which scans have looked for hosts that passed for so many days.
fn watched(place: &Place, days: i64) {
    let directory = place.memory();
    fs::create_dir(&directory).unwrap();
    let day = Duration::from_secs(24 * 3600);
    let settings =
        Settings { directory, verdicts: 90 * day, tuples: Some(14 * day), size: 1 << 30 };
    let store = Store::open(settings, now()).unwrap().store;
    for day in (0..=days).rev() {
        let time = now() - day * DAY;
        store.write(Batch { now: time, watched: Some(time), ..Batch::default() }).unwrap();
    }
    drop(store);
    place.give("memory");
    place.give("memory/memory.redb");
}

#[test]
fn a_recipient_is_a_sign_only_after_fourteen_days_and_by_statement() {
    let mut records = mail(12, "bait@example.org");
    records.push(grey("10.77.0.1", "friend", "a@only.example", "bait@example.org"));
    let learn = "learn recipients yes\n";
    for (days, statement, is_trapped) in [(14, learn, true), (13, learn, false), (14, "", false)] {
        let (place, server) = (Place::new(), Responder::start(world::answer));
        watched(&place, days);
        let mut daemon = started(&place, &server, statement, &records);
        if is_trapped {
            let why = "one-label HELO, recipient mailed from more than 10 networks";
            assert!(daemon.lines().iter().any(|line| line.contains(why)), "{:?}", daemon.lines());
        }
        let trapped = if is_trapped { vec!["10.77.0.1"] } else { Vec::new() };
        assert_eq!(place.trapped(), trapped, "{days} {statement}");
        daemon.says(&["scan"]);
        daemon.scan_done();
        assert_eq!(place.trapped(), trapped, "{days} {statement}");
    }
}
