//! greytrapper.conf(5): text in, a checked [`Config`] out, or every fault of it as
//! `file:line: message`.
//!
//! The way: `lexer` (text to tokens with positions) → `parse` (tokens to typed statements) → `check`
//! (statements to a [`Config`], values within bounds) and back again with `print`.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub mod network;
pub mod rules;

pub use network::{Network, Networks};
pub use rules::{RcptRules, Rules};

/// Everything greytrapper.conf(5) can say, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// spamd's database.
    pub database: PathBuf,
    /// Time from the beginning of one scan to that of the next.
    pub scan_every: Duration,
    /// How long a trap lasts.
    pub trap_for: Duration,
    /// At most so many traps in so long a time.
    pub trap_limit: (u32, Duration),
    /// Which code writes the database.
    pub engine: EngineChoice,
    /// What is judged, and how strictly.
    pub rules: Rules,
    /// The program that is asked about recipients, if any.
    pub checker: Option<Checker>,
    /// Where and how DNS is asked.
    pub dns: Dns,
    /// The control socket.
    pub socket: PathBuf,
    /// spamd's sync protocol towards other MXes.
    pub sync: Sync,
}

/// Which code writes the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// The one that fits the system: libc where it has dbopen(3), native elsewhere.
    Default,
    /// Ours.
    Native,
    /// dbopen(3).
    Libc,
}

/// `check rcpt with`: an external program, asked about each recipient of suspect hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checker {
    /// Its absolute path.
    pub program: PathBuf,
    /// How long it may take for one address.
    pub timeout: Duration,
}

/// `dns { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The name servers; empty means those of resolv.conf(5).
    pub servers: Vec<NameServer>,
    /// How many questions may be unanswered at once.
    pub in_flight: u32,
    /// How long to wait for the first answer before asking again.
    pub timeout: Duration,
    /// How often a question is asked at most.
    pub attempts: u32,
}

/// One name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port, 53 unless said otherwise.
    pub port: u16,
}

/// `sync …`: whom to tell of each trap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sync {
    /// Hosts told by unicast, as written: names are resolved at start.
    pub peers: Vec<String>,
    /// Interfaces on which the multicast group is told, each with its ttl.
    pub multicast: Vec<(String, u8)>,
    /// The key file; `None` means spamd's own, which may be missing.
    pub key: Option<PathBuf>,
}
