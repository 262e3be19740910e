//! What spamd(8) means by the bytes of its database and of its sync messages.
//!
//! * [`record`] tells GREY, WHITE, TRAPPED and SPAMTRAP records apart and takes them to pieces.
//! * [`listing`] prints them as spamdb(8) does.
//! * [`trap`] makes and ends a trap, exactly as `spamdb -t -a` does, under an [`Address`].
//! * [`sync`] makes the datagrams that tell other hosts' spamd of traps.
#![forbid(unsafe_code)]

pub mod address;
pub mod listing;
pub mod record;
pub mod sync;
pub mod trap;

pub use address::{Address, InvalidAddress};
pub use record::{Entry, Gdata, Tuple, Unknown};
