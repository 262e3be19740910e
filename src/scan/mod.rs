//! Judges the greylisted hosts in a database.
//!
//! ```text
//! records --hosts--> hosts and their tuples --rules--> verdicts and nominees
//!                                                            |  questions
//!                        report <--finish-- answers about identity and sender domains
//! ```
//!
//! In: a snapshot and the configured [`Rules`]. Out: a [`Report`]. [`run`] takes one step without DNS,
//! [`Scan`] takes two with DNS in between. Strangers chose every byte of a record, except the address. A
//! false trap is the worst fault here: anything that is not known for certain speaks for the host.
//!
//! * `gather` reads each record once and takes `notes`; `hosts` keeps them by host (`table`, `address`).
//! * [`sender`], [`name`](crate::name) and `tags` know the forms of addresses; `distinct` counts them.
//! * [`rules`] has the rules, one file each; `judge` applies them in order.
//! * [`identity`] has the questions to DNS about hosts, [`Domains`] those about senders, `exemption` those
//!   about hosts that are about to be trapped, `lists` those to DNS lists;
//!   [`Answers`] has the answers, `ballot` decides whether they are plausible, and `own` finds domains that
//!   must exist.
//! * `verdict` and `report` are the result; `unasked` are the checks that have none, `measure` and `given`
//!   what was counted and answered.
//! * [`seen`] has what memory is told of all hosts.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod address;
pub mod answers;
mod ballot;
mod distinct;
mod domains;
mod exemption;
mod gather;
mod given;
mod hosts;
pub mod identity;
mod judge;
mod lists;
mod measure;
mod notes;
mod own;
mod report;
mod room;
pub mod rules;
pub mod seen;
pub mod sender;
mod stages;
mod table;
mod tags;
#[cfg(test)]
mod testing;
mod unasked;
mod verdict;

pub use crate::name::NameFault;
pub use answers::{Answers, Doubt};
pub use domains::Domains;
pub use given::{Field, Given};
pub use measure::{Amount, Measure, Setting};
pub use notes::{Counts, UnknownRecord};
pub use report::{Portion, Report};
pub use room::{require_room, room};
pub use rules::Rule;
pub use stages::Scan;
pub use unasked::{Check, Unasked};
pub use verdict::{Evidence, State, Verdict, What, Why};

use crate::config::Rules;
use crate::db::Damage;
use crate::db::snapshot::Snapshot;

/// Judges the hosts of a database by the offline rules alone, at `now` in seconds since 1970.
///
/// With `check identity`, no counting rule can trap here, since DNS is not asked. A damaged database is an
/// error.
pub fn run<'a>(snapshot: &Snapshot<'a>, now: i64, rules: &'a Rules) -> Result<Report<'a>, Damage> {
    Ok(Scan::of(snapshot, now, rules)?.finish(None))
}
