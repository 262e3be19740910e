//! `show`, `show traps`, `show hosts` and `explain`, by a daemon that has known answers.

use crate::fake_daemon::Daemon;
use crate::sample::{NOW, status};
use greytrapper::config::Written;
use greytrapper::control::protocol::{Explained, Reply, Request, Span, Standing, Trap};
use greytrapper::control::status::{Configured, Micros, Phase, Status};
use greytrapper::scan::answers::{Bad, Confirmation, DomainVerdict};
use greytrapper::scan::{
    Amount, Check, Evidence, Given, Measure, Rule, Setting, State, Unasked, Verdict, What, Why,
};
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
    assert!(shown.lines().all(|line| line.len() <= 80 && line.trim_end() == line));
    assert!(shown.lines().count() <= 24, "one screen");
    let all = text(that_is(status()).ctl(&["-v", "show"]).succeeds());
    assert!(all.contains(&"x".repeat(90)) && all.contains("\nmx2.example.org  "), "{all}");
    assert_eq!(daemon.asked(), [Request::Show]);
}

/// The clock may have been set since the daemon was started.
#[test]
fn a_clock_that_was_set_does_not_make_it_older() {
    for since in [NOW + 86_400, NOW - 86_400, 0] {
        let daemon = that_is(Status { since, up: Micros(3_723_000_000), ..status() });
        let shown = text(daemon.ctl(&["show"]).succeeds());
        assert!(shown.contains("up 01:02:03, "), "{shown}");
    }
}

#[test]
fn rules_with_their_records() {
    let daemon = that_is(status());
    let shown = text(daemon.ctl(&["show", "rules"]).succeeds());
    let row = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap();
    let words = |name| row(name).split_whitespace().collect::<Vec<_>>();
    assert_eq!(words("senders"), ["senders", "suspended", "250", "2", "1", "1"]);
    assert_eq!(words("checker")[..2], ["checker", "off"]);
    assert_eq!(shown.lines().count(), 1 + Rule::ALL.len());
    assert!(shown.lines().all(|line| line.len() <= 80));
    let shown = that_is(status()).ctl(&["-j", "show", "rules"]).succeeds();
    let objects = objects(&shown);
    let found = objects.iter().find(|object| object["rule"] == "senders").unwrap();
    let wanted = json!({
        "rule": "senders", "mode": "suspended", "trapped_hosts": 250, "released_hosts": 2,
        "passed_hosts": 1, "confirmed_hosts": 1,
        "good_hosts": ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
    });
    assert_eq!(*found, wanted);
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
state              all is well
scan               reading the database, every 0s
scans              0 done, 0 failed; today 0 done, 0 failed

trapped                   last scan        today       in all
by hand                                        0            0
released                                       0            0
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
    let rules = json!({"syntax": 1, "domains": 2, "senders": 0, "helo": 0, "address": 0,
        "dynamic": 0, "stranger": 0, "crowd": 0, "rcpt": 0, "checker": 0, "dns": 9});
    assert_eq!(scan["trapped_by_rule"], rules);
    assert_eq!(scan["records"]["white_records"], 20_311);
    let servers = json!([
        {"server": "127.0.0.1:53", "fitness": "fit", "round_trip_us": 312, "answer_count": 221_833,
            "timeout_count": 61},
        {"server": "[2001:db8::53]:53", "fitness": {"unfit": "no answer"}, "round_trip_us": null,
            "answer_count": 0, "timeout_count": 4},
    ]);
    assert_eq!(object["name_servers"], servers);
    assert_eq!(object["peers"][0], json!({"peer": "mx2.example.org", "sent": 2915, "failed": 0}));
    let dns = &object["rules"][Rule::Dns as usize];
    assert_eq!((&dns["rule"], &dns["mode"]), (&json!("dns"), &json!("observed")));
    assert_eq!(object["troubles"][0], json!({"about": "scan", "text": "scan failed: locked"}));
    assert_eq!(object["today"]["trapped_by_rule"]["dns"], 31);
}

