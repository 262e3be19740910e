//! Judges one image on a thread of its own, so that the engine's loop can serve others meanwhile.
//!
//! In: the image and the [`Purpose`]. Out: [`Found`]. Questions that come up meanwhile go to the loop
//! ([`Said::Ask`], [`Said::Check`]). Nobody waits for the slowest: a scan passes on hosts to trap as soon as
//! they are settled ([`Said::Traps`]), first those that need no answer, then with each answer, at first after
//! [`FIRST_ANSWERS`]. What is not answered in half the time between two scans is unknown. The bytes come from
//! strangers; what leaves this module is escaped text and plain numbers. The thread ends with the judging, and
//! wakes the loop with a byte on a socketpair.
#![forbid(unsafe_code)]

use super::exempt::Exempt;
use super::recalling::{self, Wanted};
use super::standing::{explained, is_of};
use crate::checker::heard::{self, Heard};
use crate::checker::remembered::Remembered;
use crate::config::{Config, Networks};
use crate::control::protocol::{Explained, Trap};
use crate::daemon::messages::{ToChecker, ToResolver};
use crate::db::snapshot::{Snapshot, Trusted};
use crate::db::{ByteOrder, Damage};
use crate::evidence::{self, Key};
use crate::export::Hearing;
use crate::inquiry::{Answered, CameUp, Findings, Questions, Rounds};
use crate::memory::{Hold, Watched};
use crate::process::image::View;
use crate::scan::answers::{Confirmation, DomainVerdict, Exemption, Listed, Oddity, SpfResult};
use crate::scan::identity::Question;
use crate::scan::seen::{self, News};
use crate::scan::{
    Answers, Counts, Doubt, Evidence, Portion, Report, Rule, Scan, Verdict, What, Why,
};
use crate::spamd::{Address, Entry, TrapRecord};
use crate::threads::lock;
use mio::net::UnixStream;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The maximum number of names in a message to the resolver or the checker.
const CHUNK: usize = 1000;
/// How many tuples are kept as evidence of a trap, and how many bytes of them: strangers choose them, and those
/// of a thousand traps stay in memory.
const EVIDENCE: Portion = Portion::Some { tuples: 20, bytes: 1024 };
/// The same if only one host is explained.
const EXPLAINED: Portion = Portion::Some { tuples: 200, bytes: 32 * 1024 };
/// After this time, what DNS has not answered is unknown for the moment: hosts that are settled by the other
/// answers are trapped, and the rest is asked again.
const FIRST_ANSWERS: Duration = Duration::from_secs(10);
/// How late an answer may come.
const GRACE: Duration = Duration::from_secs(1);
/// The maximum number of verdicts on hosts that pass for a reason: more than anybody reads.
const NOTEWORTHY: usize = 10_000;
/// The maximum number of these that have their evidence with them.
const SPARED: usize = 1000;

/// The purpose of reading an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A scan, which traps hosts.
    Scan,
    /// To show all greylisted hosts, and what a scan would find.
    Hosts,
    /// To show what a scan would find about one host.
    Host(IpAddr),
    /// To show all trapped hosts.
    Traps,
    /// To find all spamtraps.
    Spamtraps,
}

/// A message of the thread.
pub enum Said {
    /// In a scan, what the records say before any host is settled by answers.
    Read(Box<Overview>),
    /// Hosts to trap, whatever the outstanding answers are.
    Traps(Vec<Verdict>),
    /// It needs an [`Answer::Dns`].
    Ask(Vec<ToResolver>),
    /// It needs to know something of memory.
    Recall(Wanted),
    /// It has read the file of other sites' hosts.
    Heard {
        /// What was wrong with it.
        warning: Option<String>,
        /// Whether another file is in its place, which only another engine can read.
        is_replaced: bool,
    },
    /// It needs an [`Answer::Checked`] with this many answers.
    Check(Vec<ToChecker>, usize),
    /// It has ended.
    Done(Result<Box<Found>, Damage>),
}

/// An answer to the thread.
pub enum Answer {
    /// What DNS says; `None` if it could not be asked.
    Dns(Option<Answered>),
    /// What the external program has said so far about each recipient, by number, and whether that is all.
    Checked(Vec<Option<bool>>, bool),
}

