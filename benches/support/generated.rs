//! A database as a busy mail exchanger has it, and what the benches make of their numbers.

// Each bench takes what it needs.
#![allow(dead_code)]

#[path = "../../examples/support/population.rs"]
pub mod population;

use greytrapper::db::{Engine, hash};
use std::time::Duration;
use tempfile::NamedTempFile;

/// spamd's page size on a default file system of OpenBSD.
const PAGE_SIZE: u32 = 16_384;

/// A file with that many tuples.
pub fn database(tuples: u64) -> NamedTempFile {
    let file = NamedTempFile::new().expect("database");
    let handle = file.reopen().expect("database");
    let mut engine = hash::Writer::create(handle, PAGE_SIZE).expect("database");
    let order = engine.byte_order();
    population::populate(population::MEASURED, tuples, |(key, data)| {
        engine.put(&key, &data.encode(order))
    })
    .expect("records");
    Box::new(engine).close().expect("database");
    file
}

/// The numbers on the command line.
pub fn numbers() -> Vec<usize> {
    std::env::args().filter_map(|word| word.parse().ok()).collect()
}

/// The time in the middle.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A budget, and whether it was kept.
pub fn budget(budget: &str, is_kept: bool) -> String {
    format!("(budget {budget}: {})", if is_kept { "kept" } else { "MISSED" })
}
