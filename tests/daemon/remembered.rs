//! What is remembered over a restart, and a daemon whose memory is missing, damaged, full or slow: it traps
//! the same hosts.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::process::until;
use crate::support::records::{self, grey, host, invalid_senders, now, trapped, white};
use greytrapper::memory::{Deed, Query, Record, Seen, Settings, Store, Tuples, unpack};
use greytrapper::spamd::Gdata;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Uid;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn place(statements: &str) -> Place {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}scan every 1h\n{statements}"));
    place
}

/// A daemon after its first scan.
fn scanned(place: &Place) -> Daemon {
    let mut daemon = place.start();
    daemon.scan_done();
    daemon
}

fn again(daemon: Daemon, place: &Place) -> Daemon {
    assert_eq!(daemon.stop().status.code(), Some(0));
    scanned(place)
}

fn totals(daemon: &Daemon) -> Value {
    let status: Value = serde_json::from_str(&daemon.says(&["-j", "show"])).unwrap();
    status["totals"].clone()
}

/// What `explain` says of the host as it is.
fn before_past(explained: &str) -> &str {
    explained.split("\npast\t").next().unwrap()
}

/// What is in the file; nobody may have it open.
fn records(place: &Place) -> Vec<Record> {
    let settings = Settings {
        directory: place.memory(),
        verdicts: Duration::from_secs(90 * 86_400),
        tuples: Some(Duration::from_secs(86_400)),
        size: 1 << 30,
    };
    let opened = Store::open(settings, now()).unwrap();
    assert!(opened.set_aside.is_none(), "{:?}", opened.set_aside);
    let found = opened.store.find(&Query::default(), None, 100_000).unwrap();
    // The daemon's user must be able to open it again.
    if Uid::effective().is_root() {
        place.give("memory/memory.redb");
    }
    found.records
}

fn deeds(records: &[Record]) -> Vec<(Deed, Option<String>)> {
    let about = |record: &Record| record.address.map(|address| address.to_string());
    records.iter().map(|record| (record.deed, about(record))).collect()
}

