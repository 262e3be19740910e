//! The btree format of db(3), in which spamd kept its database before OpenBSD 4.1.
//!
//! * [`Tree`] takes the bytes of a whole file: [`Tree::records`] walks them, [`Tree::check`] tells
//!   every fault.
//! * [`Writer`] changes a file in place; `store` has the file and the order of writes, `search`,
//!   `split`, `unlink` and `mend` what is done to the tree.
//! * `check` is the whole of [`Tree::check`].
//! * `meta` is page 0, `page` any other page, `overflow` the chains of pages that hold what is too big
//!   for one.
//!
//! All bytes are untrusted. Whatever they say, the work is bounded by the number of pages in the file:
//! no walk enters a page twice.
//!
//! Source: lib/libc/db/btree of OpenBSD, btree.h above all.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
// Tests reckon with numbers of their own.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod check;
mod mend;
mod meta;
mod node;
mod overflow;
mod page;
mod read;
mod search;
mod set;
mod split;
mod store;
mod unlink;
mod write;

pub use meta::has_magic;
pub use read::{Records, Tree};
pub use write::Writer;
