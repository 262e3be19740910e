//! `show metrics`, read by parsers that others wrote.
//!
//! The OpenMetrics parser is that of prometheus_client (PyPI), for a python3 that has it; promtool reads
//! Prometheus' older text format, of which this is valid text too.

use crate::fake_daemon::Daemon;
use crate::sample::status;
use greytrapper::control::protocol::Reply;
use greytrapper::control::status::{Peer, Status};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Prints each sample as the parser understood it.
const PARSE: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    for sample in family.samples:
        labels = ','.join('%s=%s' % label for label in sorted(sample.labels.items()))
        print(family.type, sample.name, labels, '%.6f' % sample.value, sep='|')
";

/// What the program prints.
pub fn metrics(status: Status) -> Vec<u8> {
    Daemon::that_says(vec![Reply::Status(Box::new(status))]).ctl(&["show", "metrics"]).succeeds()
}

/// Runs a parser on `text`.
fn run(program: &str, arguments: &[&str], text: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    // A parser that gives up early says why by itself.
    let _ = child.stdin.take().unwrap().write_all(text);
    child.wait_with_output().unwrap()
}

/// The samples as prometheus_client reads them, in the python3 that `PYTHON` names.
fn parsed(text: &[u8]) -> Vec<String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let output = run(&python, &["-c", PARSE], text);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect()
}

#[test]
#[ignore = "needs prometheus_client (PyPI)"]
fn an_openmetrics_parser_reads_every_sample() {
    let samples = parsed(&metrics(status()));
    for wanted in [
        "gauge|greytrapper_start_time_seconds||1795217599.000000",
        "gauge|greytrapper_last_scan_duration_seconds|phase=dns|1.390022",
        "gauge|greytrapper_last_scan_lock_seconds|state=held|0.059871",
        "gauge|greytrapper_records|type=grey|9210.000000",
        "counter|greytrapper_scans_total|result=done|456.000000",
        "counter|greytrapper_trapped_hosts_total|rule=dns|2402.000000",
        "counter|greytrapper_trapped_hosts_total|rule=hand|3.000000",
        "counter|greytrapper_sender_domains_total|verdict=unknown|804.000000",
        "gauge|greytrapper_name_server_fit|server=[2001:db8::53]:53|0.000000",
        "gauge|greytrapper_name_server_round_trip_seconds|server=127.0.0.1:53|0.000312",
        "counter|greytrapper_sync_datagrams_total|peer=em0 (224.0.1.240),result=failed|1.000000",
    ] {
        assert!(samples.iter().any(|sample| sample == wanted), "{wanted}\n{samples:#?}");
    }
    let text = metrics(status());
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
    assert_eq!(samples.len(), lines.filter(|line| !line.is_empty()).count());
}

#[test]
#[ignore = "needs prometheus_client (PyPI)"]
fn an_openmetrics_parser_reads_what_a_new_daemon_says_and_odd_names() {
    assert!(!parsed(&metrics(Status::default())).is_empty());
    let peers = vec![Peer { name: "a\"b\\\n\u{202e}".into(), sent: 1, failed: 0 }];
    let samples = parsed(&metrics(Status { peers, ..status() }));
    let wanted = "counter|greytrapper_sync_datagrams_total|\
                  peer=a\"b\\\\012\\342\\200\\256,result=sent|1.000000";
    assert!(samples.iter().any(|sample| sample == wanted), "{samples:#?}");
}

/// promtool knows counters by another rule than OpenMetrics and says so (status 3); what it cannot read
/// is status 1.
#[test]
#[ignore = "needs promtool"]
fn promtool_reads_it() {
    let output = run("promtool", &["check", "metrics"], &metrics(status()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    let wrong = run("promtool", &["check", "metrics"], b"greytrapper_x{ 1\n");
    assert_eq!(wrong.status.code(), Some(1));
}

#[test]
fn the_text_ends_as_it_must() {
    for status in [status(), Status::default()] {
        let text = String::from_utf8(metrics(status)).unwrap();
        assert!(text.ends_with("\n# EOF\n"));
        assert_eq!(text.matches("# EOF").count(), 1);
    }
}
