//! `monitor`, as it happens.

use crate::fake_daemon::Daemon;
use crate::sample::{self, NOW};
use crate::support::patience::patience;
use greytrapper::control::protocol::{Event, Request, What};
use greytrapper::control::server::Server;
use greytrapper::scan::{self, Rule, Verdict, Why};
use greytrapper::spamd::Address;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

fn monitored() -> Daemon {
    Daemon::start(|server, id, request| {
        assert_eq!(*request, Request::Monitor);
        server.monitor(id);
    })
}

/// greytrapctl that monitors, and what it prints.
struct Monitor(Child, BufReader<ChildStdout>);

impl Monitor {
    fn of(daemon: &Daemon, arguments: &[&str]) -> Monitor {
        let mut command = daemon.ctl(arguments);
        command.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.0.spawn().unwrap();
        let start = Instant::now();
        while !daemon.ask(|server| server.is_monitored()) {
            assert!(start.elapsed() < patience());
            std::thread::sleep(Duration::from_millis(1));
        }
        let out = BufReader::new(child.stdout.take().unwrap());
        Monitor(child, out)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line
    }

    /// Status and standard error, once it has ended.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.1);
        let mut err = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.0.wait().unwrap().code(), err)
    }
}

fn publish(daemon: &Daemon, what: What) {
    daemon.with(move |server: &mut Server| server.publish(&Event { time: NOW, what }));
}

fn events() -> Vec<What> {
    let address = Address::parse(b"192.0.2.1").unwrap();
    let (ip, by_hand) = (address.ip(), Verdict::by_hand(address.clone(), "root"));
    let reason = "Invalid source address a\\033@ (blank)".into();
    let trap = Verdict { rule: Some(Rule::Syntax), reason, ..by_hand.clone() };
    let (what, reason) = (scan::What::Pass(Why::Nothing), "nothing against it".into());
    let pass = Verdict { what, reason, ..by_hand.clone() };
    vec![
        What::ScanStarted,
        What::Verdict(pass),
        What::Verdict(trap.clone()),
        What::Trapped(trap),
        What::Trapped(by_hand),
        What::Released { address: ip, reason: "in allow".into() },
        What::Notice("127.0.0.1:53 put aside: \x07no answer".into()),
        What::Failure("/var/db/spamd: locked\nfor long".into()),
        What::ScanDone(Box::new(sample::scan())),
    ]
}

#[test]
fn each_event_is_a_line_at_once() {
    let daemon = monitored();
    let mut monitor = Monitor::of(&daemon, &["-v", "monitor"]);
    let lines = [
        "scan\tstarted",
        "verdict\t192.0.2.1\tpass\tnothing against it",
        "verdict\t192.0.2.1\tsyntax\tInvalid source address a\\033@ (blank)",
        "trapped\t192.0.2.1\tsyntax\tInvalid source address a\\033@ (blank)",
        "trapped\t192.0.2.1\thand\tby hand (root)",
        "released\t192.0.2.1\tin allow",
        "notice\t127.0.0.1:53 put aside: \\007no answer",
        "failure\t/var/db/spamd: locked\\012for long",
        "scan\tdone\t5588 judged, 12 trapped, 1.664s",
    ];
    for (event, line) in events().into_iter().zip(lines) {
        publish(&daemon, event);
        assert_eq!(monitor.line(), format!("2026-11-24T03:46:10Z\t{line}\n"));
    }
    daemon.end();
    assert_eq!(monitor.end(), (Some(1), "greytrapctl: greytrapper is exiting\n".into()));
}

#[test]
fn each_event_is_an_object() {
    let daemon = monitored();
    let mut monitor = Monitor::of(&daemon, &["-jv", "monitor"]);
    let lines = [
        r#"{"time":T,"event":"scan_started"}"#,
        r#"{"time":T,"event":"verdict","address":"192.0.2.1","verdict":"pass","rule":null,"reason":"nothing against it"}"#,
        r#"{"time":T,"event":"verdict","address":"192.0.2.1","verdict":"trap","rule":"syntax","reason":"Invalid source address a\\033@ (blank)"}"#,
        r#"{"time":T,"event":"trapped","address":"192.0.2.1","rule":"syntax","reason":"Invalid source address a\\033@ (blank)"}"#,
        r#"{"time":T,"event":"trapped","address":"192.0.2.1","rule":"hand","reason":"by hand (root)"}"#,
        r#"{"time":T,"event":"released","address":"192.0.2.1","reason":"in allow"}"#,
        r#"{"time":T,"event":"notice","text":"127.0.0.1:53 put aside: \\007no answer"}"#,
        r#"{"time":T,"event":"failure","text":"/var/db/spamd: locked\\012for long"}"#,
    ];
    for (event, line) in events().into_iter().zip(lines) {
        publish(&daemon, event);
        assert_eq!(monitor.line().trim_end(), line.replace('T', &NOW.to_string()));
    }
    publish(&daemon, events().pop().unwrap());
    let done: Value = serde_json::from_str(&monitor.line()).unwrap();
    assert_eq!((&done["event"], &done["trapped_by_rule"]["dns"]), (&"scan_done".into(), &9.into()));
    daemon.end();
    assert_eq!(monitor.end(), (Some(1), "greytrapctl: greytrapper is exiting\n".into()));
}

#[test]
fn hosts_that_pass_are_told_of_when_asked_for() {
    let daemon = monitored();
    let mut monitor = Monitor::of(&daemon, &["monitor"]);
    events().into_iter().skip(1).for_each(|event| publish(&daemon, event));
    assert!(monitor.line().contains("\tverdict\t192.0.2.1\tsyntax\t"));
    daemon.end();
    monitor.end();
}

#[test]
fn a_daemon_that_dies_is_told_of() {
    let daemon = monitored();
    let mut monitor = Monitor::of(&daemon, &["monitor"]);
    let path = daemon.socket();
    publish(&daemon, What::ScanStarted);
    assert!(monitor.line().ends_with("scan\tstarted\n"));
    daemon.die();
    let err = format!("greytrapctl: {}: connection closed by greytrapper\n", path.display());
    assert_eq!(monitor.end(), (Some(1), err));
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    let daemon = monitored();
    let Monitor(mut child, out) = Monitor::of(&daemon, &["monitor"]);
    drop(out);
    publish(&daemon, What::ScanStarted);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
    let start = Instant::now();
    while daemon.ask(|server| server.is_monitored()) {
        assert!(start.elapsed() < patience());
    }
}

/// Nothing happens in a loop whose only clients monitor.
#[test]
fn waiting_wakes_nobody() {
    let daemon = monitored();
    let monitor = Monitor::of(&daemon, &["monitor"]);
    assert_eq!(daemon.ask(|server| server.next_deadline()), None);
    std::thread::sleep(Duration::from_millis(50));
    let turns = daemon.turns();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(daemon.turns(), turns);
    daemon.end();
    monitor.end();
}
