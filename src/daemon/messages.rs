//! The messages between processes: one type for each direction.
//!
//! All of them are plain data. The receiver trusts the form of a message, not its contents: the store
//! checks every request of the engine itself, the engine knows that the resolver's answers come from
//! strangers, and the parent accepts from each process only the messages that it may send.
#![forbid(unsafe_code)]

use super::engine::TrustLegacy;
use super::roles::Process;
use crate::config::Origins;
use crate::control::protocol::{Explained, Span};
use crate::control::status::{Failure, NameServer, Peer, Scan, Totals};
use crate::db::lock::Pass;
use crate::dns::exemption::{Claim, Endorsement};
use crate::dns::identity::Identity;
use crate::dns::listing::{Listed, Listing};
use crate::dns::verdict::{DomainVerdict, Tally};
use crate::evidence::Key;
use crate::inquiry::{Patience, Shown};
use crate::memory::{
    Batch, Found, Hold, Place, Query, Recalled, Suggested, Tuples, Watched, White,
};
use crate::plural::counted_here;
use crate::scan::identity::Question;
use crate::spamd::Address;
use crate::spamd::sync::Trap;
use crate::spamd::trap::Outcome;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// From the parent to any other process.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromParent {
    /// The first message: what the process must know before it enters its sandbox.
    Start(Box<Start>),
    /// All are ready: the work begins, in the background unless told otherwise.
    Go,
    /// Whether to log more than usual.
    Verbose(bool),
    /// To the engine: time for a scan; with the time until the next one.
    Scan(Duration),
    /// To the engine: the result of the reload that it asked for.
    Reloaded(Result<(), String>),
    /// To the engine: the next generation is ready, and continues with the clients.
    HandOver,
    /// To the store or the engine, before `Go`: what its predecessor has left.
    Inherit(Legacy),
    /// To the process that asked for a renewal: there will be none, and why.
    NotRenewed(String),
    /// To the engine: log a summary.
    Summary,
}

/// What a process must know at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The configuration in its own grammar.
    pub config: String,
    /// Where it was written.
    pub origins: Origins,
    /// Whether to log more than usual.
    pub verbose: bool,
    /// Whether to stay in the foreground and log to standard error.
    pub foreground: bool,
    /// When the daemon started, in seconds since 1970.
    pub since: i64,
    /// For how long it has been running, whatever happened to the clock.
    pub up: Duration,
    /// Why this generation is started, if not for another configuration.
    pub renewal: Option<Renewal>,
}

/// What a confined process cannot do, but a new one can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewal {
    /// For the store: the database was replaced by another file.
    Database,
    /// For sync: the names of so many peers are not resolved.
    Peers(usize),
    /// For the resolver: resolv.conf(5) has changed.
    NameServers,
    /// For the engine: the file of other sites' hosts was replaced by another.
    Hearsay,
}

impl fmt::Display for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Renewal::Database => f.write_str("another database"),
            Renewal::Peers(count) => {
                write!(f, "{} without an address", counted_here(*count, "peer"))
            }
            Renewal::NameServers => f.write_str("other name servers"),
            Renewal::Hearsay => f.write_str("another file to hear"),
        }
    }
}

/// What a process leaves to its successor in the next generation.
#[derive(Debug, Serialize, Deserialize)]
pub enum Legacy {
    /// The store's.
    Store(StoreLegacy),
    /// The engine's.
    Engine(Box<EngineLegacy>),
}

impl Legacy {
    /// The process that inherits it.
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
    /// What counts for `trap limit`: how long ago, and how many, the oldest first.
    pub counted: Vec<(Duration, u32)>,
    /// The traps that it has set, each with its expiry time in seconds since 1970.
    pub set: Vec<(Address, i64)>,
    /// The WHITE records that it has replaced.
    pub whites: Vec<White>,
}

