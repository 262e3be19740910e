//! Exemptions of 20,000 hosts: half of them in the name of a domain of their own each, half in that of twenty
//! big senders; by nsd on loopback, 1000 questions at a time, compared with dnsperf -q 1000 on the same
//! questions. No host is exempt, so everything is asked.
//!
//! `cargo bench --bench spf -- [ROUNDS [HOSTS]]`; needs nsd and dnsperf.
#![allow(clippy::expect_used)]

#[path = "../tests/support/nsd.rs"]
mod nsd;
mod support;

use greytrapper::dns::cache::Bounds;
use greytrapper::dns::exemption::{Claim, Exemption};
use greytrapper::dns::resolver::{Finding, Found, Resolver};
use greytrapper::dns::{Limits, Transport};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The number of big senders.
const BIG: usize = 20;

fn main() {
    let (rounds, hosts) = support::numbers(5, 20_000);
    let domains: Vec<String> = (0..hosts / 2)
        .map(|n| format!("d{n}.example"))
        .chain((0..BIG).map(|n| format!("big{n}.example")))
        .collect();
    let nsd = nsd::Nsd::start(domains.iter().flat_map(|domain| zone(domain)));
    let mut list = tempfile::NamedTempFile::new().expect("list of questions");
    for domain in &domains {
        let names =
            [("", "MX"), ("", "A"), ("mx.", "A"), ("", "TXT"), ("out.", "A"), ("_spf.", "TXT")];
        for (label, rtype) in names {
            writeln!(list, "{label}{domain} {rtype}").expect("list of questions");
        }
    }
    let (own, big) = domains.split_at(hosts / 2);
    let senders = own.iter().zip(big.iter().cycle()).flat_map(|(one, other)| [one, other]);
    let claims: Vec<_> =
        senders.enumerate().map(|(number, domain)| claim(number, domain)).collect();
    let mut sent = 0;
    let times = support::in_turn(
        rounds,
        || endorse(&nsd, &claims, &mut sent),
        || dnsperf(&nsd, list.path()),
    );
    println!("questions sent for {hosts} hosts: {sent}");
    support::row("exemptions", &times, "dnsperf", 1.5);
}

/// Six questions about a domain, all with answers.
fn zone(domain: &str) -> [String; 6] {
    [
        format!("{domain}. MX 10 mx.{domain}."),
        format!("{domain}. A 192.0.2.250"),
        format!("mx.{domain}. A 192.0.2.251"),
        format!("{domain}. TXT \"v=spf1 mx a:out.{domain} include:_spf.{domain} -all\""),
        format!("out.{domain}. A 192.0.2.252"),
        format!("_spf.{domain}. TXT \"v=spf1 ip4:198.51.100.0/25 ip4:203.0.113.0/24 ?all\""),
    ]
}

fn claim(number: usize, domain: &str) -> Claim {
    let number = u32::try_from(number).expect("few hosts");
    let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
    Claim::new(address.into(), b"helo.example", format!("u@{domain}").as_bytes())
}

fn endorse(nsd: &nsd::Nsd, claims: &[Claim], sent: &mut u64) -> Duration {
    let limits = Limits {
        in_flight: 1000,
        timeout: Duration::from_secs(5),
        attempts: 4,
        transport: Transport::Udp,
    };
    let start = Instant::now();
    let mut resolver =
        Resolver::with_servers(&[nsd.address], limits, Bounds::default()).expect("resolver");
    resolver.begin_scan(&[]);
    let (mut left, mut found) = (claims.iter().zip(0..), 0);
    while found < claims.len() {
        while resolver.room() > 0 {
            let Some((claim, ticket)) = left.next() else { break };
            resolver.endorse(ticket, claim);
        }
        while let Some(Finding { found: Found::Endorsement(endorsement), .. }) =
            resolver.next_finding()
        {
            assert_eq!(endorsement.exemption, Exemption::NotExempt);
            found += 1;
        }
        resolver.turn(Some(Duration::from_millis(1)), |_| {}).expect("turn");
    }
    *sent = resolver.counters().sent;
    start.elapsed()
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
        .and_then(|number| number.trim().parse().ok());
    Duration::from_secs_f64(seconds.expect("dnsperf's time"))
}
