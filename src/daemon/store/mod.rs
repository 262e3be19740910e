//! The store: the only process that reads and writes the database.
//!
//! It has access to the database (and on OpenBSD to no other file beside it), to the way of its image to the
//! engine, and to its socketpairs. It never decodes what it reads. It only sets and removes traps, and
//! does not trust the engine: an address must be valid, must not be in `allow`, must be within `trap
//! limit`, and its record is checked again under the lock. The configuration determines how long a trap
//! lasts. The worst that a compromised engine can do here is to trap hosts at that rate, and to remove
//! traps. Since the engine speaks for the operator, it can claim that the operator wants a whitelisted host
//! trapped, or a recipient made a spamtrap; `allow` and the rate apply to that too.
//!
//! It waits for messages, for the lock, and for the engine to take answers, and always notices the end of
//! its parent. A write in progress is finished first.
#![forbid(unsafe_code)]

mod known;
mod limit;
mod set;
mod whites;

use crate::config::Config;
use crate::control::protocol::Span;
use crate::daemon::life::Life;
use crate::daemon::messages::{
    By, Change, FromParent, FromStore, FromSync, Image, Legacy, Renewal, StoreLegacy, ToParent,
    ToStore, ToSync,
};
use crate::daemon::now;
use crate::daemon::peer::Peer;
use crate::daemon::roles::Variant;
use crate::daemon::slot::{Slot, inherited};
use crate::db::database::{Changes, Database};
use crate::db::lock::{self, Creation, FileId, Wait};
use crate::db::{Engine, EngineError};
use crate::errno::reason;
use crate::escape::escaped_path;
use crate::log;
use crate::machine::Own;
use crate::process::image::Writer;
use crate::spamd::Address;
use crate::spamd::spamtrap::{self, Spamtrap};
use crate::spamd::sync::Trap;
use crate::spamd::trap::{self, Outcome, Over, Refusal};
use known::Known;
use limit::Limit;
use mio::{Events, Poll, Token};
use set::SetTraps;
use std::cell::RefCell;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};
use whites::Whites;

/// The bounds of how long a trap lasts that an operator sets, those of `trap for`.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(52 * 7 * 24 * 60 * 60);
const ENGINE: Token = Token(1);
const SYNC: Token = Token(2);

/// Does the store's work until its parent has gone.
pub fn run(life: &mut Life) -> Result<(), String> {
    let mut config = life.config()?;
    config.rules.own = Own::of_machine();
    let mut poll = Poll::new().map_err(|error| reason(&error).to_string())?;
    let registry = poll.registry();
    let mut engine = Peer::new((Slot::Asker, "engine"), registry, ENGINE)?;
    // It exists only if traps are sent to other hosts.
    let sync = Peer::new((Slot::Sync, "sync"), registry, SYNC).ok();
    let image = inherited(Slot::ImageToWrite).and_then(Writer::new);
    let image = image.map_err(|error| reason(&error).to_string())?;
    let known = Known::of(&config.database);
    life.lock_in(Variant::Usual, |_| config.database.clone())?;
    life.ready(registry)?;
    let mut store = Store::new(config, image, sync, known);
    let mut events = Events::with_capacity(8);
    let mut has_begun = false;
    while !life.is_over() {
        while let Ok(Some(order)) = life.orders() {
            match order {
                FromParent::Inherit(Legacy::Store(legacy)) => store.inherit(legacy),
                FromParent::Go => has_begun = true,
                FromParent::NotRenewed(why) => {
                    for answer in store.answer_deferred(&why) {
                        engine.deliver(&answer, life);
                    }
                }
                _ => {}
            }
        }
        // Not before it has inherited.
        let message = if has_begun { engine.receive()? } else { None };
        if let Some(message) = message {
            for answer in store.answer(life, message) {
                engine.deliver(&answer, life);
            }
            store.pass_on(life)?;
        } else if let Some(peers) = store.peers()? {
            engine.deliver(&peers, life);
        } else {
            life.wait(&mut poll, &mut events, None)?;
        }
    }
    life.tell(&ToParent::Leave(Legacy::Store(store.legacy())));
    Ok(())
}

struct Store {
    config: Config,
    image: Writer,
    database: Database,
    /// The file that the engine judges.
    judged: Option<FileId>,
    limit: Limit,
    set: SetTraps,
    whites: Whites,
    sync: Option<Peer<ToSync, FromSync>>,
    known: Known,
    /// Requests that only another store can handle.
    deferred: Vec<ToStore>,
}

