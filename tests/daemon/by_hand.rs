//! What operators order: releases for a time, of a rule and of everything, traps with a time and a reason, and
//! networks; and what they are told of the past.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::process::until;
use crate::support::records::{Record, grey, invalid_senders, now, trapped, white};
use serde_json::Value;
use std::io::{BufRead, BufReader};

/// A daemon after its first scan, whose memory is written.
fn scanned(statements: &str, records: &[Record]) -> (Place, Daemon) {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}scan every 1h\n{statements}"));
    place.enter(records);
    let mut daemon = place.start();
    daemon.scan_done();
    let count = place.trapped().len();
    until("it is written", || events(&daemon, "trapped") >= count);
    (place, daemon)
}

fn events(daemon: &Daemon, event: &str) -> usize {
    let out = daemon.says(&["history"]);
    out.lines().filter(|line| line.split('\t').nth(1) == Some(event)).count()
}

/// Two hosts of the rule `syntax` and one of `domains`.
fn two_rules() -> (&'static str, Vec<Record>) {
    let mut records = invalid_senders(2);
    for domain in ["one", "two"] {
        records.push(grey(
            "192.0.2.1",
            "h.example",
            &format!("a@{domain}.example"),
            "x@example.org",
        ));
    }
    ("suspect tuples 1\nmax sender domains 1\n", records)
}

#[test]
fn a_release_ends_the_traps_of_one_rule() {
    let (statements, records) = two_rules();
    let (place, mut daemon) = scanned(statements, &records);
    place.enter(&[trapped("192.0.2.200")]);
    daemon.says(&["trap", "192.0.2.9"]);
    assert_eq!(daemon.says(&["release", "-r", "syntax"]), "");
    assert_eq!(place.trapped(), ["192.0.2.1", "192.0.2.200", "192.0.2.9"]);
    daemon.says(&["scan"]);
    daemon.scan_done();
    assert_eq!(place.trapped(), ["192.0.2.1", "192.0.2.200", "192.0.2.9"], "they are held");
    // There is nothing left to be done, which is no failure.
    assert_eq!(daemon.says(&["-v", "release", "-r", "syntax"]), "");
    let unknown = daemon.ctl(&["release", "-r", "nonsense"]).failed();
    assert_eq!(unknown, "greytrapctl: unknown rule \"nonsense\"\n");
}

/// Neither spamd's nor an operator's.
#[test]
fn a_release_ends_all_traps_of_the_daemon() {
    let (statements, records) = two_rules();
    let (place, daemon) = scanned(statements, &records);
    place.enter(&[trapped("192.0.2.200")]);
    daemon.says(&["trap", "192.0.2.9"]);
    // An operator has taken this one over.
    daemon.says(&["trap", "10.0.0.2"]);
    until("it is written", || events(&daemon, "trapped_by_hand") == 2);
    // Nor one that spamd has let go meanwhile.
    crate::support::daemon::greytrapctl([
        std::ffi::OsStr::new("-F"),
        place.database().as_os_str(),
        std::ffi::OsStr::new("release"),
        std::ffi::OsStr::new("10.0.0.1"),
    ])
    .succeeded();
    assert_eq!(daemon.says(&["-v", "release", "-a"]), "192.0.2.1: released\n");
    assert_eq!(place.trapped(), ["10.0.0.2", "192.0.2.200", "192.0.2.9"]);
    // Also what was trapped before the daemon was started.
    let (place, daemon) = scanned("", &invalid_senders(3));
    daemon.stop();
    let mut daemon = place.start();
    daemon.scan_done();
    daemon.says(&["release", "-a", "-s", "1h"]);
    assert_eq!(place.trapped(), [""; 0]);
}

