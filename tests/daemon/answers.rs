//! What the daemon answers: `show` and its topics, `explain`, `log`, changes by hand.

use crate::metrics;
use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::process::user;
use crate::support::records::{trapped, white};
use crate::support::responder::Responder;
use crate::world;
use serde_json::Value;
use std::fs;

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
    let shown = daemon.says(&["-v", "show"]);
    let line = |name: &str| {
        let found = shown.lines().find(|line| line.starts_with(name));
        let found = found.unwrap_or_else(|| panic!("no {name} in\n{shown}"));
        found[name.len()..].split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("greytrapper ").contains("log brief"), "{shown}");
    assert_eq!(line("database "), place.database().to_str().unwrap());
    assert!(line("scan ").starts_with("idle, next in 00:59:"), "{shown}");
    assert!(line("scan ").ends_with("every 1h"), "{shown}");
    assert_eq!(line("scans "), "1 done, 0 failed; today 1 done, 0 failed");
    assert_eq!(line("records "), "33 grey, 1 white, 1 trapped, 0 spamtraps, 0 unknown");
    assert_eq!(line("hosts "), "15 grey, 15 waiting, 12 judged");
    for (rule, count) in [("syntax", 2), ("domains", 1), ("senders", 1), ("helo", 1), ("dns", 2)] {
        assert_eq!(line(&format!("{rule} ")), format!("{count} {count} {count}"), "{shown}");
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
        "syntax": 2, "domains": 1, "senders": 1, "helo": 1, "address": 0, "dynamic": 0,
        "stranger": 0, "crowd": 0, "rcpt": 1, "checker": 0, "dns": 2
    });
    assert_eq!(status["last_scan"]["trapped_by_rule"], trapped);
    assert_eq!(status["last_scan"]["sender_domains"]["unknown"], 1);
    assert_eq!(status["last_scan"]["sender_domains"]["bad"], 2);
    assert_eq!(status["name_servers"][0]["fitness"], "fit");
    assert_eq!(status["name_servers"].as_array().unwrap().len(), 1);
}

#[test]
fn show_metrics_is_openmetrics() {
    let (place, _server, daemon) = scanned();
    daemon.says(&["trap", "203.0.113.1", "203.0.113.2"]);
    daemon.says(&["release", "203.0.113.1"]);
    let file = place.path("metrics");
    assert_eq!(daemon.says(&["show", "metrics", "-o", file.to_str().unwrap()]), "");
    let samples = metrics::parse(&fs::read_to_string(&file).unwrap());
    assert_eq!(samples.len(), metrics::parse(&daemon.says(&["show", "metrics"])).len());
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
    assert!(rows.iter().all(|row| (row[2] == "unknown") == (row[0] == "192.0.2.76")), "{shown}");
}

#[test]
fn show_hosts_has_all_that_wait() {
    let (_place, _server, daemon) = scanned();
    let shown = daemon.says(&["show", "hosts"]);
    let rows = fields(&shown);
    let row = |host: &str| {
        let row = rows.iter().find(|row| row[0] == host);
        let row = row.unwrap_or_else(|| panic!("no {host} in\n{shown}"));
        (row[1], row[3], row[4], row[5])
    };
    let bad = "Invalid source address cheap pills@ (blank outside quotes)";
    for (host, state, rule, reason) in [
        ("192.0.2.70", "waiting", "-", "nothing against it"),
        ("192.0.2.71", "waiting", "-", "sender domain not known, exemption not known"),
        (
            "192.0.2.72",
            "waiting",
            "domains",
            "identity confirmed: Host sending from 7 domains (> 3)",
        ),
        ("192.0.2.73", "white", "syntax", &format!("whitelisted: {bad}")),
        ("192.0.2.74", "waiting", "syntax", &format!("in allow: {bad}")),
        ("192.0.2.75", "waiting", "-", "nothing against it"),
        ("192.0.2.76", "trapped", "syntax", &format!("already trapped: {bad}")),
    ] {
        assert_eq!(row(host), (state, "pass", rule, reason), "{host}");
    }
    // They are trapped now, and would be trapped again.
    for (host, reason) in world::TRAPPED {
        let (state, verdict, rule, why) = row(host);
        assert_eq!((state, verdict), ("trapped", "pass"), "{host}");
        assert_ne!(rule, "-", "{host}");
        assert_eq!(why, format!("already trapped: {reason}"));
    }
    assert_eq!(rows.len(), 15, "{shown}");
}

