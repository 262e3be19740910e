//! What is written about the program against the program: the manuals, the port.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod layers;
mod manuals;
mod port;