#[test]
fn a_release_holds_after_a_restart() {
    let place = place("");
    place.enter(&invalid_senders(3));
    let daemon = scanned(&place);
    assert_eq!(place.trapped(), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    daemon.says(&["release", "10.0.0.2"]);
    let mut daemon = daemon;
    for _ in 0..3 {
        daemon = again(daemon, &place);
        assert_eq!(place.trapped(), ["10.0.0.1", "10.0.0.3"]);
        let explained = daemon.says(&["explain", "10.0.0.2"]);
        assert!(explained.contains("released, spared"), "{explained}");
    }
    // That is the memory's doing: without it the host is trapped.
    daemon.stop();
    fs::remove_dir_all(place.memory()).unwrap();
    scanned(&place);
    assert_eq!(place.trapped(), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
}

#[test]
fn sums_and_reasons_go_on_after_a_restart() {
    let place = place("");
    place.enter(&invalid_senders(3));
    let mut daemon = scanned(&place);
    daemon.says(&["trap", "192.0.2.9"]);
    daemon.says(&["release", "192.0.2.9"]);
    daemon.says(&["trap", "because", "because it was told", "192.0.2.10"]);
    let explained = daemon.says(&["explain", "10.0.0.1"]);
    assert!(explained.contains("tuple\th.example\t<no domain>\t<user@example.org>"), "{explained}");
    for starts in 1..=3 {
        let totals = totals(&daemon);
        let found = [
            &totals["scans"],
            &totals["trapped_by_rule"]["syntax"],
            &totals["trapped_by_hand"],
            &totals["released_hosts"],
        ];
        assert_eq!(found, [&Value::from(starts), &3.into(), &2.into(), &1.into()], "{totals}");
        let now = daemon.says(&["explain", "10.0.0.1"]);
        assert_eq!(before_past(&now), before_past(&explained));
        assert!(daemon.says(&["show", "traps"]).contains("Invalid source address"));
        assert!(daemon.says(&["explain", "192.0.2.10"]).contains("because it was told"));
        daemon = again(daemon, &place);
    }
}

#[test]
fn everything_that_became_of_a_host_is_in_the_file() {
    let place = place("max sender domains 3\n");
    place.enter(&invalid_senders(2));
    place.enter(&[grey("192.0.2.1", "h.example", "a@b.example", "user@example.org")]);
    let mut daemon = scanned(&place);
    daemon.says(&["release", "10.0.0.1"]);
    daemon.says(&["trap", "192.0.2.9"]);
    daemon.says(&["reload"]);
    daemon.scan_done();
    daemon.says(&["scan"]);
    daemon.scan_done();
    place.configure(&format!("{NO_DNS}scan every 1h\nallow {{ 10.0.0.2 }}\n"));
    daemon.says(&["reload"]);
    daemon.exact_line("Released 10.0.0.2: in allow");
    daemon.stop();
    let records = records(&place);
    let host = |address: &str| Some(address.to_owned());
    let expected = [
        (Deed::Started, None),
        (Deed::Trapped, host("10.0.0.1")),
        (Deed::Trapped, host("10.0.0.2")),
        (Deed::Released, host("10.0.0.1")),
        (Deed::TrappedByHand, host("192.0.2.9")),
        (Deed::Reloaded, None),
        // Once, however many scans find it so.
        (Deed::Spared, host("10.0.0.1")),
        (Deed::Reloaded, None),
        (Deed::Allowed, host("10.0.0.2")),
    ];
    let found = deeds(&records);
    assert_eq!(found[..6], expected[..6]);
    // What is spared is spared again by another generation, which does not know of the last.
    let others: Vec<_> = found[6..].iter().filter(|(deed, _)| *deed != Deed::Spared).collect();
    assert_eq!(others, expected[7..].iter().collect::<Vec<_>>());
    let spared = found.iter().filter(|deed| **deed == expected[6]).count();
    assert!((1..=2).contains(&spared), "{found:?}");
    let trap = &records[1];
    assert_eq!(trap.rule.as_deref(), Some("syntax"));
    assert_eq!(trap.reason, "Invalid source address no domain (blank outside quotes)");
    assert_eq!((trap.count, trap.tuples.len()), (1, 1));
    assert_eq!(trap.tuples[0].from, b"<no domain>");
    assert!(trap.until.is_some_and(|until| (until - trap.time - 86_400).abs() < 5));
}

#[test]
fn who_may_not_keep_tuples_keeps_none() {
    let place = place("remember tuples no\n");
    place.enter(&invalid_senders(1));
    scanned(&place).stop();
    let records = records(&place);
    let trap = records.iter().find(|record| record.deed == Deed::Trapped).unwrap();
    assert_eq!((trap.count, trap.tuples.len()), (1, 0));
    assert!(trap.reason.starts_with("Invalid source address"));
}

#[test]
fn a_file_that_is_none_is_set_aside_with_one_warning() {
    let place = place("");
    place.enter(&invalid_senders(2));
    scanned(&place).stop();
    let path = place.memory().join("memory.redb");
    fs::write(&path, "something else").unwrap();
    let mut daemon = scanned(&place);
    daemon.says(&["scan"]);
    daemon.scan_done();
    let lines = daemon.lines();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("memory.redb")).collect();
    let expected = format!(
        "memory: memory.redb: truncated or not a database; renamed to {}.bad-",
        path.display()
    );
    assert_eq!(told.len(), 1, "{lines:?}");
    assert!(told[0].starts_with(&expected) && told[0].ends_with("Z, begun anew"), "{told:?}");
    assert_eq!(totals(&daemon)["scans"], 2);
    daemon.stop();
    let names = fs::read_dir(place.memory()).unwrap().map(|entry| entry.unwrap().file_name());
    let bad: Vec<_> = names.filter(|name| name != "memory.redb").collect();
    assert_eq!(fs::read(place.memory().join(&bad[0])).unwrap(), b"something else");
    assert_eq!(deeds(&records(&place)), [(Deed::Started, None)]);
}

#[test]
fn a_directory_that_cannot_be_made_costs_the_memory_only() {
    let place = place("");
    fs::write(place.memory(), "").unwrap();
    place.enter(&invalid_senders(2));
    let mut daemon = scanned(&place);
    daemon.says(&["release", "10.0.0.1"]);
    daemon.says(&["scan"]);
    daemon.scan_done();
    assert_eq!(place.trapped(), ["10.0.0.2"]);
    let expected =
        format!("memory: {}: not a directory; going on without", place.memory().display());
    let lines = daemon.lines();
    assert_eq!(lines.iter().filter(|line| **line == expected).count(), 1, "{lines:?}");
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn the_directory_is_its_owners_alone() {
    let place = place("");
    place.enter(&[]);
    scanned(&place).stop();
    let mode = |name: &str| place.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("memory"), mode("memory/memory.redb")), (0o700, 0o600));
    fs::set_permissions(place.memory(), Permissions::from_mode(0o770)).unwrap();
    let daemon = scanned(&place);
    let expected =
        format!("memory: {}: writable by others; going on without", place.memory().display());
    assert!(daemon.lines().contains(&expected), "{:?}", daemon.lines());
}

