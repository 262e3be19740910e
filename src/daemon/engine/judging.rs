//! The judging of one image, on a thread of its own, so that the engine's loop answers meanwhile.
//!
//! The image goes in with the [`Purpose`], [`Found`] comes out. What the judging wants to know in between
//! it asks the loop for ([`Said::Ask`], [`Said::Check`]) and sleeps until the answer is there. The bytes are
//! strangers'; what goes out of here is escaped text and plain numbers. The thread lives as long as the
//! judging, and wakes the loop by a byte on a socketpair.
#![forbid(unsafe_code)]

use crate::config::Config;
use crate::control::protocol::Trap;
use crate::daemon::messages::{ToChecker, ToResolver};
use crate::db::snapshot::{Snapshot, Trusted};
use crate::db::{ByteOrder, Damage};
use crate::inquiry::{Answered, Findings, Questions};
use crate::process::shared::View;
use crate::scan::answers::{Confirmation, DomainVerdict};
use crate::scan::{Answers, Counts, Portion, Report, Scan, Verdict, What, Why};
use crate::spamd::Entry;
use mio::net::UnixStream;
use std::collections::HashSet;
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

    /// Which of these recipients the external program does not know.
    fn check(&self, recipients: Vec<Vec<u8>>) -> HashSet<Vec<u8>> {
        if recipients.is_empty() {
            return HashSet::new();
        }
        let chunks = (0u64..).step_by(CHUNK).zip(recipients.chunks(CHUNK));
        let message = |(first, chunk): (u64, &[Vec<u8>])| ToChecker::Check {
            first,
            recipients: chunk.to_vec(),
        };
        self.say(Said::Check(chunks.map(message).collect(), recipients.len()));
        match self.from_loop.recv() {
            Ok(Answer::Checked(answers)) => {
                let answered = recipients.into_iter().zip(answers);
                let bad = answered.filter(|(_, is_good)| *is_good == Some(false));
                bad.map(|(recipient, _)| recipient).collect()
            }
            _ => HashSet::new(),
        }
    }
}

/// All that was asked.
struct Known {
    findings: Option<Findings>,
    /// Recipients that the external program does not know.
    bad: HashSet<Vec<u8>>,
}

/// What was not answered is not known.
impl Answers for Known {
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
        let findings = self.findings.as_ref();
        findings.map_or(Confirmation::Unknown, |findings| findings.helo(address, name))
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        self.findings.as_ref()?.domain(domain)
    }

    fn is_bad_recipient(&self, address: &[u8]) -> bool {
        self.bad.contains(address)
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
    let scan = match work.purpose {
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
    let questions = Questions::of(&scan);
    let findings = if questions.is_empty() {
        None
    } else {
        let messages = messages(&questions);
        line.ask(messages).map(|answered| Findings::new(questions, answered))
    };
    let recipients = match &work.config.checker {
        Some(_) => scan.recipients(),
        None => Vec::new(),
    };
    let bad = line.check(recipients);
    let start = Instant::now();
    let answers = Known { findings, bad };
    let report = scan.finish(Some(&answers));
    let mut found = found(&report, work);
    worked += start.elapsed();
    found.worked = worked;
    Ok(found)
}

/// All hosts in a trap.
fn traps(records: &mut Trusted<'_, '_>, order: ByteOrder) -> Result<Found, Damage> {
    let mut found = Found::default();
    for record in records {
        let record = record?;
        let decoded = Entry::decode(&record.key, &record.value, order);
        let Ok((Entry::Trapped(key), data)) = decoded else { continue };
        let Ok(Ok(address)) = str::from_utf8(key).map(str::parse) else { continue };
        let (first, expire) = (data.first, data.expire);
        found.trapped.push(Trap { address, first, expire, verdict: None });
    }
    Ok(found)
}

/// Whether a record is about this host.
fn is_of(key: &[u8], address: IpAddr) -> bool {
    let host = key.split(|byte| *byte == b'\n').next().unwrap_or_default();
    str::from_utf8(host).is_ok_and(|host| host.parse() == Ok(address))
}

fn messages(questions: &Questions) -> Vec<ToResolver> {
    let mut messages = Vec::new();
    messages.extend(questions.hosts.chunks(CHUNK).map(|hosts| ToResolver::Hosts(hosts.to_vec())));
    let domains = &questions.domains;
    for start in (0..domains.len()).step_by(CHUNK) {
        let end = domains.len().min(start + CHUNK);
        let chunk = (start..end).filter_map(|number| domains.get(number)).map(<[u8]>::to_vec);
        messages.push(ToResolver::Domains(chunk.collect()));
    }
    messages.push(ToResolver::Ask);
    messages
}

fn found(report: &Report<'_>, work: &Work) -> Found {
    let mut found = Found {
        counts: report.counts().clone(),
        unknown: report.unknown().iter().map(ToString::to_string).collect(),
        ..Found::default()
    };
    let portion = if work.purpose == Purpose::Hosts { Portion::None } else { EVIDENCE };
    for verdict in report.verdicts(portion) {
        found.waiting += 1;
        let why = verdict.passes();
        let is_judged = !matches!(why, Some(Why::Whitelisted | Why::Trapped | Why::Allowed));
        found.judged += u64::from(is_judged);
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
