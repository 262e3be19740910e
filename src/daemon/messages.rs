//! The messages between processes: one type for each direction.
//!
//! All of them are plain data. The receiver trusts the form of a message, not its contents: the store
//! checks every request of the engine itself, the engine knows that the resolver's answers come from
//! strangers, and the parent accepts from each process only the messages that it may send.
#![forbid(unsafe_code)]

use super::roles::Process;
use crate::control::protocol::Explained;
use crate::control::status::{Failure, NameServer, Peer, Scan, Totals};
use crate::db::lock::Pass;
use crate::dns::identity::Confirmation;
use crate::dns::verdict::{DomainVerdict, Tally};
use crate::inquiry::Shown;
use crate::scan::identity::Question;
use crate::spamd::Address;
use crate::spamd::sync::Trap;
use crate::spamd::trap::Outcome;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// From the parent to any other process.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromParent {
    /// The first message: what the process is to know before it locks itself in.
    Start(Box<Start>),
    /// All are ready: the work begins, in the background if that was wished.
    Go,
    /// Whether to log more than usual.
    Verbose(bool),
    /// To the engine: time for a scan; the next one comes after so long.
    Scan(Duration),
    /// To the engine: how the reload ended that it asked for.
    Reloaded(Result<(), String>),
    /// To the engine: all of the next generation are ready. Clients go on with those.
    HandOver,
    /// To the store or the engine, before `Go`: what the one before it has left.
    Inherit(Legacy),
    /// To who asked for renewal: it stays as it is; why.
    NotRenewed(String),
    /// To the engine: somebody wants a line in the log about how things are.
    Summary,
}

/// What a process is to know at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The configuration in its own grammar.
    pub config: String,
    /// Whether to log more than usual.
    pub verbose: bool,
    /// Whether to stay in the foreground and log to standard error.
    pub foreground: bool,
    /// When the daemon started, in seconds since 1970.
    pub since: i64,
    /// What this generation is made for, if not for another configuration.
    pub renewal: Option<Renewal>,
}

/// What a confined process cannot do, but a new one can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewal {
    /// The store's: another file is in the place of the database.
    Database,
    /// Of sync: the names of so many peers are not resolved.
    Peers(usize),
    /// The resolver's: resolv.conf(5) has changed.
    NameServers,
}

/// What a process leaves to the one of its role in the next generation.
#[derive(Debug, Serialize, Deserialize)]
pub enum Legacy {
    /// The store's.
    Store(StoreLegacy),
    /// The engine's.
    Engine(Box<EngineLegacy>),
}

impl Legacy {
    /// Whom it is for.
    pub fn heir(&self) -> Process {
        match self {
            Legacy::Store(_) => Process::Store,
            Legacy::Engine(_) => Process::Engine,
        }
    }
}

/// What a store knows of what it has done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct StoreLegacy {
    /// What counts for `trap limit`: how long ago, and how many then; the oldest first.
    pub counted: Vec<(Duration, u32)>,
    /// The traps that it has set, each with its end, in seconds since 1970.
    pub set: Vec<(Address, i64)>,
}

/// What an engine remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EngineLegacy {
    /// Sums.
    pub totals: Totals,
    /// The last scan that ended well.
    pub last_scan: Option<Scan>,
    /// What went wrong last.
    pub last_failure: Option<Failure>,
    /// The last traps; the last one is the youngest.
    pub traps: Vec<Explained>,
    /// Hosts that were released, and when, in seconds since 1970.
    pub held: Vec<(IpAddr, i64)>,
}

/// From any other process to the parent.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToParent {
    /// Everything is open and the process is locked in.
    Ready,
    /// The process cannot work, and ends; why.
    Failed(String),
    /// From the reader of the configuration: what it read.
    Config(Result<Checked, Vec<String>>),
    /// From the engine: somebody wants the configuration read again. From the resolver: resolv.conf(5) names
    /// other servers.
    Reload,
    /// From the engine: somebody wants all processes to log more, or less.
    Verbose(bool),
    /// A line for the log, with its severity (syslog(3)), from a process that cannot reach syslogd(8).
    Log(u8, String),
    /// From who is locked in: only a new generation can go on.
    Renew(Renewal),
    /// From store and engine, at their end.
    Leave(Legacy),
}

