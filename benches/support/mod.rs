//! What the benches share: the database of a busy mail exchanger, timing two things alternately, and the
//! row that is printed.
//!
//! Only times from one run on one machine are compared: each row is a ratio to a known program on the same
//! data, measured alternately, so that other load on the machine affects both.
#![allow(dead_code, reason = "each bench takes what it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "nothing to save")]

#[path = "../../examples/support/population.rs"]
pub mod population;

use greytrapper::db::{Engine, hash};
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// spamd's page size on a default file system of OpenBSD.
const PAGE_SIZE: u32 = 16_384;

/// A file with that many tuples.
pub fn database(tuples: usize) -> NamedTempFile {
    let file = NamedTempFile::new().expect("database");
    let handle = file.reopen().expect("database");
    let mut engine = hash::Writer::create(handle, PAGE_SIZE).expect("database");
    let order = engine.byte_order();
    population::populate(population::MEASURED, tuples as u64, |(key, data)| {
        engine.put(&key, &data.encode(order))
    })
    .expect("records");
    Box::new(engine).close().expect("database");
    file
}

/// The numbers on the command line, or these: rounds, and how much.
pub fn numbers(rounds: usize, much: usize) -> (usize, usize) {
    let mut given = std::env::args().filter_map(|word| word.parse().ok());
    (given.next().unwrap_or(rounds), given.next().unwrap_or(much))
}

/// How long something takes.
pub fn timed<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = what();
    (start.elapsed(), result)
}

/// How long a program takes, which must succeed; its output is discarded.
pub fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Duration {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let (took, status) = timed(|| command.status().unwrap_or_else(|e| panic!("{program}: {e}")));
    assert!(status.success(), "{program}: {status}");
    took
}

/// Times of one thing.
pub struct Times(Vec<Duration>);

impl Times {
    /// All of these except the first, which warms up.
    pub fn new(mut times: Vec<Duration>) -> Times {
        times.sort();
        Times(times)
    }

    /// The median.
    pub fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, most) = (self.0[0], self.0[self.0.len() - 1]);
        write!(f, "{:.3?} ({least:.3?} to {most:.3?})", self.median())
    }
}

/// Times both alternately, `rounds` times after a first one that warms the caches.
pub fn in_turn(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut theirs: impl FnMut() -> Duration,
) -> (Times, Times) {
    ours();
    theirs();
    let (one, other) = (0..rounds).map(|_| (ours(), theirs())).unzip();
    (Times::new(one), Times::new(other))
}

/// Prints a row: what was measured and compared, the ratio, the budget, and whether it was kept.
pub fn row(what: &str, (ours, theirs): &(Times, Times), beside: &str, budget: f64) {
    let ratio = ours.median().as_secs_f64() / theirs.median().as_secs_f64();
    println!("{what}: {ours}, {beside} {theirs}: {ratio:.2} x {}", kept(budget, ratio));
}

/// A budget, and whether it was kept.
pub fn kept(budget: f64, value: f64) -> String {
    format!("(budget {budget}: {})", if value <= budget { "kept" } else { "MISSED" })
}

/// A number about a process (`self`, or its id) in MB, such as VmHWM, its peak memory; only on Linux, from
/// proc_pid_status(5).
pub fn memory(process: &str, line: &str) -> Option<f64> {
    count(process, line).map(|kilobytes| kilobytes / 1024.0)
}

/// The same without converting units.
pub fn count(process: &str, line: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
    found.trim().trim_end_matches(" kB").parse().ok()
}
