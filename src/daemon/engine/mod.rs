//! The engine: decodes what strangers have left in the database, judges hosts, and serves the control socket.
//!
//! It has access to its socketpairs, to the database's image, and to the listening control socket. It opens one
//! file, before it enters its sandbox: that of `hear file`, which it reads later. An attacker who compromises
//! it with the bytes that it decodes can ask the store for traps, at the store's rate and by its rules, and see
//! nothing else.
//!
//! One loop waits for everything: orders of the parent, answers of store, resolver and checker, clients.
//! [`judging`] runs on a thread of its own. The database is read for one [`Job`] at a time ([`work`]): a scan
//! or a client's question. [`requests`] handles all other requests of clients, [`memory`] keeps what the engine
//! remembers.
#![forbid(unsafe_code)]

mod exempt;
mod histories;
mod judging;
mod ledger;
mod memory;
mod recalling;
mod recorded;
mod replays;
mod requests;
mod spamtraps;
mod standing;
mod troubles;
mod trust;
mod vouched;
mod work;

use crate::checker::remembered::Remembered;
use crate::config::Config;
use crate::control::asker::Users;
use crate::control::protocol::What;
use crate::control::server::{ClientId, Farewell, Server};
use crate::control::socket::GROUP;
use crate::daemon::life::Life;
use crate::daemon::messages::{
    EngineLegacy, FromChecker, FromMemory, FromParent, FromResolver, FromStore, Legacy, Renewal,
    ToChecker, ToParent, ToResolver, ToStore,
};
use crate::daemon::now;
use crate::daemon::peer::Peer;
use crate::daemon::roles::Variant;
use crate::daemon::slot::{Slot, inherited};
use crate::errno::reason;
use crate::export::Hearing;
use crate::heap;
use crate::inquiry::{Patience, Warnings};
use crate::log;
use crate::machine::Own;
use crate::memory::{Deed, Record};
use crate::process::image::Reader;
use crate::process::wake::drain;
use crate::scan::seen::Known;
use crate::scan::{Rule, Why};
use crate::spamd::Address;
use histories::Histories;
use ledger::Ledger;
use memory::Memory;
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use recalling::Recalls;
use replays::Replays;
use requests::Asked;
use serde::Serialize;
use serde::de::DeserializeOwned;
use spamtraps::Spamtraps;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use trust::Trust;
pub use trust::TrustLegacy;
use vouched::Vouched;
use work::{AtWork, Job};

const STORE: Token = Token(1);
const RESOLVER: Token = Token(2);
const CHECKER: Token = Token(3);
const WAKE: Token = Token(4);
const MEMORY: Token = Token(5);
const IMAGE: Token = Token(6);
/// How long to wait for the store's last answer: less than the parent waits for the engine to exit.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// The first token of the control socket.
const CONTROL: Token = Token(16);

