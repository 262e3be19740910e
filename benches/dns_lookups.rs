//! 100,000 distinct MX lookups against nsd on loopback, 1000 under way, beside dnsperf -q 1000 with the
//! same names in the same run, interleaved. The budget is 1.9 times dnsperf's time.
//!
//! `cargo bench --bench dns_lookups -- [ROUNDS [NAMES]]`; needs nsd and dnsperf.

#![allow(clippy::expect_used)]

#[path = "../tests/support/asking.rs"]
mod asking;
#[path = "../tests/support/nsd.rs"]
mod nsd;
#[path = "support/peak_memory.rs"]
mod peak_memory;

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use greytrapper::dns::cache::Bounds;
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::verdict::{DomainVerdict, Good};
use greytrapper::dns::{Limits, Transport};

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let rounds = numbers.first().copied().unwrap_or(5);
    let count = numbers.get(1).copied().unwrap_or(100_000);
    let names: Vec<String> = (0..count).map(|n| format!("d{n}.sender.example")).collect();
    let nsd = nsd::Nsd::start(names.iter().map(|name| format!("{name}. MX 10 mx.example.")));
    let mut list = tempfile::NamedTempFile::new().expect("list of names");
    names.iter().for_each(|name| writeln!(list, "{name} MX").expect("list of names"));
    let mut times = Vec::new();
    for round in 1..=rounds {
        let ours = lookups(&nsd, &names);
        let theirs = dnsperf(&nsd, list.path());
        println!("round {round}: ours {ours:.3?}, dnsperf {theirs:.3?}");
        times.push((ours, theirs));
    }
    let median = |of: fn(&(Duration, Duration)) -> Duration| {
        let mut sorted: Vec<_> = times.iter().map(of).collect();
        sorted.sort();
        sorted[sorted.len() / 2]
    };
    let (ours, theirs) = (median(|t| t.0), median(|t| t.1));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("median: ours {ours:.3?}, dnsperf {theirs:.3?}: {ratio:.2} x (budget 1.9)");
    println!(
        "peak memory, the list of names included: {} (budget 40 MB)",
        peak_memory::peak_memory()
    );
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

fn dnsperf(nsd: &nsd::Nsd, list: &std::path::Path) -> Duration {
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
