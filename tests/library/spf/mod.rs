//! SPF over the real resolver, with a name server on loopback.

mod hostile;
mod scan;
mod shapes;
mod suite;

use greytrapper::dns::cache::Bounds;
use greytrapper::dns::exemption::{Claim, Endorsement};
use greytrapper::dns::resolver::{Finding, Found, Resolver};
use greytrapper::dns::spf::{Explain, Report};
use greytrapper::dns::{Limits, Transport};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A question has no answer after 0.4 s.
const LIMITS: Limits = Limits {
    in_flight: 50,
    timeout: Duration::from_millis(200),
    attempts: 2,
    transport: Transport::Udp,
};

/// A fresh resolver that asks this server.
fn resolver(server: SocketAddr) -> Resolver {
    Resolver::with_servers(&[server], LIMITS, Bounds::default()).unwrap()
}

fn claim(host: &str, helo: &str, sender: &str) -> Claim {
    let address: IpAddr = host.parse().unwrap();
    Claim::new(address, helo.as_bytes(), sender.as_bytes())
}

fn next(resolver: &mut Resolver) -> Found {
    loop {
        if let Some(Finding { found, .. }) = resolver.next_finding() {
            return found;
        }
        resolver.turn(None, |_| {}).unwrap();
    }
}

/// The result of `check_host()`, asked by a fresh resolver.
fn check_host(server: SocketAddr, claim: &Claim) -> Report {
    let mut resolver = resolver(server);
    resolver.check_host(1, claim, Explain::Yes);
    match next(&mut resolver) {
        Found::Spf(report) => *report,
        other => panic!("{other:?}"),
    }
}

fn endorse(resolver: &mut Resolver, claim: &Claim) -> Endorsement {
    resolver.endorse(1, claim);
    match next(resolver) {
        Found::Endorsement(endorsement) => endorsement,
        other => panic!("{other:?}"),
    }
}
