//! `adopt` on files, compared with what spamdb wrote, and with the daemon; `suggest`.

use crate::fake_daemon::Daemon;
use crate::support::cmd::{Dir, ctl, data, listing};
use greytrapper::control::protocol::{Changed, Reply, Request};
use greytrapper::db::snapshot::Snapshot;
use greytrapper::memory::Suggestion;
use greytrapper::spamd::trap::{Outcome, Refusal};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const NOW: i64 = 1_795_420_010;

fn adopt(file: &Path, words: &[&str]) -> crate::support::cmd::Cmd {
    let mut command = ctl(["-t", &NOW.to_string(), "-F"]);
    command.0.arg(file).args(words);
    command
}

/// The only record of a file.
fn only(file: &Path) -> (Vec<u8>, Vec<u8>) {
    let image = fs::read(file).unwrap();
    let snapshot = Snapshot::new(&image).unwrap();
    let mut records = snapshot.records().map(Result::unwrap);
    let record = records.next().unwrap();
    let found = (record.key.to_vec(), record.value.to_vec());
    assert!(records.next().is_none());
    found
}

/// `struct gdata` of libexec/spamd/grey.h, as `spamdb -T -a` fills it.
#[test]
fn a_spamtrap_is_what_spamdb_writes() {
    let golden = data("hash/one-spamtrap.db");
    let (key, value) = only(&golden);
    let dir = Dir::new();
    let file = dir.path("spamd");
    let text = String::from_utf8(key.clone()).unwrap();
    adopt(&file, &["adopt", &format!("<{}>", text.to_uppercase())]).succeeds();
    let (ours, mut written) = only(&file);
    assert_eq!(ours, key);
    assert_eq!(written[..8], NOW.to_le_bytes());
    // It was made at another time.
    written[..8].copy_from_slice(&value[..8]);
    assert_eq!(written, value);
    let rest = [&[0; 16][..], &1i32.to_le_bytes(), &(-2i32).to_le_bytes()].concat();
    assert_eq!(written[8..], rest);
    assert_eq!(listing(&file), listing(&golden));
    assert_eq!(ctl(["check".as_ref(), file.as_os_str()]).succeeds(), b"");
}

#[test]
fn who_is_adopted_already_stays_as_he_is() {
    let dir = Dir::new();
    let file = dir.copy(&data("hash/one-spamtrap.db"));
    let before = only(&file);
    let name = String::from_utf8(before.0.clone()).unwrap();
    let out = adopt(&file, &["-j", "adopt", &name]).succeeds();
    let object: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(object, json!({"address": name, "done": true, "text": "already a spamtrap"}));
    assert_eq!(only(&file), before);
}

#[test]
fn nothing_is_written_if_one_cannot_be_a_spamtrap() {
    let dir = Dir::new();
    let file = dir.path("spamd");
    for (typed, why) in [
        ("info", "info: not the address of a recipient"),
        ("192.0.2.1", "192.0.2.1: not the address of a recipient"),
        ("in\nfo@example.org", "in\\012fo@example.org: not the address of a recipient"),
        (
            "Postmaster@example.org",
            "Postmaster@example.org: must take mail from everybody, no spamtrap",
        ),
        ("abuse@example.org", "abuse@example.org: must take mail from everybody, no spamtrap"),
    ] {
        for words in [&["adopt"][..], &["adopt", "-f"]] {
            let failed = adopt(&file, &[words, &["a@example.org", typed]].concat()).fails();
            assert_eq!(failed, format!("greytrapctl: {why}\n"));
        }
        assert!(!file.exists());
    }
}

#[test]
fn recipients_are_adopted_by_the_daemon() {
    let daemon = Daemon::start(|server, id, request| {
        let Request::Adopt { recipients, .. } = request else { panic!("{request:?}") };
        for address in recipients {
            let outcome = match address.as_str() {
                "good@example.org" => Outcome::Refused(Refusal::Passed),
                _ => Outcome::Adopted,
            };
            server.reply(id, &Reply::Changed(Changed { address: address.clone(), outcome }));
        }
        server.finish(id);
    });
    let ran = daemon.ctl(&["-v", "adopt", "<A@Example.org>", "good@example.org"]).run();
    assert_eq!((ran.status, &*ran.out), (Some(1), &b"a@example.org: made a spamtrap\n"[..]));
    let why = "a host that passed wrote to it, no spamtrap (-f makes it one)";
    assert_eq!(ran.err, format!("greytrapctl: good@example.org: {why}\n"));
    assert_eq!(daemon.ctl(&["adopt", "-f", "a@example.org"]).succeeds(), b"");
    let many: Vec<_> = (0..450).map(|n| format!("{n}@example.org")).collect();
    let mut command = daemon.ctl(&["adopt"]);
    command.0.args(&many);
    command.succeeds();
    let asked = daemon.asked();
    let request = |recipients: &[&str], is_forced| Request::Adopt {
        recipients: recipients.iter().map(|text| (*text).to_owned()).collect(),
        is_forced,
    };
    assert_eq!(asked[0], request(&["a@example.org", "good@example.org"], false));
    assert_eq!(asked[1], request(&["a@example.org"], true));
    assert_eq!(asked.len(), 5, "200 in a request");
}

#[test]
fn suggestions_are_shown_with_their_first_day() {
    let suggestion = |recipient: &[u8], first| {
        Reply::Suggestion(Suggestion { recipient: recipient.into(), networks: 11, first })
    };
    let replies = vec![suggestion(b"a@example.org", NOW), suggestion(b"b\x1b\xff@x", 0)];
    let daemon = Daemon::that_says(replies);
    let out = daemon.ctl(&["suggest"]).succeeds();
    let wanted = "a@example.org\t11+\t2026-11-23\nb\\033\\377@x\t11+\t1970-01-01\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
    let out = daemon.ctl(&["-j", "suggest"]).succeeds();
    let objects: Vec<Value> = out
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let wanted = [
        json!({"recipient": "a@example.org", "networks": 11, "first": NOW}),
        json!({"recipient": "b\\033\\377@x", "networks": 11, "first": 0}),
    ];
    assert_eq!(objects, wanted);
}
