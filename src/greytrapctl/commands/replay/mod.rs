//! `simulate -s`: the scans of the last days again, by another configuration, and who would have been trapped.
//!
//! The daemon is asked for the tuples of all hosts that it remembers. They are judged as they come, so that
//! only those that wait at a time are kept; if a rule needs DNS, it is asked once about everybody in
//! question, as things are today, and the tuples are read once more.
#![forbid(unsafe_code)]

mod past;

use super::simulate::{findings, heard};
use super::{conf, history};
use crate::config::Config;
use crate::control::client::Answer;
use crate::control::protocol::{Reply, Request};
use crate::dns::Promise;
use crate::dns::resolver::Resolver;
use crate::export::Hearing;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Format, Replay};
use crate::greytrapctl::progress::Progress;
use crate::inquiry::Rounds;
use crate::memory::{Seen, Tuples, unpack};
use crate::plural::counted;
use crate::scan::{Answers, Rule};
use past::{Caught, Judge, Past};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// How often DNS is asked, each time about what came up with the answers so far.
const ROUNDS: usize = 2;
/// The same with DNS lists: one that is a sign comes before what may spare the host.
const ROUNDS_WITH_LISTS: usize = 4;

/// Judges the past again and prints whom that traps, or what is different from the old configuration.
pub fn run(console: &mut Console<'_>, replay: &Replay) -> Result<(), Failure> {
    let new = conf::load(console, replay.conf.as_deref())?;
    let old = replay.old.as_deref().map(|file| conf::load(console, Some(file))).transpose()?;
    let configs: Vec<&Config> = [&new].into_iter().chain(&old).collect();
    let mut resolvers: Vec<_> = configs.iter().map(resolver).collect();
    let is_dns = |one: &Option<io::Result<Resolver>>| match one {
        Some(Ok(resolver)) => resolver.promise() == Promise::Dns,
        _ => true,
    };
    let only_dns_port = resolvers.iter().all(is_dns);
    let mut hearings: Vec<_> =
        configs.iter().map(|config| Hearing::configured(&config.rules)).collect();
    Task::Replay { socket: &replay.socket, only_dns_port }.lock_in()?;
    let since = history::since(Some(replay.since));
    let passed = passed(&replay.socket, since)?;
    let mut judges: Vec<_> = configs.iter().map(|config| Judge::new(config)).collect();
    let silence: Vec<Option<&dyn Answers>> = vec![None; judges.len()];
    let mut past = again(console, (&replay.socket, since), &passed, &mut judges, &silence)?;
    let heard: Vec<_> = hearings.iter_mut().map(|hearing| heard(console, hearing)).collect();
    let known = heard.into_iter().map(|heard| Rounds { heard, ..Rounds::default() });
    let mut known: Vec<_> = known.collect();
    // First who the hosts are, then whether somebody vouches for those that this would trap.
    let has_lists = configs.iter().any(|config| !config.rules.lists.is_empty());
    for _ in 0..if has_lists { ROUNDS_WITH_LISTS } else { ROUNDS } {
        let mut is_new = false;
        for ((judge, resolver), known) in judges.iter_mut().zip(&mut resolvers).zip(&mut known) {
            let found =
                findings(console, std::mem::take(&mut judge.questions).with_tests(), resolver);
            is_new |= found.is_some();
            known.findings.extend(found);
        }
        if !is_new {
            break;
        }
        let answers: Vec<_> = known.iter().map(|known| Some(known as &dyn Answers)).collect();
        judges = configs.iter().map(|config| Judge::new(config)).collect();
        past = again(console, (&replay.socket, since), &passed, &mut judges, &answers)?;
    }
    let caught = judges.into_iter().map(|judge| judge.caught);
    print(console, &past, &caught.collect::<Vec<_>>())
}

fn resolver(config: &&Config) -> Option<io::Result<Resolver>> {
    config.rules.ask_dns().then(|| Resolver::new(&config.dns))
}

/// The hosts that passed, from the last page of tuples.
fn passed(socket: &Path, since: i64) -> Result<HashMap<IpAddr, i64>, Failure> {
    let mut passed = HashMap::new();
    pages(socket, since, true, |tuples| {
        passed.extend(tuples.passed);
        Ok(())
    })?;
    Ok(passed)
}

/// Asks for tuples, or only for what ends them.
fn pages(
    socket: &Path,
    since: i64,
    is_end: bool,
    mut take: impl FnMut(Tuples) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::Tuples { since, is_end }, socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Tuples(tuples) = reply else { return Err(answer.unexpected().into()) };
        take(tuples)?;
    }
    Ok(())
}