/// No scan waits for a disk.
#[test]
fn a_memory_that_hangs_delays_no_scan() {
    let place = place("");
    place.enter(&[]);
    let mut daemon = scanned(&place);
    let memory = daemon.child("memory");
    kill(memory, Signal::SIGSTOP).unwrap();
    for scan in 1..=20u32 {
        place.enter(&invalid_senders(scan * 10));
        daemon.says(&["scan"]);
        daemon.scan_done();
        assert_eq!(place.trapped().len(), scan as usize * 10);
    }
    daemon.says(&["release", "10.0.0.1"]);
    kill(memory, Signal::SIGCONT).unwrap();
    assert_eq!(daemon.stop().status.code(), Some(0));
    let deeds = deeds(&records(&place));
    let count = |wanted: Deed| deeds.iter().filter(|(deed, _)| *deed == wanted).count();
    assert_eq!((count(Deed::Trapped), count(Deed::Released)), (200, 1), "nothing is lost");
}

/// The file of one generation is the next one's, also in another directory.
#[test]
fn a_reload_may_move_the_memory() {
    let place = place("");
    place.enter(&invalid_senders(2));
    let mut daemon = scanned(&place);
    daemon.says(&["release", "10.0.0.1"]);
    let other = place.path("other");
    let (database, socket) = (place.database(), place.socket());
    let text = format!("database {database:?}\nsocket {socket:?}\nmemory {other:?}\n{NO_DNS}");
    place.write("conf", text, 0o644);
    daemon.says(&["reload"]);
    daemon.scan_done();
    let daemon = again(daemon, &place);
    assert!(other.join("memory.redb").is_file());
    assert_eq!(place.trapped(), ["10.0.0.2"]);
    assert_eq!(totals(&daemon)["scans"], 3);
}

/// The events in a history, each with its host.
fn history(daemon: &Daemon, arguments: &[&str]) -> Vec<String> {
    let out = daemon.says(&[&["history"], arguments].concat());
    let event = |line: &str| line.split('\t').skip(1).take(3).collect::<Vec<_>>().join(" ");
    out.lines().map(event).collect()
}