/// What the records say before any host is settled by answers.
#[derive(Debug, Default)]
pub struct Overview {
    /// The number of records of each kind.
    pub counts: Counts,
    /// The first few records that are not spamd's.
    pub unknown: Vec<String>,
    /// The held hosts of which nothing is left that they had sent before their release.
    pub let_go: HashMap<IpAddr, i64>,
    /// Of the watched hosts those that are whitelisted.
    pub passed: Vec<IpAddr>,
}

/// The result.
#[derive(Debug, Default)]
pub struct Found {
    /// The number of hosts with a live tuple.
    pub waiting: u64,
    /// How many of these were judged by the rules.
    pub judged: u64,
    /// In a scan, verdicts on hosts that pass for a reason; otherwise all that were asked for.
    pub hosts: Vec<Verdict>,
    /// For [`Purpose::Host`], that host.
    pub explained: Option<Explained>,
    /// For [`Purpose::Traps`], the traps.
    pub trapped: Vec<Trap>,
    /// Trapped hosts whose names DNS confirms, and an exception covers.
    pub freed: Vec<IpAddr>,
    /// Hosts with one bad message, outweighed by their identity this time.
    pub spared: Vec<IpAddr>,
    /// Hosts for which the domain of a sender vouches.
    pub vouched: Vec<IpAddr>,
    /// What the external program said about recipients, as far as it is believed.
    pub heard: Vec<(Vec<u8>, bool)>,
    /// What was not believed, and why.
    pub doubts: Vec<String>,
    /// Of the dead domains those that receive mail.
    pub revived: Vec<Vec<u8>>,
    /// Hosts whose identity had no answer, if DNS was usable.
    pub unanswered: Option<Vec<IpAddr>>,
    /// In a scan, what memory is to keep of all hosts.
    pub news: News,
    /// In a scan, the evidence that memory is to keep.
    pub evidence: Vec<(Key, evidence::Entry)>,
    /// For [`Purpose::Spamtraps`], their addresses.
    pub spamtraps: HashSet<Vec<u8>>,
    /// How long it worked, not counting the time it waited.
    pub worked: Duration,
}

/// The task.
pub struct Work {
    /// The configuration.
    pub config: Arc<Config>,
    /// The purpose.
    pub purpose: Purpose,
    /// Rules that are only observed.
    pub observed: Vec<Rule>,
    /// Released hosts, with the time.
    pub held: HashMap<IpAddr, Hold>,
    /// Hosts that were spared before, although they sent a bad message.
    pub spared: Arc<HashSet<IpAddr>>,
    /// Earlier verdicts of the external program.
    pub recipients: Arc<Remembered>,
    /// Hosts whose identity has had no answer for a long time.
    pub overdue: HashSet<IpAddr>,
    /// Trapped hosts with names that an exception covers.
    pub exempt: Vec<Question>,
    /// Hosts that rules have trapped.
    pub watched: HashSet<IpAddr>,
    /// Sender domains for which hosts were trapped.
    pub dead: Vec<Vec<u8>>,
    /// For [`Purpose::Host`], why the daemon has trapped that host.
    pub trapped: Option<Explained>,
    /// Which tuples memory knows; `None` if it is to know none.
    pub known: Option<Arc<seen::Known>>,
    /// The file of hosts that other sites have in the trap, if there is one.
    pub hearing: Option<Arc<Mutex<Hearing>>>,
    /// Seconds since 1970.
    pub now: i64,
}

impl Work {
    /// Recipients that the external program must know to be believed.
    fn control(&self) -> Option<&str> {
        self.config.checker.as_ref()?.control.as_deref()
    }
}

/// The loop's side of the thread.
pub struct Judging {
    said: Receiver<Said>,
    answers: Sender<Answer>,
    thread: JoinHandle<()>,
}

impl Judging {
    /// Starts it on `view`; it writes a byte to `wake` after each message.
    pub fn start(view: View, work: Work, wake: UnixStream) -> io::Result<Judging> {
        let (to_loop, said) = channel();
        let (answers, from_loop) = channel();
        let line = Line { to_loop, from_loop, wake };
        let thread = thread::Builder::new().name("judging".into()).spawn(move || {
            let outcome = judge(&view, &work, &line);
            // Before the loop has the image unmapped.
            drop(view);
            line.say(Said::Done(outcome.map(Box::new)));
        })?;
        Ok(Judging { said, answers, thread })
    }

    /// Its next message, if there is one.
    pub fn said(&self) -> Option<Said> {
        self.said.try_recv().ok()
    }

