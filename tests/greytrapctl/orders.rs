//! `trap`, `release`, `scan`, `reload` and `log` with the daemon, and daemons that do not answer properly.

use crate::fake_daemon::{Daemon, stranger};
use crate::support::cmd::{Ran, ctl};
use crate::support::patience::patience;
use greytrapper::control::protocol::{Changed, Reply, Request, Verbosity};
use greytrapper::spamd::trap::{Outcome, Refusal};
use serde_json::{Value, json};

/// Does as asked, but for whitelisted 192.0.2.66.
fn obedient() -> Daemon {
    Daemon::start(|server, id, request| {
        let addresses = match request {
            Request::Trap { addresses, .. } | Request::Release { addresses, .. } => &addresses[..],
            _ => &[],
        };
        for address in addresses {
            let changed = match address.as_str() {
                "192.0.2.66" => {
                    let outcome = Outcome::Refused(Refusal::White);
                    Changed { address: "192.0.2.66\x1b".into(), outcome }
                }
                _ => Changed { address: address.clone(), outcome: Outcome::Trapped },
            };
            server.reply(id, &Reply::Changed(changed));
        }
        server.finish(id);
    })
}

fn failing(why: &'static str) -> Daemon {
    Daemon::start(move |server, id, _| server.fail(id, why))
}

fn said(ran: &Ran) -> (Option<i32>, &str, &str) {
    (ran.status, str::from_utf8(&ran.out).unwrap(), &ran.err)
}

#[test]
fn addresses_are_trapped_and_released() {
    let daemon = obedient();
    assert_eq!(daemon.ctl(&["trap", "192.0.2.1", "2001:DB8::1"]).succeeds(), b"");
    let shown = daemon.ctl(&["-v", "release", "192.0.2.1"]).succeeds();
    assert_eq!(shown, b"192.0.2.1: trapped\n");
    assert_eq!(daemon.ctl(&["trap", "-f", "192.0.2.1"]).succeeds(), b"");
    let list = |addresses: &[&str]| addresses.iter().map(|text| text.to_string()).collect();
    assert_eq!(
        daemon.asked(),
        [
            Request::Trap {
                addresses: list(&["192.0.2.1", "2001:DB8::1"]),
                over_white: false,
                time: None,
                because: None
            },
            Request::Release { addresses: list(&["192.0.2.1"]), time: None },
            Request::Trap {
                addresses: list(&["192.0.2.1"]),
                over_white: true,
                time: None,
                because: None
            },
        ]
    );
}

#[test]
fn an_address_that_was_not_trapped_is_told_of_and_does_not_hold_up_the_others() {
    let daemon = obedient();
    let ran = daemon.ctl(&["-v", "trap", "192.0.2.1", "192.0.2.66", "192.0.2.2"]).run();
    let err = "greytrapctl: 192.0.2.66\\033: whitelisted, not trapped\n";
    assert_eq!(said(&ran), (Some(1), "192.0.2.1: trapped\n192.0.2.2: trapped\n", err));
    let ran = daemon.ctl(&["-j", "trap", "192.0.2.66", "::1"]).run();
    let (status, out, stderr) = said(&ran);
    assert_eq!((status, stderr), (Some(1), err));
    let objects: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        objects,
        [
            json!({"address": "192.0.2.66\\033", "done": false, "text": "whitelisted, not trapped"}),
            json!({"address": "::1", "done": true, "text": "trapped"}),
        ]
    );
}

#[test]
fn nothing_is_asked_if_one_is_no_address() {
    let daemon = obedient();
    let why = daemon.ctl(&["trap", "192.0.2.1", "not\tone"]).fails();
    assert_eq!(why, "greytrapctl: invalid ip address \"not\\011one\"\n");
    assert!(daemon.asked().is_empty());
}

#[test]
fn more_addresses_than_a_request_holds_are_asked_in_several() {
    let daemon = obedient();
    let addresses: Vec<_> =
        (0..2500).map(|n| format!("2001:0db8:0000:0000:0000:0000:0000:{n:04x}")).collect();
    let mut command = daemon.ctl(&["-v", "trap"]);
    command.0.args(&addresses);
    let shown = command.succeeds();
    assert_eq!(shown.iter().filter(|byte| **byte == b'\n').count(), 2500);
    let asked = daemon.asked().into_iter().flat_map(|request| match request {
        Request::Trap { addresses, over_white: false, .. } => addresses,
        other => panic!("{other:?}"),
    });
    assert_eq!(asked.collect::<Vec<_>>(), addresses);
    assert_eq!(daemon.asked().len(), 3);
}