#[test]
fn history_is_told_by_time_rule_and_network() {
    let place = place("max sender domains 1\nsuspect tuples 1\n");
    place.enter(&invalid_senders(2));
    place.enter(&[
        grey("2001:db8::1", "h.example", "a@one.example", "user@example.org"),
        grey("2001:db8::1", "h.example", "a@two.example", "user@example.org"),
    ]);
    let daemon = scanned(&place);
    daemon.says(&["release", "10.0.0.1"]);
    until("it is written", || history(&daemon, &[]).len() == 5);
    let sorted = |arguments: &[&str]| {
        let mut events = history(&daemon, arguments);
        events.sort();
        events
    };
    let all = [
        "released 10.0.0.1 -",
        "started - -",
        "trapped 10.0.0.1 syntax",
        "trapped 10.0.0.2 syntax",
        "trapped 2001:db8::1 domains",
    ];
    assert_eq!(sorted(&[]), all);
    assert_eq!(sorted(&["-s", "1h"]), all);
    assert_eq!(history(&daemon, &["10.0.0.1"]), ["trapped 10.0.0.1 syntax", "released 10.0.0.1 -"]);
    assert_eq!(sorted(&["10.0.0.0/31", "2001:db8::/32"]), [all[0], all[2], all[4]]);
    assert_eq!(sorted(&["-r", "domains"]), [all[4]]);
    assert_eq!(sorted(&["-r", "dns"]), [""; 0]);
    let long = daemon.says(&["-v", "history", "10.0.0.2"]);
    assert!(long.contains("\n\ttuple\th.example\t<no domain>\t<user@example.org>\n"), "{long}");
    let json = daemon.says(&["-j", "history", "10.0.0.2"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["deed"], &json["rule"]), (&"trapped".into(), &"syntax".into()));
    assert_eq!(json["tuples"][0]["from"], "<no domain>");
    let refused = daemon.ctl(&["history", "-r", "nonsense"]).failed();
    assert_eq!(refused, "greytrapctl: unknown rule \"nonsense\"\n");
    let refused = daemon.ctl(&["history", "10.0.0.1/33"]).failed();
    assert_eq!(refused, "greytrapctl: prefix of \"10.0.0.1/33\" must be between 0 and 32\n");
    // The same after a restart.
    let daemon = again(daemon, &place);
    assert_eq!(history(&daemon, &["10.0.0.2"]), ["trapped 10.0.0.2 syntax"]);
}

/// Also by a daemon that was started with it.
#[test]
fn an_exception_ends_traps_from_before_a_restart() {
    let place = place("");
    place.enter(&invalid_senders(2));
    scanned(&place).stop();
    place.enter(&[trapped("192.0.2.9")]);
    place.configure(&format!("{NO_DNS}scan every 1h\nallow {{ 10.0.0.1, 192.0.2.9 }}\n"));
    let mut daemon = place.start();
    daemon.exact_line("Released 10.0.0.1: in allow");
    daemon.scan_done();
    assert_eq!(place.trapped(), ["10.0.0.2", "192.0.2.9"], "only those of the daemon");
}

/// Judged, logged once and remembered, not written; a reload that ends it traps in the next scan.
#[test]
fn observed_rules_trap_nobody() {
    let place = place("observe { syntax, dns }\nmax helo names 1\n");
    place.enter(&invalid_senders(2));
    place.enter(&[
        grey("192.0.2.40", "one.example", "a@b.example", "user@example.org"),
        grey("192.0.2.40", "two.example", "a@b.example", "user@example.org"),
    ]);
    let mut daemon = scanned(&place);
    daemon.says(&["scan"]);
    daemon.scan_done();
    assert_eq!(place.trapped(), ["192.0.2.40"], "by a rule that is not observed");
    let would = "Would trap 10.0.0.1: Invalid source address no domain (blank outside quotes)";
    assert_eq!(daemon.lines().iter().filter(|line| *line == would).count(), 1);
    until("it is written", || {
        history(&daemon, &["10.0.0.0/30"])
            == ["observed 10.0.0.1 syntax", "observed 10.0.0.2 syntax"]
    });
    assert_eq!(totals(&daemon)["trapped_by_rule"]["syntax"], 0);
    assert_eq!(totals(&daemon)["observed_by_rule"]["syntax"], 2);
    assert!(daemon.says(&["show"]).contains("observed only"));
    let explained = daemon.says(&["explain", "10.0.0.1"]);
    assert!(explained.contains("verdict\tpass\nrule\tsyntax\nreason\tonly observed: Invalid"));
    let hosts = daemon.says(&["show", "hosts"]);
    assert!(hosts.contains("\tpass\tsyntax\tonly observed: Invalid"), "{hosts}");
    place.configure(&format!("{NO_DNS}scan every 1h\nobserve yes\n"));
    daemon.says(&["reload"]);
    daemon.scan_done();
    assert_eq!(place.trapped(), ["192.0.2.40"]);
    place.configure(&format!("{NO_DNS}scan every 1h\n"));
    daemon.says(&["reload"]);
    daemon.scan_done();
    assert_eq!(place.trapped(), ["10.0.0.1", "10.0.0.2", "192.0.2.40"]);
}

