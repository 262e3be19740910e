//! Does one job at a time: has the database read and judged and, in a scan, has hosts trapped.
//!
//! ```text
//! jobs --ToStore::Read--> image --thread--> found --ToStore::Trap--> changes --> memory, log, clients
//!                                  |  ^
//!                                  v  | answers of resolver and checker
//! ```
//!
//! A job that fails is over, and the next one starts afresh. The same failure is logged once until something
//! else happens, damage once for every change of the file.
#![forbid(unsafe_code)]

mod answers;
mod found;
mod traps;

use self::answers::Checked;
use self::traps::Wanted;
use super::histories::Without;
use super::judging::{Found, Judging, Purpose, Said, Work};
use super::{Engine, exempt, now};
use crate::control::protocol::{Reply, What};
use crate::control::server::ClientId;
use crate::control::status::{Micros, Phase, Scan};
use crate::daemon::messages::{Image, ToStore};
use crate::db::{Damage, Error};
use crate::errno::reason;
use crate::inquiry::Answered;
use crate::log;
use crate::plural::counted_here;
use crate::process::image::View;
use crate::scan::{self, Verdict};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Something that needs the database.
pub struct Job {
    /// Its purpose.
    pub purpose: Purpose,
    /// The client that asked; `None` for a scan.
    pub client: Option<ClientId>,
}

/// The job under way.
pub struct AtWork {
    job: Job,
    /// Its figures so far; `since` is when the current phase began.
    scan: Scan,
    phase: Phase,
    since: Instant,
    version: Option<[u64; 5]>,
    /// Whether the image was announced, and is on its way.
    awaits_image: bool,
    judging: Option<Judging>,
    answered: Answered,
    /// When DNS was last asked.
    asked_at: Option<Instant>,
    checked: Checked,
    /// The hosts to trap that the store has not been asked for yet.
    left: VecDeque<Verdict>,
    /// The last request to the store.
    wanted: Option<Wanted>,
    over_limit: usize,
    /// Why the store could not write everything; nothing more is written then.
    failure: Option<String>,
    /// Whether the engine exits before the scan is complete.
    is_stopped: bool,
}

impl AtWork {
    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Ends a phase, and returns how long it took.
    fn enter(&mut self, phase: Phase) -> Micros {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.since);
        (self.phase, self.since) = (phase, now);
        took.into()
    }

    /// Whether the store has not yet said what became of some traps.
    pub fn awaits_store(&self) -> bool {
        self.wanted.is_some()
    }

    fn is_scan(&self) -> bool {
        self.job.purpose == Purpose::Scan
    }
}

impl Engine {
    /// Asks for a scan as soon as possible; false if one is waiting or under way.
    pub(super) fn want_scan(&mut self) -> bool {
        let is_scan = |job: &Job| job.purpose == Purpose::Scan;
        let is_wanted =
            self.jobs.iter().any(is_scan) || self.at_work.as_ref().is_some_and(AtWork::is_scan);
        if !is_wanted {
            self.jobs.push_back(Job { purpose: Purpose::Scan, client: None });
        }
        !is_wanted
    }

    /// Does all that can be done without waiting.
    pub(super) fn go_on(&mut self) {
        while let Some(said) = self.said() {
            match said {
                Said::Read(overview) => self.read(*overview),
                Said::Traps(traps) => self.trap(traps),
                Said::Ask(messages) => self.ask(messages),
                Said::Recall(wanted) => self.recall(wanted),
                Said::Heard { warning, is_replaced } => {
                    warning.iter().for_each(log::warning);
                    self.wants_renewal |= is_replaced;
                }
                Said::Check(messages, count) => self.check(messages, count),
                Said::Done(outcome) => self.judged(outcome),
            }
        }
        if self.at_work.is_none() {
            self.start_next();
        }
    }

    fn said(&self) -> Option<Said> {
        self.at_work.as_ref()?.judging.as_ref()?.said()
    }

