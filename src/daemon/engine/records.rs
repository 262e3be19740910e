//! What the engine remembers of its scans: for `show`, for `explain`, and to say nothing twice.
//!
//! Bounded: sums, the last scan, the last failure and the last [`REMEMBERED`] traps with their evidence.
#![forbid(unsafe_code)]

use super::judging::Case;
use super::now;
use crate::config::{Config, Rules};
use crate::control::protocol::{Explained, Trap, Tuple, Verbosity};
use crate::control::status::{Configured, Failure, NameServer, Peer, Phase, Scan, Status, Totals};
use crate::daemon::messages::Start;
use crate::escape::escaped_path;
use crate::log;
use crate::scan::Rule;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

/// Traps whose evidence is kept: some hundred bytes each.
const REMEMBERED: usize = 1000;

/// See the module.
pub struct Records {
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
    /// Traps, each with its time; the last one is the youngest.
    remembered: VecDeque<(i64, Case)>,
    /// What was logged last about a failure, and of which version of the file.
    told: Option<(String, Option<[u64; 5]>)>,
    told_of_dns: Option<String>,
}

impl Records {
    /// Nothing yet.
    pub fn new(config: &Config, start: &Start) -> Records {
        Records {
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
                rules: rules(&config.rules, config.checker.is_some()),
            },
            last_scan: None,
            last_failure: None,
            remembered: VecDeque::new(),
            told: None,
            told_of_dns: None,
        }
    }

    /// A scan has ended well.
    pub fn completed(&mut self, scan: &Scan) {
        let totals = &mut self.totals;
        totals.scans += 1;
        totals.trapped.merge(&scan.trapped);
        let (sum, more) = (&mut totals.domains, &scan.domains);
        sum.good += more.good;
        sum.bad += more.bad;
        sum.unknown += more.unknown;
        sum.not_asked += more.not_asked;
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
    pub fn remember(&mut self, case: Case) {
        if self.remembered.len() >= REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((now(), case));
    }

    /// A trap has been ended by hand.
    pub fn forget(&mut self, key: &str) {
        self.remembered.retain(|(_, case)| case.key != key);
    }

    /// Adds to a trap what is known of it.
    pub fn annotate(&self, trap: &mut Trap) {
        if let Some((_, case)) = self.case(trap.address) {
            trap.rule = Some(case.rule);
            trap.reason.clone_from(&case.reason);
        }
    }

    /// Why a host is in a trap, if it is one of the last.
    pub fn explain(&self, address: IpAddr) -> Option<(Explained, Vec<Tuple>)> {
        let (judged, case) = self.case(address)?;
        let explained = Explained {
            address,
            judged,
            rule: Some(case.rule),
            reason: case.reason.clone(),
            answer: case.answer.clone(),
        };
        Some((explained, case.evidence.clone()))
    }

    fn case(&self, address: IpAddr) -> Option<(i64, &Case)> {
        let (time, case) = self.remembered.iter().rfind(|(_, case)| case.address == address)?;
        (now() < time.saturating_add(self.trap_for)).then_some((*time, case))
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

/// The rules that are on.
fn rules(rules: &Rules, has_checker: bool) -> Vec<Rule> {
    let is_on = |rule: &Rule| match rule {
        Rule::Syntax => rules.sender_syntax,
        Rule::Domains => rules.max_sender_domains.is_some(),
        Rule::Senders => rules.max_sender_ratio.is_some(),
        Rule::Helo => rules.max_helo_domains.is_some(),
        Rule::Rcpt => !rules.rcpt.trap.is_empty() || rules.rcpt.unlisted,
        Rule::Checker => has_checker,
        Rule::Dns => rules.sender_dns,
    };
    Rule::ALL.into_iter().filter(is_on).collect()
}
