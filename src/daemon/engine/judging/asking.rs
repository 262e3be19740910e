//! The questions of one judging, and when to wait for which answers.
#![forbid(unsafe_code)]

use super::known::Known;
use super::{Answer, Line, Purpose, Said, Work};
use crate::checker::heard::{self, Heard};
use crate::config::Networks;
use crate::daemon::engine::exempt::Exempt;
use crate::daemon::messages::{ToChecker, ToResolver};
use crate::inquiry::{Answered, CameUp, Findings, Questions, Rounds};
use crate::scan::Scan;
use crate::threads::lock;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The maximum number of names in a message to the resolver or the checker.
const CHUNK: usize = 1000;
/// After this time, what DNS has not answered is unknown for the moment: hosts that are settled by the other
/// answers are trapped, and the rest is asked again.
const FIRST_ANSWERS: Duration = Duration::from_secs(10);
/// How late an answer may come.
const GRACE: Duration = Duration::from_secs(1);

/// Questions under way.
pub(super) struct Asking<'w> {
    /// What is known so far.
    pub known: Known<'w>,
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
    pub fn begin(scan: &Scan<'_>, (work, exempt): (&'w Work, &Exempt), line: &Line) -> Asking<'w> {
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

    /// Whether there is anything to ask DNS.
    pub fn asks_dns(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Whether answers are outstanding.
    pub fn is_open(&self) -> bool {
        self.open != (false, false)
    }

    /// Waits until more is known than before, if an answer is outstanding.
    pub fn wait(&mut self, line: &Line) {
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
    pub fn ask_more(&mut self, scan: &Scan<'_>, line: &Line) {
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