/// Also of a host that has long gone from the database.
#[test]
fn explain_knows_what_was() {
    let place = place("");
    place.enter(&invalid_senders(1));
    let daemon = scanned(&place);
    daemon.says(&["release", "10.0.0.1"]);
    daemon.says(&["trap", "192.0.2.9"]);
    daemon.says(&["release", "192.0.2.9"]);
    until("it is written", || history(&daemon, &["192.0.2.9"]).len() == 2);
    // Neither the host nor its tuples are left.
    daemon.stop();
    fs::remove_file(place.database()).unwrap();
    place.enter(&[]);
    let daemon = scanned(&place);
    let told = |address: &str| {
        let out = daemon.says(&["explain", address]);
        let past = |line: &str| {
            let fields: Vec<_> = line.split('\t').collect();
            match fields.as_slice() {
                ["past", _, rest @ ..] => ["past", &rest.join(" ")].join(" "),
                fields => fields.join(" "),
            }
        };
        out.lines().map(past).collect::<Vec<_>>()
    };
    let found = told("10.0.0.1");
    assert_eq!(found[0], "address 10.0.0.1");
    assert!(found[1].starts_with("past released - by hand ("), "{found:?}");
    let reason = "past trapped syntax Invalid source address no domain (blank outside quotes)";
    let tuple = " tuple h.example <no domain> <user@example.org>";
    assert_eq!((found[2].as_str(), found[3].as_str()), (reason, " limit suspect tuples 0 5"));
    assert_eq!(found.last().unwrap(), tuple);
    assert_eq!(told("192.0.2.9").len(), 3);
    let json = daemon.says(&["-j", "explain", "10.0.0.1"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["past"][1]["tuples"][0]["helo"], "h.example");
    let unknown = daemon.ctl(&["explain", "192.0.2.77"]).failed();
    assert_eq!(unknown, "greytrapctl: 192.0.2.77: does not wait\n");
}

/// More than fits into the socket, for a reader who takes its time.
#[test]
fn a_long_history_is_told_whole() {
    let place = place("trap limit 100000 per 1m\n");
    place.enter(&invalid_senders(3000));
    let daemon = scanned(&place);
    let told = || daemon.says(&["-j", "history", "-r", "syntax"]).lines().count();
    until("it is written", || told() == 3000);
    let mut slow = std::process::Command::new(env!("CARGO_BIN_EXE_greytrapctl"));
    slow.arg("-s").arg(place.socket()).args(["-j", "history"]);
    let mut slow = slow.stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    // Others are served meanwhile.
    assert_eq!(told(), 3000);
    let mut text = String::new();
    std::io::Read::read_to_string(slow.stdout.as_mut().unwrap(), &mut text).unwrap();
    assert!(slow.wait().unwrap().success());
    assert_eq!(text.lines().count(), 3001);
}

#[test]
fn a_kill_of_the_whole_daemon_loses_little() {
    let place = place("");
    place.enter(&invalid_senders(5));
    let daemon = scanned(&place);
    daemon.says(&["release", "10.0.0.1"]);
    until("it is written", || history(&daemon, &["10.0.0.1"]).len() == 2);
    let (memory, parent) = (daemon.child("memory"), daemon.pid());
    kill(memory, Signal::SIGKILL).unwrap();
    let _ = kill(parent, Signal::SIGKILL);
    drop(daemon);
    scanned(&place);
    assert_eq!(place.trapped().len(), 4, "the release holds");
}

/// What the file knows of the tuples of all hosts, and which of these hosts have passed; nobody may have it
/// open.
fn tuples(place: &Place) -> (Vec<String>, Vec<String>) {
    let settings = Settings {
        directory: place.memory(),
        verdicts: Duration::from_secs(90 * 86_400),
        tuples: Some(Duration::from_secs(14 * 86_400)),
        size: 1 << 30,
    };
    let store = Store::open(settings, now()).unwrap().store;
    let Tuples { blocks, passed, next } = store.tuples(0, None, usize::MAX).unwrap();
    assert!(next.is_none());
    let seen = blocks.iter().flat_map(|(_, bytes)| unpack(bytes));
    let text = |seen: Seen| format!("{} {}", seen.address, String::from_utf8(seen.to).unwrap());
    let found = (
        seen.map(text).collect(),
        passed.into_iter().map(|(address, _)| address.to_string()).collect(),
    );
    drop(store);
    if Uid::effective().is_root() {
        place.give("memory/memory.redb");
    }
    found
}

#[test]
fn tuples_of_all_hosts_are_remembered_once() {
    let place = place("");
    let one = |n: u32| grey(&host(n), "h.example", "a@b.example", &format!("user{n}@example.org"));
    place.enter(&[one(1), one(2), white("10.0.0.9")]);
    let mut daemon = scanned(&place);
    place.enter(&[one(3)]);
    for _ in 0..2 {
        daemon.says(&["scan"]);
        daemon.scan_done();
    }
    daemon.says(&["reload"]);
    daemon.scan_done();
    daemon = again(daemon, &place);
    // It waited, and is whitelisted; the other was whitelisted without.
    place.enter(&[white("10.0.0.2")]);
    daemon.says(&["scan"]);
    daemon.scan_done();
    daemon.stop();
    let (seen, passed) = tuples(&place);
    let expected = [1, 2, 3].map(|n| format!("10.0.0.{n} <user{n}@example.org>"));
    assert_eq!((seen, passed), (expected.to_vec(), vec!["10.0.0.2".to_owned()]));
    place.configure(&format!("{NO_DNS}scan every 1h\nremember tuples no\n"));
    scanned(&place).stop();
    assert_eq!(tuples(&place).0, [""; 0], "remember tuples no");
}

/// The same delivery so many seconds earlier.
fn aged((key, data): records::Record, seconds: i64) -> records::Record {
    let (first, expire) = (data.first - seconds, data.expire - seconds);
    (key, Gdata { first, expire, pass: expire, ..data })
}

/// The times of scans of 100,000 tuples that came within 4 hours, each of which traps 500 hosts.
fn scan_times(has_memory: bool) -> Vec<Duration> {
    let tuples = if has_memory { "" } else { "remember tuples no\n" };
    let place = place(&format!("trap limit 100000 per 1m\n{tuples}"));
    if !has_memory {
        fs::write(place.memory(), "").unwrap();
    }
    let mut records = Vec::new();
    for n in 0..20_000u32 {
        let address = host(0x1_0000 + n);
        records.extend((0..5).map(|m| {
            let to = format!("user{m}@example.org");
            aged(grey(&address, "h.example", "a@b.example", &to), 48 * 60 * i64::from(m))
        }));
    }
    place.enter(&records);
    let mut daemon = scanned(&place);
    let scan = |n: u32| {
        let first = 1 + 500 * n;
        let bad = (first..first + 500).map(|n| grey(&host(n), "h.example", "no domain", "u@e.org"));
        place.enter(&bad.collect::<Vec<_>>());
        let start = std::time::Instant::now();
        daemon.says(&["scan"]);
        daemon.scan_done();
        start.elapsed()
    };
    let mut times: Vec<_> = (0..15).map(scan).collect();
    times.sort();
    times
}

#[test]
#[ignore = "takes a minute"]
fn memory_costs_a_scan_little_at_length() {
    let [without, with] = [false, true].map(scan_times);
    eprintln!("scan without memory {:?}, with {:?}", without[7], with[7]);
    assert!(with[7] < without[7].mul_f64(1.15), "{without:?}, {with:?}");
}
