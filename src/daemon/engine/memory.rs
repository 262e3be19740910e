//! What the engine remembers of its scans, for `show` and `explain`, and to log nothing twice.
//!
//! Bounded: sums, the last scan, the last failure, the last [`REMEMBERED`] traps with their evidence, and
//! [`HELD`] released hosts. It outlives a reload as an engine's [legacy](EngineLegacy), and most of it a
//! restart, in the process `memory`.
#![forbid(unsafe_code)]

use super::{now, recorded};
use crate::config::Config;
use crate::control::protocol::{Explained, Span, Trap, Verbosity};
use crate::control::status::{
    Configured, Failure, NameServer, Peer, Phase, RuleState, Scan, Status, Totals, Trouble,
};
use crate::daemon::messages::{EngineLegacy, Start};
use crate::date::Day;
use crate::escape::escaped_path;
use crate::log;
use crate::memory::{Hold, Recalled};
use crate::scan::Verdict;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The number of traps whose evidence is kept: some hundred bytes each.
const REMEMBERED: usize = 1000;

/// The maximum number of released hosts; the oldest are forgotten.
const HELD: usize = 10_000;

/// See the module.
pub struct Memory {
    /// The name servers, as the resolver last reported them.
    pub name_servers: Vec<NameServer>,
    /// The sync peers, as the store last reported them.
    pub peers: Vec<Peer>,
    /// The verbosity of the log.
    pub log: Verbosity,
    /// Sums.
    pub totals: Totals,
    /// Why the last reload failed.
    pub reload_failure: Option<String>,
    /// What the last scan did not believe.
    pub doubts: Vec<String>,
    /// Hosts that the last scan did not trap because of `trap limit`.
    pub over_limit: usize,
    /// A day, and the sums at its beginning.
    day: (Day, Totals),
    since: i64,
    /// For how long the daemon had been running, and at what time.
    up: (Duration, Instant),
    configured: Configured,
    last_scan: Option<Scan>,
    last_failure: Option<Failure>,
    /// The last traps, newest last.
    remembered: VecDeque<Explained>,
    /// Released hosts with the time: no scan traps them for what they had sent by then.
    held: VecDeque<Hold>,
    /// The failure that was last logged, and the version of the file.
    told: Option<(String, Option<[u64; 5]>)>,
    told_of_dns: Option<String>,
    has_inherited: bool,
    /// Whether the held hosts have changed since they were last saved.
    has_new_holds: bool,
    /// The sums that were last saved.
    written: Totals,
}

impl Memory {
    /// An empty memory.
    pub fn new(config: &Config, start: &Start) -> Memory {
        Memory {
            name_servers: Vec::new(),
            peers: Vec::new(),
            log: if start.verbose { Verbosity::Verbose } else { Verbosity::Brief },
            totals: Totals::default(),
            reload_failure: None,
            doubts: Vec::new(),
            over_limit: 0,
            day: (Day(i64::MIN), Totals::default()),
            since: start.since,
            up: (start.up, Instant::now()),
            configured: Configured {
                database: escaped_path(&config.database).to_string(),
                scan_every: config.scan_every.into(),
                trap_for: config.trap_for.into(),
            },
            last_scan: None,
            last_failure: None,
            remembered: VecDeque::new(),
            held: VecDeque::new(),
            told: None,
            told_of_dns: None,
            has_inherited: false,
            has_new_holds: false,
            written: Totals::default(),
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
            day: (self.day.0.0, self.day.1.clone()),
            ..EngineLegacy::default()
        }
    }

    /// Takes over what the previous engine knew, before the first scan.
    pub fn inherit(&mut self, legacy: EngineLegacy) {
        let EngineLegacy { totals, last_scan, last_failure, mut traps, mut held, day, .. } = legacy;
        self.day = (Day(day.0), day.1);
        traps.truncate(REMEMBERED);
        held.truncate(HELD);
        (self.totals, self.last_scan, self.last_failure) = (totals, last_scan, last_failure);
        (self.remembered, self.held) = (traps.into(), held.into());
        // The database may be another file now.
        (self.has_inherited, self.has_new_holds) = (true, true);
    }

    /// Whether there was another engine before, under the same parent.
    pub fn has_inherited(&self) -> bool {
        self.has_inherited
    }

    /// Takes over what the last daemon knew. What has happened since then takes precedence.
    pub fn recall(&mut self, recalled: Recalled) {
        let Recalled { holds, counters, standing, .. } = recalled;
        let since_start = std::mem::take(&mut self.totals);
        recorded::add(&mut self.totals, &counters);
        let today = Day::of(now());
        let begin = recorded::begin_of(&counters, today.0);
        self.day = (today, begin.unwrap_or_else(|| self.totals.clone()));
        self.totals.add(&since_start);
        let newer = std::mem::take(&mut self.held);
        let is_older = |hold: &Hold| newer.iter().all(|newer| newer.address != hold.address);
        self.held = holds.into_iter().filter(is_older).take(HELD).collect();
        self.has_new_holds = !newer.is_empty();
        self.held.extend(newer);
        let released = |known: &Explained| self.holds(known.verdict.address.ip());
        let traps = standing.iter().filter_map(recorded::explained);
        let mut traps: VecDeque<_> = traps.filter(|known| !released(known)).collect();
        traps.append(&mut self.remembered);
        self.remembered = traps;
    }

    /// Begins a new day if it is time for that.
    pub fn begin_day(&mut self, now: i64) {
        let today = Day::of(now);
        if self.day.0 != today {
            self.day = (today, self.totals.clone());
        }
    }

    /// A day since 1970, and the sums at its beginning.
    pub fn day(&self) -> (i64, &Totals) {
        (self.day.0.0, &self.day.1)
    }