    /// Sends it an answer.
    pub fn answer(&self, answer: Answer) {
        // The thread waits for nothing else.
        let _ = self.answers.send(answer);
    }

    /// Waits until it has ended, after [`Said::Done`].
    pub fn join(self) {
        let _ = self.thread.join();
    }
}

/// The thread's side.
struct Line {
    to_loop: Sender<Said>,
    from_loop: Receiver<Answer>,
    wake: UnixStream,
}

impl Line {
    fn say(&self, said: Said) {
        let _ = self.to_loop.send(said);
        // If the socket is full, there is a byte already.
        let _ = (&self.wake).write(&[0]);
    }

    /// The next answer, if it comes before `until`.
    fn answer(&self, until: Instant) -> Option<Answer> {
        self.from_loop.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }
}

/// All questions and answers so far.
struct Known<'w> {
    work: &'w Work,
    /// What DNS says: first about what was asked at the beginning, then about what came up later.
    rounds: Rounds,
    /// The external program's answers.
    heard: Heard,
}

/// What was not answered is unknown.
impl Answers for Known<'_> {
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
        self.rounds.helo(address, name)
    }

    fn helo_now(&self, address: IpAddr, name: &str) -> Confirmation {
        self.rounds.helo_now(address, name)
    }

    fn is_gone(&self, address: IpAddr, name: &str) -> bool {
        self.rounds.is_gone(address, name)
    }

    fn reverse(&self, address: IpAddr) -> (Confirmation, Option<&[u8]>) {
        self.rounds.reverse(address)
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        self.rounds.domain(domain)
    }

    fn exemption(&self, address: IpAddr, domain: &[u8]) -> Exemption {
        self.rounds.exemption(address, domain)
    }

    fn spf(&self, address: IpAddr, domain: &[u8]) -> Option<SpfResult> {
        self.rounds.spf(address, domain)
    }

    fn listed(&self, address: IpAddr, zone: &str) -> Option<Listed> {
        self.rounds.listed(address, zone)
    }

    fn aside(&self) -> Vec<(String, Oddity)> {
        self.rounds.aside()
    }

    fn is_heard(&self, address: IpAddr) -> Option<bool> {
        self.rounds.is_heard(address)
    }

    fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        self.heard.is_recipient(address)
    }

    fn is_awaited(&self, address: &[u8]) -> bool {
        self.heard.is_awaited(address)
    }

    fn was_spared(&self, address: IpAddr) -> bool {
        self.work.spared.contains(&address)
    }

    fn doubt(&self) -> Option<Doubt> {
        self.rounds.doubt()
    }
}

impl Known<'_> {
    /// The hosts with a name that has no answer, if DNS was usable or there was nothing to ask.
    fn unanswered(&self, is_settled: bool) -> Option<Vec<IpAddr>> {
        let mut rounds = self.rounds.findings.iter();
        let mut hosts = match rounds.next() {
            Some(findings) => findings.unanswered()?,
            None => is_settled.then(Vec::new)?,
        };
        hosts.extend(rounds.filter_map(Findings::unanswered).flatten());
        Some(hosts)
    }
}

