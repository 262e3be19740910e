//! The manuals against the code, both ways: whatever may be written in greytrapper.conf(5) or on a
//! command line is in the manuals, and what is in the manuals is understood.
//!
//! What the code knows is found by asking it: command lines are tried letter by letter, statements made
//! from the manual's synopses are loaded. Only the keywords of the configuration are read from the
//! source. `mdoc` reads the manuals.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod ask;
mod conf;
mod ctl;
mod daemon;
mod mdoc;
