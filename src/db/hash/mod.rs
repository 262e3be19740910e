//! The hash format of db(3): what spamd's database is written in since OpenBSD 4.1.
//!
//! * `header`: the first 260 bytes, and the arithmetic of buckets and overflow pages; `note`: ours, in
//!   the bytes behind them.
//! * `page`: one page, its table of offsets and its pairs; `walk`: one bucket's chain of pages, big pairs
//!   put together; `bitmap`: which overflow pages are in use.
//! * `read`: the image of a whole file, its pairs in order; `check`: everything that is wrong with it.
//! * `sound`: the conditions that `check` and `read` have in common; `leftover`: what is no damage all the
//!   same.
//! * `unseen`: what libc's own walk passes over.
//! * `write`: changes in place. `edit` changes a page in memory, `big` lays out a big pair, `search` finds a
//!   key in its bucket's `chain`, `split` makes the table grow; `store` is the file under them,
//!   `alloc` gives out its overflow pages, `commit` writes the batch, `mend` puts right what a kill of ours has left,
//!   `restore` what one of libc's has.
//!
//! The format is that of lib/libc/db/hash in OpenBSD, which is 4.4BSD's; its manual page is hash(3).

#![forbid(unsafe_code)]

mod alloc;
mod big;
mod bitmap;
mod chain;
mod check;
mod commit;
mod edit;
mod header;
mod leftover;
mod mend;
mod note;
mod page;
mod read;
mod restore;
mod search;
mod sound;
mod split;
mod store;
mod unseen;
mod walk;
mod write;

pub use read::{Pieces, Records, Table, has_magic};
pub use store::{Writer, is_begun};
pub use walk::Piece;
