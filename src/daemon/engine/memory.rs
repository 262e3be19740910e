//! What the engine remembers of its scans: for `show`, for `explain`, and to say nothing twice.
//!
//! Bounded: sums, the last scan, the last failure, the last [`REMEMBERED`] traps with their evidence, and
//! [`HELD`] hosts that were released. It outlives a reload as an engine's [legacy](EngineLegacy).
#![forbid(unsafe_code)]

use super::now;
use crate::config::Config;
use crate::control::protocol::{Explained, Standing, Trap, Verbosity};
use crate::control::status::{Configured, Failure, NameServer, Peer, Phase, Scan, Status, Totals};
use crate::daemon::messages::{EngineLegacy, Start};
use crate::escape::escaped_path;
use crate::log;
use crate::scan::{Rule, Verdict};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// Traps whose evidence is kept: some hundred bytes each.
const REMEMBERED: usize = 1000;

/// Released hosts that are known; of more the oldest are forgotten.
const HELD: usize = 10_000;

/// See the module.
pub struct Memory {
    /// The name servers, as the resolver last saw them.
    pub name_servers: Vec<NameServer>,
    /// Who is told of traps, as the store last heard.
    pub peers: Vec<Peer>,
    /// How much is logged.
    pub log: Verbosity,
    /// Sums.
    pub totals: Totals,
    since: i64,
    trap_for: i64,
    configured: Configured,
    last_scan: Option<Scan>,
    last_failure: Option<Failure>,
    /// Traps; the last one is the youngest.
    remembered: VecDeque<Explained>,
    /// Hosts that were released, and when: no scan traps them by what they had sent by then.
    held: VecDeque<(IpAddr, i64)>,
    /// What was logged last about a failure, and of which version of the file.
    told: Option<(String, Option<[u64; 5]>)>,
    told_of_dns: Option<String>,
}

impl Memory {
    /// Nothing yet.
    pub fn new(config: &Config, start: &Start) -> Memory {
        Memory {
            name_servers: Vec::new(),
            peers: Vec::new(),
            log: if start.verbose { Verbosity::Verbose } else { Verbosity::Brief },
            totals: Totals::default(),
            since: start.since,
            trap_for: config.trap_for.as_secs().cast_signed(),
            configured: Configured {
                database: escaped_path(&config.database).to_string(),
                scan_every: config.scan_every.into(),
                trap_for: config.trap_for.into(),
                rules: Rule::ALL.into_iter().filter(|rule| rule.is_on(config)).collect(),
            },
            last_scan: None,
            last_failure: None,
            remembered: VecDeque::new(),
            held: VecDeque::new(),
            told: None,
            told_of_dns: None,
        }
    }

    /// What the next engine is to know.
    pub fn legacy(&mut self) -> EngineLegacy {
        EngineLegacy {
            totals: self.totals.clone(),
            last_scan: self.last_scan.take(),
            last_failure: self.last_failure.take(),
            traps: std::mem::take(&mut self.remembered).into(),
            held: std::mem::take(&mut self.held).into(),
            ..EngineLegacy::default()
        }
    }

    /// Takes over what the engine before knew; that is before the first scan.
    pub fn inherit(&mut self, legacy: EngineLegacy) {
        let EngineLegacy { totals, last_scan, last_failure, mut traps, mut held, .. } = legacy;
        traps.truncate(REMEMBERED);
        held.truncate(HELD);
        (self.totals, self.last_scan, self.last_failure) = (totals, last_scan, last_failure);
        (self.remembered, self.held) = (traps.into(), held.into());
    }

    /// A host is released: what it has sent by now does not trap it.
    pub fn hold(&mut self, address: IpAddr) {
        self.held.retain(|(held, _)| *held != address);
        if self.held.len() >= HELD {
            self.held.pop_front();
        }
        self.held.push_back((address, now()));
    }

