//! What the daemon remembers over its restarts, in one file, `memory.redb`, in a directory of its own.
//!
//! In: [`Batch`]es of what happened, each written as one transaction. Out: [`Record`]s by time and address
//! ([`Query`]), evidence by its keys, tuples in the order of scans ([`Seen`]), and what an engine must know at
//! its start ([`Recalled`]). The daemon's process `memory` calls this, and `greytrapctl simulate` with a
//! file of its own. `record` is the form on the disk, `key` lists the tables, `known` has evidence, `passes` the
//! hosts that passed, `vouched` those for which a domain vouches, `block` the tuples of all hosts, and `keep` forgets what is too old or too much.
//!
//! The file is a database of the crate redb, which survives any interruption: at most the last batch is
//! lost. Each time it is opened all its checksums are verified. A file that is damaged, or is something
//! else, is renamed and begun anew: nothing in it is worth more than a daemon that runs.
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

mod block;
mod book;
mod error;
mod file;
mod find;
mod keep;
mod key;
mod known;
mod passes;
mod recipients;
mod record;
mod store;
mod tally;
mod vouched;

pub use block::{PACKED, Seen, pack, unpack};
pub use book::{Book, RuleRecord, Span};
pub use error::Error;
pub use find::{Found, Query};
pub use key::{PLACE, Place};
pub use recipients::{Suggested, Suggestion, Watched};
pub use record::{
    Batch, Block, Counter, Deed, Hold, Recalled, Record, Tuple, Tuples, VERSION, White,
};
pub use store::{FILE, Opened, Settings, Store};
