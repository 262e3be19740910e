//! `monitor`: scans, verdicts and traps as they happen.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::patience::patience;
use crate::support::process::{finish, user};
use crate::support::responder::Responder;
use crate::world;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A greytrapctl that monitors, and what it prints.
pub struct Monitor {
    child: Child,
    lines: Receiver<String>,
}

impl Monitor {
    /// Starts it, and waits until it hears.
    pub fn start(daemon: &Daemon, place: &Place, options: &[&str]) -> Monitor {
        let mut command = Command::new(env!("CARGO_BIN_EXE_greytrapctl"));
        command.arg("-s").arg(place.socket()).args(options).arg("monitor");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, (sender, lines)) = (child.stdout.take().unwrap(), channel());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let monitor = Monitor { child, lines };
        monitor.hears(daemon);
        monitor
    }

    /// Waits until it hears.
    fn hears(&self, daemon: &Daemon) {
        loop {
            daemon.says(&["trap", "203.0.113.99"]);
            if self.lines.recv_timeout(Duration::from_millis(50)).is_ok() {
                break;
            }
        }
        daemon.says(&["release", "203.0.113.99"]);
        self.until("released");
    }

    /// Its exit status and standard error, once it has ended.
    fn end(mut self) -> (Option<i32>, String) {
        let status = finish(&mut self.child, patience()).code();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status, said)
    }

    /// All lines up to one that contains `text`.
    pub fn until(&self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.lines.recv_timeout(patience());
            lines.push(line.unwrap_or_else(|_| panic!("no {text} in {lines:#?}")));
            if lines.last().is_some_and(|line| line.contains(text)) {
                return lines;
            }
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without its time.
fn what(line: &str) -> &str {
    line.split_once('\t').unwrap().1
}

#[test]
fn scans_verdicts_and_traps_arrive() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    place.configure(&world::statements(&server));
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    let monitor = Monitor::start(&daemon, &place, &["-v"]);
    place.enter(&world::records());
    daemon.says(&["scan"]);
    let lines = monitor.until("\tscan\tdone");
    let mut lines: Vec<_> = lines.iter().map(|line| what(line)).collect();
    assert_eq!(lines[0], "scan\tstarted");
    let done = lines.pop().unwrap();
    assert!(done.starts_with("scan\tdone\t12 judged, 8 trapped, "), "{done}");
    for (host, reason) in world::TRAPPED {
        let of_host = |kind: &str| {
            let is_it = |line: &&&str| line.starts_with(&format!("{kind}\t{host}\t"));
            let found: Vec<_> = lines.iter().filter(is_it).collect();
            assert_eq!(found.len(), 1, "{kind} {host} in {lines:#?}");
            assert!(found[0].ends_with(&format!("\t{reason}")), "{found:?}");
            lines.iter().position(|line| line == found[0]).unwrap()
        };
        assert!(of_host("verdict") < of_host("trapped"));
    }
    let identity =
        "verdict\t192.0.2.72\tpass\tidentity confirmed: Host sending from 7 domains (> 3)";
    assert!(lines.contains(&identity), "{lines:#?}");
    let unknown = "verdict\t192.0.2.71\tpass\tsender domain not known, exemption not known";
    assert!(lines.contains(&unknown), "{lines:#?}");
    // What nothing is against is no news, what is spared not judged.
    for host in ["192.0.2.70", "192.0.2.73", "192.0.2.74", "192.0.2.76"] {
        assert!(!lines.iter().any(|line| line.contains(host)), "{host} in {lines:#?}");
    }
}

#[test]
fn json_events_are_objects_with_their_kind() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    let monitor = Monitor::start(&daemon, &place, &["-j"]);
    daemon.says(&["scan"]);
    let lines = monitor.until("scan_done");
    let events: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "scan_started");
    // In the monitor's time the host of its start was trapped and released.
    assert_eq!(events.last().unwrap()["records"]["trapped_records"], 0);
}

#[test]
fn what_an_operator_does_arrives_too_and_the_end_ends_it() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    let monitor = Monitor::start(&daemon, &place, &[]);
    daemon.says(&["trap", "192.0.2.1"]);
    daemon.says(&["release", "192.0.2.1"]);
    let lines = monitor.until("released");
    let lines: Vec<_> = lines.iter().map(|line| what(line)).collect();
    let reason = format!("by hand ({})", user());
    let expected =
        [format!("trapped\t192.0.2.1\thand\t{reason}"), format!("released\t192.0.2.1\t{reason}")];
    assert_eq!(lines, expected);
    daemon.says(&["reload"]);
    daemon.stop();
    assert_eq!(monitor.end(), (Some(1), "greytrapctl: greytrapper is exiting\n".into()));
}

/// The new processes' events follow those of the old ones, with their first scan.
#[test]
fn reloads_do_not_end_it() {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    let monitor = Monitor::start(&daemon, &place, &[]);
    for _ in 0..3 {
        daemon.says(&["reload"]);
        monitor.until("\tnotice\tconfiguration reloaded");
        daemon.scan_done();
        monitor.hears(&daemon);
    }
    daemon.stop();
    assert_eq!(monitor.end(), (Some(1), "greytrapctl: greytrapper is exiting\n".into()));
}
