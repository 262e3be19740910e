//! The judging of one image, on a thread of its own, so that the engine's loop answers meanwhile.
//!
//! The image goes in with the [`Purpose`], [`Found`] comes out. What the judging wants to know in between
//! it asks the loop for ([`Said::Ask`], [`Said::Check`]) and sleeps until the answer is there. The bytes are
//! strangers'; what goes out of here is escaped text and plain numbers. The thread lives as long as the
//! judging, and wakes the loop by a byte on a socketpair.
#![forbid(unsafe_code)]

use crate::checker::heard::{self, Heard};
use crate::checker::remembered::Remembered;
use crate::config::Config;
use crate::control::protocol::Trap;
use crate::daemon::messages::{ToChecker, ToResolver};
use crate::db::snapshot::{Snapshot, Trusted};
use crate::db::{ByteOrder, Damage};
use crate::inquiry::{Answered, Findings, Questions};
use crate::process::shared::View;
use crate::scan::answers::{Confirmation, DomainVerdict};
use crate::scan::{Answers, Counts, Doubt, Portion, Report, Scan, Verdict, What, Why};
use crate::spamd::{Address, Entry};
use mio::net::UnixStream;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Names in a message to the resolver or the checker.
const CHUNK: usize = 1000;
/// Tuples that are kept as evidence of a trap, and their bytes, which strangers choose: those of a thousand
/// traps stay in memory.
const EVIDENCE: Portion = Portion::Some { tuples: 20, bytes: 1024 };
/// Verdicts that are told to whoever monitors: more than anybody reads.
const NOTEWORTHY: usize = 10_000;

/// What an image is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A scan: hosts are to be trapped.
    Scan,
    /// All hosts that wait, and what a scan would find.
    Hosts,
    /// What a scan would find about one host.
    Host(IpAddr),
    /// All hosts in a trap.
    Traps,
}

/// What the thread says.
pub enum Said {
    /// It waits for [`Answer::Dns`].
    Ask(Vec<ToResolver>),
    /// It waits for [`Answer::Checked`], with this many answers.
    Check(Vec<ToChecker>, usize),
    /// It has ended.
    Done(Result<Box<Found>, Damage>),
}

/// What the thread is told.
pub enum Answer {
    /// What DNS says; nothing if it could not be asked.
    Dns(Option<Answered>),
    /// What the external program says of each recipient, by number.
    Checked(Vec<Option<bool>>),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Found {
    /// Records of each kind.
    pub counts: Counts,
    /// Records that are none of spamd's, the first few.
    pub unknown: Vec<String>,
    /// Hosts with a live tuple.
    pub waiting: u64,
    /// Of these, hosts that the rules were asked about.
    pub judged: u64,
    /// Hosts to be trapped.
    pub traps: Vec<Verdict>,
    /// Of a scan that somebody monitors, verdicts on hosts that pass for a reason; else all asked for.
    pub hosts: Vec<Verdict>,
    /// Of [`Purpose::Host`], that host.
    pub explained: Option<Verdict>,
    /// Of [`Purpose::Traps`], the traps.
    pub trapped: Vec<Trap>,
    /// Of the held hosts those that have nothing left of what they had sent before their release.
    pub let_go: HashMap<IpAddr, i64>,
    /// Hosts with one bad letter, which their identity outweighs this time.
    pub spared: Vec<IpAddr>,
    /// What the external program said of recipients, and is believed.
    pub heard: Vec<(Vec<u8>, bool)>,
    /// What was not believed, and why, if so.
    pub doubts: Vec<String>,
    /// Hosts whose identity had no answer, if DNS did its work.
    pub unanswered: Option<Vec<IpAddr>>,
    /// How long it worked, without waiting.
    pub worked: Duration,
}

/// What is to be judged.
pub struct Work {
    /// The configuration.
    pub config: Arc<Config>,
    /// What for.
    pub purpose: Purpose,
    /// Whether somebody monitors.
    pub is_monitored: bool,
    /// Hosts that were released, and when.
    pub held: HashMap<IpAddr, i64>,
    /// Hosts that were spared before, though a letter of theirs was bad.
    pub spared: Arc<HashSet<IpAddr>>,
    /// What the external program said before.
    pub recipients: Arc<Remembered>,
    /// Hosts whose identity has had no answer for long.
    pub overdue: HashSet<IpAddr>,
    /// Seconds since 1970.
    pub now: i64,
}

/// The thread, as the loop knows it.
pub struct Judging {
    said: Receiver<Said>,
    answers: Sender<Answer>,
    thread: JoinHandle<()>,
}

impl Judging {
    /// Starts it on `view`; `wake` is written to whenever it has said something.
    pub fn start(view: View, work: Work, wake: UnixStream) -> io::Result<Judging> {
        let (to_loop, said) = channel();
        let (answers, from_loop) = channel();
        let line = Line { to_loop, from_loop, wake };
        let thread = thread::Builder::new().name("judging".into()).spawn(move || {
            let outcome = judge(&view, &work, &line);
            // Before the loop has the memory released.
            drop(view);
            line.say(Said::Done(outcome.map(Box::new)));
        })?;
        Ok(Judging { said, answers, thread })
    }

