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
//! * [`daemon`] is greytrapper(8): its command line and its processes, each with a role.
//! * [`db`] knows the file formats of db(3), hash and btree: [`db::snapshot`] walks the bytes of a
//!   whole file, [`db::database`] writes into the file in place, by our code or by dbopen(3).
//! * [`spamd`] knows what spamd means by the bytes: records, spamdb(8)'s listing, a trap, a sync message.
//! * [`scan`] gathers hosts with their tuples and judges them, one file a rule.
//! * [`name`] knows what can be a domain name, who registered it, and which names belong to nobody.
//! * [`dns`] asks name servers about sender domains and about a host's identity; [`inquiry`] puts a
//!   scan's questions to it.
//! * [`checker`] asks the administrator's program about recipients.
//! * [`greytrapctl`] is what an operator meets: greytrapctl(8)'s commands, its text and its JSON.
//! * [`control`] is the socket between the two programs; [`frame`] cuts what goes over it, and over the
//!   daemon's own sockets, into messages.
//! * [`process`] starts processes, gives up root and locks them in.
//! * [`sync`] tells other hosts' spamd of each trap.
//! * [`escape`] makes bytes from strangers safe to print, [`errno`] the system's errors short.
//!
//! Nothing downstream calls back upstream.
//!
//! `unsafe` is denied in the whole crate but for what calls C: `db::libc::handle` (dbopen(3)),
//! `sandbox::openbsd` (setproctitle(3)), `heap` (malloc_trim(3)), [`process::spawn`] (descriptors by number) and
//! [`process::shared`] (mmap(2) of shared memory).

pub mod checker;
pub mod config;
pub mod control;
pub mod daemon;
pub mod db;
pub mod dns;
pub mod errno;
pub mod escape;
pub mod frame;
pub mod greytrapctl;
mod heap;
pub mod inquiry;
pub mod log;
pub mod machine;
pub mod name;
mod plural;
pub mod process;
pub mod scan;
pub mod spamd;
pub mod sync;
mod threads;
