//! `show`, `show traps`, `show hosts` and `explain`, by a daemon that has known answers.

use crate::fake_daemon::Daemon;
use crate::sample::{NOW, status};
use greytrapper::control::protocol::{Explained, Reply, Request, Trap};
use greytrapper::control::status::{Configured, Phase, Status};
use greytrapper::scan::{Evidence, Rule, Verdict};
use greytrapper::spamd::{Address, Tuple};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

fn that_is(status: Status) -> Daemon {
    Daemon::that_says(vec![Reply::Status(Box::new(status))])
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// A trap, why, and no evidence.
fn verdict(address: &str, rule: Rule, reason: &str) -> Verdict {
    let address = Address::parse(address.as_bytes()).unwrap();
    Verdict {
        rule: Some(rule),
        reason: reason.to_owned().into(),
        ..Verdict::by_hand(address, "root")
    }
}

/// The objects of `-j`, one a line.
fn objects(bytes: &[u8]) -> Vec<Value> {
    let lines = str::from_utf8(bytes).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_state_at_a_glance() {
    let daemon = that_is(status());
    let shown = text(daemon.ctl(&["show"]).succeeds());
    assert_eq!(shown, include_str!("show.txt"));
    assert!(shown.lines().all(|line| line.len() <= 100 && line.trim_end() == line));
    assert_eq!(daemon.asked(), [Request::Show]);
}

#[test]
fn a_daemon_that_has_done_nothing_yet_shows_that() {
    let phase = Phase::Reading;
    let config = Configured { database: "/var/db/spamd".into(), ..Configured::default() };
    let daemon = that_is(Status { version: "0.1.0".into(), phase, config, ..Status::default() });
    let shown = text(daemon.ctl(&["show"]).succeeds());
    let wanted = "\
greytrapper 0.1.0  up 00:00:00, log brief
database           /var/db/spamd
scan               reading the database, every 0s
scans              0 done, 0 failed

trapped               last scan  since start
by hand                                    0
released by hand                           0
";
    assert_eq!(shown, wanted);
}

#[test]
fn the_state_as_an_object() {
    let shown = that_is(status()).ctl(&["-j", "show"]).succeeds();
    let [object] = &objects(&shown)[..] else { panic!() };
    assert_eq!(object["version"], "0.1.0");
    assert_eq!((&object["now"], &object["log"]), (&json!(NOW), &json!("brief")));
    assert_eq!((&object["phase"], &object["next_scan_us"]), (&json!("idle"), &json!(252_100_000)));
    let scan = &object["last_scan"];
    let took = json!({"read_us": 61_203, "judge_us": 212_480, "dns_us": 1_390_022,
        "checker_us": 0, "write_us": 742});
    assert_eq!((&scan["took"], &scan["lock_held_us"]), (&took, &json!(59_871)));
    let rules = json!({"syntax": 1, "domains": 2, "senders": 0, "helo": 0, "rcpt": 0,
        "checker": 0, "dns": 9});
    assert_eq!(scan["trapped"], rules);
    assert_eq!(scan["records"]["white"], 20_311);
    let servers = json!([
        {"address": "127.0.0.1:53", "fitness": "fit", "round_trip_us": 312, "answers": 221_833,
            "timeouts": 61},
        {"address": "[2001:db8::53]:53", "fitness": {"unfit": "no answer"}, "round_trip_us": null,
            "answers": 0, "timeouts": 4},
    ]);
    assert_eq!(object["name_servers"], servers);
    assert_eq!(object["peers"][0], json!({"name": "mx2.example.org", "sent": 2915, "failed": 0}));
    assert_eq!(object["config"]["rules"][5], "dns");
}

#[test]
fn a_table_has_tabs_or_objects() {
    let trap = |host: &str, verdict| {
        let (first, expire) = (NOW - 60, NOW + 86_340);
        Reply::Trap(Trap { address: address(host), first, expire, verdict })
    };
    let why = verdict("192.0.2.1", Rule::Syntax, "Invalid source address a\\033 b@ (blank)");
    let daemon = Daemon::that_says(vec![trap("192.0.2.1", Some(why)), trap("2001:db8::1", None)]);
    let shown = text(daemon.ctl(&["show", "traps"]).succeeds());
    let wanted = "\
192.0.2.1\t2026-11-25T03:45:10Z\tsyntax\tInvalid source address a\\033 b@ (blank)
2001:db8::1\t2026-11-25T03:45:10Z\t-\t
";
    assert_eq!(shown, wanted);
    let objects = objects(&daemon.ctl(&["-j", "show", "traps"]).succeeds());
    assert_eq!(
        objects,
        [
            json!({"address": "192.0.2.1", "first": NOW - 60, "expire": NOW + 86_340,
                "rule": "syntax", "reason": "Invalid source address a\\033 b@ (blank)"}),
            json!({"address": "2001:db8::1", "first": NOW - 60, "expire": NOW + 86_340,
                "rule": null, "reason": ""}),
        ]
    );
    assert_eq!(daemon.asked(), [Request::ShowTraps, Request::ShowTraps]);
}

#[test]
fn a_long_table_comes_whole() {
    let host = |number: u32| Verdict {
        rule: number.is_multiple_of(2).then_some(Rule::Helo),
        evidence: Evidence::new(number, None, std::iter::empty()),
        ..verdict(&Ipv4Addr::from(number).to_string(), Rule::Helo, "nothing against it")
    };
    let daemon = Daemon::start(move |server, id, _| {
        server.stream(id, (0..200_000).map(host).map(Reply::Host));
    });
    let shown = text(daemon.ctl(&["show", "hosts"]).succeeds());
    assert_eq!(shown.lines().count(), 200_000);
    assert_eq!(shown.lines().nth(257), Some("0.0.1.1\t257\tpass\tnothing against it"));
    assert_eq!(shown.lines().last(), Some("0.3.13.63\t199999\tpass\tnothing against it"));
    let objects = objects(&daemon.ctl(&["-j", "show", "hosts"]).succeeds());
    let wanted = json!({"address": "0.0.0.2", "tuples": 2, "rule": "helo",
        "reason": "nothing against it"});
    assert_eq!((objects.len(), &objects[2]), (200_000, &wanted));
    assert_eq!(daemon.asked(), [Request::ShowHosts, Request::ShowHosts]);
}

#[test]
fn a_verdict_is_explained_with_its_evidence() {
    let (helo, to) = (&b"mx\x1b.example"[..], &b"<a@example.org>"[..]);
    let senders = [&b"<x@nomail.example>"[..], b"<y\xff\\@nomail.example>"];
    let tuples = senders.into_iter().map(|from| Tuple { address: b"192.0.2.7", helo, from, to });
    let reason = "Mailed from sender nomail.example with no MX or A (null MX)";
    let evidence = Evidence::new(2, Some("null MX".into()), tuples);
    let verdict = Verdict { evidence, ..verdict("192.0.2.7", Rule::Dns, reason) };
    let daemon = Daemon::that_says(vec![Reply::Explained(Explained { judged: NOW, verdict })]);
    let shown = text(daemon.ctl(&["explain", "192.0.2.7"]).succeeds());
    let wanted = "\
address\t192.0.2.7
judged\t2026-11-24T03:46:10Z
rule\tdns
reason\tMailed from sender nomail.example with no MX or A (null MX)
answer\tnull MX
tuple\tmx\\033.example\t<x@nomail.example>\t<a@example.org>
tuple\tmx\\033.example\t<y\\377\\\\@nomail.example>\t<a@example.org>
";
    assert_eq!(shown, wanted);
    let objects = objects(&daemon.ctl(&["-j", "explain", "192.0.2.7"]).succeeds());
    assert_eq!(
        objects,
        [json!({"judged": NOW, "address": "192.0.2.7", "verdict": "trap", "rule": "dns",
            "reason": "Mailed from sender nomail.example with no MX or A (null MX)",
            "answer": "null MX", "tuples": [
                {"helo": "mx\\033.example", "from": "<x@nomail.example>", "to": "<a@example.org>"},
                {"helo": "mx\\033.example", "from": "<y\\377\\\\@nomail.example>",
                    "to": "<a@example.org>"}]})]
    );
    assert_eq!(daemon.asked()[0], Request::Explain(address("192.0.2.7")));
}

#[test]
fn an_address_that_is_none_is_not_asked_about() {
    let daemon = Daemon::that_says(vec![]);
    let why = daemon.ctl(&["explain", "127.1"]).fails();
    assert_eq!(why, "greytrapctl: invalid ip address \"127.1\"\n");
    assert!(daemon.asked().is_empty());
}
