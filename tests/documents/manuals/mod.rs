//! Compares the manuals with the code in both directions: everything that is allowed in greytrapper.conf(5)
//! or on a command line is in the manuals, and everything in the manuals works.
//!
//! The code is tested from outside: command lines are tried letter by letter, and statements made from the
//! manual's synopses are loaded. Only the keywords of the configuration are read from the source. `mdoc`
//! reads the manuals.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

pub mod ask;
mod conf;
pub mod ctl;
mod daemon;
#[path = "../../support/mdoc.rs"]
mod mdoc;
