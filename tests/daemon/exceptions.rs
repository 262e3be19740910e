//! Exceptions by address and by name, some of them until a day; WHITE records that come back; hosts that come
//! again.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::process::until;
use crate::support::records::{Record, grey, invalid_senders, now, white};
use crate::support::responder::*;
use crate::world;
use greytrapper::memory::{Batch, Deed, Settings, Store};
use nix::unistd::Uid;
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DAY: i64 = 86_400;
const BAD: &str = "Invalid source address no domain (blank outside quotes)";

fn bad(address: &str, helo: &str) -> Record {
    grey(address, helo, "no domain", "user@example.org")
}

fn place(statements: &str, records: &[Record]) -> Place {
    let place = Place::new();
    place.configure(&format!("scan every 1h\n{statements}"));
    place.enter(records);
    place
}

fn started(place: &Place) -> Daemon {
    let mut daemon = place.start();
    daemon.scan_done();
    daemon
}

fn scan(daemon: &mut Daemon) {
    daemon.says(&["scan"]);
    daemon.scan_done();
}

/// What is remembered of a host: what happened, and why.
fn history(daemon: &Daemon, address: &str) -> Vec<String> {
    let out = daemon.says(&["history", address]);
    let event = |line: &str| {
        let fields: Vec<_> = line.split('\t').collect();
        format!("{} {}", fields[1], fields[4])
    };
    out.lines().map(event).collect()
}

/// The times and counts of a record, as spamdb(8) prints them.
fn record(place: &Place, address: &str) -> Option<String> {
    let is_it = |line: &String| line.split('|').nth(1) == Some(address);
    place.listing().into_iter().find(is_it)
}

#[test]
fn a_host_that_an_exception_spares_is_told_of_once() {
    let records = [bad("192.0.2.50", "h.example"), bad("198.51.100.1", "h.example")];
    let good = grey("192.0.2.51", "h.example", "a@b.example", "user@example.org");
    let place = place(&format!("{NO_DNS}allow 192.0.2.0/24 until 2099-01-31\n"), &records);
    place.enter(&[good]);
    let mut daemon = started(&place);
    scan(&mut daemon);
    daemon.says(&["reload"]);
    daemon.scan_done();
    assert_eq!(place.trapped(), ["198.51.100.1"]);
    let spared = [format!("spared in allow: {BAD}")];
    until("it is written", || history(&daemon, "192.0.2.50") == spared);
    assert_eq!(history(&daemon, "192.0.2.51"), [""; 0], "nothing was spared");
    let told = daemon.says(&["-v", "history", "192.0.2.50"]);
    assert!(told.contains("\tstatement\tallow 192.0.2.0/24 until 2099-01-31\t"), "{told}");
}

#[test]
fn an_exception_that_is_over_no_longer_counts() {
    let text = format!("{NO_DNS}allow {{ 10.0.0.1, 10.0.0.2 until 2020-12-31 }}\n");
    let place = place(&text, &invalid_senders(2));
    let checked = place.greytrapper(["-n", "-f", place.path("conf").to_str().unwrap()]).output();
    let said = String::from_utf8(checked.unwrap().stderr).unwrap();
    assert!(said.contains("2020-12-31 is over: this exception no longer counts"), "{said}");
    let daemon = started(&place);
    assert_eq!(place.trapped(), ["10.0.0.2"]);
    daemon.says(&["release", "for", "2d", "10.0.0.2"]);
    let shown = daemon.says(&["show", "holds"]);
    let lines: Vec<Vec<_>> = shown.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!((lines[0][0], lines[0][1]), ("hold", "10.0.0.2"));
    assert!(lines[0][4].starts_with("by hand ("), "{shown}");
    assert_eq!(lines[1][..3], ["exception", "allow 10.0.0.1", "-"]);
    assert!(lines[1][3].ends_with("/conf:5") || lines[1][3].contains("/conf:"), "{shown}");
    assert_eq!(lines.len(), 2);
    let json = daemon.says(&["-j", "show", "holds"]);
    let json: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expire = json[0]["expire"].as_i64().unwrap();
    assert!((expire - now() - 2 * DAY).abs() < 60);
    assert_eq!(
        (&json[1]["statement"], &json[1]["expire"]),
        (&"allow 10.0.0.1".into(), &Value::Null)
    );
}

/// DNS knows the name of one host, denies that of another, and says nothing about a third.
fn names(query: &Query) -> Vec<Act> {
    match query.name.as_str() {
        "mx.allowed.example" if query.rtype == A => {
            query.reply().answer(&query.name, A, 300, &[192, 0, 2, 81]).send()
        }
        "silent.allowed.example" => query.reply().rcode(SERVFAIL).send(),
        _ => world::answer(query),
    }
}