    fn start_next(&mut self) {
        if !self.ledger.may_begin(Instant::now()) {
            return;
        }
        let Some(job) = self.jobs.pop_front() else { return };
        let scan = Scan { began: now(), ..Scan::default() };
        let at_work = AtWork {
            job,
            scan,
            phase: Phase::Reading,
            since: Instant::now(),
            version: None,
            awaits_image: false,
            judging: None,
            answered: Answered::default(),
            asked_at: None,
            checked: Checked::new(0, 0),
            left: VecDeque::new(),
            wanted: None,
            over_limit: 0,
            failure: None,
            is_stopped: false,
        };
        if at_work.is_scan() {
            self.observed_before = std::mem::take(&mut self.observed);
            log::debug("Scan started");
            self.publish(What::ScanStarted);
        }
        self.at_work = Some(at_work);
        self.is_untidy = true;
        self.store.send(&ToStore::Read);
    }

    /// Handles the announcement of an image from the store, or the reason why there is none.
    pub(super) fn expect_image(&mut self, read: Result<Image, String>) {
        let Some(at_work) = &mut self.at_work else { return };
        let path = &self.config.database;
        let expected = read.and_then(|image| {
            at_work.version = Some(image.pass.version);
            at_work.scan.lock_waited = image.pass.waited.into();
            at_work.scan.lock_held = image.pass.held.into();
            let error = |kind| Error { path: path.clone(), kind }.to_string();
            let expected = self.image.expect(image.length);
            // An allocation that fails in the middle of a scan would end the daemon.
            expected.and_then(|()| scan::require_room(image.length)).map_err(error)
        });
        match expected {
            Ok(()) => at_work.awaits_image = true,
            Err(failure) => self.give_up_image(failure),
        }
    }

    /// Takes what has come of the image, and begins to judge it once it is complete.
    ///
    /// # Errors
    /// The way of images is broken.
    pub(super) fn take_image(&mut self) -> Result<(), String> {
        let taken = self.image.take().map_err(said)?;
        let Some(at_work) = &mut self.at_work else { return Ok(()) };
        if let Some(view) = taken.filter(|_| std::mem::take(&mut at_work.awaits_image)) {
            at_work.scan.took.read = at_work.enter(Phase::Judging);
            self.judge(view);
        }
        Ok(())
    }

    /// Ends a job whose image cannot be judged.
    fn give_up_image(&mut self, failure: String) {
        self.store.send(&ToStore::FreeImage);
        self.fail(failure, None);
    }

    fn judge(&mut self, view: View) {
        self.end_exceptions();
        let (hearing, observed) = (self.hearing.clone(), self.observed_rules());
        let Some(at_work) = &self.at_work else { return };
        let (config, purpose) = (Arc::clone(&self.config), at_work.job.purpose);
        let (overdue, held) = (self.patience.overdue(), self.memory.held());
        let now = at_work.scan.began;
        let (mut watched, mut dead, mut exempt) = (HashSet::new(), Vec::new(), Vec::new());
        if purpose == Purpose::Scan {
            watched = self.trust.book().watched();
            dead = self.trust.book().dead_domains().map(<[u8]>::to_vec).collect();
        }
        if purpose == Purpose::Scan && config.rules.has_allowed_names() {
            let traps = self.memory.traps();
            exempt = traps.filter_map(|trap| exempt::question(trap, &config.rules)).collect();
        }
        let (spared, recipients) = (self.warnings.hosts(), Arc::clone(&self.heard));
        let trapped = match purpose {
            Purpose::Host(address) => self.memory.explain(address).cloned(),
            _ => None,
        };
        let known = config.memory.tuples.map(|_| Arc::clone(&self.known));
        let work = Work {
            config,
            purpose,
            observed,
            held,
            spared,
            recipients,
            overdue,
            exempt,
            watched,
            dead,
            trapped,
            known,
            hearing,
            now,
        };
        let started = clone(&self.waker).and_then(|waker| Judging::start(view, work, waker));
        match (started, &mut self.at_work) {
            (Ok(judging), Some(at_work)) => at_work.judging = Some(judging),
            (Ok(_), None) => {}
            (Err(error), _) => self.give_up_image(said(error)),
        }
    }

