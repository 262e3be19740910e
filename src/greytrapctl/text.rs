//! `greytrapctl show` for people: a [`Status`] as some twenty aligned lines.
//!
//! As in ntpctl(8), the most important lines come first, and tables with a heading follow. Text from the
//! daemon is made harmless here.
#![forbid(unsafe_code)]

use super::time::{Long, Short};
use crate::config::duration_text;
use crate::control::status::{
    ByRule, Fitness, Mode, NameServer, Peer, Phase, RuleState, Scan, Status,
};
use crate::dns::verdict::Tally;
use crate::escape::harmless;
use crate::scan::Counts;
use std::fmt;

/// Shows `status`.
pub fn status(status: &Status) -> Shown<'_> {
    Shown(status)
}

/// The result of [`status`]: lines for display.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(&'a Status);

/// Shows the rules, each with its record.
pub fn rules(rules: &[RuleState]) -> Rules<'_> {
    Rules(rules)
}

/// The result of [`rules`]: lines for display.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a>(&'a [RuleState]);

impl fmt::Display for Rules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [trapped, released, passed, confirmed] =
            ["trapped 30d", "released", "passed", "confirmed"];
        writeln!(
            f,
            "{:<12} {:<10} {trapped:>12} {released:>12} {passed:>12} {confirmed:>12}",
            "rule", "state"
        )?;
        for RuleState { rule, mode, trapped, released, passed, confirmed, .. } in self.0 {
            let (name, mode) = (rule.name(), mode.word());
            writeln!(
                f,
                "{name:<12} {mode:<10} {trapped:>12} {released:>12} {passed:>12} {confirmed:>12}"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0;
        let up = Long::between(status.since, status.now);
        let name = format!("greytrapper {}", harmless(&status.version));
        line(f, &name, format_args!("up {up}, log {}", log(status)))?;
        line(f, "database", format_args!("{}", harmless(&status.config.database)))?;
        line(f, "scan", format_args!("{}", Now(status)))?;
        line(f, "scans", format_args!("{}", Sums(status)))?;
        if let Some(scan) = &status.last_scan {
            last_scan(f, scan, status.now)?;
        }
        if let Some(failure) = &status.last_failure {
            let ago = Long::between(failure.time, status.now);
            line(f, "last failure", format_args!("{ago} ago: {}", harmless(&failure.text)))?;
        }
        traps(f, status)?;
        name_servers(f, &status.name_servers)?;
        peers(f, &status.peers)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{name:<18} {value}")
}

fn log(status: &Status) -> &'static str {
    match status.log {
        crate::control::protocol::Verbosity::Brief => "brief",
        crate::control::protocol::Verbosity::Verbose => "verbose",
    }
}

/// What the daemon is doing, and when it scans.
struct Now<'a>(&'a Status);

impl fmt::Display for Now<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.phase {
            Phase::Idle => "idle",
            Phase::Reading => "reading the database",
            Phase::Judging => "judging hosts",
            Phase::Resolving => "waiting for DNS",
            Phase::Checking => "waiting for the address checker",
            Phase::Writing => "writing traps",
        })?;
        if let Some(next) = self.0.next_scan {
            write!(f, ", next in {}", Long::from(next))?;
        }
        write!(f, ", every {}", duration_text(self.0.config.scan_every.into()))
    }
}

struct Sums<'a>(&'a Status);

impl fmt::Display for Sums<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.0.totals;
        write!(f, "{} done, {} failed", totals.scans, totals.failed_scans)
    }
}

fn last_scan(f: &mut fmt::Formatter<'_>, scan: &Scan, now: i64) -> fmt::Result {
    let (ago, took) = (Long::between(scan.began, now), Short(scan.took.total()));
    line(f, "last scan", format_args!("{ago} ago, took {took}, trapped {}", scan.trapped.total()))?;
    line(f, "phases", format_args!("{}", Parts(scan)))?;
    let (waited, held) = (Short(scan.lock_waited), Short(scan.lock_held));
    line(f, "lock", format_args!("waited {waited}, held {held} at most"))?;
    let Counts { white, trapped, greys, tuples, no_address, spamtraps, unknown } = &scan.records;
    line(
        f,
        "records",
        format_args!("{white} white, {trapped} trapped, {spamtraps} spamtraps, {unknown} unknown"),
    )?;
    line(
        f,
        "hosts",
        format_args!("{greys} grey, {} waiting, {} judged", scan.waiting, scan.judged),
    )?;
    line(f, "tuples", format_args!("{tuples} live, {no_address} without an address"))?;
    line(f, "sender domains", format_args!("{}", Domains(&scan.domains)))
}

struct Parts<'a>(&'a Scan);

impl fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (name, part) in self.0.took.parts() {
            write!(f, "{comma}{name} {}", Short(part))?;
            comma = ", ";
        }
        Ok(())
    }
}

struct Domains<'a>(&'a Tally);

impl fmt::Display for Domains<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { good, bad, unknown, not_asked } = self.0;
        write!(f, "{good} good, {bad} bad, {unknown} unknown, {not_asked} not asked")
    }
}

/// A line for each rule that is on or has trapped something.
fn traps(f: &mut fmt::Formatter<'_>, status: &Status) -> fmt::Result {
    let last = status.last_scan.as_ref().map_or_else(ByRule::default, |scan| scan.trapped);
    let totals = &status.totals;
    writeln!(f, "\n{:<18} {:>12} {:>12}", "trapped", "last scan", "in all")?;
    let is_on = |rule| {
        let mut states = status.rules.iter();
        states.any(|state| state.rule == rule && state.mode != Mode::Off)
    };
    for ((rule, last), (_, all)) in last.iter().zip(totals.trapped.iter()) {
        if all > 0 || last > 0 || is_on(rule) {
            writeln!(f, "{:<18} {last:>12} {all:>12}", rule.name())?;
        }
    }
    writeln!(f, "{:<18} {:>12} {:>12}", "by hand", "", totals.trapped_by_hand)?;
    if totals.observed.total() > 0 {
        writeln!(f, "{:<18} {:>12} {:>12}", "observed only", "", totals.observed.total())?;
    }
    writeln!(f, "{:<18} {:>12} {:>12}", "released", "", totals.released)
}

fn name_servers(f: &mut fmt::Formatter<'_>, servers: &[NameServer]) -> fmt::Result {
    if servers.is_empty() {
        return Ok(());
    }
    let (address, trip, answers) = ("name server", "round trip", "answers");
    writeln!(f, "\n{address:<24} {trip:>10} {answers:>10} {:>10}  state", "timeouts")?;
    for server in servers {
        let trip = server.round_trip.map_or_else(|| "-".into(), |trip| Short(trip).to_string());
        let address = server.address.to_string();
        let (answers, timeouts) = (server.answers, server.timeouts);
        write!(f, "{address:<24} {trip:>10} {answers:>10} {timeouts:>10}  ")?;
        match &server.fitness {
            Fitness::Untested => writeln!(f, "not tested yet")?,
            Fitness::Fit => writeln!(f, "fit")?,
            Fitness::Unfit(why) => writeln!(f, "not in use: {}", harmless(why))?,
        }
    }
    Ok(())
}

fn peers(f: &mut fmt::Formatter<'_>, peers: &[Peer]) -> fmt::Result {
    if peers.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{:<24} {:>10} {:>10}", "sync peer", "sent", "failed")?;
    for peer in peers {
        let name = harmless(&peer.name).to_string();
        writeln!(f, "{name:<24} {:>10} {:>10}", peer.sent, peer.failed)?;
    }
    Ok(())
}
