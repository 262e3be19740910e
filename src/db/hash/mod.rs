//! The hash format of db(3): what spamd's database is written in since OpenBSD 4.1.
//!
//! * [`header`]: the first 260 bytes, and the arithmetic of buckets and overflow pages.
//! * [`page`]: one page, its table of offsets and its pairs.
//! * [`walk`]: one bucket's chain of pages; big pairs are put together here.
//! * [`read`]: the image of a whole file, its pairs in order.
//! * [`bitmap`]: which overflow pages are in use.
//! * [`check`]: the image of a whole file, everything that is wrong with it.
//!
//! The format is that of lib/libc/db/hash in OpenBSD, which is 4.4BSD's; its manual page is hash(3).

#![forbid(unsafe_code)]

mod alloc;
mod big;
mod bitmap;
mod chain;
mod check;
mod edit;
mod header;
mod note;
mod page;
mod read;
mod split;
mod walk;
mod write;

pub use read::{Records, Table, has_magic};
pub use write::Writer;