/// Runs the engine until its parent closes the channel.
pub fn run(life: &mut Life) -> Result<(), String> {
    let said = |error: std::io::Error| reason(&error).to_string();
    let mut config = life.config()?;
    config.rules.own = Own::of_machine();
    let config = Arc::new(config);
    let mut poll = Poll::new().map_err(said)?;
    let registry = poll.registry();
    let (mut wake, waker) = UnixStream::pair().map_err(said)?;
    registry.register(&mut wake, WAKE, Interest::READABLE).map_err(said)?;
    let mut engine = Engine {
        store: Peer::new((Slot::Store, "store"), registry, STORE)?,
        // These processes exist only if the configuration needs them.
        resolver: Peer::new((Slot::Resolver, "resolver"), registry, RESOLVER).ok(),
        checker: Peer::new((Slot::Checker, "checker"), registry, CHECKER).ok(),
        image: inherited(Slot::ImageToRead)
            .and_then(|descriptor| Reader::new(descriptor, registry, IMAGE))
            .map_err(said)?,
        server: None,
        waker,
        memory: Memory::new(&config, life.start()),
        ledger: Ledger::new(Peer::new((Slot::Memory, "memory"), registry, MEMORY)?),
        passed: HashMap::new(),
        exempted: HashMap::new(),
        freeing: HashMap::new(),
        observed: HashMap::new(),
        observed_before: HashMap::new(),
        known: Arc::default(),
        histories: Histories::default(),
        replays: Replays::default(),
        recalls: Recalls::default(),
        spamtraps: Spamtraps::default(),
        trust: Trust::new(config.suspend_at),
        patience: Patience::default(),
        warnings: Warnings::default(),
        vouched: Vouched::default(),
        heard: Arc::default(),
        jobs: VecDeque::new(),
        at_work: None,
        users: Users::of_group(GROUP),
        asked: HashMap::new(),
        reloader: None,
        hearing: Hearing::configured(&config.rules).map(|hearing| Arc::new(Mutex::new(hearing))),
        wants_renewal: false,
        next_scan: None,
        tickets: 0,
        recipients: 0,
        is_untidy: false,
        hands_over: false,
        config,
    };
    let mut listener = Some(UnixListener::from(inherited(Slot::Control).map_err(said)?));
    life.lock_in(Variant::Usual, |_| PathBuf::new())?;
    life.ready(registry)?;
    let mut events = Events::with_capacity(128);
    while !life.is_over() {
        while let Ok(Some(order)) = life.orders() {
            // Serves nobody before the whole daemon is ready.
            if matches!(order, FromParent::Go)
                && let Some(listener) = listener.take()
            {
                let registry = poll.registry().try_clone().map_err(said)?;
                engine.server = Some(Server::new(listener, registry, CONTROL).map_err(said)?);
                engine.remember_start(life.start().renewal.is_some());
                // Clients of the previous engine, before anything happens here.
                engine.welcome(life);
            }
            engine.obey(order);
        }
        engine.hear()?;
        engine.take_image()?;
        drain(&wake);
        engine.go_on();
        if std::mem::take(&mut engine.wants_renewal) {
            life.tell(&ToParent::Renew(Renewal::Hearsay));
        }
        engine.serve(&events, life);
        engine.keep();
        engine.tell_more();
        engine.replay_more();
        if engine.is_busy_now() {
            continue;
        }
        engine.tidy();
        let deadline = engine.server.as_ref().and_then(Server::next_deadline);
        let deadline = deadline.into_iter().chain(engine.ledger.begins_at()).min();
        let longest = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        life.wait(&mut poll, &mut events, longest)?;
    }
    engine.conclude(&mut poll, &mut events)?;
    if let Some(server) = engine.server.take() {
        server.close(if engine.hands_over { Farewell::HandsOver } else { Farewell::Ends });
    }
    life.leave(Legacy::Engine(Box::new(engine.legacy())));
    Ok(())
}

struct Engine {
    config: Arc<Config>,
    store: Peer<ToStore, FromStore>,
    resolver: Option<Peer<ToResolver, FromResolver>>,
    checker: Option<Peer<ToChecker, FromChecker>>,
    image: Reader,
    /// Whether the daemon is ready.
    server: Option<Server>,
    /// The socket with which the judging thread wakes the loop.
    waker: UnixStream,
    memory: Memory,
    /// Records on their way to the process `memory`.
    ledger: Ledger,
    /// Why hosts passed in the last scan, for those where this is remembered.
    passed: HashMap<IpAddr, Why>,
    /// Hosts that an exception has spared, and which.
    exempted: HashMap<IpAddr, String>,
    /// Hosts that the store was asked to free since an exception covers them, by ticket.
    freeing: HashMap<u64, Vec<Address>>,
    /// Hosts that were hit by observed rules in this scan, and in the last one.
    observed: HashMap<IpAddr, Rule>,
    observed_before: HashMap<IpAddr, Rule>,
    /// Which tuples memory knows.
    known: Arc<Known>,
    /// Clients that are sent the history.
    histories: Histories,
    /// Clients that are sent the tuples of all hosts.
    replays: Replays,
    /// Who waits for what memory knows.
    recalls: Recalls,
    /// Clients that want to know of spamtraps, or to make some.
    spamtraps: Spamtraps,
    /// How often each rule was wrong.
    trust: Trust,
    /// Hosts whose identity had no answer in scan after scan.
    patience: Patience,
    /// Hosts whose identity has outweighed a bad message.
    warnings: Warnings,
    /// Hosts for which the domain of a sender has vouched.
    vouched: Vouched,
    /// Recent verdicts of the external program.
    heard: Arc<Remembered>,
    /// The file of other sites' hosts, if there is one.
    hearing: Option<Arc<Mutex<Hearing>>>,
    /// Whether it was replaced, so that only another engine can read it.
    wants_renewal: bool,
    /// Jobs that need the database.
    jobs: VecDeque<Job>,
    at_work: Option<AtWork>,
    /// The user names of clients.
    users: Users,
    /// Which client asked for which change, by ticket.
    asked: HashMap<u64, Asked>,
    /// The clients that wait for the end of a reload.
    reloader: Option<ClientId>,
    next_scan: Option<Instant>,
    /// The last ticket.
    tickets: u64,
    /// The number of the next recipient that the checker is asked about.
    recipients: u64,
    /// Whether the last job has left free memory behind.
    is_untidy: bool,
    /// Whether another engine takes over.
    hands_over: bool,
}

