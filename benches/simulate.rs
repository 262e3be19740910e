//! `greytrapctl simulate` without DNS, the whole process, compared with md5sum of the same file; and its
//! peak memory, compared with the length of the file.
//!
//! `cargo bench --bench simulate -- [ROUNDS [TUPLES]]`; the budgets are for 1,000,000 tuples.
#![allow(clippy::expect_used)]

mod support;

use nix::sys::resource::{UsageWho, getrusage};
use std::ffi::OsStr;

fn main() {
    let (rounds, tuples) = support::numbers(11, 1_000_000);
    let file = support::database(tuples);
    let path = file.path().as_os_str();
    let conf = tempfile::NamedTempFile::new().expect("configuration");
    std::fs::write(conf.path(), "check sender dns no\ncheck identity no\n").expect("configuration");
    let arguments = [OsStr::new("simulate"), OsStr::new("-f"), conf.path().as_os_str(), path];
    let ours = || support::run(env!("CARGO_BIN_EXE_greytrapctl"), arguments);
    let times = support::in_turn(rounds, ours, || support::run("md5sum", [path]));
    support::row("simulate", &times, "md5sum", 0.85);
    // The maximum of all children, among which md5sum is by far the smaller; in kilobytes except on macOS.
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage(2)");
    let peak = usage.max_rss() as f64 / 1024.0;
    let length = file.as_file().metadata().expect("length").len() as f64 / f64::from(1 << 20);
    let budget = support::kept(96.0, peak - length);
    println!(
        "simulate's memory: {peak:.1} MB for a file of {length:.1} MB: + {:.1} {budget}",
        peak - length
    );
}