#[test]
fn a_name_that_dns_confirms_is_an_exception() {
    let server = Responder::start(names);
    let records = [
        bad("192.0.2.81", "MX.allowed.example"),
        bad("192.0.2.82", "mx.allowed.example"),
        bad("192.0.2.83", "silent.allowed.example"),
        bad("192.0.2.84", "allowed.example"),
    ];
    let dns = world::statements(&server).replace("scan every 1h\n", "");
    let place = place(&format!("{dns}allow helo \"*.allowed.example\"\n"), &records);
    let mut daemon = started(&place);
    assert_eq!(place.trapped(), ["192.0.2.82", "192.0.2.84"]);
    scan(&mut daemon);
    let spared = |why: &str| [format!("spared {why}: {BAD}")];
    until("it is written", || {
        history(&daemon, "192.0.2.81") == spared("in allow helo")
            && history(&daemon, "192.0.2.83") == spared("in allow helo, name not known")
    });
    let explained = daemon.says(&["explain", "192.0.2.81"]);
    assert!(explained.contains("\nstatement\tallow helo \"*.allowed.example\"\t"), "{explained}");
    assert!(explained.contains("verdict\tpass\n"), "{explained}");
}

#[test]
fn a_name_that_is_allowed_by_a_reload_ends_its_trap() {
    let server = Responder::start(names);
    let records =
        [bad("192.0.2.81", "mx.allowed.example"), bad("192.0.2.82", "mx.allowed.example")];
    let dns = world::statements(&server).replace("scan every 1h\n", "");
    let place = place(&dns, &records);
    let mut daemon = started(&place);
    assert_eq!(place.trapped(), ["192.0.2.81", "192.0.2.82"]);
    place.configure(&format!("scan every 1h\n{dns}allow helo mx.allowed.example\n"));
    daemon.says(&["reload"]);
    daemon.exact_line("Released 192.0.2.81: in allow helo");
    assert_eq!(place.trapped(), ["192.0.2.82"]);
    scan(&mut daemon);
    assert_eq!(place.trapped(), ["192.0.2.82"], "it is not trapped again");
    until("it is written", || history(&daemon, "192.0.2.81").len() >= 2);
    assert_eq!(history(&daemon, "192.0.2.81")[1], "allowed in allow helo");
}