impl Engine {
    fn obey(&mut self, order: FromParent) {
        match order {
            FromParent::Scan(next) => {
                self.next_scan = Instant::now().checked_add(next);
                if !self.want_scan() {
                    log::info("the last scan is still running, no new scan started");
                }
            }
            FromParent::Reloaded(outcome) => {
                if let Err(failure) = &outcome {
                    self.memory.note_failure(format!("reload: {failure}"));
                    self.memory.reload_failure = Some(failure.clone());
                }
                let what = match &outcome {
                    Ok(()) => What::Notice("configuration reloaded".into()),
                    Err(failure) => What::Failure(failure.clone()),
                };
                self.publish(what);
                if let (Some(client), Some(server)) = (self.reloader.take(), &mut self.server) {
                    match &outcome {
                        Ok(()) => server.finish(client),
                        Err(failure) => server.fail(client, failure),
                    }
                }
            }
            FromParent::HandOver => {
                self.hands_over = true;
                // These belong to the next engine, which knows the new configuration.
                self.served(Server::leave_newcomers);
            }
            FromParent::Inherit(Legacy::Engine(legacy)) => self.inherit(*legacy),
            FromParent::Summary => log::info(self.memory.summary()),
            // `life` sets the verbosity of the log; the other orders do not arrive here.
            FromParent::Go
            | FromParent::Verbose(_)
            | FromParent::Start(_)
            | FromParent::Inherit(Legacy::Store(_))
            | FromParent::NotRenewed(_) => {}
        }
    }

    /// Takes all messages of the other processes.
    fn hear(&mut self) -> Result<(), String> {
        while let Some(message) = self.store.receive()? {
            match message {
                FromStore::Read(read) => self.expect_image(read),
                FromStore::Changed { ticket, outcomes, trap, failure, longest } => {
                    self.changed(ticket, (&outcomes, trap), failure, longest);
                }
                FromStore::Peers(peers) => self.memory.peers = peers,
                FromStore::Whites(whites) => self.ledger.note_whites(whites),
                FromStore::Exempted(addresses) => {
                    for address in addresses {
                        self.released(&address, Deed::Allowed, Why::Allowed.text().into());
                    }
                }
            }
        }
        while let Some(message) = self.ledger.hear()? {
            match message {
                FromMemory::Recalled(mut recalled) => {
                    self.trust.recall(std::mem::take(&mut recalled.book));
                    // The store ends those that `allow` now covers.
                    let own = |record: &Record| Some((record.address?.into(), record.until?));
                    let traps = recalled.standing.iter().filter_map(own).collect();
                    let whites = std::mem::take(&mut recalled.whites);
                    self.store.send(&ToStore::Own { traps, whites });
                    self.known = Arc::new(Known::until(recalled.until));
                    self.warnings.inherit(std::mem::take(&mut recalled.warned));
                    self.vouched.inherit(std::mem::take(&mut recalled.vouched));
                    if let Some(resolver) = &mut self.resolver {
                        resolver.send(&ToResolver::Good(std::mem::take(&mut recalled.good)));
                    }
                    self.memory.recall(*recalled);
                }
                FromMemory::Tuples(ticket, found) => self.replayed(ticket, found),
                FromMemory::Known(ticket, known) => self.recalled(ticket, known),
                FromMemory::Suggested(ticket, page) => self.suggested(ticket, page),
                FromMemory::Found(ticket, found) => self.told(ticket, found),
                FromMemory::Written(_) => {}
            }
        }
        while let Some(message) = said(&mut self.resolver)? {
            self.resolved(message);
        }
        while let Some(message) = said(&mut self.checker)? {
            self.checked(message);
        }
        Ok(())
    }

