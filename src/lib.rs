//! greytrapper judges the hosts in the greylist of spamd(8) and traps the spammers among them.
//!
//! In each scan the data flows one way:
//!
//! ```text
//! /var/db/spamd --lock, read, unlock--> image --decode--> hosts and their tuples --rules--> verdicts
//!                                                                                     |
//!                           lock, check again, put, unlock <--------------------------+
//! ```
//!
//! * [`config`] reads greytrapper.conf(5): what is judged, and how strictly.
//! * [`daemon`] is greytrapper(8): its command line and its processes, each with a role.
//! * [`db`] knows the file formats of db(3), hash and btree: [`db::snapshot`] walks the bytes of a whole
//!   file, [`db::database`] changes the file in place, with our code or with dbopen(3).
//! * [`spamd`] knows what the bytes mean to spamd: records, spamdb(8)'s listing, traps, sync messages.
//! * [`scan`] gathers hosts with their tuples and judges them, with one file for each rule.
//! * [`name`] knows which names are valid, which part of them is registrable, and which nobody can
//!   register.
//! * [`dns`] asks name servers about sender domains, about a host's identity, and whether a domain lets a
//!   host send its mail; [`inquiry`] passes the questions of a scan to it.
//! * [`checker`] runs the administrator's program on recipients.
//! * [`greytrapctl`] is greytrapctl(8): its commands, its text and its JSON.
//! * [`control`] is the socket between the two programs; [`frame`] divides the streams on it, and on the
//!   daemon's own sockets, into messages.
//! * [`evidence`] is what is known of names and recipients beyond one host: networks and their times.
//! * [`memory`] is what the daemon remembers over its restarts: verdicts by time and address.
//! * [`process`] starts processes, gives up root and confines them.
//! * [`sync`] sends each trap to spamd on other hosts.
//! * [`escape`] makes bytes from strangers safe to print, [`errno`] shortens system errors.
//!
//! Modules never use those that come after them in this flow.
//!
//! `unsafe` is denied in the whole crate, except where C is called: `db::libc::handle` (dbopen(3)),
//! `sandbox::openbsd` (setproctitle(3)), `heap` (malloc_trim(3)), [`process::spawn`] (descriptors by
//! number) and [`process::image::shared`] (mmap(2) of shared memory).

pub mod checker;
pub mod config;
pub mod control;
pub mod daemon;
mod date;
pub mod db;
pub mod dns;
pub mod errno;
pub mod escape;
pub mod evidence;
pub mod export;
pub mod frame;
pub mod greytrapctl;
mod heap;
pub mod inquiry;
pub mod log;
pub mod machine;
pub mod memory;
pub mod name;
mod plural;
pub mod process;
pub mod scan;
pub mod spamd;
pub mod sync;
mod threads;