#[test]
fn orders_are_carried_out_in_silence() {
    let daemon = obedient();
    for words in [&["scan"][..], &["reload"], &["log", "verbose"], &["log", "brief"]] {
        assert_eq!(daemon.ctl(words).succeeds(), b"");
    }
    assert_eq!(
        daemon.asked(),
        [
            Request::Scan,
            Request::Reload,
            Request::Log(Verbosity::Verbose),
            Request::Log(Verbosity::Brief)
        ]
    );
}

#[test]
fn what_the_daemon_refuses_is_told_without_harm() {
    let daemon = failing("/etc/mail/greytrapper.conf:3: unknown word \"a\\033\x1b[2J\u{202e}\"");
    let words: [&[&str]; 8] = [
        &["show"],
        &["show", "traps"],
        &["show", "hosts"],
        &["show", "metrics"],
        &["explain", "::1"],
        &["reload"],
        &["monitor"],
        &["trap", "::1"],
    ];
    for words in words {
        let why = daemon.ctl(words).fails();
        let wanted = "greytrapctl: /etc/mail/greytrapper.conf:3: unknown word \
                      \"a\\033\\033[2J\\342\\200\\256\"\n";
        assert_eq!(why, wanted, "{words:?}");
    }
}

/// The listener sends something that is not an answer, or closes the connection.
#[test]
fn strangers_are_known_by_what_they_say() {
    let rows: [(&'static [u8], &str); 4] = [
        (b"", "connection closed by greytrapper"),
        (b"\x01", "connection closed by greytrapper"),
        (
            b"220 mx.example.org ESMTP\r\n",
            "not this version of greytrapper: message of 540029490 bytes (at most 1048576)",
        ),
        (b"\x01\0\0\0\xff", "not this version of greytrapper: malformed message"),
    ];
    for (says, why) in rows {
        let (_dir, path, thread) = stranger(says);
        let mut command = ctl(["-s"]);
        command.0.arg(&path).arg("show");
        assert_eq!(command.fails(), format!("greytrapctl: {}: {why}\n", path.display()));
        thread.join().unwrap();
    }
}

#[test]
fn an_answer_to_something_else_is_a_failure() {
    let changed = Changed { address: "::1".into(), outcome: Outcome::Trapped };
    let daemon = Daemon::that_says(vec![Reply::Changed(changed)]);
    let words: [&[&str]; 9] = [
        &["show"],
        &["show", "traps"],
        &["show", "hosts"],
        &["show", "metrics"],
        &["explain", "::1"],
        &["scan"],
        &["monitor"],
        &["log", "brief"],
        &["trap", "::1", "::2"],
    ];
    for words in words {
        let why = daemon.ctl(words).fails();
        let socket = daemon.socket();
        let wanted =
            format!("greytrapctl: {}: unexpected answer from greytrapper\n", socket.display());
        assert_eq!(why, wanted, "{words:?}");
    }
}

/// Output from before the daemon died is still printed.
#[test]
fn a_daemon_that_dies_in_between_is_a_failure() {
    use std::sync::mpsc::channel;
    let (sender, receiver) = channel();
    let daemon = Daemon::start(move |server, id, _| {
        let changed = Changed { address: "::1".into(), outcome: Outcome::Trapped };
        server.reply(id, &Reply::Changed(changed));
        sender.send(()).unwrap();
    });
    let path = daemon.socket();
    let command = daemon.ctl(&["-v", "trap", "::1", "::2"]);
    let running = std::thread::spawn(|| command.run());
    receiver.recv_timeout(patience()).unwrap();
    daemon.die();
    let err = format!("greytrapctl: {}: connection closed by greytrapper\n", path.display());
    assert_eq!(said(&running.join().unwrap()), (Some(1), "::1: trapped\n", err.as_str()));
}