/// A change of one record that may be made.
struct Planned<'a, T> {
    /// Its place among the addresses.
    place: usize,
    address: &'a T,
}

impl Store {
    fn new(
        config: Config,
        image: Writer,
        sync: Option<Peer<ToSync, FromSync>>,
        known: Known,
    ) -> Store {
        let database = Database::new(&config.database, Creation::Never).written_by(config.engine);
        let (traps, time) = config.trap_limit;
        let (limit, set) = (Limit::new(traps, time), SetTraps::default());
        let (judged, deferred, whites) = (None, Vec::new(), Whites::default());
        Store { config, image, database, judged, limit, set, whites, sync, known, deferred }
    }

    /// Takes over what the previous store knew.
    fn inherit(&mut self, StoreLegacy { counted, set, whites }: StoreLegacy) {
        self.limit.inherit(counted, Instant::now());
        self.set.inherit(set);
        self.whites.inherit(whites);
    }

    /// What the next store must know.
    fn legacy(&mut self) -> StoreLegacy {
        let (set, whites) = (self.set.legacy(), self.whites.legacy());
        StoreLegacy { counted: self.limit.legacy(Instant::now()), set, whites }
    }

    /// Answers a message. If the database was replaced by another file that the sandbox does not allow to
    /// be opened, this asks for a new store, and answers only if there will be none.
    fn answer(&mut self, life: &mut Life, message: ToStore) -> Vec<FromStore> {
        let reads_or_writes = !matches!(message, ToStore::FreeImage | ToStore::Own { .. });
        if reads_or_writes && self.known.is_replaced(&self.config.database) {
            if self.deferred.is_empty() {
                life.tell(&ToParent::Renew(Renewal::Database));
            }
            self.deferred.push(message);
            return Vec::new();
        }
        self.config.rules.end_exceptions(now());
        match message {
            ToStore::Read => {
                let exempted = self.exempt(life);
                let read = FromStore::Read(self.read(life));
                exempted.into_iter().chain([read]).collect()
            }
            ToStore::FreeImage => {
                self.free_image();
                Vec::new()
            }
            ToStore::Trap(change) => {
                let changed = self.trap(life, &change);
                self.with_whites(changed)
            }
            ToStore::EndTraps(change) => {
                let changed = self.release(life, &change);
                self.with_whites(changed)
            }
            ToStore::Adopt(change) => vec![self.adopt(life, &change)],
            ToStore::Own { traps, whites } => {
                traps.into_iter().for_each(|(address, expire)| self.set.add(address, expire));
                self.whites.inherit(whites);
                Vec::new()
            }
        }
    }

    /// An answer, and the WHITE records that are replaced now, if they have changed.
    fn with_whites(&mut self, changed: FromStore) -> Vec<FromStore> {
        let whites = self.whites.changed(now()).map(FromStore::Whites);
        [changed].into_iter().chain(whites).collect()
    }

    /// Answers the deferred requests with a failure.
    fn answer_deferred(&mut self, why: &str) -> Vec<FromStore> {
        let path = escaped_path(&self.config.database);
        let failure = format!("{path}: replaced, and cannot be opened again: {why}");
        let answer = |message| match message {
            ToStore::Read => Some(FromStore::Read(Err(failure.clone()))),
            ToStore::FreeImage | ToStore::Own { .. } => None,
            ToStore::Trap(change) | ToStore::EndTraps(change) | ToStore::Adopt(change) => {
                Some(FromStore::Changed {
                    ticket: change.ticket,
                    outcomes: vec![None; change.addresses.len()],
                    trap: Span::default(),
                    failure: Some(failure.clone()),
                    longest: Duration::ZERO,
                })
            }
        };
        std::mem::take(&mut self.deferred).into_iter().filter_map(answer).collect()
    }

    /// Removes its own traps that `allow` now covers.
    fn exempt(&mut self, life: &mut Life) -> Option<FromStore> {
        let rules = &self.config.rules;
        let covered = self.set.live(now()).filter(|address| rules.allows(address.ip()));
        let addresses: Vec<_> = covered.cloned().collect();
        if addresses.is_empty() {
            return None;
        }
        let texts = addresses.iter().map(ToString::to_string).collect();
        let change = Change { ticket: 0, addresses: texts, by: By::Scan { before: 0 } };
        let FromStore::Changed { outcomes, failure, .. } = self.release(life, &change) else {
            return None;
        };
        if let Some(failure) = failure {
            log::error(format_args!("removing traps that allow covers: {failure}"));
        }
        let mut released = Vec::new();
        for (address, outcome) in addresses.into_iter().zip(outcomes) {
            // Any other record there is not one of its traps.
            if outcome.is_some() {
                self.set.remove(address.ip());
            }
            if outcome.is_some_and(Outcome::is_released) {
                released.push(address);
            }
        }
        Some(FromStore::Exempted(released))
    }