    /// Takes the store's remaining answers about changes: what is in the database must be logged and counted,
    /// and its client must be told.
    fn conclude(&mut self, poll: &mut Poll, events: &mut Events) -> Result<(), String> {
        self.stop_writing();
        let until = Instant::now().checked_add(LAST_ANSWER);
        loop {
            let awaits_store = self.awaits_store() && !self.store.has_gone();
            if !awaits_store {
                self.count_unfinished();
                self.keep();
            }
            if !awaits_store && !self.ledger.is_behind() {
                break;
            }
            let left = until.and_then(|until| until.checked_duration_since(Instant::now()));
            let Some(left) = left else { break };
            match poll.poll(events, Some(left)) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => break,
                _ => self.hear()?,
            }
        }
        self.count_unfinished();
        Ok(())
    }

    /// What the next engine needs to know.
    fn legacy(&mut self) -> EngineLegacy {
        let (patience, trust) = (std::mem::take(&mut self.patience), self.trust.legacy());
        let exempted = std::mem::take(&mut self.exempted).into_iter().collect();
        let (warned, until) = (self.warnings.legacy(), self.known.known_until());
        let vouched = self.vouched.legacy();
        EngineLegacy { patience, trust, exempted, warned, vouched, until, ..self.memory.legacy() }
    }

    fn inherit(&mut self, mut legacy: EngineLegacy) {
        self.patience = std::mem::take(&mut legacy.patience);
        self.warnings.inherit(std::mem::take(&mut legacy.warned));
        self.vouched.inherit(std::mem::take(&mut legacy.vouched));
        self.trust.inherit(std::mem::take(&mut legacy.trust));
        self.exempted = std::mem::take(&mut legacy.exempted).into_iter().collect();
        self.known = Arc::new(Known::until(legacy.until));
        self.memory.inherit(legacy);
    }

    /// Whether the store has not yet said what became of a change.
    fn awaits_store(&self) -> bool {
        !self.asked.is_empty()
            || !self.freeing.is_empty()
            || self.at_work.as_ref().is_some_and(AtWork::awaits_store)
    }

    /// Begins to work, with what was remembered.
    fn remember_start(&mut self, is_renewal: bool) {
        let has_inherited = self.memory.has_inherited();
        self.ledger.begin(has_inherited);
        let deed = if has_inherited { Deed::Reloaded } else { Deed::Started };
        if !is_renewal {
            self.remember(recorded::event(deed, None, "", now()));
        }
    }

    /// Sends to memory what happened, and counts it.
    fn remember(&mut self, record: Record) {
        self.trust.note(&record, self.ledger.has_recalled());
        self.ledger.note(record);
    }

    /// Sends everything new to memory, and suspends rules that were wrong too often.
    fn keep(&mut self) {
        self.memory.begin_day(now());
        for suspension in self.trust.suspend() {
            log::warning(&suspension);
            self.publish(What::Notice(suspension.to_string()));
        }
        if let Some(holds) = self.memory.changed_holds() {
            self.ledger.note_holds(holds);
        }
        if let Some(totals) = self.memory.changed_totals() {
            let counters = recorded::counters(totals);
            self.ledger.note_counters(recorded::with_day(counters, self.memory.day()));
        }
        self.ledger.write();
    }

    /// Notes that a trap has been ended.
    fn released(&mut self, address: &Address, deed: Deed, reason: String) {
        log::info(format_args!("Released {address}: {reason}"));
        self.remember(recorded::event(deed, Some(address.ip()), &reason, now()));
        self.memory.totals.released += 1;
        let address = address.ip();
        self.memory.forget(address);
        self.publish(What::Released { address, reason });
    }

    /// Sends an event to all monitors.
    fn publish(&mut self, what: What) {
        if let Some(server) = self.server.as_mut().filter(|server| server.is_monitored()) {
            server.publish(&crate::control::protocol::Event { time: now(), what });
        }
    }

    fn is_monitored(&self) -> bool {
        self.server.as_ref().is_some_and(Server::is_monitored)
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Frees the memory of the last job, once nobody needs it.
    fn tidy(&mut self) {
        let is_streaming = self.server.as_ref().is_some_and(Server::is_streaming);
        if self.is_untidy && self.at_work.is_none() && !is_streaming {
            self.is_untidy = false;
            heap::give_back();
        }
    }

    /// Whether there is something to do that no event announces.
    fn is_busy_now(&mut self) -> bool {
        self.at_work.is_none() && !self.jobs.is_empty() && self.ledger.may_begin(Instant::now())
    }
}

/// The next message of another process, if it exists.
fn said<Out: Serialize, In: DeserializeOwned>(
    peer: &mut Option<Peer<Out, In>>,
) -> Result<Option<In>, String> {
    peer.as_mut().map_or(Ok(None), Peer::receive)
}
