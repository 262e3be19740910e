//! The btree format of db(3), in which spamd kept its database before OpenBSD 4.1.
//!
//! * [`Tree`] takes the bytes of a whole file: [`Tree::records`] walks them, [`Tree::check`] tells
//!   every fault.
//! * `header`: page 0; `page`: any other page; `big`: the chains of pages that hold what is too big for one.
//! * `read`: the image of a whole file, its pages by number; `walk`: its records in order; `check`: everything
//!   that is wrong with it.
//! * `write`: changes in place. `edit` changes a page in memory, `search` finds a key, `split` and `unlink`
//!   make the tree grow and shrink; `store` is the file under them, `alloc` gives out its pages, `commit` writes
//!   the batch, `mend` puts right what a kill has left.
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

mod alloc;
mod big;
mod check;
mod commit;
mod edit;
mod header;
mod leftover;
mod mend;
mod page;
mod read;
mod restore;
mod search;
mod set;
mod split;
mod store;
mod unlink;
mod walk;
mod write;

#[cfg(libc_db)]
pub use edit::longest_key;
pub use header::has_magic;
pub use read::Tree;
pub use walk::Records;
pub use write::Writer;
