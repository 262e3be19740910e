//! Compares the manuals, the completions and the port with the program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod completions;
mod layers;
mod manuals;
mod port;
