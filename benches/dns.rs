//! 100,000 distinct MX lookups against nsd on loopback, 1000 at a time, compared with dnsperf -q 1000 on
//! the same names.
//!
//! `cargo bench --bench dns -- [ROUNDS [NAMES]]`; needs nsd and dnsperf.
#![allow(clippy::expect_used)]

#[path = "../tests/support/asking.rs"]
mod asking;
#[path = "../tests/support/nsd.rs"]
mod nsd;
mod support;

use greytrapper::dns::cache::Bounds;
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::verdict::{DomainVerdict, Good};
use greytrapper::dns::{Limits, Transport};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn main() {
    let (rounds, count) = support::numbers(5, 100_000);
    let names: Vec<String> = (0..count).map(|n| format!("d{n}.sender.example")).collect();
    let nsd = nsd::Nsd::start(names.iter().map(|name| format!("{name}. MX 10 mx.example.")));
    let mut list = tempfile::NamedTempFile::new().expect("list of names");
    names.iter().for_each(|name| writeln!(list, "{name} MX").expect("list of names"));
    let times = support::in_turn(rounds, || lookups(&nsd, &names), || dnsperf(&nsd, list.path()));
    support::row("MX lookups", &times, "dnsperf", 1.9);
    if let Some(peak) = support::memory("self", "VmHWM") {
        let budget = support::kept(40.0, peak);
        println!("memory of the lookups, the list of names included: {peak:.1} MB {budget}");
    }
}

fn lookups(nsd: &nsd::Nsd, names: &[String]) -> Duration {
    let limits = Limits {
        in_flight: 1000,
        timeout: Duration::from_secs(5),
        attempts: 4,
        transport: Transport::Udp,
    };
    let start = Instant::now();
    let mut resolver =
        Resolver::with_servers(&[nsd.address], limits, Bounds::default()).expect("resolver");
    let (good, mut found) = (DomainVerdict::Good(Good::Mx), 0);
    asking::each(&mut resolver, names, |_, verdict| found += usize::from(verdict == good));
    let took = start.elapsed();
    assert_eq!(found, names.len(), "{:?}", resolver.counters());
    took
}

fn dnsperf(nsd: &nsd::Nsd, list: &Path) -> Duration {
    let output = Command::new("dnsperf")
        .args(["-q", "1000", "-s", "127.0.0.1", "-p", &nsd.address.port().to_string(), "-d"])
        .arg(list)
        .output()
        .expect("dnsperf");
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Run time (s):"))
        .and_then(|seconds| seconds.trim().parse().ok())
        .expect("dnsperf's run time");
    Duration::from_secs_f64(seconds)
}