    /// What it has said, if anything.
    pub fn said(&self) -> Option<Said> {
        self.said.try_recv().ok()
    }

    /// Answers it.
    pub fn answer(&self, answer: Answer) {
        // It waits for nothing else.
        let _ = self.answers.send(answer);
    }

    /// Waits for its end, after [`Said::Done`].
    pub fn join(self) {
        let _ = self.thread.join();
    }
}

/// The thread's end.
struct Line {
    to_loop: Sender<Said>,
    from_loop: Receiver<Answer>,
    wake: UnixStream,
}

impl Line {
    fn say(&self, said: Said) {
        let _ = self.to_loop.send(said);
        // If it does not fit, there is a byte already.
        let _ = (&self.wake).write(&[0]);
    }

    /// What DNS says, or nothing.
    fn ask(&self, messages: Vec<ToResolver>) -> Option<Answered> {
        self.say(Said::Ask(messages));
        match self.from_loop.recv() {
            Ok(Answer::Dns(answered)) => answered,
            _ => None,
        }
    }

    /// What the external program says of these recipients.
    fn check(&self, recipients: Vec<Vec<u8>>, control: Option<&str>) -> Heard {
        if recipients.is_empty() {
            return Heard::default();
        }
        let asked = heard::with_controls(recipients, control);
        let chunks = (0u64..).step_by(CHUNK).zip(asked.chunks(CHUNK));
        let message = |(first, chunk): (u64, &[Vec<u8>])| ToChecker::Check {
            first,
            recipients: chunk.to_vec(),
        };
        self.say(Said::Check(chunks.map(message).collect(), asked.len()));
        match self.from_loop.recv() {
            Ok(Answer::Checked(answers)) => Heard::new(asked.into_iter().zip(answers), control),
            _ => Heard::default(),
        }
    }
}

/// All that was asked.
struct Known<'w> {
    work: &'w Work,
    findings: Option<Findings>,
    /// About hosts that came up later.
    further: Option<Findings>,
    /// What the external program said.
    heard: Heard,
}

/// What was not answered is not known.
impl Answers for Known<'_> {
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
        let findings = self.findings.iter().chain(&self.further);
        let mut found = findings.map(|findings| findings.helo(address, name));
        found.find(|found| *found != Confirmation::Unknown).unwrap_or(Confirmation::Unknown)
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        self.findings.as_ref()?.domain(domain)
    }

    fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        self.heard.is_recipient(address)
    }

    fn was_spared(&self, address: IpAddr) -> bool {
        self.work.spared.contains(&address)
    }

    fn doubt(&self) -> Option<Doubt> {
        self.findings.as_ref()?.doubt()
    }
}

impl Known<'_> {
    /// The hosts of whose names one has no answer, if DNS did its work, or there was nothing to ask.
    fn unanswered(&self, is_settled: bool) -> Option<Vec<IpAddr>> {
        let mut hosts = match &self.findings {
            Some(findings) => findings.unanswered()?,
            None => is_settled.then(Vec::new)?,
        };
        hosts.extend(self.further.as_ref().and_then(Findings::unanswered).unwrap_or_default());
        Some(hosts)
    }
}

fn judge(image: &[u8], work: &Work, line: &Line) -> Result<Found, Damage> {
    if image.is_empty() {
        // spamd(8) has not written to it yet.
        return Ok(Found::default());
    }
    let start = Instant::now();
    let snapshot = Snapshot::new(image)?;
    if work.purpose == Purpose::Traps {
        return snapshot.read(|records| traps(records, snapshot.byte_order()));
    }
    let rules = &work.config.rules;
    let mut scan = match work.purpose {
        Purpose::Host(address) => snapshot.read(|records| {
            let records = records.filter(|record| match record {
                Ok(record) => is_of(&record.key, address),
                Err(_) => true,
            });
            Scan::begin(records, snapshot.byte_order(), work.now, rules)
        })?,
        _ => Scan::of(&snapshot, work.now, rules)?,
    };
    let mut worked = start.elapsed();
    let budget = Budget { start: Instant::now(), time: work.config.scan_every / 2 };
    let questions = Questions::of(&scan);
    let is_settled = questions.is_empty();
    let findings = resolve(questions, work, line, &budget);
    let (recipients, control) = match &work.config.checker {
        Some(checker) => (scan.recipients(), checker.control.as_deref()),
        None => (Vec::new(), None),
    };
    let (known, others) = Heard::recall(recipients, &work.recipients, work.now);
    let heard = known.and(line.check(others, control));
    let start = Instant::now();
    let mut answers = Known { work, findings, further: None, heard };
    scan.weigh(&answers);
    worked += start.elapsed();
    answers.further = resolve(Questions::further(&scan), work, line, &budget);
    let start = Instant::now();
    let report = scan.finish(Some(&answers));
    let heard = answers.heard.believed();
    let held = still_held(&snapshot, work)?;
    let mut found = found(&report, work, &held);
    let is_over = |(address, _): &(&IpAddr, &i64)| !held.contains(address);
    found.let_go = work.held.iter().filter(is_over).map(|(one, since)| (*one, *since)).collect();
    let doubts = report.doubts().iter();
    found.doubts = doubts.map(|doubt| format!("{}: {doubt}", doubt.about())).collect();
    if found.doubts.is_empty() {
        found.unanswered = answers.unanswered(is_settled);
    }
    worked += start.elapsed();
    (found.worked, found.heard) = (worked, heard);
    Ok(found)
}

