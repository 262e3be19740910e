//! greytrapper judges the hosts that wait in spamd(8)'s database and traps the spammers among them.
//!
//! The data go one way, once a scan:
//!
//! ```text
//! /var/db/spamd --lock, read, unlock--> image --decode--> hosts and their tuples --rules--> verdicts
//!                                                                                     |
//!                            lock, look again, put, unlock <--------------------------+
//! ```
//!
//! * [`config`] reads greytrapper.conf(5): what is to be judged, and how strictly.
//! * [`daemon`] is greytrapper(8) from its command line on.
//! * [`db`] knows the file formats of db(3), hash and btree: [`db::snapshot`] walks the bytes of a
//!   whole file, [`db::native`] writes into the file in place, by our code or by dbopen(3).
//! * [`spamd`] knows what spamd means by the bytes: records, spamdb(8)'s listing, a trap.
//! * [`scan`] gathers hosts with their tuples and judges them, one file a rule.
//! * [`dns`] asks name servers about sender domains and about a host's identity; [`inquiry`] puts a
//!   scan's questions to it.
//! * [`control`] is what an operator meets: greytrapctl(8)'s commands, its text and its JSON.
//! * [`escape`] makes bytes from strangers safe to print, [`errno`] the system's errors short.
//!
//! Nothing downstream calls back upstream.
//!
//! `unsafe` is denied in the whole crate but for `db::libc::handle`, which calls dbopen(3).

pub mod config;
pub mod control;
pub mod daemon;
pub mod db;
pub mod dns;
pub mod errno;
pub mod escape;
pub mod inquiry;
pub mod privsep;
pub mod scan;
pub mod spamd;