    fn peers(&mut self) -> Result<Option<FromStore>, String> {
        let heard = self.sync.as_mut().map_or(Ok(None), Peer::receive)?;
        Ok(heard.map(|FromSync::Peers(peers)| FromStore::Peers(peers)))
    }

    fn read(&mut self, life: &mut Life) -> Result<Image, String> {
        let path = &self.config.database;
        let mut notice = || waiting(path);
        let mut is_over = || life.has_lost_parent();
        let mut wait = Wait::usual(&mut notice).unless(&mut is_over);
        let pass = lock::read_into(path, &mut self.image, &mut wait);
        let length = self.image.len() as u64;
        match pass {
            Ok(pass) => {
                self.image.end();
                self.judged = Some(pass.file);
                Ok(Image { length, pass })
            }
            Err(error) => {
                self.free_image();
                Err(error.to_string())
            }
        }
    }

    /// Sends the image that was announced, if there is one to send.
    fn pass_on(&mut self, life: &mut Life) -> Result<(), String> {
        let wait = |way: BorrowedFd<'_>| {
            life.wait_for_room(&way)?;
            Ok(!life.has_lost_parent())
        };
        match self.image.pass_on(wait) {
            // The parent sees who has ended.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("image: {}", reason(&error)))
            }
            _ => Ok(()),
        }
    }

    fn free_image(&mut self) {
        if let Err(error) = self.image.free() {
            log::error(format_args!("image: {}", reason(&error)));
        }
    }

    fn trap(&mut self, life: &mut Life, change: &Change) -> FromStore {
        let (over, time) = match change.by {
            By::Scan { before } => (Over::Nothing, Some(self.config.trap_time(before))),
            By::Operator { over_white: false, time } => (Over::Trap, time),
            By::Operator { over_white: true, time } => (Over::White, time),
        };
        // The engine may be compromised.
        let time = time.map_or(self.config.trap_for, |time| time.clamp(SHORTEST, LONGEST));
        let (now, seconds) = (now(), time.as_secs().cast_signed());
        // Hosts found in one file must not be trapped in another.
        let is_scan = matches!(change.by, By::Scan { .. });
        self.database.bind(self.judged.filter(|_| is_scan));
        let admit = |config: &Config, text: &str| {
            let (address, rules) = (host(text)?, &config.rules);
            match address.ip().to_canonical() {
                ip if rules.allows(ip) => Err(Refusal::Allowed),
                ip if over < Over::White && rules.own.contains(ip) => Err(Refusal::Own),
                _ => Ok(address),
            }
        };
        let replaced = RefCell::new(Vec::new());
        let work = |engine: &mut dyn Engine, limit: &mut Limit, address: &Address| {
            let begun = Instant::now();
            if !limit.has_room(begun) {
                return Ok(Outcome::Refused(Refusal::Limit));
            }
            let white = if over == Over::White { trap::white(engine, address)? } else { None };
            let outcome = trap::trap(engine, address, now, seconds, over);
            if let (Ok(Outcome::WasWhite), Some(white)) = (&outcome, white) {
                replaced.borrow_mut().push((address.ip(), white));
            }
            // A write that failed may be in the file.
            if !matches!(outcome, Ok(Outcome::Refused(_))) {
                limit.count(begun);
            }
            outcome
        };
        let trap = Span { first: now, expire: now.saturating_add(seconds) };
        let (changed, addresses) = self.change(life, (change, trap), admit, work);
        let replaced = replaced.into_inner().into_iter();
        replaced.for_each(|(address, white)| self.whites.add(address, white));
        self.note(&changed, &addresses);
        self.announce(&changed, &addresses);
        changed
    }

    fn release(&mut self, life: &mut Life, change: &Change) -> FromStore {
        let (now, whites) = (now(), std::mem::take(&mut self.whites));
        let work = |engine: &mut dyn Engine, _: &mut Limit, address: &Address| match whites
            .find(address.ip())
        {
            Some(white) => trap::give_back(engine, address, &white, now),
            None => trap::release(engine, address),
        };
        self.database.bind(None);
        let none = Span::default();
        let (changed, addresses) = self.change(life, (change, none), |_, text| host(text), work);
        self.whites = whites;
        self.note(&changed, &addresses);
        changed
    }

    fn adopt(&mut self, life: &mut Life, change: &Change) -> FromStore {
        let is_forced = matches!(change.by, By::Operator { over_white: true, .. });
        let now = now();
        let admit = |config: &Config, text: &str| {
            let spamtrap = Spamtrap::parse(text.as_bytes())?;
            let is_good = config.rules.rcpt.pass.is_match(spamtrap.key());
            if is_good && !is_forced { Err(Refusal::PassRcpt) } else { Ok(spamtrap) }
        };
        let work = |engine: &mut dyn Engine, limit: &mut Limit, spamtrap: &Spamtrap| {
            let begun = Instant::now();
            if !limit.has_room(begun) {
                return Ok(Outcome::Refused(Refusal::Limit));
            }
            let outcome = spamtrap::adopt(engine, spamtrap, now);
            // A write that failed may be in the file.
            if !matches!(outcome, Ok(Outcome::Refused(_) | Outcome::IsSpamtrap)) {
                limit.count(begun);
            }
            outcome
        };
        self.database.bind(None);
        self.change(life, (change, Span::default()), admit, work).0
    }

    /// Remembers the traps that it has set, with their expiry times, and those removed.
    fn note(&mut self, changed: &FromStore, addresses: &[Result<Address, Refusal>]) {
        let FromStore::Changed { outcomes, trap, .. } = changed else { return };
        for (outcome, address) in outcomes.iter().zip(addresses) {
            match (outcome, address) {
                (Some(outcome), Ok(address)) if outcome.is_trapped() => {
                    self.set.add(address.clone(), trap.expire);
                }
                (Some(outcome), Ok(address)) if outcome.is_released() => {
                    self.set.remove(address.ip());
                    self.whites.remove(address.ip());
                }
                _ => {}
            }
        }
    }

    /// Calls `work` for every address that `admit` accepts. `trap` has the times of new traps.
    fn change<T>(
        &mut self,
        life: &mut Life,
        (change, trap): (&Change, Span),
        admit: impl Fn(&Config, &str) -> Result<T, Refusal>,
        work: impl Fn(&mut dyn Engine, &mut Limit, &T) -> Result<Outcome, EngineError>,
    ) -> (FromStore, Vec<Result<T, Refusal>>) {
        let addresses: Vec<_> =
            change.addresses.iter().map(|text| admit(&self.config, text)).collect();
        let mut outcomes: Vec<_> = addresses
            .iter()
            .map(|address| address.as_ref().err().map(|refusal| Outcome::Refused(*refusal)))
            .collect();
        let planned: Vec<_> = addresses
            .iter()
            .enumerate()
            .filter_map(|(place, address)| Some(Planned { place, address: address.as_ref().ok()? }))
            .collect();
        let mut work = |engine: &mut dyn Engine, planned: &Planned<'_, T>| {
            work(engine, &mut self.limit, planned.address)
        };
        let path = self.config.database.clone();
        let (mut notice, mut is_over) = (|| waiting(&path), || life.has_lost_parent());
        let mut wait = Wait::usual(&mut notice).unless(&mut is_over);
        let Changes { done, cost, failure } =
            self.database.in_batches(&planned, &mut wait, &mut work);
        for (Planned { place, .. }, outcome) in planned.iter().zip(done) {
            if let Some(slot) = outcomes.get_mut(*place) {
                *slot = Some(outcome);
            }
        }
        let (longest, failure) = (cost.longest, failure.map(|error| error.to_string()));
        let ticket = change.ticket;
        (FromStore::Changed { ticket, outcomes, trap, failure, longest }, addresses)
    }

    /// Has traps sent to other hosts.
    fn announce(&mut self, changed: &FromStore, addresses: &[Result<Address, Refusal>]) {
        let (Some(sync), FromStore::Changed { outcomes, trap, .. }) = (&mut self.sync, changed)
        else {
            return;
        };
        let Span { first: start, expire } = *trap;
        let traps: Vec<_> = outcomes
            .iter()
            .zip(addresses)
            .filter(|(outcome, _)| outcome.is_some_and(Outcome::is_trapped))
            .filter_map(|(_, address)| address.as_ref().ok())
            .map(|address| Trap { address: address.ip(), start, expire })
            .collect();
        if !traps.is_empty() {
            sync.send(&ToSync::Trapped(traps));
        }
    }
}

fn host(text: &str) -> Result<Address, Refusal> {
    Address::parse(text.as_bytes()).map_err(|_| Refusal::NotAnAddress)
}

fn waiting(path: &Path) {
    log::warning(format_args!("{}: locked by another process, waiting", escaped_path(path)));
}