/// The time that DNS has in a scan.
struct Budget {
    start: Instant,
    time: Duration,
}

/// What DNS says, if there is anything to ask and time left for it.
fn resolve(questions: Questions, work: &Work, line: &Line, budget: &Budget) -> Option<Findings> {
    let left = budget.time.saturating_sub(budget.start.elapsed());
    if questions.is_empty() || left.is_zero() {
        return None;
    }
    let answered = line.ask(messages(&questions, left))?;
    Some(Findings::new(questions, answered, work.overdue.clone()))
}

/// All hosts in a trap.
fn traps(records: &mut Trusted<'_, '_>, order: ByteOrder) -> Result<Found, Damage> {
    let mut found = Found::default();
    for record in records {
        let record = record?;
        let decoded = Entry::decode(&record.key, &record.value, order);
        let Ok((Entry::Trapped(key), data)) = decoded else { continue };
        let Ok(address) = Address::parse(key).map(|address| address.ip()) else { continue };
        let (first, expire) = (data.first, data.expire);
        found.trapped.push(Trap { address, first, expire, verdict: None });
    }
    Ok(found)
}

/// Of the held hosts those that have live tuples from before their release.
fn still_held(snapshot: &Snapshot<'_>, work: &Work) -> Result<HashSet<IpAddr>, Damage> {
    let mut still = HashSet::new();
    if work.held.is_empty() {
        return Ok(still);
    }
    for record in snapshot.records() {
        let record = record?;
        let host = record.key.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let Ok(address) = Address::parse(host) else { continue };
        let Some(since) = work.held.get(&address.ip()) else { continue };
        let decoded = Entry::decode(&record.key, &record.value, snapshot.byte_order());
        let Ok((Entry::Grey(_), data)) = decoded else { continue };
        if data.first <= *since && data.expire > work.now {
            still.insert(address.ip());
        }
    }
    Ok(still)
}

/// Whether a record is about this host.
fn is_of(key: &[u8], address: IpAddr) -> bool {
    let host = key.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Address::parse(host).is_ok_and(|host| host.ip() == address)
}

fn messages(questions: &Questions, within: Duration) -> Vec<ToResolver> {
    let mut messages = Vec::new();
    messages.extend(questions.hosts.chunks(CHUNK).map(|hosts| ToResolver::Hosts(hosts.to_vec())));
    let domains = &questions.domains;
    for start in (0..domains.len()).step_by(CHUNK) {
        let end = domains.len().min(start + CHUNK);
        let chunk = (start..end).filter_map(|number| domains.get(number)).map(<[u8]>::to_vec);
        messages.push(ToResolver::Domains(chunk.collect()));
    }
    let (controls, within) = (questions.controls.clone(), Some(within));
    messages.push(ToResolver::Ask { controls, within });
    messages
}

fn found(report: &Report<'_>, work: &Work, held: &HashSet<IpAddr>) -> Found {
    let mut found = Found {
        counts: report.counts().clone(),
        unknown: report.unknown().iter().map(ToString::to_string).collect(),
        ..Found::default()
    };
    let portion = if work.purpose == Purpose::Hosts { Portion::None } else { EVIDENCE };
    for mut verdict in report.verdicts(portion) {
        if verdict.what == What::Trap && held.contains(&verdict.address.ip()) {
            verdict = verdict.passing(Why::Held);
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
            Purpose::Host(_) => found.explained = Some(verdict),
            _ if verdict.what == What::Trap => found.traps.push(verdict),
            _ => {
                let is_noteworthy = is_judged && why != Some(Why::Nothing);
                if work.is_monitored && is_noteworthy && found.hosts.len() < NOTEWORTHY {
                    found.hosts.push(verdict.without_tuples());
                }
            }
        }
    }
    found
}
