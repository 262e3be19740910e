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

use super::histories::Without;
use super::judging::{Answer, Found, Judging, Overview, Purpose, Said, Work};
use super::{Engine, exempt, now, recorded};
use crate::control::protocol::{Reply, What};
use crate::control::server::ClientId;
use crate::control::status::{Micros, Phase, Scan};
use crate::daemon::messages::{By, Change, FromChecker, FromResolver, Image, ToChecker, ToStore};
use crate::db::{Damage, Error};
use crate::dns::verdict::Tally;
use crate::errno::reason;
use crate::inquiry::Answered;
use crate::log;
use crate::memory::{Deed, Record};
use crate::plural::counted_here;
use crate::process::image::View;
use crate::scan::{self, Rule, Verdict, Why};
use crate::spamd::Address;
use crate::spamd::trap::{Outcome, Refusal};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The number of hosts in one request to the store: between two requests others get the lock, and clients
/// are served.
const CHUNK: usize = 500;

/// Hosts of which it is known which exception has spared them.
const EXEMPTED: usize = 10_000;

/// How long answers of the checker are collected before hosts are judged by them.
const BATCH: Duration = Duration::from_secs(2);

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

/// Traps that the store was asked for.
struct Wanted {
    ticket: u64,
    verdicts: Vec<Verdict>,
}

/// The checker's answers about the recipients of a scan.
struct Checked {
    /// The number of the first recipient, different in every scan.
    first: u64,
    answers: Vec<Option<bool>>,
    missing: usize,
    since: Instant,
    /// When the judging thread was last told.
    told: Instant,
}

