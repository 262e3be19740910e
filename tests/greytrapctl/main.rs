//! greytrapctl(8) as its users meet it: the real program, run on files that OpenBSD's own code wrote.
//!
//! One module a theme. `tests/data` holds the databases: `hash` and `btree` with what the real spamdb
//! printed of each, `listing` with odd keys and values, `ops` before and after the real spamdb's
//! changes, `damaged` broken in one known way each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

#[path = "../support/mod.rs"]
mod support;

mod change;
mod cross_check;
mod crowd;
mod damaged;
mod dns;
mod fake_daemon;
mod input;
mod list;
mod lookup;
mod metrics;
mod monitor;
mod orders;
mod sample;
mod show;
mod simulate;
mod simulate_dns;
mod usage;
