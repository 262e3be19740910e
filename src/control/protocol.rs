//! The messages between greytrapctl(8) and the daemon on the control socket.
//!
//! A connection carries one [`Request`], then one or more [`Reply`]s, as frames
//! ([`frame`](crate::frame)), the last of which is [`Reply::Done`], [`Reply::Failed`] or [`Reply::AskAgain`]; then the
//! daemon closes it. Only [`Request::Monitor`] has no end of its own. All of it is plain data.
//!
//! Neither side trusts the other: the daemon checks every address again, and greytrapctl escapes everything
//! that it prints. The encoding depends on positions, so both programs must have the same version; messages
//! of another version do not decode.
#![forbid(unsafe_code)]

use super::status::{Scan, Status};
use crate::config::Written;
use crate::memory::{Hold, Query, Record, Suggestion, Tuples};
use crate::scan::{State, Verdict};
use crate::spamd::trap::Outcome;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The maximum size of a request: enough for [`ADDRESSES_MAX`] addresses.
pub const REQUEST_MAX: usize = 64 * 1024;
/// The maximum size of a reply; longer answers are sent as several.
pub const REPLY_MAX: usize = 1024 * 1024;
/// The maximum number of addresses in a request, in any form (at most 46 bytes: INET6_ADDRSTRLEN).
pub const ADDRESSES_MAX: usize = 1000;

/// The maximum number of recipients in a request, of at most 256 octets each (RFC 5321, 4.5.3.1.3).
pub const RECIPIENTS_MAX: usize = 200;

/// What a client is told whose daemon ends.
pub const EXITING: &str = "greytrapper is exiting";

/// What the daemon is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// How it is: one [`Reply::Status`].
    Show,
    /// Hosts in a trap: a [`Reply::Trap`] for each.
    ShowTraps,
    /// Hosts that wait: a [`Reply::Host`] for each.
    ShowHosts,
    /// Hosts that were released and are held, and exceptions: a [`Reply::Held`] or [`Reply::Excepted`] for
    /// each.
    ShowHolds,
    /// The verdict on a host: one [`Reply::Explained`], if it waits or is trapped, and a [`Reply::Record`] for
    /// each of the last things that are remembered of it, the newest first.
    Explain(IpAddr),
    /// What became of hosts: a [`Reply::Record`] for each that is remembered.
    History(Query),
    /// The tuples of all hosts that are remembered: a [`Reply::Tuples`] for each page.
    Tuples {
        /// Not those of scans before this time, in seconds since 1970.
        since: i64,
        /// Only the last page, for the hosts that passed.
        is_end: bool,
    },
    /// Recipients that could be spamtraps: a [`Reply::Suggestion`] for each.
    Suggest,
    /// Make recipients spamtraps: a [`Reply::Changed`] for each, in any order.
    Adopt {
        /// Their addresses; [`RECIPIENTS_MAX`] at most.
        recipients: Vec<String>,
        /// Also those that a host that passed wrote to, or that `pass rcpt` matches.
        is_forced: bool,
    },
    /// Scan now: done once the scan has begun.
    Scan,
    /// Read the configuration again: done once it is in force.
    Reload,
    /// Tell what happens: a [`Reply::Event`] for each, until one side closes; over a reload by
    /// [`Reply::AskAgain`].
    Monitor,
    /// Trap hosts: a [`Reply::Changed`] for each, in order.
    Trap {
        /// Their addresses as they are to stand in the database; [`ADDRESSES_MAX`] at most.
        addresses: Vec<String>,
        /// Also those that are whitelisted.
        over_white: bool,
        /// How long, if not as usual.
        time: Option<Duration>,
        /// Why.
        because: Option<String>,
    },
    /// End traps: a [`Reply::Changed`] for each, in order.
    Release {
        /// The hosts' addresses as they stand in the database; [`ADDRESSES_MAX`] at most.
        addresses: Vec<String>,
        /// How long they are not trapped again, if not only until their tuples have gone.
        time: Option<Duration>,
    },
    /// Log more or less from now on.
    Log(Verbosity),
}

/// How much the daemon logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// What an operator should know.
    #[default]
    Brief,
    /// Everything.
    Verbose,
}

/// A part of the daemon's answer. Texts hold strangers' bytes in escaped form only
/// ([`escaped`](crate::escape::escaped)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// How the daemon is.
    Status(Box<Status>),
    /// A host in a trap.
    Trap(Trap),
    /// A host that waits.
    Host(Verdict),
    /// A host that was released.
    Held(Hold),
    /// An exception.
    Excepted(Excepted),
    /// What is found about a host.
    Explained(Explained),
    /// What is remembered.
    Record(Record),
    /// Tuples of all hosts.
    Tuples(Tuples),
    /// A recipient that could be a spamtrap.
    Suggestion(Suggestion),
    /// What became of an address.
    Changed(Changed),
    /// Something happened.
    Event(Event),
    /// Another process of the daemon goes on: it is to be asked the same.
    AskAgain,
    /// That was all.
    Done,
    /// That was all, and it is not what was asked; why.
    Failed(String),
}

/// A host in a trap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trap {
    /// Its address.
    pub address: IpAddr,
    /// When it was first trapped, in seconds since 1970.
    pub first: i64,
    /// When spamd lets it go.
    pub expire: i64,
    /// Why, if it is one of the daemon's and not too long ago.
    pub verdict: Option<Verdict>,
    /// Why others are not told of it, if they are not.
    pub secret: Option<Secret>,
}

/// Why others are not told of a host although it is in the trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Secret {
    /// It was released.
    Held,
    /// `allow` covers it.
    Allowed,
    /// The domain of a sender has vouched for it within a week: many may share its address.
    Vouched,
}

/// An exception: what `allow` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excepted {
    /// The statement, and where it was written.
    pub written: Written,
    /// When it no longer counts, in seconds since 1970, if ever.
    pub end: Option<i64>,
}

/// What is found about a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// When it was judged, in seconds since 1970.
    pub judged: i64,
    /// What was found, with its evidence.
    pub verdict: Verdict,
    /// What the database says now.
    pub standing: Standing,
}

/// What the database says of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// Its trap, if there is one.
    pub trap: Option<Span>,
    /// The times of the verdict's tuples, in their order; `None` for those that have gone.
    pub times: Vec<Option<Span>>,
}

/// The times of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// When it was made, in seconds since 1970.
    pub first: i64,
    /// When it expires.
    pub expire: i64,
}

/// What became of an address that was to be trapped, released or adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The address as asked.
    pub address: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Something that happened in the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in seconds since 1970.
    pub time: i64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A scan began.
    ScanStarted,
    /// A scan ended well.
    ScanDone(Box<Scan>),
    /// A host was judged.
    Verdict(Verdict),
    /// A host is trapped.
    Trapped(Verdict),
    /// A host would be trapped by a rule that is only observed.
    Observed(Verdict),
    /// A trap was ended.
    Released {
        /// The host's address.
        address: IpAddr,
        /// Why, or by whom.
        reason: String,
    },
    /// Something that the operator may want to know: a name server is not in use, the configuration was
    /// reloaded.
    Notice(String),
    /// Something went wrong: a scan, a write, a reload.
    Failure(String),
}