fn judge(image: &[u8], work: &Work, line: &Line) -> Result<Found, Damage> {
    if image.is_empty() {
        // spamd(8) has not written to the database yet.
        if work.purpose == Purpose::Scan {
            line.say(Said::Read(Box::default()));
        }
        return Ok(Found::default());
    }
    let start = Instant::now();
    let snapshot = Snapshot::new(image)?;
    let order = snapshot.byte_order();
    match work.purpose {
        Purpose::Traps => return snapshot.read(|records| traps(records, order)),
        Purpose::Spamtraps => return snapshot.read(|records| spamtraps(records, order)),
        Purpose::Scan | Purpose::Hosts | Purpose::Host(_) => {}
    }
    let rules = &work.config.rules;
    let mut scan = match work.purpose {
        Purpose::Host(address) => snapshot.read(|records| {
            let records = records.filter(|record| match record {
                Ok(record) => is_of(&record.key, address),
                Err(_) => true,
            });
            Scan::begin_all(records, snapshot.byte_order(), work.now, rules)
        })?,
        Purpose::Hosts => Scan::of_all(&snapshot, work.now, rules)?,
        Purpose::Scan | Purpose::Traps | Purpose::Spamtraps => {
            Scan::of_exempt(&snapshot, work.now, rules)?
        }
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
    let is_settled = asking.questions.is_empty();
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
    let answers = asking.known;
    let report = scan.settled();
    let heard = answers.heard.believed();
    let (mut found, verdict) = found(report, &answers, (&held, &exempt));
    found.freed = exempt.freed(&answers);
    found.vouched = answers.rounds.vouched().collect();
    if let Purpose::Host(address) = work.purpose {
        found.explained = explained(&snapshot, address, verdict, work)?;
    }
    let text = |doubt: &Doubt| format!("{}: {doubt}", doubt.about());
    found.doubts = report.doubts().iter().map(text).collect();
    let is_doubt = |doubt: &&Doubt| !matches!(doubt, Doubt::Aside { .. });
    let doubts: Vec<_> = report.doubts().iter().filter(is_doubt).collect();
    // A list that is put aside is no doubt about other answers.
    if doubts.is_empty() {
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
    }
    if let (Purpose::Scan, Some(known)) = (work.purpose, &work.known) {
        found.news = seen::news(&snapshot, known, work.now)?;
    }
    worked += start.elapsed();
    (found.worked, found.heard) = (worked, heard);
    Ok(found)
}

/// The hosts that other sites have in the trap, from their file if that has changed: with a million of them,
/// the loop would not answer for a while.
fn listen(work: &Work, line: &Line) -> Option<Arc<Networks>> {
    let mut hearing = lock(work.hearing.as_ref()?);
    let (warning, is_replaced) = (hearing.listen(work.now), hearing.is_replaced());
    if warning.is_some() || is_replaced {
        line.say(Said::Heard { warning, is_replaced });
    }
    hearing.heard()
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

/// Questions under way.
struct Asking<'w> {
    known: Known<'w>,
    /// The number of names to ask for, and the time for them.
    questions: Questions,
    overdue: HashSet<IpAddr>,
    until: Instant,
    /// When DNS is to return what it has for the first time.
    cut_at: Option<Instant>,
    /// Whether they were, and the rest is to be asked for again.
    is_cut: bool,
    /// What came up with the answers, and is being asked.
    further: Option<Questions>,
    came_up: CameUp,
    /// Whether answers of DNS and of the external program are outstanding.
    open: (bool, bool),
    /// The recipients to check, controls first, and the answers so far.
    recipients: Vec<Vec<u8>>,
    checked: Vec<Option<bool>>,
}

impl<'w> Asking<'w> {
    /// Asks everything at once.
    fn begin(scan: &Scan<'_>, (work, exempt): (&'w Work, &Exempt), line: &Line) -> Asking<'w> {
        let within = work.config.scan_every / 2;
        let mut questions = match work.purpose {
            Purpose::Host(_) => Questions::of_all(scan),
            _ => Questions::of(scan),
        };
        exempt.ask(&mut questions);
        if questions.controls.is_empty() && !questions.is_empty() {
            questions.controls = scan.own_domains();
        }
        let suspects = if work.config.checker.is_some() { scan.recipients() } else { Vec::new() };
        let (heard, others) = Heard::recall(suspects, &work.recipients, work.now);
        let recipients = match others.is_empty() {
            true => others,
            false => heard::with_controls(others, work.control()),
        };
        let open = (!questions.is_empty(), !recipients.is_empty());
        if open.0 {
            line.say(Said::Ask(messages(&questions, within.min(FIRST_ANSWERS))));
        }
        if open.1 {
            let chunks = (0u64..).step_by(CHUNK).zip(recipients.chunks(CHUNK));
            let message = |(first, chunk): (u64, &[Vec<u8>])| ToChecker::Check {
                first,
                is_new: first == 0,
                recipients: chunk.to_vec(),
            };
            line.say(Said::Check(chunks.map(message).collect(), recipients.len()));
        }
        let rounds = Rounds { heard: listen(work, line), ..Rounds::default() };
        let known = Known { work, rounds, heard };
        let overdue = work.overdue.iter().copied().filter(|address| !exempt.covers(*address));
        let (overdue, now) = (overdue.collect(), Instant::now());
        let (until, cut_at) = (now + within, Some(now + FIRST_ANSWERS));
        Asking {
            known,
            questions,
            overdue,
            until,
            cut_at,
            is_cut: false,
            further: None,
            came_up: CameUp::default(),
            open,
            recipients,
            checked: Vec::new(),
        }
    }

    /// Whether answers are outstanding.
    fn is_open(&self) -> bool {
        self.open != (false, false)
    }

    /// Waits until more is known than before, if an answer is outstanding.
    fn wait(&mut self, line: &Line) {
        if !self.is_open() {
            return;
        }
        match line.answer(self.until + GRACE) {
            Some(Answer::Dns(answered)) => self.take(answered),
            Some(Answer::Checked(answers, is_all)) => {
                self.checked = answers;
                self.open.1 = !is_all;
                self.hear();
            }
            None => {
                self.open = (false, false);
                self.is_cut = false;
                self.hear();
            }
        }
    }

    /// Takes what DNS says.
    fn take(&mut self, answered: Option<Answered>) {
        self.open.0 = false;
        let further = self.further.take();
        let Some(answered) = answered else {
            self.is_cut = false;
            return;
        };
        let rounds = &mut self.known.rounds.findings;
        if let Some(questions) = further {
            rounds.push(Findings::new(questions, answered, self.overdue.clone()));
            return;
        }
        let cut_at = self.cut_at.take();
        self.is_cut = cut_at.is_some_and(|cut_at| Instant::now() >= cut_at);
        let questions = match self.is_cut {
            true => self.questions.clone(),
            false => std::mem::take(&mut self.questions),
        };
        let findings = Findings::new(questions, answered, self.overdue.clone());
        match rounds.first_mut() {
            Some(first) => *first = findings,
            None => rounds.push(findings),
        }
    }

    /// Asks DNS about what came up with the answers, and then again for what it has not said yet, while
    /// there is time.
    fn ask_more(&mut self, scan: &Scan<'_>, line: &Line) {
        let left = self.until.saturating_duration_since(Instant::now());
        if self.open.0 || left <= GRACE {
            return;
        }
        let further = self.came_up.further(scan);
        if !further.is_empty() {
            let within = if self.is_cut { left.min(FIRST_ANSWERS) } else { left };
            line.say(Said::Ask(messages(&further, within)));
            self.further = Some(further);
        } else if self.is_cut {
            self.is_cut = false;
            line.say(Said::Ask(messages(&self.questions, left)));
        } else {
            return;
        }
        self.open.0 = true;
    }

    /// Takes the answers of the external program.
    fn hear(&mut self) {
        let said = self.recipients.iter().cloned().zip(self.checked.iter().copied());
        let control = self.known.work.control();
        let said = match self.open.1 {
            true => Heard::so_far(said.collect(), control),
            false => Heard::new(said, control),
        };
        self.known.heard = std::mem::take(&mut self.known.heard).and(said);
    }
}

