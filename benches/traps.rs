//! 10,000 traps of a scan in batches, in a database with tuples, compared with md5sum of that database; and the
//! longest time that the lock was held.
//!
//! `cargo bench --bench traps -- [ROUNDS [TUPLES]]`
#![allow(clippy::expect_used)]

mod support;

use greytrapper::db::database::Database;
use greytrapper::db::lock::{Creation, Wait};
use greytrapper::spamd::Address;
use greytrapper::spamd::trap::{Over, TRAP_SECONDS, trap};
use std::path::Path;
use std::time::Duration;
use support::population::NOW;

fn main() {
    let (rounds, tuples) = support::numbers(11, 100_000);
    let original = support::database(tuples);
    let addresses: Vec<Address> = (0..10_000_u32)
        .map(|n| format!("198.{}.{}.{}", 18 + n % 2, n / 256, n % 256))
        .map(|text| Address::parse(text.as_bytes()).expect("address"))
        .collect();
    let mut longest = Duration::ZERO;
    let ours = || {
        let copy = tempfile::NamedTempFile::new().expect("copy");
        std::fs::copy(original.path(), copy.path()).expect("copy");
        let (took, held) = support::timed(|| traps(copy.path(), &addresses));
        longest = longest.max(held);
        took
    };
    let md5sum = || support::run("md5sum", [original.path()]);
    let times = support::in_turn(rounds, ours, md5sum);
    let (took, md5sum) = (times.0.median(), times.1.median());
    println!(
        "10,000 traps: {}, md5sum {}: {:.1} x {}",
        times.0,
        times.1,
        took.as_secs_f64() / md5sum.as_secs_f64(),
        support::kept(0.35, took.as_secs_f64())
    );
    let held = longest.as_secs_f64() * 1000.0;
    println!("longest lock of them: {held:.1} ms {}", support::kept(50.0, held));
}

/// Sets them; returns the longest time that the lock was held.
fn traps(path: &Path, addresses: &[Address]) -> Duration {
    let mut database = Database::new(path, Creation::Never);
    let changes =
        database.in_batches(addresses, &mut Wait::usual(&mut || {}), &mut |engine, address| {
            trap(engine, address, NOW, TRAP_SECONDS, Over::Nothing)
        });
    let (_, cost) = changes.whole().expect("traps");
    cost.longest
}