/// A tuple that came after the release does not trap the host before the time is over.
#[test]
fn a_release_holds_for_its_time() {
    let (place, mut daemon) = scanned("", &invalid_senders(2));
    daemon.says(&["release", "10.0.0.1", "for", "1h"]);
    daemon.says(&["release", "10.0.0.2"]);
    // What they had sent expires, and they go on.
    for address in ["10.0.0.1", "10.0.0.2"] {
        let (key, mut data) = grey(address, "h.example", "no domain", "user@example.org");
        (data.first, data.expire) = (now() - 5 * 3600, now() - 3600);
        let (new, mut later) = grey(address, "h.example", "no other", "user@example.org");
        later.first = now() + 1;
        place.enter(&[(key, data), (new, later)]);
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for _ in 0..2 {
        daemon.says(&["scan"]);
        daemon.scan_done();
        assert_eq!(place.trapped(), ["10.0.0.2"]);
        assert_eq!(daemon.stop().status.code(), Some(0));
        daemon = place.start();
        daemon.scan_done();
    }
}

#[test]
fn a_trap_has_its_time_and_its_reason() {
    let (place, mut daemon) = scanned("", &[]);
    daemon.says(&["trap", "for", "48h", "because", "told\u{1b} us", "192.0.2.1"]);
    let told = daemon.line("Trapped 192.0.2.1: by hand (");
    assert!(told.ends_with("): told\\033 us"), "{told}");
    let listing = place.listing();
    let line = listing.iter().find(|line| line.starts_with("TRAPPED|192.0.2.1|")).unwrap();
    let end: i64 = line.rsplit('|').next().unwrap().parse().unwrap();
    assert!((end - now() - 48 * 3600).abs() < 60, "{line}");
    until("it is written", || events(&daemon, "trapped_by_hand") == 1);
    let json = daemon.says(&["-j", "history", "192.0.2.1"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["expire"], end);
    assert!(json["reason"].as_str().unwrap().ends_with("told\\033 us"), "{json}");
}

/// Those in it that wait; nobody else is known.
#[test]
fn a_network_stands_for_the_hosts_in_it_that_wait() {
    let good = |address: &str| grey(address, "h.example", "a@b.example", "user@example.org");
    let hosts = ["192.0.2.1", "192.0.2.9", "192.0.2.77", "2001:db8::1"];
    let (place, daemon) = scanned("", &hosts.map(good));
    let ran = daemon.ctl(&["trap", "192.0.2.0/28", "2001:db8::/32", "203.0.113.1"]);
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
    assert_eq!(place.trapped(), ["192.0.2.1", "192.0.2.9", "2001:db8::1", "203.0.113.1"]);
    let wrong = daemon.ctl(&["trap", "192.0.2.0/40"]).failed();
    assert_eq!(wrong, "greytrapctl: prefix of \"192.0.2.0/40\" must be between 0 and 32\n");
}

#[test]
fn a_report_is_a_summary_or_nothing() {
    let (place, daemon) = scanned("", &[]);
    assert_eq!(daemon.says(&["report"]), "");
    drop(daemon);
    place.enter(&invalid_senders(3));
    let mut daemon = place.start();
    daemon.scan_done();
    daemon.says(&["release", "10.0.0.2"]);
    until("it is written", || events(&daemon, "released") == 1);
    let report = daemon.says(&["report", "-s", "1h"]);
    let lines: Vec<_> =
        report.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0][..2], ["greytrapper", "since"]);
    assert_eq!(lines[2..5], [vec!["trapped", "3"], vec!["syntax", "3"], vec!["released", "1"]]);
    assert_eq!(lines[5][..3], ["10.0.0.2", "syntax", "by"]);
    let json: Value = serde_json::from_str(&daemon.says(&["-j", "report"])).unwrap();
    assert_eq!(json["trapped_by_rule"]["syntax"], 3);
    assert_eq!(json["released"][0]["address"], "10.0.0.2");
}

