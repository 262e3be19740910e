//! The harness of all tests: what they run, and what they compare with.
#![allow(dead_code, unused_imports, reason = "each executable takes what it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

pub mod alone;
pub mod asking;
pub mod cmd;
pub mod daemon;
pub mod dice;
pub mod disk;
pub mod faulty;
pub mod golden;
pub mod mdoc;
pub mod nsd;
pub mod patience;
pub mod process;
pub mod records;
pub mod responder;
pub mod sync_decoder;
pub mod through;
pub mod zone;
