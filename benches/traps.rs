//! 10,000 traps in batches, into a database that has 100,000 tuples. The budget is 0.3 s, and never more
//! than 50 ms of lock at a time.
//!
//! `cargo bench --bench traps -- [ROUNDS [TUPLES]]`

#![allow(clippy::expect_used)]

#[path = "support/generated.rs"]
mod generated;

use generated::population::NOW;
use greytrapper::db::database::Database;
use greytrapper::db::lock::{Creation, Wait};
use greytrapper::spamd::Address;
use greytrapper::spamd::trap::{Over, TRAP_SECONDS, trap};
use std::time::{Duration, Instant};

fn main() {
    let numbers = generated::numbers();
    let rounds = numbers.first().copied().unwrap_or(5);
    let original = generated::database(numbers.get(1).copied().unwrap_or(100_000) as u64);
    let addresses: Vec<Address> = (0..10_000_u32)
        .map(|n| format!("198.{}.{}.{}", 18 + n % 2, n / 256, n % 256))
        .map(|text| Address::parse(text.as_bytes()).expect("address"))
        .collect();
    let (mut times, mut longest) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let copy = tempfile::NamedTempFile::new().expect("copy");
        std::fs::copy(original.path(), copy.path()).expect("copy");
        let start = Instant::now();
        let mut database = Database::new(copy.path(), Creation::Never);
        let cost = database
            .in_batches(&addresses, &mut Wait::usual(&mut || {}), &mut |engine, address| {
                trap(engine, address, NOW, TRAP_SECONDS, Over::Trap).map(drop)
            })
            .expect("traps");
        let took = start.elapsed();
        println!(
            "round {round}: {took:.3?} in {} batches, longest lock {:.3?}",
            cost.batches, cost.longest
        );
        times.push(took);
        longest.push(cost.longest);
    }
    let most = longest.iter().max().copied().unwrap_or_default();
    let took = generated::median(times);
    let work = generated::budget("0.3 s", took <= Duration::from_millis(300));
    let lock = generated::budget("50 ms", most <= Duration::from_millis(50));
    println!("median: {took:.3?} {work}, longest lock {most:.3?} {lock}");
}