/// All hosts in a trap.
fn traps(records: &mut Trusted<'_, '_>, order: ByteOrder) -> Result<Found, Damage> {
    let mut found = Found::default();
    for record in records {
        let record = record?;
        let trapped = TrapRecord::decode(&record.key, &record.value, order);
        let Some(TrapRecord { address, first, expire }) = trapped else { continue };
        found.trapped.push(Trap { address, first, expire, verdict: None, secret: None });
    }
    Ok(found)
}

/// All spamtraps.
fn spamtraps(records: &mut Trusted<'_, '_>, order: ByteOrder) -> Result<Found, Damage> {
    let mut found = Found::default();
    for record in records {
        let record = record?;
        if let Ok((Entry::Spamtrap(key), _)) = Entry::decode(&record.key, &record.value, order) {
            found.spamtraps.insert(key.to_vec());
        }
    }
    Ok(found)
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

fn messages(questions: &Questions, within: Duration) -> Vec<ToResolver> {
    let mut messages = Vec::new();
    messages.extend(questions.hosts.chunks(CHUNK).map(|hosts| ToResolver::Hosts(hosts.to_vec())));
    let domains = &questions.domains;
    for start in (0..domains.len()).step_by(CHUNK) {
        let end = domains.len().min(start + CHUNK);
        let chunk = (start..end).filter_map(|number| domains.get(number)).map(<[u8]>::to_vec);
        messages.push(ToResolver::Domains(chunk.collect()));
    }
    let claims = questions.exemptions.chunks(CHUNK);
    messages.extend(claims.map(|claims| ToResolver::Exemptions(claims.to_vec())));
    let listings = questions.listings.chunks(CHUNK);
    messages.extend(listings.map(|listings| ToResolver::Listings(listings.to_vec())));
    let (controls, within) = (questions.controls.clone(), Some(within));
    messages.push(ToResolver::Ask { controls, within });
    messages
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