/// What an engine remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EngineLegacy {
    /// Sums.
    pub totals: Totals,
    /// The last successful scan.
    pub last_scan: Option<Scan>,
    /// The last failure.
    pub last_failure: Option<Failure>,
    /// The last traps, the newest last.
    pub traps: Vec<Explained>,
    /// Hosts that were released, and when, in seconds since 1970.
    pub held: Vec<Hold>,
    /// Hosts whose identity had no answer in the last scans.
    pub patience: Patience,
    /// Hosts that were spared once with a bad message, and when.
    pub warned: Vec<(IpAddr, i64)>,
    /// Hosts for which the domain of a sender has vouched, and when.
    pub vouched: Vec<(IpAddr, i64)>,
    /// How often rules were wrong.
    pub trust: TrustLegacy,
    /// A day since 1970, and the sums at its beginning.
    pub day: (i64, Totals),
    /// Hosts that an exception has spared, and which.
    pub exempted: Vec<(IpAddr, String)>,
    /// Until when tuples were handed to memory, in seconds since 1970.
    pub until: i64,
}

/// From any other process to the parent.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToParent {
    /// Everything is open, and the process is in its sandbox.
    Ready,
    /// The process cannot work, and exits; why.
    Failed(String),
    /// From the reader of the configuration: what it read.
    Config(Result<Checked, Vec<String>>),
    /// From the engine: an operator wants the configuration reloaded.
    Reload,
    /// From the engine: an operator wants all processes to log more, or less.
    Verbose(bool),
    /// A line for the log, with its severity (syslog(3)), from a process that cannot reach syslogd(8).
    Log(u8, String),
    /// From a confined process: only a new generation can continue.
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
            ToParent::Reload
            | ToParent::Verbose(_)
            | ToParent::Renew(Renewal::Hearsay)
            | ToParent::Leave(Legacy::Engine(_)) => process == Process::Engine,
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
    /// Where it was written.
    pub origins: Origins,
    /// Its warnings.
    pub warnings: Vec<String>,
    /// The control socket.
    pub socket: PathBuf,
    /// Time from the start of one scan to the start of the next.
    pub scan_every: Duration,
    /// Which processes it needs besides store and engine.
    pub needs: Needs,
}

/// Which processes are needed besides store and engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// A rule needs DNS.
    pub resolver: bool,
    /// There is an external program.
    pub checker: bool,
    /// Traps are sent to other hosts.
    pub sync: bool,
}

/// From the engine to the store.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToStore {
    /// Read the database, and pass its image on.
    Read,
    /// The image is no longer read: its memory can be returned to the system.
    FreeImage,
    /// Set traps.
    Trap(Change),
    /// Remove traps.
    EndTraps(Change),
    /// Make recipients spamtraps.
    Adopt(Change),
    /// What was done before the daemon was started.
    Own {
        /// The traps, each with its expiry time in seconds since 1970.
        traps: Vec<(Address, i64)>,
        /// WHITE records that were replaced.
        whites: Vec<White>,
    },
}

/// A change of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The number for the answer.
    pub ticket: u64,
    /// The addresses of hosts or, to be adopted, of recipients, as text: the keys of the records.
    pub addresses: Vec<String>,
    /// Who wants it.
    pub by: By,
}

/// Who wants a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// A scan: hosts whose records have changed since are left alone.
    Scan {
        /// How often the hosts were trapped before, which may make their traps longer.
        before: u32,
    },
    /// An operator at the control socket.
    Operator {
        /// WHITE records are overwritten; recipients are adopted that `pass rcpt` matches.
        over_white: bool,
        /// How long a trap lasts, if not as usual.
        time: Option<Duration>,
    },
}

/// From the store to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromStore {
    /// The database's image can be taken, or why not.
    Read(Result<Image, String>),
    /// The result of a change.
    Changed {
        /// The change's number.
        ticket: u64,
        /// One for each address, in order; `None` for those that were not reached.
        outcomes: Vec<Option<Outcome>>,
        /// The times of new traps.
        trap: Span,
        /// What went wrong.
        failure: Option<String>,
        /// The longest time that the lock was held.
        longest: Duration,
    },
    /// The state of the peers.
    Peers(Vec<Peer>),
    /// The WHITE records that it has replaced, after each change of them.
    Whites(Vec<White>),
    /// These are no longer trapped: `allow` covers them, and this daemon had set their traps.
    Exempted(Vec<Address>),
}

/// The image of a database, whose bytes have their own way.
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
    /// Hosts that may be exempt, each with a sender.
    Exemptions(Vec<Claim>),
    /// Hosts that may be in DNS lists.
    Listings(Vec<Listing>),
    /// Domains that were found good before the daemon was started.
    Good(Vec<Vec<u8>>),
    /// That was all: ask.
    Ask {
        /// Domains that must exist, with which name servers prove themselves.
        controls: Vec<Vec<u8>>,
        /// How long this may take; a question without an answer then is unknown.
        within: Option<Duration>,
    },
}

