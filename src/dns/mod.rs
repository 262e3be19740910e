//! DNS asked by ourselves: sender domains and hosts in, verdicts out.
//!
//! ```text
//!            resolver ── jobs: lookup (a domain), identity (a host) ── cache
//!               │ ask                         ▲ answers
//!               ▼                             │
//!              mux ── message ──▶ socket ──▶ name servers ──▶ answer (bytes to meaning)
//! ```
//! [`resolver::Resolver`] is what others use; [`verdict`] says what its verdicts mean, [`failure`] why
//! something is not known, [`proof`] when a denial counts, for which `controls` are asked. Nothing is
//! believed but the well-formed answer to our own question, and nothing but a definite `no` from a server that
//! has shown that it can say yes makes a domain bad.
#![forbid(unsafe_code)]

pub mod answer;
pub mod cache;
mod controls;
pub mod failure;
pub mod identity;
mod lookup;
mod message;
mod mux;
pub mod name;
pub mod proof;
mod random;
pub mod resolv_conf;
pub mod resolver;
mod socket;
mod table;
pub mod verdict;

pub use mux::{Counters, FIRST_TOKEN, Fitness, Health, Limits, Notice, Transport};
pub use socket::Promise;
