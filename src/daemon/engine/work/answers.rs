//! The questions of the judging thread for the resolver and the checker, and their answers.
#![forbid(unsafe_code)]

use crate::control::status::{Micros, Phase};
use crate::daemon::engine::Engine;
use crate::daemon::engine::judging::Answer;
use crate::daemon::messages::{FromChecker, FromResolver, ToChecker, ToResolver};
use crate::dns::verdict::Tally;
use std::time::{Duration, Instant};

/// How long answers of the checker are collected before hosts are judged by them.
const BATCH: Duration = Duration::from_secs(2);

/// The checker's answers about the recipients of a scan.
pub(super) struct Checked {
    /// The number of the first recipient, different in every scan.
    first: u64,
    answers: Vec<Option<bool>>,
    missing: usize,
    since: Instant,
    /// When the judging thread was last told.
    told: Instant,
}

impl Checked {
    pub fn new(first: u64, count: usize) -> Checked {
        let now = Instant::now();
        Checked { first, answers: vec![None; count], missing: count, since: now, told: now }
    }

    /// The number of the next scan's first recipient.
    fn next(&self) -> u64 {
        self.first.saturating_add(self.answers.len() as u64)
    }

    /// All answers so far if it is time to pass them on, and whether they are complete. Answers to questions of
    /// an earlier scan are dropped.
    fn note(&mut self, number: u64, is_good: Option<bool>) -> Option<(Vec<Option<bool>>, bool)> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        *self.answers.get_mut(place)? = is_good;
        self.missing = self.missing.saturating_sub(1);
        let is_all = self.missing == 0;
        if !is_all && self.told.elapsed() < BATCH {
            return None;
        }
        self.told = Instant::now();
        Some((self.answers.clone(), is_all))
    }
}

impl Engine {
    pub(super) fn ask(&mut self, messages: Vec<ToResolver>) {
        let Some(at_work) = &mut self.at_work else { return };
        at_work.asked_at = Some(Instant::now());
        at_work.enter(Phase::Resolving);
        match &mut self.resolver {
            Some(resolver) => messages.iter().for_each(|message| resolver.send(message)),
            None => self.answer(Answer::Dns(None)),
        }
    }

    pub(super) fn check(&mut self, messages: Vec<ToChecker>, count: usize) {
        let Some(at_work) = &mut self.at_work else { return };
        if at_work.phase != Phase::Resolving {
            at_work.enter(Phase::Checking);
        }
        at_work.checked = Checked::new(self.recipients, count);
        self.recipients = at_work.checked.next();
        let first = at_work.checked.first;
        match &mut self.checker {
            Some(checker) => messages.into_iter().for_each(|message| {
                let ToChecker::Check { first: place, is_new, recipients } = message;
                checker.send(&ToChecker::Check { first: first + place, is_new, recipients });
            }),
            None => self.answer(Answer::Checked(Vec::new(), true)),
        }
    }

    fn answer(&mut self, answer: Answer) {
        let Some(at_work) = &mut self.at_work else { return };
        let took = |since: Option<Instant>| since.map_or(Micros(0), |since| since.elapsed().into());
        match &answer {
            Answer::Dns(_) => {
                let Micros(before) = at_work.scan.took.dns;
                let Micros(more) = took(at_work.asked_at);
                at_work.scan.took.dns = Micros(before.saturating_add(more));
                let is_checking = at_work.checked.missing > 0;
                at_work.enter(if is_checking { Phase::Checking } else { Phase::Judging });
            }
            Answer::Checked(_, is_all) => {
                at_work.scan.took.checker = took(Some(at_work.checked.since));
                if *is_all && at_work.phase == Phase::Checking {
                    at_work.enter(Phase::Judging);
                }
            }
        }
        if let Some(judging) = &at_work.judging {
            judging.answer(answer);
        }
    }

    /// Handles an answer of the resolver.
    pub(in crate::daemon::engine) fn resolved(&mut self, message: FromResolver) {
        let Some(at_work) = &mut self.at_work else { return };
        match message {
            FromResolver::Hosts(hosts) => at_work.answered.hosts.extend(hosts),
            FromResolver::Domains(domains) => at_work.answered.domains.extend(domains),
            FromResolver::Exemptions(found) => at_work.answered.endorsements.extend(found),
            FromResolver::Listings(found) => at_work.answered.listings.extend(found),
            FromResolver::End { tally, shown, failure, servers, good } => {
                self.ledger.note_good(good);
                self.memory.name_servers = servers;
                let mut answered = std::mem::take(&mut at_work.answered);
                (answered.tally, answered.shown) = (tally, shown);
                // The last questions are about hosts only.
                if tally != Tally::default() {
                    at_work.scan.domains = tally;
                }
                self.memory.note_dns(failure.as_deref());
                self.answer(Answer::Dns(failure.is_none().then_some(answered)));
            }
        }
    }

    /// Handles an answer of the checker.
    pub(in crate::daemon::engine) fn checked(
        &mut self,
        FromChecker { number, is_good }: FromChecker,
    ) {
        let Some(at_work) = &mut self.at_work else { return };
        if let Some((answers, is_all)) = at_work.checked.note(number, is_good) {
            self.answer(Answer::Checked(answers, is_all));
        }
    }
}