/// From the resolver to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromResolver {
    /// The answers about the next hosts' names, in the order of the questions.
    Hosts(Vec<Identity>),
    /// The answers about the next domains, in the order of the questions.
    Domains(Vec<DomainVerdict>),
    /// The answers about the next exemptions, in the order of the questions.
    Exemptions(Vec<Endorsement>),
    /// The answers of DNS lists about the next hosts, in the order of the questions.
    Listings(Vec<Listed>),
    /// That was all.
    End {
        /// How the lookups ended.
        tally: Tally,
        /// What the name servers have proved.
        shown: Shown,
        /// Why nothing could be asked, if nothing could.
        failure: Option<String>,
        /// The state of the name servers.
        servers: Vec<NameServer>,
        /// All domains that serve as controls, since they were found good.
        good: Vec<Vec<u8>>,
    },
}

/// From the engine to the checker.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToChecker {
    /// Recipients, each once per scan; there is one message for each answer, in any order.
    Check {
        /// The number of the first.
        first: u64,
        /// Whether a scan begins: open questions of an earlier one are no longer wanted.
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
    /// Whether the program knows it; `None` without a verdict.
    pub is_good: Option<bool>,
}

/// From the engine to memory.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToMemory {
    /// What must an engine know at its start?
    Recall,
    /// Write this; there is one answer to each.
    Write(Batch),
    /// What is known of these keys?
    Known {
        /// The number for the answer.
        ticket: u64,
        /// The keys.
        keys: Vec<Key>,
    },
    /// A page of recipients that only strangers write to.
    Suggest {
        /// The number for the answer.
        ticket: u64,
        /// After which one the page begins.
        from: Option<Vec<u8>>,
    },
    /// A page of the tuples of all hosts.
    Tuples {
        /// The number for the answer.
        ticket: u64,
        /// Not those of scans before this time, in seconds since 1970.
        since: i64,
        /// Where the page begins.
        from: Option<Place>,
    },
    /// Find records.
    Find {
        /// The number for the answer.
        ticket: u64,
        /// Which.
        query: Query,
        /// Where the page begins.
        from: Option<Place>,
        /// How many at most.
        most: usize,
    },
}

/// From memory to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromMemory {
    /// What an engine must know; nothing if nothing is remembered.
    Recalled(Box<Recalled>),
    /// The last batch was written, or never will be, and why.
    Written(Option<String>),
    /// What is known of keys; those of which nothing is known are left out. Or why that is not known.
    Known(u64, Result<Watched, String>),
    /// A page of recipients, or why there is none.
    Suggested(u64, Result<Suggested, String>),
    /// A page of tuples, or why there is none.
    Tuples(u64, Result<Tuples, String>),
    /// A page of records, or why there is none.
    Found(u64, Result<Found, String>),
}

/// From the store to sync.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToSync {
    /// These are trapped.
    Trapped(Vec<Trap>),
}

/// From sync to the store.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromSync {
    /// The state of the peers, after every message.
    Peers(Vec<Peer>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::exemption::{Exemption, Ground};
    use crate::dns::spf::SpfResult;

    #[test]
    fn exemptions_arrive_as_they_were_sent() {
        let claim = Claim::new([192, 0, 2, 1].into(), b"h\xff", b"<u\0@a.example>");
        let sent = postcard::to_stdvec(&ToResolver::Exemptions(vec![claim.clone()])).unwrap();
        let ToResolver::Exemptions(claims) = postcard::from_bytes(&sent).unwrap() else { panic!() };
        assert_eq!(claims, [claim]);
        let exemption = Exemption::Exempt(Ground::Spf("mx".into()));
        let found = [Endorsement { exemption, spf: Some(SpfResult::Pass) }, Endorsement::UNKNOWN];
        let sent = postcard::to_stdvec(&FromResolver::Exemptions(found.to_vec())).unwrap();
        let received = postcard::from_bytes(&sent).unwrap();
        let FromResolver::Exemptions(received) = received else { panic!() };
        assert_eq!(received, found);
    }
}
