//! The library, module by module: compared with what others wrote and with models, and with hostile input.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

#[path = "../support/mod.rs"]
mod support;

mod checker;
mod config;
mod db;
mod dns;
mod engines;
mod fuzz_smoke;
mod hearsay;
mod memory;
mod scan;
mod spf;
mod sync;
