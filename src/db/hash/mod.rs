//! The hash format of db(3), which spamd's database uses since OpenBSD 4.1.
//!
//! * `header`: the first 260 bytes, and the arithmetic of buckets and overflow pages; `note`: our note in
//!   the bytes after them.
//! * `page`: one page, its table of offsets and its pairs; `walk`: the chain of pages of one bucket, with
//!   big pairs assembled; `bitmap`: which overflow pages are in use.
//! * `read`: the pairs of a whole file in order; `check`: everything that is wrong with it.
//! * `sound`: the conditions that `check` and `read` share; `leftover`: violations that are not damage.
//! * `unseen`: what libc's own walk skips; `growth`: what its next puts may split.
//! * `write`: changes in place. `edit` changes a page in memory, `big` lays out a big pair, `search` finds
//!   a key in its bucket's `chain`, `split` makes the table grow; `store` is the file below them, `alloc`
//!   allocates its overflow pages, `commit` writes the batch, `mend` repairs what a kill of ours has left,
//!   `restore` what a kill of libc's has left.
//! * `salvage`: what can still be reached in a table with holes, and a new table of it.
//!
//! The format is that of lib/libc/db/hash in OpenBSD, from 4.4BSD; its manual page is hash(3).

#![forbid(unsafe_code)]

mod alloc;
mod big;
mod bitmap;
mod chain;
mod check;
mod commit;
mod edit;
#[cfg(libc_db)]
mod growth;
mod header;
mod leftover;
mod mend;
mod note;
mod page;
mod read;
mod restore;
mod salvage;
mod search;
mod sound;
mod split;
mod store;
mod unseen;
mod walk;
mod write;

#[cfg(libc_db)]
pub use growth::Growth;
pub use read::{Pieces, Records, Table, has_magic};
pub use store::{Writer, is_begun};
pub use walk::Piece;
