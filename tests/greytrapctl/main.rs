//! greytrapctl(8) as its users meet it: the real program, run on files that OpenBSD's own code wrote.
//!
//! One module a theme. `tests/data` holds the databases: `hash` and `btree` with what the real spamdb
//! printed of each, `listing` with odd keys and values, `ops` before and after the real spamdb's
//! changes, `damaged` broken in one known way each.

#![allow(clippy::unwrap_used)]

#[path = "../support/responder.rs"]
mod responder;
mod util;

mod change;
mod damaged;
mod dns;
mod input;
mod list;
mod lookup;
mod simulate;
mod simulate_dns;
mod usage;
