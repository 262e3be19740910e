//! The daemon between two scans: memory of each process, and how often it wakes up in ten seconds.
//!
//! `cargo bench --bench idle -- [SECONDS [TUPLES]]`; only on Linux (/proc).
#![allow(clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod harness;
mod support;

use harness::daemon::{NO_DNS, Place};
use harness::records::invalid_senders;
use std::time::Duration;

/// Of a process, in MB.
const MEMORY: f64 = 10.0;

fn main() {
    let (seconds, tuples) = support::numbers(10, 10_000);
    let place = Place::new();
    place.configure(&format!("scan every 1h\n{NO_DNS}"));
    place.enter(&invalid_senders(u32::try_from(tuples).expect("tuples")));
    let mut daemon = place.start();
    daemon.scan_done();
    // By then the memory of the scan has been returned.
    std::thread::sleep(Duration::from_secs(1));
    let mut processes = daemon.children();
    processes.push(("parent".into(), daemon.pid()));
    let woken = |pid: &nix::unistd::Pid| {
        support::count(&pid.to_string(), "voluntary_ctxt_switches").expect("/proc")
    };
    let before: Vec<_> = processes.iter().map(|(_, pid)| woken(pid)).collect();
    std::thread::sleep(Duration::from_secs(seconds as u64));
    for ((role, pid), before) in processes.iter().zip(before) {
        let wakes = woken(pid) - before;
        let memory = support::memory(&pid.to_string(), "VmRSS").expect("/proc");
        println!(
            "idle {role}: {memory:.1} MB {}, {wakes} wake-ups in {seconds} s {}",
            support::kept(MEMORY, memory),
            support::kept(0.0, wakes)
        );
    }
    daemon.stop();
}
