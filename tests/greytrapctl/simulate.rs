//! `simulate`: verdicts as lines and as JSON, for the rules that need no DNS. The rules themselves are
//! tested elsewhere.

use crate::support::cmd::{Cmd, Dir, ctl, data, image};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// When the golden databases were made.
const NOW: &str = "1795420000";

fn simulate<T>(before: &[&str], file: &Path, end: impl Fn(Cmd) -> T) -> T {
    let dir = Dir::new();
    let conf = dir.path("offline.conf");
    let rules = ["max sender domains off", "max sender ratio off", "max helo names off"];
    let of_hosts = "check helo address no\ncheck helo dynamic no\ncheck stranger no\n";
    fs::write(&conf, rules.join("\n") + "\ncheck sender dns no\n" + of_hosts).unwrap();
    let mut command = ctl(before);
    command.0.args(["simulate", "-t", NOW, "-f"]).arg(conf).arg(file);
    end(command)
}

fn lines(out: Vec<u8>) -> Vec<String> {
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_line_for_each_host_that_would_be_trapped() {
    for (file, sender) in [("hash/odd.db", "u@192.0.2.204"), ("btree/odd.db", "u@192.0.2.50")] {
        let reason = format!("Invalid source address {sender} (domain of digits only)");
        let wanted = format!("2001:db8:9a9:ada::12\tsyntax\t{reason}");
        assert_eq!(lines(simulate(&[], &data(file), Cmd::sums_up)), [wanted], "{file}");
    }
}

#[test]
fn verbose_has_those_that_pass_too_and_says_what_was_scanned() {
    let ran = simulate(&["-v"], &data("hash/odd.db"), Cmd::run);
    assert_eq!(ran.status, Some(0));
    let scanned = ran.err.lines().rev().nth(1);
    assert_eq!(scanned, Some("greytrapctl: scanned 20 whitelisted, 8 trapped, 101 unique greys"));
    let lines = lines(ran.out);
    assert_eq!(lines.len(), 101);
    for wanted in [
        "12.88.184.213\tpass\twhitelisted",
        "12.24.235.209\tpass\talready trapped",
        "12.206.56.167\tpass\tnothing against it",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted}");
    }
}

#[test]
fn json_has_the_evidence() {
    let out = simulate(&["-j"], &data("hash/odd.db"), Cmd::sums_up);
    let objects: Vec<Value> =
        lines(out).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        objects,
        [json!({
            "address": "2001:db8:9a9:ada::12",
            "state": "waiting",
            "verdict": "trap",
            "rule": "syntax",
            "reason": "Invalid source address u@192.0.2.204 (domain of digits only)",
            "not_checked": [],
            "tuple_count": 5,
            "statements": [],
            "limits": [{ "setting": "suspect tuples", "value": 0.0, "limit": 5.0 }],
            "answers": [],
            "tuples": [{
                "helo": "mail.a00011.example",
                "from": "<u@192.0.2.204>",
                "to": "<u17@ours2.test>",
            }],
        })]
    );
    let ran = simulate(&["-jv"], &data("hash/one-grey.db"), Cmd::run);
    let object: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!((&object["verdict"], &object["rule"]), (&json!("pass"), &Value::Null));
    assert_eq!(object["reason"], "nothing against it");
    assert_eq!(object["tuples"].as_array().unwrap().len(), 1);
}

#[test]
fn long_after_nobody_waits() {
    let file = data("hash/odd.db");
    let out = ctl(["-v", "simulate", "-t", "1895420000", file.to_str().unwrap()]).run().out;
    assert_eq!(out, b"");
}

#[test]
fn a_damaged_file_is_not_judged() {
    let file = data("damaged/hash/keyoff-out.db");
    let said = simulate(&[], &file, Cmd::fails);
    assert!(said.starts_with(&format!("greytrapctl: {}: page ", file.display())), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn foreign_records_are_counted_or_named() {
    let file = data("listing/foreign.db");
    let ran = simulate(&[], &file, Cmd::run);
    let said = "5 records not spamd's, skipped (-v names them)\n";
    let none = "0 hosts would be trapped\n";
    let file_said = |what| format!("greytrapctl: {}: {what}", file.display());
    assert_eq!((ran.status, ran.err), (Some(0), file_said(said) + &file_said(none)));
    let ran = simulate(&["-v"], &file, Cmd::run);
    assert!(ran.err.contains("record \"192.0.2.21\" skipped: value of 0 bytes"), "{}", ran.err);
}

#[test]
fn nothing_is_written() {
    let directory = Dir::new();
    let copy = directory.copy(&data("hash/odd.db"));
    simulate(&[], &copy, Cmd::sums_up);
    assert!(fs::read(&copy).unwrap() == image("hash/odd.db"));
}
