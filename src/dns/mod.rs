//! Our own DNS client. In: sender domains, hosts, claims of hosts to send for a domain, and lists of
//! addresses. Out: verdicts.
//!
//! ```text
//!            resolver ── jobs: lookup (a domain), identity (a host), exemption (a claim) ── cache
//!               │ ask                         ▲ answers
//!               ▼                             │
//!              mux ── message ──▶ socket ──▶ name servers ──▶ answer (bytes to meaning)
//! ```
//! [`exemption`] asks a domain's mail hosts first, then [`spf`]; `memo`, `endorsed` and `quota` bound what
//! that costs. [`listing`] asks lists of addresses. Others use [`resolver::Resolver`]. [`verdict`] says what its verdicts mean, [`failure`] why
//! something is unknown, and [`proof`] when a denial counts, for which `controls` are asked. Only a
//! well-formed answer to our own question is believed, and only a definite `no` from a server that has
//! proved that it can say yes makes a domain bad.
#![forbid(unsafe_code)]

pub mod answer;
pub mod cache;
mod controls;
mod endorsed;
pub mod exemption;
pub mod failure;
pub mod identity;
mod kept;
pub mod listing;
mod lookup;
mod mail_hosts;
mod memo;
mod message;
mod mux;
pub mod name;
pub mod proof;
mod quota;
mod random;
pub mod resolv_conf;
pub mod resolver;
mod socket;
pub mod spf;
mod table;
pub mod text;
pub mod verdict;

pub use mux::{Counters, FIRST_TOKEN, Fitness, Health, Limits, Notice, Transport};
pub use socket::Promise;