    /// Whether a host is held.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.held.iter().any(|(held, _)| *held == address)
    }

    /// All held hosts, each with the time of its release.
    pub fn held(&self) -> HashMap<IpAddr, i64> {
        self.held.iter().copied().collect()
    }

    /// Nothing is left of what these hosts had sent before their release.
    pub fn let_go(&mut self, over: &HashMap<IpAddr, i64>) {
        self.held.retain(|(address, since)| over.get(address) != Some(since));
    }

    /// Something has failed that was logged already.
    pub fn note_failure(&mut self, text: String) {
        self.last_failure = Some(Failure { time: now(), text });
    }

    /// A scan has ended well.
    pub fn completed(&mut self, scan: &Scan) {
        let totals = &mut self.totals;
        totals.scans += 1;
        totals.trapped.merge(&scan.trapped);
        totals.domains.add(&scan.domains);
        self.last_scan = Some(scan.clone());
        self.told = None;
    }

    /// A scan has failed; with the version of the file if that is damaged. Logs it, unless that is known.
    pub fn failed(&mut self, failure: &str, version: Option<[u64; 5]>) {
        self.totals.failed_scans += 1;
        self.last_failure = Some(Failure { time: now(), text: failure.into() });
        let told = Some((failure.to_owned(), version));
        if self.told == told {
            log::verbose(format_args!("scan failed: {failure}"));
        } else {
            log::error(format_args!("scan failed: {failure}"));
            self.told = told;
        }
    }

    /// How DNS did in a scan. Logs what is wrong, once.
    pub fn note_dns(&mut self, failure: Option<&str>) {
        if let Some(failure) =
            failure.filter(|failure| self.told_of_dns.as_deref() != Some(failure))
        {
            log::warning(format_args!("DNS: {failure}; judging without it"));
        }
        self.told_of_dns = failure.map(Into::into);
    }

    /// A host is trapped.
    pub fn remember(&mut self, verdict: Verdict) {
        if self.remembered.len() >= REMEMBERED {
            self.remembered.pop_front();
        }
        let standing = Standing::default();
        self.remembered.push_back(Explained { judged: now(), verdict, standing });
    }

    /// A trap has been ended by hand.
    pub fn forget(&mut self, address: IpAddr) {
        self.remembered.retain(|known| known.verdict.address.ip() != address);
    }

    /// Adds to a trap what is known of it.
    pub fn annotate(&self, trap: &mut Trap) {
        trap.verdict = self.explain(trap.address).map(|known| known.verdict.without_tuples());
    }

    /// Why a host is in a trap, if it is one of the last.
    pub fn explain(&self, address: IpAddr) -> Option<&Explained> {
        let is_it = |known: &&Explained| known.verdict.address.ip() == address;
        let known = self.remembered.iter().rfind(is_it)?;
        (now() < known.judged.saturating_add(self.trap_for)).then_some(known)
    }

    /// How everything is.
    pub fn status(&self, phase: Phase, next_scan: Option<Instant>) -> Status {
        let next = next_scan.map(|at| at.saturating_duration_since(Instant::now()).into());
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            now: now(),
            since: self.since,
            log: self.log,
            phase,
            next_scan: next,
            last_scan: self.last_scan.clone(),
            last_failure: self.last_failure.clone(),
            totals: self.totals.clone(),
            name_servers: self.name_servers.clone(),
            peers: self.peers.clone(),
            config: self.configured.clone(),
        }
    }

    /// The same in a line for the log.
    pub fn summary(&self) -> String {
        let totals = &self.totals;
        let (scans, failed) = (totals.scans, totals.failed_scans);
        let (trapped, by_hand) = (totals.trapped.total(), totals.trapped_by_hand);
        let mut line = format!(
            "{scans} scans, {failed} failed; {trapped} hosts trapped, {by_hand} by hand, {} released",
            totals.released
        );
        if let Some(scan) = &self.last_scan {
            let (judged, trapped) = (scan.judged, scan.trapped.total());
            let took = scan.took.total().0 / 1000;
            line += &format!("; last scan: {judged} judged, {trapped} trapped, {took} ms");
        }
        if let Some(failure) = &self.last_failure {
            line += &format!("; last failure: {}", failure.text);
        }
        line
    }
}
