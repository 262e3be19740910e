//! The checker with real programs: small shell scripts that do what checkers do, and what they should not
//! do. ps(1) and the scripts themselves show the results.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod manners;
mod script;
mod stop;
mod verdicts;
