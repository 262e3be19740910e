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
//!   whole file, [`db::database`] writes into the file in place, by our code or by dbopen(3).
//! * [`spamd`] knows what spamd means by the bytes: records, spamdb(8)'s listing, a trap, a sync message.
//! * [`scan`] gathers hosts with their tuples and judges them, one file a rule.
//! * [`dns`] asks name servers about sender domains and about a host's identity; [`inquiry`] puts a
//!   scan's questions to it.
//! * [`checker`] asks the administrator's program about recipients.
//! * [`control`] is what an operator meets: greytrapctl(8)'s commands, its text and its JSON.
//! * [`privsep`] makes a process one of the daemon's roles: an unprivileged user, nothing in sight;
//!   [`sandbox`] lets it do what its role does and no more.
//! * [`sync`] tells other hosts' spamd of each trap.
//! * [`escape`] makes bytes from strangers safe to print, [`errno`] the system's errors short.
//!
//! Nothing downstream calls back upstream.
//!
//! `unsafe` is denied in the whole crate but for what calls C: `db::libc::handle` (dbopen(3)),
//! `sandbox::openbsd` (setproctitle(3)), `heap` (malloc_trim(3)), [`privsep::spawn`] (descriptors by number) and
//! [`privsep::shared`] (mmap(2) of shared memory).

pub mod checker;
pub mod config;
pub mod control;
pub mod daemon;
pub mod db;
pub mod dns;
pub mod errno;
pub mod escape;
mod heap;
pub mod inquiry;
pub mod log;
pub mod privsep;
pub mod sandbox;
pub mod scan;
pub mod spamd;
pub mod sync;
mod threads;