#[test]
fn explain_has_reason_and_evidence() {
    let (place, _server, daemon) = scanned();
    let explained = |host: &str| daemon.says(&["explain", host]);
    let has = |host: &str, lines: &[&str]| {
        let said = explained(host);
        for line in lines {
            assert!(said.lines().any(|it| it.starts_with(line)), "{line:?} in\n{said}");
        }
    };
    has(
        "192.0.2.60",
        &[
            "address\t192.0.2.60",
            "state\ttrapped",
            "verdict\ttrap",
            "rule\tdns",
            "reason\tMailed from sender gone.example with no MX or A",
            "limit\tsuspect tuples\t1\t5",
            "domain\tgone.example\tbad\tno such domain",
            "helo\th.example\t",
            "tuples\t1",
            "tuple\th.example\t<a@gone.example>\t<user@example.org>\t20",
        ],
    );
    assert_eq!(explained("192.0.2.20").matches("tuple\t").count(), 7);
    // The other spelling of the same address.
    has("2001:DB8:0::10", &["rule\tsyntax"]);
    has(
        "192.0.2.72",
        &[
            "state\twaiting",
            "verdict\tpass",
            "rule\tdomains",
            "reason\tidentity confirmed: Host sending from 7 domains (> 3)",
            "limit\tmax sender domains\t7\t3",
            "domain\td0.example\tgood\tMX",
            "helo\tout.provider.example\tconfirmed",
        ],
    );
    // Nobody depends on these answers, which are asked for to be shown.
    has("192.0.2.10", &["rule\tsyntax", "helo\th.example\t"]);
    has("192.0.2.70", &["domain\tgood.example\tgood\tMX", "helo\th.example\tdenied"]);
    has("192.0.2.71", &["not checked\tsender domain not known", "domain\toutage.example\tunknown"]);
    let line = |start: &str| {
        let text = std::fs::read_to_string(place.path("conf")).unwrap();
        let number = text.lines().position(|line| line.starts_with(start)).unwrap() + 1;
        format!("{}:{number}", place.path("conf").display())
    };
    let closed =
        format!("statement\ttrap rcpt \"@closed\\.example\\.org$\"\t{}", line("trap rcpt"));
    has("192.0.2.50", &["rule\trcpt", &closed]);
    has(
        "192.0.2.74",
        &["rule\tsyntax", &format!("statement\tallow 192.0.2.74\t{}", line("allow"))],
    );
    // Trapped by somebody else.
    let theirs = explained("192.0.2.76");
    assert!(theirs.contains("state\ttrapped\ntrap\t20"), "{theirs}");
    assert!(
        theirs.contains("\nverdict\tpass\nrule\tsyntax\nreason\talready trapped: "),
        "{theirs}"
    );
    let none = daemon.ctl(&["explain", "203.0.113.1"]).failed();
    assert_eq!(none, "greytrapctl: 203.0.113.1: does not wait\n");
}

/// A host without tuples was said not to wait, in a trap or not.
#[test]
fn explain_has_the_state_of_hosts_without_tuples() {
    let (place, daemon) = idle();
    place.enter(&[trapped("192.0.2.1"), white("192.0.2.2")]);
    let said = daemon.says(&["explain", "192.0.2.1"]);
    assert!(said.starts_with("address\t192.0.2.1\nstate\ttrapped\ntrap\t"), "{said}");
    assert!(said.contains("\nrule\t-\nreason\talready trapped\n"), "{said}");
    let said = daemon.says(&["explain", "192.0.2.2"]);
    assert!(said.contains("\nstate\twhite\njudged"), "{said}");
    assert!(said.ends_with("\nreason\twhitelisted\ntuples\t0\n"), "{said}");
}

/// The trap has been ended by somebody else since: the daemon went on saying that the host is in it.
#[test]
fn what_was_trapped_once_is_judged_again() {
    let (place, _server, daemon) = scanned();
    let trapped = daemon.says(&["explain", "192.0.2.60"]);
    assert!(trapped.contains("state\ttrapped\n") && trapped.contains("verdict\ttrap\n"));
    let args =
        ["-F", place.database().to_str().unwrap(), "release", "192.0.2.60"].map(String::from);
    crate::support::cmd::ctl(args).succeeds();
    let now = daemon.says(&["explain", "192.0.2.60"]);
    assert!(now.contains("state\twaiting\njudged\t"), "{now}");
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