/// Has all scans judged again.
fn again(
    console: &mut Console<'_>,
    (socket, since): (&Path, i64),
    passed: &HashMap<IpAddr, i64>,
    judges: &mut [Judge<'_>],
    answers: &[Option<&dyn Answers>],
) -> Result<Past, Failure> {
    let mut past = Past::knowing(passed.clone());
    let mut progress = Progress::new();
    let now = history::since(Some(std::time::Duration::ZERO));
    let (mut time, mut tuples): (i64, Vec<Seen>) = (since, Vec::new());
    let mut scan = |past: &mut Past, time: i64, tuples: Vec<Seen>| -> Result<(), Failure> {
        let hosts = past.scan(time, tuples);
        for (judge, answers) in judges.iter_mut().zip(answers) {
            let outcome = judge.scan(time, &hosts, *answers);
            outcome.map_err(|damage| Failure::Because(damage.to_string()))?;
        }
        Ok(())
    };
    pages(socket, since, false, |page| {
        for (at, bytes) in page.blocks {
            if at != time && !tuples.is_empty() {
                scan(&mut past, time, std::mem::take(&mut tuples))?;
                let share = (time - since) * 100 / (now - since).max(1);
                let shown = share.clamp(0, 100);
                progress.show(console, format_args!("{} scans, {shown} %", past.scans));
            }
            time = at;
            tuples.extend(unpack(&bytes));
        }
        Ok(())
    })?;
    if !tuples.is_empty() {
        scan(&mut past, time, tuples)?;
    }
    progress.clear(console);
    Ok(past)
}

/// What becomes of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    /// Only the new configuration traps it, or there is no other.
    Trapped,
    /// Only the old one traps it.
    Freed,
    /// Both trap it.
    Same,
}

/// A host in JSON.
#[derive(Serialize)]
struct Line<'a> {
    address: IpAddr,
    fate: Fate,
    rule: &'static str,
    reason: &'a str,
    /// When, in seconds since 1970.
    time: i64,
    /// When it passed after that.
    passed: Option<i64>,
}

type AllCaught = std::collections::BTreeMap<IpAddr, Caught>;

fn print(console: &mut Console<'_>, past: &Past, caught: &[AllCaught]) -> Result<(), Failure> {
    let none = AllCaught::new();
    let (new, old) = (caught.first().unwrap_or(&none), caught.get(1));
    let all: BTreeSet<_> = new.keys().chain(old.into_iter().flat_map(|old| old.keys())).collect();
    let (mut more, mut fewer) = (0u64, 0u64);
    for address in all {
        let before = old.and_then(|old| old.get(address));
        let (fate, caught) = match (new.get(address), before) {
            (Some(_), Some(caught)) => (Fate::Same, caught),
            (Some(caught), None) => (Fate::Trapped, caught),
            (None, Some(caught)) => (Fate::Freed, caught),
            (None, None) => continue,
        };
        more += u64::from(fate == Fate::Trapped);
        fewer += u64::from(fate == Fate::Freed);
        if fate != Fate::Same || console.verbose {
            line(console, past, (*address, fate, caught), old.is_some())?;
        }
    }
    console.flush()?;
    let (scans, tuples) = (counted(past.scans, "scan"), counted(past.tuples, "tuple"));
    console.tell(format_args!("{scans}, {tuples}: {}", sum(past, new)));
    if let Some(old) = old {
        console.tell(format_args!("by the old configuration {}", sum(past, old)));
        console.tell(format_args!("{more} more, {fewer} fewer"));
    }
    Ok(())
}

fn line(
    console: &mut Console<'_>,
    past: &Past,
    (address, fate, caught): (IpAddr, Fate, &Caught),
    is_compared: bool,
) -> Result<(), Failure> {
    let (rule, reason, time) = (caught.rule.name(), &caught.reason, caught.time);
    let passed = past.passed(address).filter(|passed| *passed >= time);
    if console.format == Format::Json {
        return console.json(&Line { address, fate, rule, reason, time, passed });
    }
    let sign = match fate {
        Fate::Trapped => "+",
        Fate::Freed => "-",
        Fate::Same => "=",
    };
    let gap = if console.is_terminal { " " } else { "\t" };
    let sign = if is_compared { format!("{sign}{gap}") } else { String::new() };
    let later = if passed.is_some() { format!("{gap}(passed later)") } else { String::new() };
    match console.is_terminal {
        true => console.line(format_args!("{sign}{address:<15} {rule:<8} {reason}{later}")),
        false => console.line(format_args!("{sign}{address}\t{rule}\t{reason}{later}")),
    }
}

/// How many are trapped, by which rules, and how many of them passed later.
fn sum(past: &Past, caught: &AllCaught) -> String {
    let of = |rule: &Rule| caught.values().filter(|caught| caught.rule == *rule).count();
    let rules = Rule::ALL.into_iter().map(|rule| (rule, of(&rule))).filter(|(_, count)| *count > 0);
    let rules: Vec<_> = rules.map(|(rule, count)| format!("{rule} {count}")).collect();
    let is_later = |(address, caught): &(&IpAddr, &Caught)| {
        past.passed(**address).is_some_and(|passed| passed >= caught.time)
    };
    let later = caught.iter().filter(is_later).count();
    let hosts = counted(caught.len() as u64, "host");
    let colon = if rules.is_empty() { "" } else { ": " };
    format!("{hosts} would be trapped{colon}{}; {later} of them passed later", rules.join(", "))
}
