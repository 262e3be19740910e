//! How long the lock is held while a database is read, beside `cat FILE >/dev/null` in the same run,
//! interleaved. The budget is 2 times cat's time.
//!
//! `cargo bench --bench read -- [ROUNDS [TUPLES]]`; the budget is for 1,000,000 tuples.

#![allow(clippy::expect_used)]

#[path = "support/generated.rs"]
mod generated;

use greytrapper::db::lock::{Wait, read_image};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let numbers = generated::numbers();
    let rounds = numbers.first().copied().unwrap_or(9);
    let file = generated::database(numbers.get(1).copied().unwrap_or(100_000) as u64);
    let (mut held, mut cat) = (Vec::new(), Vec::new());
    // The first round warms the page cache.
    for round in 0..=rounds {
        let image = read_image(file.path(), &mut Wait::usual(&mut || {})).expect("read");
        let theirs = cat_takes(file.path());
        if round > 0 {
            held.push(image.held);
            cat.push(theirs);
        }
    }
    let (held, cat) = (generated::median(held), generated::median(cat));
    let ratio = held.as_secs_f64() / cat.as_secs_f64();
    let budget = generated::budget("2", ratio <= 2.0);
    println!("median: lock held {held:.3?}, cat {cat:.3?}: {ratio:.2} x {budget}");
}

fn cat_takes(path: &Path) -> Duration {
    let start = Instant::now();
    let status = Command::new("cat").arg(path).stdout(Stdio::null()).status().expect("cat");
    assert!(status.success());
    start.elapsed()
}
