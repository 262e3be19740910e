//! greytrapctl(8) as its users see it: the real program, run on files that OpenBSD's own code wrote.
//!
//! There is one module for each topic. `tests/data` has the databases: `hash` and `btree` with the real
//! spamdb's listings, `listing` with odd keys and values, `ops` before and after the real spamdb's changes,
//! `damaged` with one known fault each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

#[path = "../support/mod.rs"]
mod support;

mod adopt;
mod change;
mod convert;
mod cross_check;
mod crowd;
mod damaged;
mod dashboard;
mod dns;
mod export;
mod export_any;
mod export_bgp;
mod fake_daemon;
mod hearsay;
mod input;
mod learn;
mod list;
mod lookup;
mod memory;
mod metrics;
mod monitor;
mod orders;
mod repair;
mod sample;
mod set_ups;
mod show;
mod simulate;
mod simulate_dns;
mod simulate_lists;
mod spf;
mod usage;