impl Checked {
    fn new(first: u64, count: usize) -> Checked {
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

    fn ask(&mut self, messages: Vec<crate::daemon::messages::ToResolver>) {
        let Some(at_work) = &mut self.at_work else { return };
        at_work.asked_at = Some(Instant::now());
        at_work.enter(Phase::Resolving);
        match &mut self.resolver {
            Some(resolver) => messages.iter().for_each(|message| resolver.send(message)),
            None => self.answer(Answer::Dns(None)),
        }
    }

    fn check(&mut self, messages: Vec<ToChecker>, count: usize) {
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
    pub(super) fn resolved(&mut self, message: FromResolver) {
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
    pub(super) fn checked(&mut self, FromChecker { number, is_good }: FromChecker) {
        let Some(at_work) = &mut self.at_work else { return };
        if let Some((answers, is_all)) = at_work.checked.note(number, is_good) {
            self.answer(Answer::Checked(answers, is_all));
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

    /// Handles what a scan has read in the records.
    fn read(&mut self, Overview { counts, unknown, let_go, passed }: Overview) {
        log::debug(&counts);
        unknown.iter().for_each(log::verbose);
        self.memory.let_go(&let_go);
        self.note_passed(&passed);
        if let Some(at_work) = &mut self.at_work {
            at_work.scan.records = counts;
        }
    }

    /// Hosts that rules had trapped are whitelisted now.
    fn note_passed(&mut self, passed: &[IpAddr]) {
        self.trust.age(now());
        for address in passed {
            let rules: Vec<_> = self.trust.book().unpassed(*address).map(String::from).collect();
            self.note_good(Deed::Passed, *address, rules, "whitelisted after its trap");
        }
    }

    /// DNS has confirmed the identity of hosts; rules may have trapped some of them before.
    fn note_confirmed(&mut self, hosts: &[Verdict]) {
        let is_confirmed = |verdict: &&Verdict| verdict.passes().is_some_and(Why::is_identity);
        for address in hosts.iter().filter(is_confirmed).map(|verdict| verdict.address.ip()) {
            let rules: Vec<_> = self.trust.book().unproven(address).map(String::from).collect();
            self.note_good(Deed::Confirmed, address, rules, "identity confirmed after its trap");
        }
    }

    /// DNS has found sender domains good for which hosts were trapped before.
    fn note_revived(&mut self, domains: &[Vec<u8>]) {
        let hosts = domains.iter().flat_map(|domain| self.trust.take_trapped_for(domain));
        for address in hosts.collect::<Vec<_>>() {
            let is_open = self.trust.book().unproven(address).any(|rule| rule == Rule::Dns.name());
            let rules = is_open.then(|| Rule::Dns.name().to_owned());
            let reason = "sender domain good after its trap";
            self.note_good(Deed::Confirmed, address, rules.into_iter().collect(), reason);
        }
    }

    fn note_good(&mut self, deed: Deed, address: IpAddr, rules: Vec<String>, reason: &str) {
        for rule in rules {
            let record = recorded::event(deed, Some(address), reason, now());
            self.remember(Record { rule: Some(rule), ..record });
        }
    }

    /// Has the hosts trapped that a scan has found so far.
    fn trap(&mut self, traps: Vec<Verdict>) {
        let rules = self.observed_rules();
        let is_observed = |rule| rules.contains(&rule);
        let (observed, traps): (Vec<_>, _) =
            traps.into_iter().partition(|verdict| verdict.rule.is_some_and(is_observed));
        self.observe(observed);
        for verdict in traps.iter().map(Verdict::without_tuples) {
            self.publish(What::Verdict(verdict));
        }
        let Some(at_work) = &mut self.at_work else { return };
        if at_work.failure.is_some() {
            return;
        }
        at_work.left.extend(traps);
        if at_work.wanted.is_none() {
            self.write();
        }
    }

    /// Rules that are only observed: by the configuration, because they were wrong too often, or because it is
    /// not known which hosts were released.
    fn observed_rules(&self) -> Vec<Rule> {
        let names = &self.config.observe;
        let is_observed = |rule: &Rule| {
            let is_suspended = self.trust.is_suspended(*rule);
            names.contains(&rule.name()) || is_suspended || self.ledger.is_blind()
        };
        Rule::ALL.into_iter().filter(is_observed).collect()
    }

    /// Logs and remembers hosts that observed rules hit, each once for as long as it is hit.
    fn observe(&mut self, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            let (address, Some(rule)) = (verdict.address.ip(), verdict.rule) else { continue };
            self.observed.insert(address, rule);
            if self.observed_before.get(&address) == Some(&rule) {
                continue;
            }
            self.memory.totals.observed.add(rule, 1);
            log::info(format_args!("Would trap {}: {}", verdict.address, verdict.reason));
            self.publish(What::Observed(verdict.without_tuples()));
            self.remember(recorded::record(Deed::Observed, &verdict, now(), None));
        }
    }

    /// Handles the result of a scan.
    fn found(&mut self, found: Found) {
        let Some(at_work) = &mut self.at_work else { return };
        at_work.scan.took.judge = found.worked.into();
        at_work.enter(Phase::Writing);
        at_work.scan.waiting = found.waiting;
        at_work.scan.judged = found.judged;
        found.doubts.iter().for_each(log::warning);
        self.memory.doubts = found.doubts;
        found.unanswered.into_iter().for_each(|hosts| self.patience.note(hosts));
        self.warnings.note(found.spared, now());
        self.ledger.note_vouched(self.vouched.note(found.vouched.into_iter(), now()));
        self.warnings.changed().into_iter().for_each(|warned| self.ledger.note_warned(warned));
        Arc::make_mut(&mut self.heard).note(found.heard, now());
        let mut news = found.news;
        self.known = Arc::new(std::mem::take(&mut news.known));
        self.ledger.note_news(news);
        self.ledger.note_evidence(found.evidence);
        if let Some(failure) = at_work.failure.take() {
            return self.fail(failure, None);
        }
        self.note_passes(&found.hosts);
        self.note_confirmed(&found.hosts);
        self.note_revived(&found.revived);
        self.free(found.freed);
        if self.is_monitored() {
            // What exceptions are good for is in the history.
            let is_news = |verdict: &Verdict| verdict.passes() != Some(Why::Allowed);
            for verdict in found.hosts.into_iter().filter(is_news) {
                self.publish(What::Verdict(verdict.without_tuples()));
            }
        }
        if self.at_work.as_ref().is_some_and(|at_work| at_work.wanted.is_none()) {
            self.write();
        }
    }

    /// Sends to memory which hosts were spared and why, unless that is as in the last scan.
    fn note_passes(&mut self, hosts: &[Verdict]) {
        let now = now();
        let last = std::mem::take(&mut self.passed);
        for verdict in hosts {
            let (address, Some(why)) = (verdict.address.ip(), verdict.passes()) else { continue };
            if why.is_exception() {
                self.note_exempt(verdict, why);
            } else if last.get(&address) != Some(&why) {
                self.remember(recorded::record(Deed::Spared, verdict, now, None));
            }
            self.passed.insert(address, why);
        }
    }

    /// Has remembered which exception spares a host, once.
    fn note_exempt(&mut self, verdict: &Verdict, why: Why) {
        let address = verdict.address.ip();
        let mut verdict = verdict.clone();
        if why == Why::Allowed {
            verdict.evidence.statements.extend(self.config.rules.allowing(address));
        }
        let statement = verdict.evidence.statements.first();
        let statement = statement.map_or(String::new(), |written| written.statement.clone());
        if self.exempted.get(&address) == Some(&statement) {
            return;
        }
        if self.exempted.len() >= EXEMPTED {
            self.exempted.clear();
        }
        self.exempted.insert(address, statement);
        self.remember(recorded::record(Deed::Spared, &verdict, now(), None));
    }

    /// Ends the traps of hosts that an exception covers by name.
    fn free(&mut self, hosts: Vec<IpAddr>) {
        if hosts.is_empty() {
            return;
        }
        let addresses: Vec<_> = hosts.into_iter().map(Address::from).collect();
        let (ticket, by) = (self.ticket(), By::Scan { before: 0 });
        let texts = addresses.iter().map(ToString::to_string).collect();
        self.freeing.insert(ticket, addresses);
        self.store.send(&ToStore::EndTraps(Change { ticket, addresses: texts, by }));
    }

    fn note_freed(&mut self, addresses: Vec<Address>, outcomes: &[Option<Outcome>]) {
        for (address, outcome) in addresses.iter().zip(outcomes) {
            match outcome {
                Some(outcome) if outcome.is_released() => {
                    self.released(address, Deed::Allowed, Why::AllowedName.text().into());
                }
                // It is in no trap any more.
                Some(_) => self.memory.forget(address.ip()),
                None => {}
            }
        }
    }

    /// Asks the store for the next traps. If there are none, and no more can be found, the scan is complete.
    fn write(&mut self) {
        let ticket = self.ticket();
        let Some(at_work) = self.at_work.as_mut().filter(|at_work| !at_work.is_stopped) else {
            return;
        };
        // These were released after the image was read.
        at_work.left.retain(|verdict| !self.memory.holds(verdict.address.ip()));
        let book = self.trust.book();
        let again = self.config.trap_again.is_some();
        let before = |verdict: &Verdict| if again { book.times(verdict.address.ip()) } else { 0 };
        let Some(count) = at_work.left.front().map(before) else {
            if at_work.judging.is_none() {
                self.finish();
            }
            return;
        };
        // Those whose traps last as long as the first one's.
        let (mut verdicts, others): (Vec<_>, Vec<_>) =
            at_work.left.drain(..).partition(|verdict| before(verdict) == count);
        at_work.left.extend(verdicts.split_off(verdicts.len().min(CHUNK)));
        at_work.left.extend(others);
        let addresses = verdicts.iter().map(|verdict| verdict.address.to_string()).collect();
        at_work.wanted = Some(Wanted { ticket, verdicts });
        let by = By::Scan { before: count };
        self.store.send(&ToStore::Trap(Change { ticket, addresses, by }));
    }

    /// Handles what became of the request with this ticket.
    pub(super) fn changed(
        &mut self,
        ticket: u64,
        (outcomes, expire): (&[Option<Outcome>], i64),
        failure: Option<String>,
        longest: Duration,
    ) {
        let wanted = self.at_work.as_mut().and_then(|at_work| {
            let wanted = at_work.wanted.take_if(|wanted| wanted.ticket == ticket)?;
            at_work.scan.lock_held = at_work.scan.lock_held.max(longest.into());
            Some(wanted)
        });
        if let Some(addresses) = self.freeing.remove(&ticket) {
            return self.note_freed(addresses, outcomes);
        }
        let Some(Wanted { verdicts, .. }) = wanted else {
            return self.changed_for_client(ticket, (outcomes, expire), failure);
        };
        for (verdict, outcome) in verdicts.into_iter().zip(outcomes) {
            self.note_outcome(verdict, *outcome, expire);
        }
        match failure {
            // The rest would fail too, after waiting for the lock again.
            Some(failure) => self.give_up_writing(failure),
            None => self.write(),
        }
    }

    /// Traps nothing more in this scan, which ends when the image is no longer in use.
    fn give_up_writing(&mut self, failure: String) {
        let Some(at_work) = &mut self.at_work else { return };
        if at_work.judging.is_none() {
            return self.fail(failure, None);
        }
        at_work.left.clear();
        at_work.failure = Some(failure);
    }

    fn note_outcome(&mut self, verdict: Verdict, outcome: Option<Outcome>, expire: i64) {
        let Some(at_work) = &mut self.at_work else { return };
        match outcome {
            Some(outcome) if outcome.is_trapped() => {
                if let Some(rule) = verdict.rule {
                    at_work.scan.trapped.add(rule, 1);
                }
                log::info(format_args!("Trapped {}: {}", verdict.address, verdict.reason));
                self.publish(What::Trapped(verdict.without_tuples()));
                let now = now();
                self.remember(recorded::record(Deed::Trapped, &verdict, now, Some(expire)));
                self.memory.remember(verdict, now, expire);
            }
            Some(Outcome::Refused(Refusal::Limit)) => {
                at_work.over_limit += 1 + std::mem::take(&mut at_work.left).len();
            }
            Some(outcome) => {
                log::verbose(format_args!("{}: not trapped after all: {outcome}", verdict.address));
            }
            None => {}
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

    /// Stops asking the store for traps of the scan under way.
    pub(super) fn stop_writing(&mut self) {
        if let Some(at_work) = &mut self.at_work {
            at_work.is_stopped = true;
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