/// It is wrong three times in ten: it traps nobody any more, until a reload; the others go on.
#[test]
fn a_rule_that_is_wrong_too_often_is_suspended() {
    let (statements, _) = two_rules();
    let (place, mut daemon) = scanned(statements, &invalid_senders(10));
    daemon.says(&["release", "10.0.0.1", "10.0.0.2"]);
    daemon.says(&["release", "10.0.0.3"]);
    let told = daemon.line("rule syntax suspended: ");
    let expected = "3 of 10 hosts that it trapped proved good, 3 released (10.0.0.1, 10.0.0.2, \
                    10.0.0.3)";
    assert!(told.contains(expected), "{told}");
    let record = |daemon: &Daemon| {
        let shown = daemon.says(&["show", "rules"]);
        let row = shown.lines().find(|line| line.starts_with("syntax")).unwrap();
        row.split_whitespace().skip(1).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(record(&daemon), ["suspended", "10", "3", "0", "0"]);
    let bad = |address: &str| grey(address, "h.example", "no domain", "user@example.org");
    place.enter(&[bad("192.0.2.50")]);
    place.enter(&two_rules().1[2..]);
    daemon.says(&["scan"]);
    daemon.line("Would trap 192.0.2.50: ");
    daemon.scan_done();
    let trapped = place.trapped();
    assert!(!trapped.contains(&"192.0.2.50".into()) && trapped.contains(&"192.0.2.1".into()));
    // A restart changes nothing.
    assert_eq!(daemon.stop().status.code(), Some(0));
    let mut daemon = place.start();
    daemon.line("rule syntax suspended: ");
    daemon.scan_done();
    assert!(!place.trapped().contains(&"192.0.2.50".into()));
    daemon.says(&["reload"]);
    daemon.line("Trapped 192.0.2.50: ");
    assert_eq!(record(&daemon), ["on", "11", "3", "0", "0"]);
}

/// The same if nobody has released them, but they have passed since.
#[test]
fn a_rule_whose_hosts_pass_afterwards_is_suspended() {
    let (place, mut daemon) = scanned("", &invalid_senders(10));
    let is_told = |daemon: &Daemon| {
        let lines = daemon.lines();
        lines.iter().any(|line| line.starts_with("rule syntax suspended"))
    };
    place.enter(&[white("10.0.0.1"), white("10.0.0.2"), white("203.0.113.1")]);
    daemon.says(&["scan"]);
    daemon.scan_done();
    assert!(!is_told(&daemon));
    place.enter(&[white("10.0.0.4")]);
    daemon.says(&["scan"]);
    daemon.scan_done();
    until("it is told", || is_told(&daemon));
    let lines = daemon.lines();
    let told = lines.iter().find(|line| line.starts_with("rule syntax suspended")).unwrap();
    let expected = "3 of 10 hosts that it trapped proved good, 3 whitelisted afterwards \
                    (10.0.0.1, 10.0.0.2, 10.0.0.4)";
    assert!(told.contains(expected), "{told}");
    until("it is written", || events(&daemon, "passed") == 3);
    daemon.says(&["scan"]);
    daemon.scan_done();
    assert_eq!(events(&daemon, "passed"), 3, "each once");
    let status: Value = serde_json::from_str(&daemon.says(&["-j", "show"])).unwrap();
    assert_eq!(status["rules"][0]["good_hosts"][2], "10.0.0.4");
}

/// A page that is whole, in a file that others may read.
#[test]
fn a_report_may_be_a_page() {
    let (place, daemon) = scanned("", &invalid_senders(3));
    daemon.says(&["release", "10.0.0.2"]);
    until("it is written", || events(&daemon, "released") == 1);
    let path = place.write("page.html", "old", 0o644);
    let name = path.to_str().unwrap();
    assert_eq!(daemon.says(&["report", "-H", name]), "");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
    assert!(page.contains("<title>20") || page.contains("<svg"), "{page}");
    assert!(page.contains("<td>10.0.0.2</td><td>syntax</td><td>by hand ("), "{page}");
    let missing = place.path("missing/page.html");
    let failed = daemon.ctl(&["report", "-H", missing.to_str().unwrap()]);
    assert_eq!(failed.status, Some(1));
    // Without an answer the old page stays.
    drop(daemon);
    let failed = place.ctl(&["report", "-H", name]);
    assert_eq!(failed.status, Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page);
}

#[test]
fn show_says_what_does_not_work() {
    let (place, mut daemon) = scanned("", &invalid_senders(2));
    let shown = |daemon: &Daemon| daemon.says(&["show"]);
    let troubles = |daemon: &Daemon| {
        let status: Value = serde_json::from_str(&daemon.says(&["-j", "show"])).unwrap();
        let about = |trouble: &Value| trouble["about"].as_str().unwrap().to_owned();
        status["troubles"].as_array().unwrap().iter().map(about).collect::<Vec<_>>()
    };
    assert!(shown(&daemon).contains("\nstate              all is well\n"));
    let conf = std::fs::read_to_string(place.path("conf")).unwrap();
    place.write("conf", "nonsense\n", 0o644);
    assert_eq!(daemon.ctl(&["reload"]).status, Some(1));
    assert_eq!(troubles(&daemon), ["reload"]);
    assert!(shown(&daemon).contains("\nstate              reload failed: "));
    assert!(daemon.says(&["show", "metrics"]).contains("greytrapper_troubles{about=\"reload\"} 1"));
    place.write("conf", conf, 0o644);
    daemon.says(&["reload"]);
    daemon.scan_done();
    assert_eq!(troubles(&daemon), [""; 0]);
    std::fs::write(place.database(), [0xff; 5000]).unwrap();
    daemon.says(&["scan"]);
    until("the scan has failed", || troubles(&daemon) == ["scan"]);
    assert_eq!(daemon.stop().status.code(), Some(0));
    std::fs::remove_file(place.database()).unwrap();
    std::fs::remove_dir_all(place.memory()).unwrap();
    std::fs::write(place.memory(), "").unwrap();
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    until("a batch was not written", || troubles(&daemon) == ["memory"]);
}

#[test]
fn today_goes_on_after_a_restart() {
    let (place, daemon) = scanned("", &invalid_senders(3));
    let traps = |daemon: &Daemon| {
        let status: Value = serde_json::from_str(&daemon.says(&["-j", "show"])).unwrap();
        ["today", "totals"].map(|sums| status[sums]["trapped_by_rule"]["syntax"].clone())
    };
    assert_eq!(traps(&daemon), [3, 3]);
    assert_eq!(daemon.stop().status.code(), Some(0));
    place.enter(&[grey("192.0.2.1", "h.example", "no domain", "user@example.org")]);
    let mut daemon = place.start();
    daemon.scan_done();
    // Unless it is midnight.
    assert_eq!(traps(&daemon), [4, 4]);
    daemon.says(&["reload"]);
    daemon.scan_done();
    assert_eq!(traps(&daemon), [4, 4]);
}

#[test]
fn monitor_may_begin_in_the_past() {
    let (place, daemon) = scanned("", &invalid_senders(1));
    // What is told of the past has happened before this second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_greytrapctl"));
    command.arg("-s").arg(place.socket()).args(["monitor", "-s", "1h"]);
    let mut monitor = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut next = || lines.next().unwrap().split_once('\t').unwrap().1.to_owned();
    assert_eq!(next(), "started\t-\t-\t");
    let reason = "Invalid source address no domain (blank outside quotes)";
    assert_eq!(next(), format!("trapped\t10.0.0.1\tsyntax\t{reason}"));
    daemon.says(&["scan"]);
    assert_eq!(next(), "scan\tstarted");
    monitor.kill().unwrap();
    monitor.wait().unwrap();
}
