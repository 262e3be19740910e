//! `greytrapctl show` for people: a [`Status`] on one screen of 80 columns.
//!
//! As in ntpctl(8), the most important lines come first: what runs, what does not work, what was done. Longer
//! lines are cut, and name servers and peers only counted, unless everything is wanted. Text from the daemon
//! is made harmless here.
#![forbid(unsafe_code)]

use super::time::{Long, Short};
use crate::config::duration_text;
use crate::control::protocol::Verbosity;
use crate::control::status::{
    ByRule, Fitness, Mode, NameServer, Peer, Phase, RuleState, Scan, Status, Trouble,
};
use crate::dns::verdict::Tally;
use crate::escape::harmless;
use crate::scan::Counts;
use std::fmt;

/// Columns of a line.
const WIDTH: usize = 80;
/// Troubles that are listed.
const TROUBLES: usize = 4;

/// Shows `status`.
pub fn status(status: &Status, detail: Detail) -> Shown<'_> {
    Shown { status, detail }
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What fits on a screen.
    Screen,
    /// Everything.
    All,
}

/// The result of [`status`]: lines for display.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    status: &'a Status,
    detail: Detail,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status;
        let out = &mut Lines { f, detail: self.detail };
        let up = Long::from(status.up);
        let name = format!("greytrapper {}", harmless(&status.version));
        out.line(&name, format_args!("up {up}, log {}", log(status.log)))?;
        out.line("database", format_args!("{}", harmless(&status.config.database)))?;
        troubles(out, &status.troubles)?;
        out.line("scan", format_args!("{}", Now(status)))?;
        out.line("scans", format_args!("{}", Sums(status)))?;
        if let Some(scan) = &status.last_scan {
            last_scan(out, scan, status.now)?;
        }
        if let Some(failure) = &status.last_failure {
            let ago = Long::between(failure.time, status.now);
            out.line("last failure", format_args!("{ago} ago: {}", harmless(&failure.text)))?;
        }
        if self.detail == Detail::Screen {
            others(out, status)?;
        }
        traps(out.f, status)?;
        if self.detail == Detail::All {
            name_servers(out.f, &status.name_servers)?;
            peers(out.f, &status.peers)?;
        }
        Ok(())
    }
}

/// Lines with a name and a value.
struct Lines<'f, 'g> {
    f: &'f mut fmt::Formatter<'g>,
    detail: Detail,
}

impl Lines<'_, '_> {
    fn line(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        let line = format!("{name:<18} {value}");
        if self.detail == Detail::All || line.chars().count() <= WIDTH {
            return writeln!(self.f, "{line}");
        }
        let start: String = line.chars().take(WIDTH.saturating_sub(3)).collect();
        writeln!(self.f, "{start}...")
    }
}

fn log(verbosity: Verbosity) -> &'static str {
    match verbosity {
        Verbosity::Brief => "brief",
        Verbosity::Verbose => "verbose",
    }
}

/// What does not work.
fn troubles(out: &mut Lines<'_, '_>, troubles: &[Trouble]) -> fmt::Result {
    if troubles.is_empty() {
        return out.line("state", format_args!("all is well"));
    }
    let most = if out.detail == Detail::All { usize::MAX } else { TROUBLES };
    let mut name = "state";
    for trouble in troubles.iter().take(most) {
        out.line(name, format_args!("{}", harmless(&trouble.text)))?;
        name = "";
    }
    match troubles.len().saturating_sub(most) {
        0 => Ok(()),
        more => out.line("", format_args!("and {more} more (-v)")),
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
        let Status { totals, today, .. } = self.0;
        write!(f, "{} done, {} failed", totals.scans, totals.failed_scans)?;
        write!(f, "; today {} done, {} failed", today.scans, today.failed_scans)
    }
}

fn last_scan(out: &mut Lines<'_, '_>, scan: &Scan, now: i64) -> fmt::Result {
    let (ago, took) = (Long::between(scan.began, now), Short(scan.took.total()));
    let (waited, held) = (Short(scan.lock_waited), Short(scan.lock_held));
    out.line(
        "last scan",
        format_args!("{ago} ago, took {took}; lock waited {waited}, held {held}"),
    )?;
    out.line("phases", format_args!("{}", Parts(scan)))?;
    let Counts { white, trapped, greys, tuples, spamtraps, unknown, .. } = &scan.records;
    out.line(
        "records",
        format_args!(
            "{tuples} grey, {white} white, {trapped} trapped, {spamtraps} spamtraps, \
             {unknown} unknown"
        ),
    )?;
    let (waiting, judged) = (scan.waiting, scan.judged);
    out.line("hosts", format_args!("{greys} grey, {waiting} waiting, {judged} judged"))?;
    out.line("sender domains", format_args!("{}", Domains(&scan.domains)))
}

struct Parts<'a>(&'a Scan);

impl fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (name, part) in self.0.took.parts().into_iter().filter(|(_, part)| part.0 > 0) {
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

/// Name servers and peers, a line each for all of them.
fn others(out: &mut Lines<'_, '_>, status: &Status) -> fmt::Result {
    let Status { name_servers, peers, .. } = status;
    if !name_servers.is_empty() {
        let fit = name_servers.iter().filter(|server| server.fitness == Fitness::Fit).count();
        let sum = |of: fn(&NameServer) -> u64| name_servers.iter().map(of).sum::<u64>();
        let (answers, timeouts) = (sum(|server| server.answers), sum(|server| server.timeouts));
        let all = name_servers.len();
        let text = format_args!("{fit} of {all} fit, {answers} answers, {timeouts} timeouts");
        out.line("name servers", text)?;
    }
    if !peers.is_empty() {
        let sum = |of: fn(&Peer) -> u64| peers.iter().map(of).sum::<u64>();
        let (sent, failed) = (sum(|peer| peer.sent), sum(|peer| peer.failed));
        out.line("sync peers", format_args!("{}, {sent} sent, {failed} failed", peers.len()))?;
    }
    Ok(())
}

/// A line for each rule that has trapped something, or is no longer trusted, and for what else was done.
fn traps(f: &mut fmt::Formatter<'_>, status: &Status) -> fmt::Result {
    let last = status.last_scan.as_ref().map_or_else(ByRule::default, |scan| scan.trapped);
    let Status { totals, today, .. } = status;
    let row = |f: &mut fmt::Formatter<'_>, name: &str, last: &str, today: u64, all: u64| {
        writeln!(f, "{name:<22} {last:>12} {today:>12} {all:>12}")
    };
    writeln!(f, "\n{:<22} {:>12} {:>12} {:>12}", "trapped", "last scan", "today", "in all")?;
    for ((rule, last), (_, all)) in last.iter().zip(totals.trapped.iter()) {
        let state = status.rules.iter().find(|state| state.rule == rule);
        let mode = state.map_or(Mode::On, |RuleState { mode, .. }| *mode);
        let is_special = matches!(mode, Mode::Suspended | Mode::Observed);
        if all > 0 || last > 0 || is_special {
            let of_today = today.trapped.iter().find(|(name, _)| *name == rule);
            let of_today = of_today.map_or(0, |(_, count)| count);
            let name = match is_special {
                true => format!("{} ({})", rule.name(), mode.word()),
                false => rule.name().into(),
            };
            row(f, &name, &last.to_string(), of_today, all)?;
        }
    }
    row(f, "by hand", "", today.trapped_by_hand, totals.trapped_by_hand)?;
    if totals.observed.total() > 0 {
        row(f, "observed only", "", today.observed.total(), totals.observed.total())?;
    }
    row(f, "released", "", today.released, totals.released)
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
