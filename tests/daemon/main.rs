//! Tests of the daemon with the real program: its main job, its answers, start, reload, exit, and
//! synchronisation.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod background;
mod by_hand;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod by_socket;
mod clients;
#[cfg(target_os = "linux")]
mod data_limit;
mod database;
mod descriptors;
mod dns;
mod documented;
mod end;
mod exceptions;
mod export;
#[cfg(target_os = "linux")]
mod full_disk;
mod hearsay;
#[cfg(target_os = "linux")]
mod inherited;
mod judged;
mod kill;
mod last_order;
mod liar;
mod limit;
mod metrics;
mod monitor;
mod over_reload;
#[cfg(target_os = "linux")]
mod processes;
mod recipients;
mod recomputed;
mod reload;
mod remembered;
mod sandbox;
mod scan;
mod slow;
mod start;
mod sync;
#[cfg(target_os = "linux")]
mod syslog;
#[cfg(target_os = "linux")]
mod taken;
mod what_if;
mod world;
