//! `simulate`: one scan of a file at a chosen time, a line for each host that would be trapped, and
//! with `-v` for each that passes. Nothing is written.
#![forbid(unsafe_code)]

use super::remembering::Remembering;
use super::{conf, input};
use crate::config::Networks;
use crate::db::{Damage, Error};
use crate::dns::Promise;
use crate::dns::resolver::Resolver;
use crate::errno::reason;
use crate::escape::escaped_path;
use crate::export::Hearing;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::judged::Judged;
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Clock, Format, Simulate};
use crate::greytrapctl::progress::Progress;
use crate::inquiry::{CameUp, Findings, Inquiry, Questions, Rounds, unfit};
use crate::memory::Watched;
use crate::plural::counted;
use crate::scan::{Answers, Portion, Report, Rule, Scan, Verdict, Why};
use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// What stands in the place of a rule's name for a host that passes.
const PASS: &str = "pass";

/// Judges the hosts of `simulate.file` and prints the verdicts.
pub fn run(console: &mut Console<'_>, simulate: &Simulate) -> Result<(), Failure> {
    // The file may be another machine's: this one's addresses are hosts like others.
    let mut config = conf::load(console, simulate.conf.as_deref())?;
    config.rules.end_exceptions(simulate.clock.now());
    let now = simulate.clock.now();
    let open = |path: &Path| Remembering::open(path, &config, now);
    let memory = simulate.memory.as_deref().map(open).transpose()?;
    let resolver = config.rules.ask_dns().then(|| Resolver::new(&config.dns));
    let mut hearing = Hearing::configured(&config.rules);
    let only_dns_port = !matches!(&resolver, Some(Ok(one)) if one.promise() != Promise::Dns);
    Task::Judge { database: &simulate.file, only_dns_port }.lock_in()?;
    let image = input::read_to_scan(console, &simulate.file)?;
    let snapshot = input::snapshot(&simulate.file, &image)?;
    let damaged = |damage: Damage| Error { path: simulate.file.clone(), kind: damage.into() };
    let begin = if console.verbose { Scan::of_all } else { Scan::of };
    let mut scan = begin(&snapshot, now, &config.rules).map_err(damaged)?;
    let mut resolver = resolver;
    let spared = memory.as_ref().map(Remembering::spared).unwrap_or_default();
    let mut known = Rounds { spared, heard: heard(console, &mut hearing), ..Rounds::default() };
    known.findings.extend(findings(console, Questions::of(&scan), &mut resolver));
    if !known.findings.is_empty() {
        scan.settle(Some(&known));
        if let Some(memory) = &memory {
            recall(&mut scan, memory)?;
            scan.settle(Some(&known));
        }
        let mut came_up = CameUp::default();
        while let Some(further) = findings(console, came_up.further(&scan), &mut resolver) {
            known.findings.push(further);
            scan.settle(Some(&known));
        }
    }
    let verbose = console.verbose;
    let answers = (!known.findings.is_empty()).then_some(&known as &dyn Answers);
    if answers.is_none() {
        scan.settle(None);
    }
    if let Some(memory) = memory.as_ref().filter(|_| answers.is_some()) {
        // Of names that came up with the last answers.
        recall(&mut scan, memory)?;
        scan.settle(answers);
    }
    let (report, evidence) = scan.end();
    tell(console, &simulate.file, &report);
    let portion = match console.format {
        Format::Text => Portion::None,
        Format::Json => Portion::All,
    };
    let mut by_rule = [0; Rule::ALL.len()];
    let mut show = |verdict: Verdict| {
        if let Some(count) = verdict.trapping_rule().and_then(|rule| by_rule.get_mut(rule as usize))
        {
            *count += 1;
        }
        show(console, &verdict)
    };
    if verbose {
        report.verdicts_by(answers, portion).try_for_each(&mut show)?;
    } else {
        report.traps_by(answers, portion).try_for_each(&mut show)?;
    }
    console.flush()?;
    if let Some(memory) = memory {
        let news = memory.news(&snapshot).map_err(damaged)?;
        memory.write(spared_now(&report, answers), evidence.fresh(), news)?;
    }
    sum_up(console, &simulate.file, &by_rule);
    // The program ends here; to give back what was judged, piece by piece, would only take time.
    std::mem::forget(report);
    Ok(())
}

/// The hosts that other sites have in the trap. What is wrong with their file is told.
pub fn heard(console: &mut Console<'_>, hearing: &mut Option<Hearing>) -> Option<Arc<Networks>> {
    let hearing = hearing.as_mut()?;
    // Whatever time is simulated, the file is of today.
    let said = hearing.listen(Clock::System.now());
    said.iter().for_each(|said| console.tell(format_args!("{said}")));
    hearing.heard()
}

