//! What the daemon answers: `show` and its topics, `explain`, `log`, changes by hand.

use crate::metrics;
use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::process::user;
use crate::support::responder::Responder;
use crate::world;
use serde_json::Value;

/// A daemon that has scanned the world.
fn scanned() -> (Place, Responder, Daemon) {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    place.configure(&world::statements(&server));
    place.enter(&world::records());
    let mut daemon = place.start();
    daemon.scan_done();
    (place, server, daemon)
}

/// A daemon with an empty database, after its first scan.
fn idle() -> (Place, Daemon) {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    (place, daemon)
}

fn fields(text: &str) -> Vec<Vec<&str>> {
    let mut rows: Vec<_> = text.lines().map(|line| line.split('\t').collect::<Vec<_>>()).collect();
    rows.sort();
    rows
}

#[test]
fn show_tells_at_a_glance() {
    let (place, server, daemon) = scanned();
    let shown = daemon.says(&["show"]);
    let line = |name: &str| {
        let found = shown.lines().find(|line| line.starts_with(name));
        let found = found.unwrap_or_else(|| panic!("no {name} in\n{shown}"));
        found[name.len()..].split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("greytrapper ").contains("log brief"), "{shown}");
    assert_eq!(line("database "), place.database().to_str().unwrap());
    assert!(line("scan ").starts_with("idle, next in 00:59:"), "{shown}");
    assert!(line("scan ").ends_with("every 1h"), "{shown}");
    assert_eq!(line("scans "), "1 done, 0 failed");
    assert_eq!(line("records "), "1 white, 1 trapped, 0 spamtraps, 0 unknown");
    assert_eq!(line("hosts "), "15 grey, 15 waiting, 12 judged");
    for (rule, count) in [("syntax", 2), ("domains", 1), ("senders", 1), ("helo", 1), ("dns", 2)] {
        assert_eq!(line(&format!("{rule} ")), format!("{count} {count}"), "{shown}");
    }
    let server = line(&server.address.to_string());
    assert!(server.ends_with(" 0 fit"), "{shown}");
}

#[test]
fn show_in_json_says_the_same() {
    let (_place, _server, daemon) = scanned();
    let status: Value = serde_json::from_str(&daemon.says(&["-j", "show"])).unwrap();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["phase"], "idle");
    assert_eq!(status["log"], "brief");
    assert_eq!(status["totals"]["scans"], 1);
    let trapped = serde_json::json!({
        "syntax": 2, "domains": 1, "senders": 1, "helo": 1, "rcpt": 1, "checker": 0, "dns": 2
    });
    assert_eq!(status["last_scan"]["trapped"], trapped);
    assert_eq!(status["last_scan"]["domains"]["unknown"], 1);
    assert_eq!(status["last_scan"]["domains"]["bad"], 2);
    assert_eq!(status["name_servers"][0]["fitness"], "fit");
    assert_eq!(status["name_servers"].as_array().unwrap().len(), 1);
}

#[test]
fn show_metrics_is_openmetrics() {
    let (_place, _server, daemon) = scanned();
    daemon.says(&["trap", "203.0.113.1", "203.0.113.2"]);
    daemon.says(&["release", "203.0.113.1"]);
    let samples = metrics::parse(&daemon.says(&["show", "metrics"]));
    let value = |name: &str| {
        let name = format!("greytrapper_{name}");
        *samples.get(&name).unwrap_or_else(|| panic!("no {name} in {samples:#?}"))
    };
    assert_eq!(value("scans_total{result=\"done\"}"), 1.0);
    assert_eq!(value("trapped_hosts_total{rule=\"syntax\"}"), 2.0);
    assert_eq!(value("trapped_hosts_total{rule=\"dns\"}"), 2.0);
    assert_eq!(value("trapped_hosts_total{rule=\"hand\"}"), 2.0);
    assert_eq!(value("released_hosts_total"), 1.0);
    assert_eq!(value("records{type=\"white\"}"), 1.0);
    assert_eq!(value("judged_hosts"), 12.0);
}

#[test]
fn show_traps_has_all_and_what_is_known_of_them() {
    let (_place, _server, daemon) = scanned();
    let shown = daemon.says(&["show", "traps"]);
    let mut expected: Vec<_> = world::TRAPPED.map(|(host, reason)| (host, reason)).into();
    expected.push(("192.0.2.76", ""));
    expected.sort();
    let rows = fields(&shown);
    let found: Vec<_> = rows.iter().map(|row| (row[0], row[3])).collect();
    assert_eq!(found, expected);
    assert!(rows.iter().all(|row| (row[2] == "-") == (row[0] == "192.0.2.76")), "{shown}");
}

