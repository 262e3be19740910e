//! `greytrapctl list`, the whole process, compared with md5sum of the same file.
//!
//! `cargo bench --bench list -- [ROUNDS [TUPLES]]`
#![allow(clippy::expect_used)]

mod support;

use std::ffi::OsStr;

/// The first measurement, with some room.
const BUDGET: f64 = 1.5;

fn main() {
    let (rounds, tuples) = support::numbers(11, 1_000_000);
    let file = support::database(tuples);
    let path = file.path().as_os_str();
    let ours = || support::run(env!("CARGO_BIN_EXE_greytrapctl"), [OsStr::new("list"), path]);
    let times = support::in_turn(rounds, ours, || support::run("md5sum", [path]));
    support::row("list", &times, "md5sum", BUDGET);
}