#[test]
fn a_table_has_tabs_or_objects() {
    let trap = |host: &str, verdict| {
        let (first, expire) = (NOW - 60, NOW + 86_340);
        Reply::Trap(Trap { address: address(host), first, expire, verdict, secret: None })
    };
    let why = verdict("192.0.2.1", Rule::Syntax, "Invalid source address a\\033 b@ (blank)");
    let daemon = Daemon::that_says(vec![trap("192.0.2.1", Some(why)), trap("2001:db8::1", None)]);
    let shown = text(daemon.ctl(&["show", "traps"]).succeeds());
    let wanted = "\
192.0.2.1\t2026-11-25T03:45:10Z\tsyntax\tInvalid source address a\\033 b@ (blank)
2001:db8::1\t2026-11-25T03:45:10Z\tunknown\t
";
    assert_eq!(shown, wanted);
    let objects = objects(&daemon.ctl(&["-j", "show", "traps"]).succeeds());
    assert_eq!(
        objects,
        [
            json!({"address": "192.0.2.1", "first": NOW - 60, "expire": NOW + 86_340,
                "rule": "syntax", "reason": "Invalid source address a\\033 b@ (blank)"}),
            json!({"address": "2001:db8::1", "first": NOW - 60, "expire": NOW + 86_340,
                "rule": "unknown", "reason": ""}),
        ]
    );
    assert_eq!(daemon.asked(), [Request::ShowTraps, Request::ShowTraps]);
}

#[test]
fn a_long_table_comes_whole() {
    let against = |number: u32| Verdict {
        evidence: Evidence::new(number, std::iter::empty()),
        ..verdict(
            &Ipv4Addr::from(number).to_string(),
            Rule::Helo,
            "Host calls itself 2 names (> 1)",
        )
    };
    let host = move |number: u32| match number % 4 {
        0 => {
            let (what, reason) = (What::Pass(Why::Nothing), "nothing against it".into());
            Verdict { what, rule: None, reason, ..against(number) }
        }
        1 => against(number).passing(Why::Whitelisted),
        2 => against(number).passing(Why::Trapped),
        _ => against(number),
    };
    let daemon = Daemon::start(move |server, id, _| {
        server.stream(id, (0..200_000).map(host).map(Reply::Host));
    });
    let shown = text(daemon.ctl(&["show", "hosts"]).succeeds());
    let lines: Vec<_> = shown.lines().collect();
    let helo = "Host calls itself 2 names (> 1)";
    assert_eq!(lines.len(), 200_000);
    assert_eq!(lines[256], "0.0.1.0\twaiting\t256\tpass\t-\tnothing against it");
    assert_eq!(lines[257], format!("0.0.1.1\twhite\t257\tpass\thelo\twhitelisted: {helo}"));
    assert_eq!(lines[258], format!("0.0.1.2\ttrapped\t258\tpass\thelo\talready trapped: {helo}"));
    assert_eq!(lines[199_999], format!("0.3.13.63\twaiting\t199999\ttrap\thelo\t{helo}"));
    let objects = objects(&daemon.ctl(&["-j", "show", "hosts"]).succeeds());
    let wanted = json!({"address": "0.0.0.2", "state": "trapped", "verdict": "pass",
        "rule": "helo", "reason": format!("already trapped: {helo}"), "not_checked": [],
        "tuple_count": 2});
    assert_eq!((objects.len(), &objects[2]), (200_000, &wanted));
    assert_eq!(daemon.asked(), [Request::ShowHosts, Request::ShowHosts]);
}

