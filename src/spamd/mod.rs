//! What spamd(8) means by the bytes of its database and of its sync messages.
//!
//! * [`record`] decodes GREY, WHITE, TRAPPED and SPAMTRAP records.
//! * [`listing`] prints them as spamdb(8) does.
//! * [`trap`] sets and removes the trap of an [`Address`], exactly as `spamdb -t -a` does.
//! * [`sync`] makes the datagrams that send traps to spamd on other hosts.
#![forbid(unsafe_code)]

pub mod address;
pub mod listing;
pub mod record;
pub mod spamtrap;
pub mod sync;
pub mod trap;

pub use address::{Address, InvalidAddress};
pub use record::{Entry, Gdata, TrapRecord, Tuple, Unknown};
