//! What is known of HELO names, sender domains and recipients beyond one host: which networks used them, and
//! when.
//!
//! In: [`Sighting`]s of the tuples of anonymous hosts in this scan, and the [`Entry`]s that memory has kept
//! of earlier ones. Out: how many networks, and for a HELO name how many sender domains, in the last hours
//! or days ([`Evidence`]). The rules `stranger` and `crowd` ask; whether a host is anonymous is for the
//! caller to know: a host with a name of its own must never be noted here.
//!
//! ```text
//! sightings --keys--> memory --entries--> recall --+
//!     |                                            v
//!     +--------------------note--------------> Evidence --counts--> rules
//!                                                  +-----fresh----> memory
//! ```
//!
//! Strangers chose every byte but the address. So names are kept as they are, never by a hash that somebody
//! could forge; a name that is too long for a name ([`NAME_MAX`]) is no evidence; and of each key only the
//! latest [`MOST`] networks are kept. Of sender domains only a short hash is kept: if two of them collide,
//! the count is too small, which favours the host. The order of notes makes no difference.
//!
//! No clock, no files: memory stores the entries (`memory`), and the caller says what time it is.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing)
)]

mod entry;
mod key;
mod known;
mod latest;
mod network;
#[cfg(test)]
mod tests;
mod watch;

pub use entry::Entry;
pub use key::{Key, Kind, NAME_MAX, Sighting};
pub use known::{Evidence, HeloSeen, KEYS_MAX, RecipientSeen};
pub use latest::{Latest, MOST};
pub use network::Network;
pub use watch::{GAP, LEARNT, Watch};

use std::time::Duration;

/// How long a sighting is evidence.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// From fewer networks a recipient may be mailed by chance: "more than ten".
pub const MANY: usize = 11;
/// The time in which a crowd comes together.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
