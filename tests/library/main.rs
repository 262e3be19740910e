//! The library, module by module, against what others wrote, against models, and against those who mean
//! no good.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

#[path = "../support/mod.rs"]
mod support;

mod checker;
mod config;
mod db;
mod dns;
mod engines;
mod fuzz_smoke;
mod scan;
mod sync;