#[test]
fn show_hosts_has_all_that_wait() {
    let (_place, _server, daemon) = scanned();
    let shown = daemon.says(&["show", "hosts"]);
    let rows = fields(&shown);
    let rule = |host: &str| {
        let row = rows.iter().find(|row| row[0] == host);
        row.unwrap_or_else(|| panic!("no {host} in\n{shown}"))[2]
    };
    for host in world::PASS {
        assert_eq!(rule(host), "pass", "{host}");
    }
    // They are trapped now.
    for (host, _) in world::TRAPPED {
        assert_eq!(rule(host), "pass", "{host}");
    }
    assert_eq!(rows.len(), 15, "{shown}");
}

#[test]
fn explain_has_reason_and_evidence() {
    let (_place, _server, daemon) = scanned();
    let explained = |host: &str| daemon.says(&["explain", host]);
    let gone = explained("192.0.2.60");
    for line in [
        "address\t192.0.2.60\n",
        "rule\tdns\n",
        "reason\tMailed from sender gone.example with no MX or A\n",
        "answer\tno such domain\n",
        "tuple\th.example\t<a@gone.example>\t<user@example.org>\n",
    ] {
        assert!(gone.contains(line), "{line} in\n{gone}");
    }
    assert_eq!(explained("192.0.2.20").matches("tuple\t").count(), 7);
    // The other spelling of the same address.
    assert!(explained("2001:DB8:0::10").contains("rule\tsyntax\n"));
    let passed = explained("192.0.2.72");
    assert!(passed.contains("rule\tpass\nreason\tidentity confirmed\n"), "{passed}");
    let none = daemon.ctl(&["explain", "203.0.113.1"]).failed();
    assert_eq!(none, "greytrapctl: 203.0.113.1: does not wait\n");
}

#[test]
fn traps_by_hand_and_their_ends_name_the_user() {
    let (place, mut daemon) = idle();
    let me = user();
    let ran = daemon.ctl(&["-v", "trap", "192.0.2.1", "2001:db8::1"]).succeeded();
    assert_eq!(ran, "192.0.2.1: trapped\n2001:db8::1: trapped\n");
    daemon.exact_line(&format!("Trapped 192.0.2.1: by hand ({me})"));
    daemon.exact_line(&format!("Trapped 2001:db8::1: by hand ({me})"));
    assert_eq!(place.trapped(), ["192.0.2.1", "2001:db8::1"]);
    daemon.says(&["release", "192.0.2.1"]);
    daemon.exact_line(&format!("Released 192.0.2.1: by hand ({me})"));
    assert_eq!(place.trapped(), ["2001:db8::1"]);
    let again = daemon.ctl(&["release", "192.0.2.1"]).failed();
    assert_eq!(again, "greytrapctl: 192.0.2.1: not trapped\n");
}

/// `log brief` had returned, and the next scan's lines were still those of `log verbose`.
#[test]
fn what_log_says_holds_when_it_has_returned() {
    let (place, mut daemon) = idle();
    place.enter(&[("odd\nkey".into(), Default::default())]);
    for round in 0..20 {
        let verbosity = ["verbose", "brief"][round % 2];
        for word in ["brief", "verbose", verbosity] {
            daemon.says(&["log", word]);
        }
        daemon.says(&["scan"]);
        let lines = daemon.scan_done();
        let is_verbose = lines.iter().any(|line| line.contains("skipped"));
        assert_eq!(is_verbose, verbosity == "verbose", "{round}: {lines:?}");
    }
}

#[test]
fn whitelisted_and_allowed_hosts_are_left_alone() {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}allow {{ 192.0.2.0/25 }}\n"));
    place.enter(&[crate::support::records::white("203.0.113.1")]);
    let daemon = place.start();
    let white = daemon.ctl(&["trap", "203.0.113.1"]).failed();
    assert_eq!(white, "greytrapctl: 203.0.113.1: whitelisted, not trapped\n");
    for arguments in [&["trap", "192.0.2.1"][..], &["trap", "-f", "192.0.2.1"]] {
        let allowed = daemon.ctl(arguments).failed();
        assert_eq!(allowed, "greytrapctl: 192.0.2.1: in allow\n");
    }
    assert_eq!(place.trapped(), [""; 0]);
    daemon.says(&["trap", "-f", "203.0.113.1"]);
    assert_eq!(place.trapped(), ["203.0.113.1"]);
}

#[test]
fn the_log_can_say_more_and_less() {
    let (place, mut daemon) = idle();
    let odd = format!("record \"{}\" skipped", "odd");
    place.enter(&[("odd\nkey".into(), Default::default())]);
    daemon.says(&["scan"]);
    assert!(!daemon.scan_done().iter().any(|line| line.contains("skipped")));
    daemon.says(&["log", "verbose"]);
    assert!(daemon.says(&["show"]).contains("log verbose"));
    daemon.says(&["scan"]);
    let lines = daemon.scan_done();
    let more = lines.iter().find(|line| line.contains("skipped"));
    assert!(more.is_some_and(|line| line.starts_with(&odd[..11])), "{lines:?}");
    daemon.says(&["log", "brief"]);
    daemon.says(&["scan"]);
    assert!(!daemon.scan_done().iter().any(|line| line.contains("skipped")));
}