impl ToParent {
    /// Whether that process may send it. A compromised engine that could send a configuration could have
    /// any program executed and any file opened.
    pub fn may_come_from(&self, process: Process) -> bool {
        match self {
            ToParent::Failed(_) | ToParent::Log(..) => true,
            ToParent::Ready => process != Process::Reader,
            ToParent::Config(_) => process == Process::Reader,
            ToParent::Reload | ToParent::Verbose(_) | ToParent::Leave(Legacy::Engine(_)) => {
                process == Process::Engine
            }
            ToParent::Renew(Renewal::Database) | ToParent::Leave(Legacy::Store(_)) => {
                process == Process::Store
            }
            ToParent::Renew(Renewal::Peers(_)) => process == Process::Sync,
            ToParent::Renew(Renewal::NameServers) => process == Process::Resolver,
        }
    }
}

/// A configuration that was read and found good, and what the parent must know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The configuration in its own grammar.
    pub text: String,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// The control socket.
    pub socket: PathBuf,
    /// Time from the beginning of one scan to that of the next.
    pub scan_every: Duration,
    /// Which processes it needs besides store and engine.
    pub needs: Needs,
}

/// Which processes are needed besides store and engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Some rule asks DNS.
    pub resolver: bool,
    /// There is an external program.
    pub checker: bool,
    /// Others are told of traps.
    pub sync: bool,
}

/// From the engine to the store.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToStore {
    /// Read the database into the shared memory.
    Read,
    /// The shared memory is no longer looked at: it goes back to the system.
    FreeImage,
    /// Write traps, for whom.
    Trap(Change),
    /// End traps.
    EndTraps(Change),
}

/// A change of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The number under which the answer is wanted.
    pub ticket: u64,
    /// Whom it is about, as text: the key of the record.
    pub addresses: Vec<String>,
    /// Who wants it.
    pub by: By,
}

/// Who wants a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// A scan: hosts that are no longer as they were seen are left alone.
    Scan,
    /// Somebody at the control socket.
    Operator {
        /// WHITE records are written over.
        over_white: bool,
    },
}

/// From the store to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromStore {
    /// The database is in the shared memory, or why not.
    Read(Result<Image, String>),
    /// What became of a change.
    Changed {
        /// The change's number.
        ticket: u64,
        /// One for each address, in order; none for those that it did not come to.
        outcomes: Vec<Option<Outcome>>,
        /// What went wrong.
        failure: Option<String>,
        /// The longest time for which the lock was held.
        longest: Duration,
    },
    /// How the peers are that are told of traps.
    Peers(Vec<Peer>),
    /// These are in no trap any more: `allow` holds them, and this daemon had set their traps.
    Exempted(Vec<Address>),
}

/// A database's image in the shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its length in bytes.
    pub length: u64,
    /// How it was read.
    pub pass: Pass,
}

/// From the engine to the resolver.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToResolver {
    /// Hosts whose identity is in question.
    Hosts(Vec<Question>),
    /// Sender domains.
    Domains(Vec<Vec<u8>>),
    /// That was all: ask.
    Ask {
        /// Domains that must exist, by which name servers prove themselves.
        controls: Vec<Vec<u8>>,
        /// How long that may take; what has no answer then is unknown.
        within: Option<Duration>,
    },
}

/// From the resolver to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromResolver {
    /// What the next hosts' names are, in the order in which they were asked.
    Hosts(Vec<Vec<Confirmation>>),
    /// What the next domains are, in the order in which they were asked.
    Domains(Vec<DomainVerdict>),
    /// That was all.
    End {
        /// How the lookups ended.
        tally: Tally,
        /// What the name servers have shown.
        shown: Shown,
        /// Why nothing could be asked, if so.
        failure: Option<String>,
        /// How the name servers are.
        servers: Vec<NameServer>,
    },
}

/// From the engine to the checker.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToChecker {
    /// Recipients, each once in a scan; the answer is one message for each, in any order.
    Check {
        /// The number of the first.
        first: u64,
        /// Whether a scan begins: what an earlier one has asked for, and has no answer yet, is not wanted any
        /// more.
        is_new: bool,
        /// The addresses, without brackets.
        recipients: Vec<Vec<u8>>,
    },
}

/// From the checker to the engine: what a recipient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromChecker {
    /// Its number.
    pub number: u64,
    /// Whether the program knows it; nothing if it did not say.
    pub is_good: Option<bool>,
}

/// From the store to the process that tells others.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToSync {
    /// These are trapped.
    Trapped(Vec<Trap>),
}

/// From the process that tells others to the store.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromSync {
    /// How the peers are, after every message.
    Peers(Vec<Peer>),
}
