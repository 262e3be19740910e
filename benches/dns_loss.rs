//! 100,000 distinct MX lookups, 1000 at a time, against a server that loses one in a hundred questions or
//! answers and takes 20 ms for the rest. The ideal is 100 round trips, 2 s; the budget is three times that,
//! and nothing may be unknown.
//!
//! `cargo bench --bench dns_loss -- [ROUNDS [NAMES]]`; needs nothing installed. With a million names it
//! shows that many names take no more memory than a few.

#![allow(clippy::expect_used)]

#[path = "../tests/support/asking.rs"]
mod asking;
#[path = "../tests/support/responder.rs"]
mod responder;
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greytrapper::dns::cache::Bounds;
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::{Limits, Transport};
use responder::{Act, MX, Query, Responder, mx};

const IN_FLIGHT: usize = 1000;
const DELAY: Duration = Duration::from_millis(20);

fn main() {
    let (rounds, count) = support::numbers(3, 100_000);
    let ideal = DELAY.as_secs_f64() * (count / IN_FLIGHT) as f64;
    for round in 1..=rounds {
        let server = Responder::start(answers());
        let limits = Limits {
            in_flight: IN_FLIGHT,
            timeout: Duration::from_secs(5),
            attempts: 4,
            transport: Transport::Udp,
        };
        let start = Instant::now();
        let mut resolver =
            Resolver::with_servers(&[server.address], limits, Bounds::default()).expect("resolver");
        let names = (0..count).map(|n| format!("d{n}.sender.example"));
        let mut known = 0;
        asking::each(&mut resolver, names, |_, verdict| {
            known += usize::from(verdict.word() != "unknown");
        });
        let took = start.elapsed().as_secs_f64();
        let counters = resolver.counters();
        println!(
            "round {round}: {took:.2} s, {:.2} x ideal (budget 3); {} of {count} known, {} sent",
            took / ideal,
            known,
            counters.sent
        );
    }
    if let Some(peak) = support::memory("self", "VmHWM") {
        println!("memory, the server's included: {peak:.1} MB");
    }
}

fn answers() -> impl Fn(&Query) -> Vec<Act> {
    let dice = AtomicU64::new(1);
    move |query| {
        let n = dice.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if n >> 32 < (1 << 32) / 100 {
            return Vec::new();
        }
        query.control().unwrap_or_else(|| {
            let reply = query.reply().answer(&query.name, MX, 300, &mx(10, "mail.example"));
            vec![Act::After(DELAY, reply.bytes())]
        })
    }
}
