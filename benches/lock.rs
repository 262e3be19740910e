//! How long the lock is held while a database is read, compared with `cat FILE >/dev/null`.
//!
//! `cargo bench --bench lock -- [ROUNDS [TUPLES]]`; the budget is for 1,000,000 tuples.
#![allow(clippy::expect_used)]

mod support;

use greytrapper::db::lock::{Wait, read_image};

fn main() {
    let (rounds, tuples) = support::numbers(11, 1_000_000);
    let file = support::database(tuples);
    let held = || read_image(file.path(), &mut Wait::usual(&mut || {})).expect("read").held;
    let times = support::in_turn(rounds, held, || support::run("cat", [file.path()]));
    support::row("lock held while reading", &times, "cat", 2.0);
}