    /// Why the last scan failed, if it did.
    pub fn scan_failure(&self) -> Option<&str> {
        self.told.as_ref().map(|(failure, _)| failure.as_str())
    }

    /// Why the last scan had no DNS, if it needed it.
    pub fn dns_failure(&self) -> Option<&str> {
        self.told_of_dns.as_deref()
    }

    /// All held hosts, if they have changed since the last call.
    pub fn changed_holds(&mut self) -> Option<Vec<Hold>> {
        let has_changed = std::mem::take(&mut self.has_new_holds);
        has_changed.then(|| self.held.iter().cloned().collect())
    }

    /// All sums, if they have changed since the last call.
    pub fn changed_totals(&mut self) -> Option<&Totals> {
        let has_changed = self.written != self.totals;
        self.written.clone_from(&self.totals);
        has_changed.then_some(&self.written)
    }

    /// Notes that a host is released: what it has sent by now does not trap it.
    pub fn hold(&mut self, address: IpAddr, time: Option<Duration>, reason: String) {
        self.held.retain(|held| held.address != address);
        if self.held.len() >= HELD {
            self.held.pop_front();
        }
        let since = now();
        let until = time.map_or(0, |time| since.saturating_add(time.as_secs().cast_signed()));
        self.held.push_back(Hold { address, since, until, reason });
        self.has_new_holds = true;
    }

    /// Whether a host is held.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.held.iter().any(|held| held.address == address)
    }

    /// The held hosts whose time is not over at `now`.
    pub fn holds_now(&self, now: i64) -> impl Iterator<Item = &Hold> {
        self.held.iter().filter(move |held| held.until == 0 || held.until > now)
    }

    /// All held hosts, each with the time of its release.
    pub fn held(&self) -> HashMap<IpAddr, Hold> {
        self.held.iter().map(|held| (held.address, held.clone())).collect()
    }

    /// Forgets these hosts: nothing is left of what they had sent before their release.
    pub fn let_go(&mut self, over: &HashMap<IpAddr, i64>) {
        self.held.retain(|held| over.get(&held.address) != Some(&held.since));
        self.has_new_holds |= !over.is_empty();
    }

    /// Notes a failure that was logged already.
    pub fn note_failure(&mut self, text: String) {
        self.last_failure = Some(Failure { time: now(), text });
    }

    /// Notes a complete scan.
    pub fn completed(&mut self, scan: &Scan) {
        let totals = &mut self.totals;
        totals.scans += 1;
        totals.trapped.merge(&scan.trapped);
        totals.domains.add(&scan.domains);
        self.last_scan = Some(scan.clone());
        self.told = None;
    }

    /// Notes a failed scan, and logs it unless the failure is known; `version` is that of a damaged file.
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

    /// Notes how DNS fared in a scan. Logs what is wrong, once.
    pub fn note_dns(&mut self, failure: Option<&str>) {
        if let Some(failure) =
            failure.filter(|failure| self.told_of_dns.as_deref() != Some(failure))
        {
            log::warning(format_args!("DNS: {failure}; judging without it"));
        }
        self.told_of_dns = failure.map(Into::into);
    }

    /// Notes that a host was trapped at this time, until another.
    pub fn remember(&mut self, verdict: Verdict, trap: Span) {
        if self.remembered.len() >= REMEMBERED {
            self.remembered.pop_front();
        }
        let standing = recorded::standing(Some(trap));
        self.remembered.push_back(Explained { judged: trap.first, verdict, standing });
    }

    /// Notes that a trap was ended by hand.
    pub fn forget(&mut self, address: IpAddr) {
        self.remembered.retain(|known| known.verdict.address.ip() != address);
    }

    /// Adds to traps what is known about them.
    pub fn annotate(&self, traps: &mut [Trap]) {
        let known: HashMap<_, _> =
            self.traps().map(|verdict| (verdict.address.ip(), verdict)).collect();
        for trap in traps {
            trap.verdict = known.get(&trap.address).map(|verdict| verdict.without_tuples());
        }
    }

    /// Why a host is trapped, if it is one of the last traps.
    pub fn explain(&self, address: IpAddr) -> Option<&Explained> {
        let is_it = |known: &&Explained| known.verdict.address.ip() == address;
        let known = self.remembered.iter().rfind(is_it)?;
        let until = known.standing.trap.map_or(i64::MAX, |trap| trap.expire);
        (now() < until).then_some(known)
    }

    /// The traps that are remembered.
    pub fn traps(&self) -> impl Iterator<Item = &Verdict> {
        let now = now();
        let stands =
            move |known: &&Explained| known.standing.trap.is_some_and(|trap| now < trap.expire);
        self.remembered.iter().filter(stands).map(|known| &known.verdict)
    }

    /// The state of the daemon, for `show`.
    pub fn status(
        &self,
        phase: Phase,
        next_scan: Option<Instant>,
        (rules, troubles): (Vec<RuleState>, Vec<Trouble>),
    ) -> Status {
        let next = next_scan.map(|at| at.saturating_duration_since(Instant::now()).into());
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            now: now(),
            since: self.since,
            up: self.up.0.saturating_add(self.up.1.elapsed()).into(),
            log: self.log,
            phase,
            next_scan: next,
            last_scan: self.last_scan.clone(),
            last_failure: self.last_failure.clone(),
            troubles,
            today: self.totals.since(&self.day.1),
            totals: self.totals.clone(),
            name_servers: self.name_servers.clone(),
            peers: self.peers.clone(),
            rules,
            config: self.configured.clone(),
        }
    }

    /// The same as a line for the log.
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