#[test]
fn a_white_record_comes_back_when_the_trap_over_it_ends() {
    let place = place(NO_DNS, &[white("192.0.2.1"), white("192.0.2.2"), white("192.0.2.3")]);
    let before = record(&place, "192.0.2.1").unwrap();
    assert!(before.starts_with("WHITE|"), "{before}");
    let mut daemon = started(&place);
    daemon.says(&["trap", "-f", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(place.trapped(), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let told = daemon.says(&["-v", "release", "192.0.2.1"]);
    assert!(told.contains("released, whitelisted again"), "{told}");
    assert_eq!(record(&place, "192.0.2.1").as_deref(), Some(&*before));
    // Also after a reload and after a restart.
    let other = before.replace("192.0.2.1", "192.0.2.2");
    daemon.says(&["reload"]);
    daemon.scan_done();
    daemon.says(&["release", "192.0.2.2"]);
    assert_eq!(record(&place, "192.0.2.2"), Some(other));
    assert_eq!(daemon.stop().status.code(), Some(0));
    let daemon = started(&place);
    daemon.says(&["release", "192.0.2.3"]);
    assert_eq!(record(&place, "192.0.2.3"), Some(before.replace("192.0.2.1", "192.0.2.3")));
    // A new trap of a host that is not whitelisted any more leaves nothing behind.
    daemon.says(&["trap", "192.0.2.4"]);
    daemon.says(&["release", "192.0.2.4"]);
    assert_eq!(record(&place, "192.0.2.4"), None);
}

/// How long the trap of a host lasts, in hours.
fn hours(place: &Place, address: &str) -> i64 {
    let listing = place.listing();
    let start = format!("TRAPPED|{address}|");
    let line = listing.iter().find(|line| line.starts_with(&start)).unwrap();
    let end: i64 = line.rsplit('|').next().unwrap().parse().unwrap();
    (end - now() + 60) / 3600
}

#[test]
fn hosts_that_come_again_stay_longer() {
    let place = place("", &[]);
    fs::create_dir(place.memory()).unwrap();
    let directory = place.memory();
    let (verdicts, tuples) = (Duration::from_secs(90 * 86_400), None);
    let settings = Settings { directory, verdicts, tuples, size: 1 << 30 };
    let store = Store::open(settings, now()).unwrap().store;
    let event = |days: i64, host: u8, deed: Deed| greytrapper::memory::Record {
        time: now() - days * DAY,
        address: Some([10, 0, 0, host].into()),
        deed,
        rule: (deed == Deed::Trapped).then(|| "syntax".into()),
        reason: String::new(),
        until: Some(now() - days * DAY + 3600),
        count: 1,
        details: Vec::new(),
        tuples: Vec::new(),
    };
    let records = vec![
        event(40, 4, Deed::Trapped),
        event(20, 1, Deed::Trapped),
        event(15, 1, Deed::Trapped),
        event(12, 5, Deed::Trapped),
        event(11, 5, Deed::Trapped),
        event(10, 1, Deed::Trapped),
        event(9, 2, Deed::Trapped),
        event(8, 3, Deed::Trapped),
        event(7, 3, Deed::Released),
    ];
    store.write(Batch { now: now(), records, ..Batch::default() }).unwrap();
    drop(store);
    if Uid::effective().is_root() {
        place.give("memory");
        place.give("memory/memory.redb");
    }
    place.configure(&format!("{NO_DNS}scan every 1h\ntrap for 24h, again 48h, most 7d\n"));
    place.enter(&invalid_senders(6));
    let daemon = started(&place);
    // Three, one, none that was right, one that is too old, two, none.
    let found = [1, 2, 3, 4, 5, 6].map(|host| hours(&place, &format!("10.0.0.{host}")));
    assert_eq!(found, [168, 48, 24, 24, 96, 24]);
    until("it is written", || history(&daemon, "10.0.0.5").len() == 3);
    let json = daemon.says(&["-j", "history", "10.0.0.5"]);
    let last: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    let until = last["expire"].as_i64().unwrap() - last["time"].as_i64().unwrap();
    assert_eq!(until, 4 * DAY);
    drop(daemon);
    // Off by default.
    place.configure(&format!("{NO_DNS}scan every 1h\n"));
    fs::remove_file(place.database()).unwrap();
    place.enter(&invalid_senders(2));
    started(&place);
    assert_eq!([1, 2].map(|host| hours(&place, &format!("10.0.0.{host}"))), [24, 24]);
}

/// A name server that denied a name, and finds it later.
#[test]
fn a_host_that_dns_confirms_later_was_trapped_by_mistake() {
    static IS_MENDED: AtomicBool = AtomicBool::new(false);
    let server = Responder::start(|query| {
        let is_it = (query.name.as_str(), query.rtype) == ("mx.allowed.example", A);
        match is_it && IS_MENDED.load(Ordering::Relaxed) {
            true => query.reply().answer(&query.name, A, 0, &[192, 0, 2, 81]).send(),
            false => world::answer(query),
        }
    });
    let records: Vec<_> = (0..7)
        .map(|n| {
            let from = format!("a@d{n}.example");
            grey("192.0.2.81", "mx.allowed.example", &from, "user@example.org")
        })
        .collect();
    let dns = world::statements(&server).replace("scan every 1h\n", "");
    let place = place(&dns, &records);
    let daemon = started(&place);
    assert_eq!(place.trapped(), ["192.0.2.81"]);
    // The trap ends without the daemon, which has forgotten what the name server said.
    let database = place.database();
    let released = crate::support::daemon::greytrapctl([
        "-F",
        database.to_str().unwrap(),
        "release",
        "192.0.2.81",
    ]);
    assert_eq!(released.status, Some(0));
    IS_MENDED.store(true, Ordering::Relaxed);
    assert_eq!(daemon.stop().status.code(), Some(0));
    let daemon = started(&place);
    assert_eq!(place.trapped(), [""; 0]);
    until("it is written", || history(&daemon, "192.0.2.81").len() == 3);
    let told = history(&daemon, "192.0.2.81");
    assert!(told.contains(&"confirmed identity confirmed after its trap".into()), "{told:?}");
    let shown = daemon.says(&["show", "rules"]);
    let row = shown.lines().find(|line| line.starts_with("domains")).unwrap();
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words, ["domains", "on", "1", "0", "0", "1"]);
}

/// Another host sends from the domain a day later, when its name server works again.
#[test]
fn a_host_whose_sender_domain_receives_mail_after_all_was_trapped_by_mistake() {
    static IS_MENDED: AtomicBool = AtomicBool::new(false);
    let server = Responder::start(|query| {
        let is_it = (query.name.as_str(), query.rtype) == ("gone.example", MX);
        match is_it && IS_MENDED.load(Ordering::Relaxed) {
            true => query.reply().answer(&query.name, MX, 0, &mx(10, "mx.example")).send(),
            false => world::answer(query),
        }
    });
    let dns = world::statements(&server).replace("scan every 1h\n", "");
    let place =
        place(&dns, &[grey("192.0.2.60", "h.example", "a@Gone.example", "user@example.org")]);
    let daemon = started(&place);
    assert_eq!(place.trapped(), ["192.0.2.60"]);
    // A restart, so that the daemon asks again.
    assert_eq!(daemon.stop().status.code(), Some(0));
    IS_MENDED.store(true, Ordering::Relaxed);
    place.enter(&[grey("192.0.2.61", "h.example", "b@gone.example", "user@example.org")]);
    let daemon = started(&place);
    until("it is written", || history(&daemon, "192.0.2.60").len() == 2);
    let told = history(&daemon, "192.0.2.60");
    assert!(told.contains(&"confirmed sender domain good after its trap".into()), "{told:?}");
    let shown = daemon.says(&["show", "rules"]);
    let row = shown.lines().find(|line| line.starts_with("dns")).unwrap();
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words, ["dns", "on", "1", "0", "0", "1"]);
    daemon.says(&["scan"]);
    assert_eq!(history(&daemon, "192.0.2.60").len(), 2, "once");
}
