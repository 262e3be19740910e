//! The way of one judging: records, rules, questions, answers, verdicts.
#![forbid(unsafe_code)]

use super::asking::Asking;
use super::known::Known;
use super::records::{spamtraps, traps};
use super::{Found, Line, Overview, Purpose, Said, Work};
use crate::daemon::engine::exempt::Exempt;
use crate::daemon::engine::recalling;
use crate::daemon::engine::standing::{explained, is_of};
use crate::db::Damage;
use crate::db::snapshot::Snapshot;
use crate::evidence::Key;
use crate::memory::{Hold, Watched};
use crate::scan::answers::DomainVerdict;
use crate::scan::{Answers, Doubt, Evidence, Portion, Report, Scan, Verdict, What, Why, seen};
use crate::spamd::{Address, Entry};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

/// How many tuples are kept as evidence of a trap, and how many bytes of them: strangers choose them, and those
/// of a thousand traps stay in memory.
const EVIDENCE: Portion = Portion::Some { tuples: 20, bytes: 1024 };
/// The same if only one host is explained.
const EXPLAINED: Portion = Portion::Some { tuples: 200, bytes: 32 * 1024 };
/// The maximum number of verdicts on hosts that pass for a reason: more than anybody reads.
const NOTEWORTHY: usize = 10_000;
/// The maximum number of these that have their evidence with them.
const SPARED: usize = 1000;

/// Judges the hosts of an image.
///
/// # Errors
/// The database is damaged.
pub(super) fn judge(image: &[u8], work: &Work, line: &Line) -> Result<Found, Damage> {
    if image.is_empty() {
        // spamd(8) has not written to the database yet.
        if work.purpose == Purpose::Scan {
            line.say(Said::Read(Box::default()));
        }
        return Ok(Found::default());
    }
    let start = Instant::now();
    let snapshot = Snapshot::new(image)?;
    let (order, rules) = (snapshot.byte_order(), &work.config.rules);
    let mut scan = match work.purpose {
        Purpose::Scan => Scan::of_exempt(&snapshot, work.now, rules)?,
        Purpose::Hosts => Scan::of_all(&snapshot, work.now, rules)?,
        Purpose::Host(address) => snapshot.read(|records| {
            let records = records.filter(|record| match record {
                Ok(record) => is_of(&record.key, address),
                Err(_) => true,
            });
            Scan::begin_all(records, order, work.now, rules)
        })?,
        Purpose::Traps => return snapshot.read(|records| traps(records, order)),
        Purpose::Spamtraps => return snapshot.read(|records| spamtraps(records, order)),
    };
    let mut worked = start.elapsed();
    let held = still_held(&snapshot, work)?;
    if work.purpose == Purpose::Scan {
        line.say(Said::Read(Box::new(overview(scan.settled(), work, &held))));
    }
    let exempt = Exempt::of(scan.settled(), work.exempt.clone(), rules);
    let mut told = HashSet::new();
    let mut tell = |scan: &Scan<'_>, answers: Option<&Known<'_>>| {
        if work.purpose != Purpose::Scan {
            return;
        }
        let traps = fresh(scan, answers, (&held, &exempt), &mut told);
        if !traps.is_empty() {
            line.say(Said::Traps(traps));
        }
    };
    tell(&scan, None);
    let mut asking = Asking::begin(&scan, (work, &exempt), line);
    let is_settled = !asking.asks_dns();
    let mut recalled = HashSet::new();
    loop {
        asking.wait(line);
        let start = Instant::now();
        scan.settle(Some(&asking.known));
        recall(&mut scan, &mut recalled, &asking.known, line);
        tell(&scan, Some(&asking.known));
        worked += start.elapsed();
        asking.ask_more(&scan, line);
        if !asking.is_open() {
            break;
        }
    }
    let start = Instant::now();
    let found = conclude(&snapshot, &mut scan, &asking.known, (&held, &exempt, is_settled))?;
    Ok(Found { worked: worked + start.elapsed(), ..found })
}

/// The result, when no more answers come.
fn conclude(
    snapshot: &Snapshot<'_>,
    scan: &mut Scan<'_>,
    answers: &Known<'_>,
    (held, exempt, is_settled): (&HashSet<IpAddr>, &Exempt, bool),
) -> Result<Found, Damage> {
    let (work, report) = (answers.work, scan.settled());
    let (mut found, verdict) = found(report, answers, (held, exempt));
    found.heard = answers.heard.believed();
    found.freed = exempt.freed(answers);
    found.vouched = answers.rounds.vouched().collect();
    if let Purpose::Host(address) = work.purpose {
        found.explained = explained(snapshot, address, verdict, work)?;
    }
    let text = |doubt: &Doubt| format!("{}: {doubt}", doubt.about());
    found.doubts = report.doubts().iter().map(text).collect();
    // A list that is put aside is no doubt about other answers.
    if report.doubts().iter().all(|doubt| matches!(doubt, Doubt::Aside { .. })) {
        let nominated = scan.nominated();
        let unanswered = answers.unanswered(is_settled);
        found.unanswered = unanswered
            .map(|hosts| hosts.into_iter().filter(|address| nominated.contains(address)).collect());
    }
    if work.purpose == Purpose::Scan {
        found.evidence = scan.evidence().fresh();
        let is_good =
            |domain: &&Vec<u8>| matches!(answers.domain(domain), Some(DomainVerdict::Good(_)));
        found.revived = work.dead.iter().filter(is_good).cloned().collect();
        if let Some(known) = &work.known {
            found.news = seen::news(snapshot, known, work.now)?;
        }
    }
    Ok(found)
}