/// Adds what is known of earlier scans.
fn recall(scan: &mut Scan<'_>, memory: &Remembering) -> Result<(), Failure> {
    let Watched { entries, watch } = memory.known(&scan.keys())?;
    scan.watched(watch);
    scan.recall(entries);
    Ok(())
}

/// The hosts that have one bad message, which their identity outweighs this time; none without answers.
fn spared_now(report: &Report<'_>, answers: Option<&dyn Answers>) -> Vec<IpAddr> {
    if answers.is_none() {
        return Vec::new();
    }
    let verdicts = report.verdicts_by(answers, Portion::None);
    let spared = verdicts.filter(|verdict| verdict.passes().is_some_and(Why::is_warning));
    spared.map(|verdict| verdict.address.ip()).collect()
}

/// What DNS says, if there is anything to ask. That it cannot be asked is told, and no failure: the other
/// rules judge without it.
pub fn findings(
    console: &mut Console<'_>,
    questions: Questions,
    resolver: &mut Option<io::Result<Resolver>>,
) -> Option<Findings> {
    if questions.is_empty() {
        return None;
    }
    let asked = match resolver.as_mut()? {
        Ok(resolver) => ask(console, questions, resolver),
        Err(error) => Err(io::Error::other(reason(error).to_string())),
    };
    match asked {
        Ok(findings) => Some(findings),
        Err(error) => {
            console.tell(format_args!("DNS: {}; judging without it", reason(&error)));
            None
        }
    }
}

/// Asks everything.
///
/// # Errors
/// DNS cannot be used: the poller's error, or no name server is fit.
fn ask(
    console: &mut Console<'_>,
    questions: Questions,
    resolver: &mut Resolver,
) -> io::Result<Findings> {
    let mut progress = Progress::new();
    let mut inquiry = Inquiry::begin(questions, resolver, None);
    let mut outcome = Ok(());
    while outcome.is_ok() && !inquiry.advance(resolver) {
        outcome = resolver.turn(progress.patience(), |_| {});
        let (answered, all) = inquiry.progress();
        progress.show(console, format_args!("DNS: {answered} of {all} answers"));
    }
    progress.clear(console);
    outcome?;
    let notices = resolver.take_notices();
    if console.verbose {
        notices.iter().for_each(|notice| console.tell(format_args!("DNS: {notice}")));
    }
    let (questions, answered) = inquiry.end(resolver);
    match unfit(&notices, resolver.health().count(), &answered.shown) {
        Some(error) => Err(error),
        // A single scan is no three in a row.
        None => Ok(Findings::new(questions, answered, HashSet::new())),
    }
}

fn show(console: &mut Console<'_>, verdict: &Verdict) -> Result<(), Failure> {
    if console.format == Format::Json {
        return console.json(&Judged::from(verdict));
    }
    let rule = verdict.trapping_rule().map_or(PASS, Rule::name);
    let (address, reason) = (verdict.address.to_string(), &verdict.reason);
    match console.is_terminal {
        true => console.line(format_args!("{address:<15} {rule:<8} {reason}")),
        false => console.line(format_args!("{address}\t{rule}\t{reason}")),
    }
}

/// How many would be trapped, and by which rules.
fn sum_up(console: &mut Console<'_>, file: &Path, by_rule: &[u64]) {
    let rules = Rule::ALL.into_iter().zip(by_rule).filter(|(_, count)| **count > 0);
    let rules: Vec<_> = rules.map(|(rule, count)| format!("{} {count}", rule.name())).collect();
    let hosts = counted(by_rule.iter().sum::<u64>(), "host");
    let (file, colon) = (escaped_path(file), if rules.is_empty() { "" } else { ": " });
    console.tell(format_args!("{file}: {hosts} would be trapped{colon}{}", rules.join(", ")));
}

/// What else is to be said of the file: foreign records, and with `-v` what was scanned.
fn tell(console: &mut Console<'_>, file: &Path, report: &Report<'_>) {
    report
        .doubts()
        .iter()
        .for_each(|doubt| console.tell(format_args!("{}: {doubt}", doubt.about())));
    let (file, counts) = (escaped_path(file), report.counts());
    if console.verbose {
        console.tell(format_args!("{counts}"));
        for record in report.unknown() {
            console.tell(format_args!("{file}: {record}"));
        }
    }
    let named = if console.verbose { report.unknown().len() as u64 } else { 0 };
    let hint = if console.verbose { "" } else { " (-v names them)" };
    if counts.unknown > named {
        let unknown = counted(counts.unknown, "record");
        console.tell(format_args!("{file}: {unknown} not spamd's, skipped{hint}"));
    }
    if counts.no_address > 0 {
        let greys = counted(counts.no_address, "grey without an address");
        console.tell(format_args!("{file}: {greys}, skipped"));
    }
}
