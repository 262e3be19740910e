//! The btree format of db(3), in which spamd kept its database before OpenBSD 4.1.
//!
//! * [`Tree`] takes the bytes of a whole file: [`Tree::records`] walks them, [`Tree::check`] reports every
//!   fault.
//! * `header`: page 0; `page`: any other page; `big`: overflow chains, for what is too big for one page.
//! * `read`: the pages of a whole file by number; `walk`: its records in order; `check`: everything that is
//!   wrong with it.
//! * `leftover`: the state that the reference leaves when it is killed; `restore`: repairing that.
//! * `write`: changes in place. `edit` changes a page in memory, `search` finds a key, `split` and `unlink`
//!   make the tree grow and shrink; `store` is the file below them, `alloc` allocates its pages, `commit`
//!   writes the batch, `mend` repairs what a kill of ours has left.
//! * `height`: how many pages a put of libc's may split.
//! * `salvage`: what can still be reached in a tree with holes, and a new tree of it.
//!
//! All bytes are untrusted. The number of pages in the file bounds the work, since no walk visits a page
//! twice.
//!
//! Source: lib/libc/db/btree in OpenBSD, above all btree.h.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
// Tests calculate with their own numbers.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod alloc;
mod big;
mod check;
mod commit;
mod edit;
mod header;
#[cfg(libc_db)]
mod height;
mod leftover;
mod mend;
mod page;
mod read;
mod restore;
mod salvage;
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
#[cfg(libc_db)]
pub use height::height;
pub use read::Tree;
pub use walk::Records;
pub use write::Writer;