/// Adds what memory knows of the names that anonymous hosts use, as far as it was not asked for before.
fn recall(scan: &mut Scan<'_>, recalled: &mut HashSet<Key>, known: &Known<'_>, line: &Line) {
    let keys = scan.keys().into_iter();
    let new: Vec<_> = keys.filter(|key| recalled.insert(key.clone())).collect();
    if new.is_empty() {
        return;
    }
    let Watched { entries, watch } =
        recalling::recall(new, |wanted| line.say(Said::Recall(wanted)));
    scan.watched(watch);
    scan.recall(entries);
    scan.settle(Some(known));
}

fn overview(report: &Report<'_>, work: &Work, held: &HashSet<IpAddr>) -> Overview {
    let over = work.held.iter().filter(|(address, _)| !held.contains(*address));
    let over = over.map(|(address, hold)| (address, hold.since));
    Overview {
        counts: report.counts().clone(),
        unknown: report.unknown().iter().map(ToString::to_string).collect(),
        let_go: over.map(|(address, since)| (*address, since)).collect(),
        passed: report.whitelisted(&work.watched),
    }
}

/// The hosts to trap that were not passed on yet.
fn fresh(
    scan: &Scan<'_>,
    answers: Option<&Known<'_>>,
    (held, exempt): (&HashSet<IpAddr>, &Exempt),
    told: &mut HashSet<IpAddr>,
) -> Vec<Verdict> {
    let answers = answers.map(|answers| answers as &dyn Answers);
    let traps = scan.settled().traps_by(answers, EVIDENCE);
    let free = traps.filter(|verdict| {
        let address = verdict.address.ip();
        !held.contains(&address) && exempt.spares(address, answers).is_none()
    });
    free.filter(|verdict| told.insert(verdict.address.ip())).collect()
}

/// The result, with the verdict on the host that is to be explained.
fn found(
    report: &Report<'_>,
    answers: &Known<'_>,
    (held, exempt): (&HashSet<IpAddr>, &Exempt),
) -> (Found, Option<Verdict>) {
    let (mut found, mut explained, work) = (Found::default(), None, answers.work);
    let portion = match work.purpose {
        Purpose::Host(_) => EXPLAINED,
        _ => Portion::None,
    };
    let mut spared = match work.purpose {
        Purpose::Scan => spared(report, answers),
        _ => HashMap::new(),
    };
    for mut verdict in report.verdicts_by(Some(answers), portion) {
        if verdict.what == What::Trap && held.contains(&verdict.address.ip()) {
            verdict = verdict.passing(Why::Held);
        }
        verdict = exempt.apply(verdict, answers, &work.config.rules);
        // In a scan the engine logs this.
        let is_observed = verdict.rule.is_some_and(|rule| work.observed.contains(&rule));
        if verdict.what == What::Trap && is_observed && work.purpose != Purpose::Scan {
            verdict = verdict.passing(Why::Observed);
        }
        found.waiting += 1;
        let why = verdict.passes();
        let is_judged = !why.is_some_and(Why::is_beforehand);
        found.judged += u64::from(is_judged);
        if why.is_some_and(Why::is_warning) {
            found.spared.push(verdict.address.ip());
        }
        match work.purpose {
            Purpose::Hosts => found.hosts.push(verdict),
            Purpose::Host(_) => explained = Some(verdict),
            _ => {
                let is_nothing = matches!(why, None | Some(Why::Nothing));
                let is_exempt = why == Some(Why::Allowed) && verdict.is_spared_trap();
                let is_noteworthy = is_judged && !is_nothing || why == Some(Why::Held) || is_exempt;
                if is_noteworthy && found.hosts.len() < NOTEWORTHY {
                    if let Some(evidence) = spared.remove(&verdict.address.ip()) {
                        verdict.evidence = evidence;
                    }
                    found.hosts.push(verdict);
                }
            }
        }
    }
    (found, explained)
}

/// The evidence of hosts that pass although a rule hit them: memory keeps it.
fn spared(report: &Report<'_>, answers: &Known<'_>) -> HashMap<IpAddr, Evidence> {
    let verdicts = report.spared_by(Some(answers), EVIDENCE).take(SPARED);
    verdicts.map(|verdict| (verdict.address.ip(), verdict.evidence)).collect()
}

/// Of the held hosts those that are held for a time, or have live tuples from before their release.
fn still_held(snapshot: &Snapshot<'_>, work: &Work) -> Result<HashSet<IpAddr>, Damage> {
    let for_a_time = work.held.values().filter(|hold| hold.until > work.now);
    let mut still: HashSet<_> = for_a_time.map(|hold| hold.address).collect();
    if work.held.is_empty() {
        return Ok(still);
    }
    for record in snapshot.records() {
        let record = record?;
        let host = record.key.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let Ok(address) = Address::parse(host) else { continue };
        let Some(Hold { since, .. }) = work.held.get(&address.ip()) else { continue };
        let decoded = Entry::decode(&record.key, &record.value, snapshot.byte_order());
        let Ok((Entry::Grey(_), data)) = decoded else { continue };
        if data.first <= *since && data.expire > work.now {
            still.insert(address.ip());
        }
    }
    Ok(still)
}
