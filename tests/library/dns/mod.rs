//! The resolver with name servers on loopback: right answers, wrong ones, and none.

#![allow(clippy::unwrap_used)]

mod hostile;
mod identity;
mod peers;
mod proof;
mod scan;
mod servers;
mod trouble;
mod verdicts;

use crate::support::asking;
use std::net::SocketAddr;
use std::time::Duration;

use greytrapper::dns::cache::Bounds;
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::{Counters, Limits, Transport};

/// Patience for tests: at most 0.9 s for a question.
pub const LIMITS: Limits = Limits {
    in_flight: 50,
    timeout: Duration::from_millis(300),
    attempts: 3,
    transport: Transport::Udp,
};

/// A fresh resolver that asks these servers.
pub fn resolver(servers: &[SocketAddr]) -> Resolver {
    Resolver::with_servers(servers, LIMITS, Bounds::default()).unwrap()
}

/// Asserts that all these domains are found good; returns what it took.
pub fn all_are_good(server: SocketAddr, limits: Limits, names: &[String]) -> Counters {
    let mut resolver = Resolver::with_servers(&[server], limits, Bounds::default()).unwrap();
    let mut good = 0;
    asking::each(&mut resolver, names, |_, verdict| good += usize::from(verdict.word() == "good"));
    assert_eq!(good, names.len());
    resolver.counters()
}

/// `good MX`, `unknown no answer` and so on, in the order of the domains.
pub fn verdicts(resolver: &mut Resolver, domains: &[&str]) -> Vec<String> {
    let mut found = vec![String::new(); domains.len()];
    let numbered = domains.iter().enumerate().map(|(number, domain)| Numbered(number, domain));
    asking::each(resolver, numbered, |Numbered(number, _), verdict| {
        assert_eq!(found[number], "", "two verdicts");
        found[number] = format!("{} {verdict}", verdict.word());
    });
    found
}

struct Numbered<'a>(usize, &'a str);

impl AsRef<[u8]> for Numbered<'_> {
    fn as_ref(&self) -> &[u8] {
        self.1.as_bytes()
    }
}

/// The verdict on one domain of a fresh resolver.
pub fn verdict(server: SocketAddr, domain: &str) -> String {
    verdicts(&mut resolver(&[server]), &[domain]).remove(0)
}
