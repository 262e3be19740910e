//! The statements of greytrapper.conf(5) as written: their values have the right type and order, but may be
//! out of bounds, incomplete or contradictory.
//!
//! Made by `parse`, used by `check`.

use super::diagnostic::Spanned;
use super::rules::Hosts;
use super::{EngineChoice, HeloName, Meaning, Network};
use crate::date::Day;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Allow(Vec<Dated<Spanned<Network>>>),
    AllowFile(Dated<Spanned<PathBuf>>),
    AllowHelo(Vec<Dated<Spanned<HeloName>>>),
    AskList {
        zone: String,
        answers: Vec<Network>,
        meaning: Meaning,
    },
    CheckCrowd(bool),
    CheckHeloAddress(bool),
    CheckHeloDynamic(bool),
    CheckIdentity(bool),
    CheckRcpt {
        program: Spanned<String>,
        hosts: Hosts,
        timeout: Option<Spanned<Duration>>,
        control: Option<Spanned<String>>,
    },
    CheckSenderDns(bool),
    CheckSenderSyntax(bool),
    CheckStranger(bool),
    Database(Spanned<String>),
    Dns(Vec<Spanned<DnsOption>>),
    Engine(EngineChoice),
    HearFile(Spanned<String>),
    /// `parse` reads it in place and does not pass it on.
    Include(Spanned<PathBuf>),
    LearnRecipients(bool),
    MaxHeloNames(Option<Spanned<u64>>),
    MaxSenderDomains(Option<Spanned<u64>>),
    MaxSenderRatio(Option<Spanned<f64>>),
    Memory(Spanned<String>),
    MemorySize(Spanned<u64>),
    Observe(bool),
    ObserveRules(Vec<&'static str>),
    PassRcpt(Spanned<String>),
    RememberTuples(Option<Spanned<Duration>>),
    RememberVerdicts(Spanned<Duration>),
    ScanEvery(Spanned<Duration>),
    Socket(Spanned<String>),
    SuspectTuples(Spanned<u64>),
    SuspendRule(Option<Spanned<f64>>),
    SyncKey(Spanned<String>),
    SyncMulticast {
        interface: Spanned<String>,
        ttl: Option<Spanned<u64>>,
    },
    SyncTo(Spanned<String>),
    TrapFor {
        time: Spanned<Duration>,
        again: Option<(Spanned<Duration>, Spanned<Duration>)>,
    },
    TrapLimit(Spanned<u64>, Spanned<Duration>),
    TrapRcpt(Spanned<String>),
    TrapRcptUnlisted,
}

/// An entry of `allow`, and its last day.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dated<T> {
    pub what: T,
    pub until: Option<Spanned<Day>>,
}

/// One option of `dns { … }`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum DnsOption {
    Attempts(Spanned<u64>),
    InFlight(Spanned<u64>),
    NameServer(IpAddr, Option<Spanned<u64>>),
    Timeout(Spanned<Duration>),
}

impl Statement {
    /// The words of a statement that may be given only once; `None` for statements that add up.
    pub(super) fn once(&self) -> Option<&'static str> {
        Some(match self {
            Statement::CheckCrowd(_) => "check crowd",
            Statement::CheckHeloAddress(_) => "check helo address",
            Statement::CheckHeloDynamic(_) => "check helo dynamic",
            Statement::CheckIdentity(_) => "check identity",
            Statement::CheckRcpt { .. } => "check rcpt",
            Statement::CheckSenderDns(_) => "check sender dns",
            Statement::CheckSenderSyntax(_) => "check sender syntax",
            Statement::CheckStranger(_) => "check stranger",
            Statement::Database(_) => "database",
            Statement::Engine(_) => "engine",
            Statement::HearFile(_) => "hear file",
            Statement::LearnRecipients(_) => "learn recipients",
            Statement::MaxHeloNames(_) => "max helo names",
            Statement::MaxSenderDomains(_) => "max sender domains",
            Statement::MaxSenderRatio(_) => "max sender ratio",
            Statement::Memory(_) => "memory",
            Statement::MemorySize(_) => "memory size",
            Statement::Observe(_) | Statement::ObserveRules(_) => "observe",
            Statement::RememberTuples(_) => "remember tuples",
            Statement::RememberVerdicts(_) => "remember verdicts",
            Statement::ScanEvery(_) => "scan every",
            Statement::Socket(_) => "socket",
            Statement::SuspectTuples(_) => "suspect tuples",
            Statement::SuspendRule(_) => "suspend rule",
            Statement::SyncKey(_) => "sync key",
            Statement::TrapFor { .. } => "trap for",
            Statement::TrapLimit(..) => "trap limit",
            Statement::TrapRcptUnlisted => "trap rcpt unlisted",
            Statement::Allow(_)
            | Statement::AllowFile(_)
            | Statement::AllowHelo(_)
            | Statement::AskList { .. }
            | Statement::Dns(_)
            | Statement::Include(_)
            | Statement::PassRcpt(_)
            | Statement::SyncMulticast { .. }
            | Statement::SyncTo(_)
            | Statement::TrapRcpt(_) => return None,
        })
    }
}

impl DnsOption {
    /// As [`Statement::once`].
    pub(super) fn once(&self) -> Option<&'static str> {
        match self {
            DnsOption::Attempts(_) => Some("attempts"),
            DnsOption::InFlight(_) => Some("in flight"),
            DnsOption::Timeout(_) => Some("timeout of dns"),
            DnsOption::NameServer(..) => None,
        }
    }
}