    /// What `allow` said until a day that is over no longer counts.
    pub(super) fn end_exceptions(&mut self) {
        let now = now();
        if self.config.rules.has_ended_exceptions(now) {
            Arc::make_mut(&mut self.config).rules.end_exceptions(now);
        }
    }

    fn judged(&mut self, outcome: Result<Box<Found>, Damage>) {
        self.store.send(&ToStore::FreeImage);
        let Some(at_work) = &mut self.at_work else { return };
        if let Some(judging) = at_work.judging.take() {
            judging.join();
        }
        self.recalls.clear();
        let found = match outcome {
            Ok(found) => *found,
            Err(damage) => {
                let path = self.config.database.clone();
                let version = at_work.version;
                let failure = Error { path, kind: damage.into() }.to_string();
                return self.fail(failure, version);
            }
        };
        match at_work.job.client {
            Some(client) => self.tell(client, found),
            None => self.found(found),
        }
    }

    /// Answers a client's question.
    fn tell(&mut self, client: ClientId, mut found: Found) {
        let Some(AtWork { job, .. }) = self.at_work.take() else { return };
        self.memory.annotate(&mut found.trapped);
        self.mark_secrets(&mut found.trapped);
        let Some(server) = &mut self.server else { return };
        match job.purpose {
            Purpose::Hosts => server.stream(client, found.hosts.into_iter().map(Reply::Host)),
            Purpose::Traps => server.stream(client, found.trapped.into_iter().map(Reply::Trap)),
            Purpose::Host(address) => {
                let none = match found.explained {
                    Some(explained) => {
                        server.reply(client, &Reply::Explained(explained));
                        Without::NothingEver
                    }
                    None => Without::Failure(format!("{address}: does not wait")),
                };
                self.tell_past(client, address, none);
            }
            Purpose::Spamtraps => self.suggest(client, found.spamtraps),
            Purpose::Scan => {}
        }
    }

    fn finish(&mut self) {
        let Some(mut at_work) = self.at_work.take() else { return };
        at_work.scan.took.write = at_work.enter(Phase::Idle);
        self.memory.over_limit = at_work.over_limit;
        if at_work.over_limit > 0 {
            let count = at_work.over_limit;
            let hosts = counted_here(count, "host");
            log::warning(format_args!("trap limit reached, {hosts} not trapped this time"));
        }
        log::debug("Scan completed");
        self.memory.completed(&at_work.scan);
        self.publish(What::ScanDone(Box::new(at_work.scan)));
    }

    /// Ends a job that has failed; `version` is that of a damaged file.
    fn fail(&mut self, failure: String, version: Option<[u64; 5]>) {
        let Some(at_work) = self.at_work.take() else { return };
        match at_work.job.client {
            Some(client) => {
                if let Some(server) = &mut self.server {
                    server.fail(client, failure);
                }
            }
            None => {
                // What it has done before counts nevertheless.
                self.memory.totals.trapped.merge(&at_work.scan.trapped);
                self.memory.failed(&failure, version);
                self.publish(What::Failure(failure));
            }
        }
    }

    /// Counts what an unfinished scan has done.
    pub(super) fn count_unfinished(&mut self) {
        if let Some(at_work) = self.at_work.take() {
            self.memory.totals.trapped.merge(&at_work.scan.trapped);
        }
    }

    /// What the engine is doing.
    pub(super) fn phase(&self) -> Phase {
        self.at_work.as_ref().map_or(Phase::Idle, AtWork::phase)
    }
}

fn said(error: io::Error) -> String {
    format!("image: {}", reason(&error))
}

fn clone(stream: &mio::net::UnixStream) -> io::Result<mio::net::UnixStream> {
    use std::os::fd::AsFd;
    let descriptor = stream.as_fd().try_clone_to_owned()?;
    Ok(mio::net::UnixStream::from_std(descriptor.into()))
}
