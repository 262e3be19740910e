//! `lookup`: verdicts on domains from the command line and from standard input.

use crate::dns::{ROWS, conf, servfail, zone};
use crate::support::cmd::{Cmd, Dir, ctl};
use crate::support::responder::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

fn lookup(before: &[&str], dir: &Dir, server: &Responder, domains: &[&str]) -> Cmd {
    let conf = conf(dir, server.address, "");
    let mut command = ctl(before);
    command.0.args(["lookup", "-f"]).arg(conf).args(domains);
    command
}

fn sorted(out: &[u8]) -> Vec<String> {
    let mut lines: Vec<_> = str::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn every_row_of_the_table() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let domains: Vec<_> = ROWS.iter().map(|(label, _)| format!("{label}.example")).collect();
    let domains: Vec<_> = domains.iter().map(String::as_str).collect();
    let mut wanted: Vec<_> =
        ROWS.iter().map(|(label, verdict)| format!("{label}.example\t{verdict}")).collect();
    wanted.sort();
    assert_eq!(sorted(&lookup(&[], &dir, &server, &domains).succeeds()), wanted);
}

#[test]
fn json_lines() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let out = lookup(&["-j"], &dir, &server, &["null.example", "a\u{1b}\\b"]).succeeds();
    let mut objects: Vec<Value> =
        sorted(&out).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    objects.sort_by_key(|object| object["verdict"].to_string());
    let why = "not asked: name has a character that is not allowed in host names";
    assert_eq!(
        objects,
        [
            json!({"domain": "null.example", "verdict": "bad", "reason": "null MX"}),
            json!({"domain": "a\\033\\\\b", "verdict": "unknown", "reason": why}),
        ]
    );
}

#[test]
fn what_is_no_domain_is_told_and_not_asked() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let label = format!("{}.example", "a".repeat(64));
    let domains = ["", ".", "a..example", "192.0.2.1", "a b.example", "[192.0.2.1]", &label];
    let wanted = [
        "\tunknown\tnot asked: name is empty",
        ".\tunknown\tnot asked: name is empty",
        "192.0.2.1\tunknown\tnot asked: name is all numeric",
        "[192.0.2.1]\tunknown\tnot asked: name has a character that is not allowed in host names",
        "a b.example\tunknown\tnot asked: name has a character that is not allowed in host names",
        "a..example\tunknown\tnot asked: name has an empty label",
        &format!("{label}\tunknown\tnot asked: label is longer than 63 octets"),
    ];
    assert_eq!(sorted(&lookup(&[], &dir, &server, &domains).succeeds()), wanted);
    assert_eq!(server.asked(), 0);
}

#[test]
fn servers_that_cannot_answer_leave_all_unknown_and_the_status_0() {
    let (server, dir) = (Responder::start(servfail), Dir::new());
    let out = lookup(&[], &dir, &server, &["one.example"]).succeeds();
    assert_eq!(sorted(&out), ["one.example\tunknown\tSERVFAIL"]);
    let dead = Responder::start(|_| Vec::new());
    let ran = lookup(&["-v"], &dir, &dead, &["one.example", "two.example"]).run();
    let wanted = [
        "one.example\tunknown\tno name server answers",
        "two.example\tunknown\tno name server answers",
    ];
    assert_eq!((ran.status, sorted(&ran.out)), (Some(0), wanted.map(str::to_owned).to_vec()));
    let said = format!("greytrapctl: DNS: {} not in use: no answer\n", dead.address);
    assert_eq!(ran.err, said);
}

#[test]
fn a_wrong_configuration_is_told_with_its_line() {
    let dir = Dir::new();
    let path = dir.path("wrong.conf");
    fs::write(&path, "scan every 10m\ndns { in flight 0 }\n").unwrap();
    let mut command = ctl(["lookup", "-f"]);
    command.0.arg(&path).arg("a.example");
    let said = command.fails();
    assert!(said.starts_with(&format!("{}:2: in flight", path.display())), "{said}");
}

/// Blank lines, line ends of all kinds, NULs and garbage.
#[test]
fn standard_input_line_by_line() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let input = dir.path("input");
    fs::write(
        &input,
        b"mx.example\n\n  \r\n\ta.example \r\nno\0ne.example\n\xff\xfe\nnone.example",
    )
    .unwrap();
    let mut command = lookup(&[], &dir, &server, &[]);
    command.0.stdin(File::open(&input).unwrap());
    assert_eq!(
        sorted(&command.succeeds()),
        [
            "\\377\\376\tunknown\tnot asked: name is not a valid internationalized name",
            "a.example\tgood\tno MX, address",
            "mx.example\tgood\tMX",
            "no\\000ne.example\tunknown\tnot asked: name has a character that is not allowed in host names",
            "none.example\tbad\tno MX or A",
        ]
    );
}

#[test]
fn many_domains_on_standard_input_are_answered_once_each() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let input = dir.path("input");
    let labels = ["mx", "gone", "not asked"];
    let names: Vec<_> = (0..10_000).map(|n| format!("{}.d{n}.example", labels[n % 3])).collect();
    fs::write(&input, names.join("\n")).unwrap();
    let mut command = lookup(&[], &dir, &server, &[]);
    command.0.stdin(File::open(&input).unwrap());
    let lines = sorted(&command.succeeds());
    assert_eq!(lines.len(), names.len());
    let answered: BTreeSet<_> = lines.iter().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(answered, names.iter().map(String::as_str).collect());
    for (word, count) in [("\tgood\t", 3334), ("\tbad\t", 3333), ("\tunknown\tnot asked: ", 3333)] {
        assert_eq!(lines.iter().filter(|line| line.contains(word)).count(), count, "{word}");
    }
}

/// A greytrapctl that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(mut command: Cmd) -> Running {
    Running(command.0.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
}

/// A program at the other end that asks, and waits for the answer before it asks again.
#[test]
fn answers_come_while_the_input_stays_open() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let mut running = spawn(lookup(&[], &dir, &server, &[]));
    let mut input = running.0.stdin.take().unwrap();
    let mut output = BufReader::new(running.0.stdout.take().unwrap());
    for (label, verdict) in &ROWS[..5] {
        writeln!(input, "{label}.example").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{label}.example\t{verdict}\n"));
    }
    drop(input);
    assert!(running.0.wait().unwrap().success());
}

/// While nothing is answered, no more is read than may be in flight and a few chunks.
#[test]
fn input_is_read_no_faster_than_it_is_answered() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let mut running = spawn(lookup(&[], &dir, &server, &[]));
    let mut input = running.0.stdin.take().unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let writer = thread::spawn(move || {
        for n in 0..1_000_000 {
            let line = format!("silent.d{n}.example\n");
            if input.write_all(line.as_bytes()).is_err() {
                return;
            }
            counter.fetch_add(line.len(), Ordering::Relaxed);
        }
    });
    thread::sleep(Duration::from_millis(900));
    let taken = taken.load(Ordering::Relaxed);
    drop(running);
    writer.join().unwrap();
    assert!((1..512 * 1024).contains(&taken), "{taken}");
}