/// All that there can be of evidence.
fn evidence() -> Evidence {
    let (helo, to) = (&b"mx\x1b.example"[..], &b"<a@example.org>"[..]);
    let senders = [&b"<x@nomail.example>"[..], b"<y\xff\\@nomail.example>"];
    let tuples = senders.into_iter().map(|from| Tuple { address: b"192.0.2.7", helo, from, to });
    let mut evidence = Evidence::new(3, tuples);
    evidence.unasked = Unasked::NONE.and(Check::Recipient).and(Check::Identity);
    let origin = Some(("/etc/mail/greytrapper.conf".into(), 12));
    evidence.statements = vec![Written { statement: "pass rcpt \"^a@\"".into(), origin }];
    evidence.measures = vec![Measure {
        setting: Setting::MaxSenderRatio,
        value: Amount::ratio(2.0 / 3.0),
        limit: Amount::ratio(0.75),
    }];
    evidence.answers = vec![
        Given::Domain(b"nomail.example".into(), Some(DomainVerdict::Bad(Bad::NullMx))),
        Given::Domain(b"late\x1b.example".into(), None),
        Given::Helo(b"mx.example".into(), Confirmation::NotConfirmed),
        Given::Recipient(b"a@example.org".into(), Some(true)),
    ];
    evidence
}

#[test]
fn a_verdict_is_explained_with_its_evidence() {
    let reason = "Mailed from sender nomail.example with no MX or A (null MX)";
    let verdict = Verdict { evidence: evidence(), ..verdict("192.0.2.7", Rule::Dns, reason) };
    let span = |first| Span { first, expire: first + 60 };
    let times = vec![Some(span(NOW - 30)), None];
    let standing = Standing { state: State::Trapped, trap: Some(span(NOW)), times };
    let explained = Explained { judged: NOW, verdict, standing };
    let daemon = Daemon::that_says(vec![Reply::Explained(explained)]);
    let shown = text(daemon.ctl(&["explain", "192.0.2.7"]).succeeds());
    let wanted = "\
address\t192.0.2.7
state\ttrapped
trap\t2026-11-24T03:46:10Z\t2026-11-24T03:47:10Z
judged\t2026-11-24T03:46:10Z
verdict\ttrap
rule\tdns
reason\tMailed from sender nomail.example with no MX or A (null MX)
not checked\trecipient not checked
not checked\tidentity not known
statement\tpass rcpt \"^a@\"\t/etc/mail/greytrapper.conf:12
limit\tmax sender ratio\t0.666667\t0.75
domain\tnomail.example\tbad\tnull MX
domain\tlate\\033.example\tunknown\tnot asked
helo\tmx.example\tdenied
recipient\ta@example.org\tgood
tuples\t3
tuple\tmx\\033.example\t<x@nomail.example>\t<a@example.org>\t2026-11-24T03:45:40Z\t2026-11-24T03:46:40Z
tuple\tmx\\033.example\t<y\\377\\\\@nomail.example>\t<a@example.org>\t-\t-
";
    assert_eq!(shown, wanted);
    let objects = objects(&daemon.ctl(&["-j", "explain", "192.0.2.7"]).succeeds());
    assert_eq!(
        objects,
        [json!({"judged": NOW, "trap": {"first": NOW, "expire": NOW + 60},
            "address": "192.0.2.7", "state": "trapped", "verdict": "trap", "rule": "dns",
            "reason": "Mailed from sender nomail.example with no MX or A (null MX)",
            "not_checked": ["recipient not checked", "identity not known"], "tuple_count": 3,
            "statements": [{"statement": "pass rcpt \"^a@\"",
                "file": "/etc/mail/greytrapper.conf", "line": 12}],
            "limits": [{"setting": "max sender ratio", "value": 0.666667, "limit": 0.75}],
            "answers": [
                {"domain": "nomail.example", "verdict": "bad", "reason": "null MX"},
                {"domain": "late\\033.example", "verdict": "unknown", "reason": "not asked"},
                {"helo": "mx.example", "verdict": "denied"},
                {"recipient": "a@example.org", "verdict": "good"}],
            "tuples": [
                {"helo": "mx\\033.example", "from": "<x@nomail.example>", "to": "<a@example.org>",
                    "first": NOW - 30, "expire": NOW + 30},
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
