//! The multiplexer: has thousands of questions outstanding at once over its own sockets, without threads,
//! in a readiness loop that its owner drives.
//!
//! ```text
//! ask ─▶ waiting ─room, a fit server─▶ outbox ─send─▶ sent ─▶ done ─▶ next_done
//!           ▲                            ▲             │ timeout, TC, SERVFAIL, FORMERR …
//!           └── no fit server just now ──┴─────────────┘
//! ```
//! The owner registers us with its poller ([`Mux::new`]), passes on readiness ([`Mux::ready`]), calls
//! [`Mux::work`] after each round and sleeps for at most [`Mux::timeout`]. No answer is late before the owner
//! has said that it has passed on what had arrived ([`Mux::heard`]): a process that was stopped or had no CPU
//! for a while does not take its own silence for the servers'. The defences against forgery are random ids, a
//! random source port for every [`PER_PORT`] questions, random case, a comparison of the
//! whole question, connected sockets, and never two outstanding messages for the same question, except for
//! retransmissions (RFC 5452). Messages that do not match are dropped and counted, and do not end the wait.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use domain::base::Rtype;
use mio::{Registry, Token};

mod flight;
mod health;
mod limits;
mod live;
mod receive;
mod report;
mod send;
mod server;
mod stream;
mod timers;

use self::flight::{Flight, Purpose, Stage, Via};
use self::live::{Live, Lives};
use self::server::Server;
use self::stream::Stream;
use self::timers::Timers;
use super::answer::Answer;
use super::failure::Failure;
use super::message::Question;
use super::name::Name;
use super::random::Random;
use super::socket::{BATCH, Datagrams, Promise};
use super::table::{Key, Table};

pub use self::limits::{Limits, Transport};
pub use self::report::{Counters, Health, Notice};
pub use self::server::Fitness;

/// The number of questions sent from one UDP port before it is retired.
pub const PER_PORT: usize = BATCH;
/// The maximum number of name servers.
pub const MAX_SERVERS: usize = 16;
/// Smaller tokens belong to the owner of the poller.
pub const FIRST_TOKEN: usize = 1024;

const FIRST_PORT_TOKEN: usize = FIRST_TOKEN + MAX_SERVERS;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The job for which it asks.
    pub job: Key,
    /// Which of the job's questions it is.
    pub question: usize,
}

/// The end of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Who asked.
    pub asker: Asker,
    /// The result.
    pub result: Result<Answer, Failure>,
    /// The number of the last server that was asked.
    pub server: usize,
}

/// See the module.
pub struct Mux {
    registry: Registry,
    limits: Limits,
    in_flight: usize,
    promise: Promise,
    clock: Instant,
    now: u64,
    /// What had arrived by then has been read.
    heard: u64,
    random: Random,
    servers: Vec<Server>,
    flights: Table<Flight>,
    twins: HashMap<u64, Key>,
    hasher: RandomState,
    waiting: VecDeque<Key>,
    outbox: VecDeque<Key>,
    /// The number of questions that have not ended, without control queries.
    open: usize,
    /// The number of those that have left `waiting`.
    active: usize,
    timers: Timers,
    ports: Table<Port>,
    streams: Vec<Option<Stream>>,
    datagrams: Option<Datagrams>,
    messages: Vec<Vec<u8>>,
    batch: Vec<Live>,
    /// Sockets with more to read than one turn takes.
    unread: Vec<Via>,
    paused: Option<u64>,
    done: VecDeque<Done>,
    notices: Vec<Notice>,
    counters: Counters,
}

/// A UDP port of ours.
struct Port {
    fd: OwnedFd,
    server: usize,
    opened: u64,
    sent: usize,
    lives: Lives,
}

impl Mux {
    /// Asks `servers`, preferring the first ones; `registry` is that of the owner's poller.
    ///
    /// # Errors
    /// There is no random source.
    pub fn new(registry: Registry, servers: &[SocketAddr], limits: Limits) -> io::Result<Self> {
        let servers = &servers[..servers.len().min(MAX_SERVERS)];
        let mut mux = Self {
            registry,
            limits,
            in_flight: 0,
            promise: Promise::for_servers(servers.iter()),
            clock: Instant::now(),
            now: 0,
            heard: 0,
            random: Random::new()?,
            servers: servers.iter().copied().map(Server::new).collect(),
            flights: Table::new(),
            twins: HashMap::new(),
            hasher: RandomState::new(),
            waiting: VecDeque::new(),
            outbox: VecDeque::new(),
            open: 0,
            active: 0,
            timers: Timers::default(),
            ports: Table::new(),
            streams: servers.iter().map(|_| None).collect(),
            datagrams: Some(Datagrams::new()),
            messages: vec![Vec::new(); BATCH],
            batch: Vec::with_capacity(BATCH),
            unread: Vec::new(),
            paused: None,
            done: VecDeque::new(),
            notices: Vec::new(),
            counters: Counters::default(),
        };
        mux.set_in_flight();
        Ok(mux)
    }

    /// Asks for `name`'s records of a type for `asker`, which gets the result from [`Self::next_done`].
    pub fn ask(&mut self, asker: Asker, name: &Name, rtype: Rtype) {
        let question = Question::new(name, rtype);
        let hash = self.hasher.hash_one(question.wire());
        if let Some(twin) = self.twins.get(&hash).and_then(|twin| self.flights.get_mut(*twin))
            && twin.question.same(&question)
            && let Purpose::Asked(askers) = &mut twin.purpose
        {
            askers.push(asker);
            return;
        }
        let mut flight = Flight::new(Purpose::Asked(vec![asker]), question);
        flight.hash = hash;
        let key = self.flights.insert(flight);
        self.twins.insert(hash, key);
        self.open += 1;
        self.waiting.push_back(key);
    }

    /// How many more questions may be outstanding. Only the end of a question makes room.
    pub fn room(&self) -> usize {
        self.in_flight.saturating_sub(self.open)
    }

    /// Drops all questions, including results that have not been taken.
    pub fn abandon(&mut self) {
        for server in 0..self.servers.len() {
            if self.servers[server].fitness == Fitness::Probing {
                self.servers[server].fitness = Fitness::Untested;
            }
        }
        let all: Vec<Key> = self.flights.keys().collect();
        for key in all {
            let vias = self.flights.remove(key).map(|flight| flight.vias);
            vias.into_iter().flatten().for_each(|via| self.forget(via, key));
        }
        self.twins.clear();
        self.waiting.clear();
        self.outbox.clear();
        self.done.clear();
        (self.open, self.active) = (0, 0);
        self.rest();
    }

    /// Whether no questions are outstanding.
    pub fn is_idle(&self) -> bool {
        self.flights.len() == 0
    }

    /// The next question that has ended.
    pub fn next_done(&mut self) -> Option<Done> {
        self.done.pop_front()
    }

    /// How long the owner may sleep after [`Self::work`]; `None`, if no questions are outstanding, means for
    /// ever.
    pub fn timeout(&self) -> Option<Duration> {
        if !self.unread.is_empty() || self.may_admit() {
            return Some(Duration::ZERO);
        }
        let next = [self.timers.next(), self.paused].into_iter().flatten().min();
        debug_assert!(next.is_some() || self.is_idle(), "a question without a deadline");
        Some(Duration::from_micros(next?.saturating_sub(self.read_clock())))
    }

    /// Handles readiness of a descriptor; false if the token is not ours.
    pub fn ready(&mut self, token: Token) -> bool {
        self.now = self.read_clock();
        if token.0 >= FIRST_PORT_TOKEN {
            if let Some(port) = self.ports.at(token.0 - FIRST_PORT_TOKEN) {
                self.receive(port);
            }
        } else if token.0 >= FIRST_TOKEN {
            self.stream_ready(token.0 - FIRST_TOKEN);
        } else {
            return false;
        }
        true
    }

    /// Notes that everything that was ready at this time has been passed on.
    pub fn heard(&mut self, time: Instant) {
        self.heard = self.at(time);
    }

    /// Does what is due: timers and sending. Must be called after each round of [`Self::ready`].
    pub fn work(&mut self) {
        self.now = self.read_clock();
        for via in std::mem::take(&mut self.unread) {
            match via {
                Via::Port(port) => self.receive(port),
                Via::Stream(server) => self.stream_ready(server),
            }
        }
        while let Some(flight) = self.timers.due(self.heard) {
            self.expire(flight);
        }
        self.flush();
        self.rest();
    }

    /// Begins a new scan: servers that were silent for long, or unfit, must prove themselves again.
    pub fn refresh(&mut self) {
        self.now = self.read_clock();
        self.set_in_flight();
        let now = self.now;
        self.servers.iter_mut().for_each(|server| server.refresh(now));
    }

    /// What the process must promise for the sockets that are created here.
    pub fn promise(&self) -> Promise {
        self.promise
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes the notices for the log.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The name servers and their state.
    pub fn health(&self) -> impl Iterator<Item = Health> {
        self.servers.iter().map(|server| Health {
            address: server.address,
            fitness: server.fitness,
            round_trip: server.round_trip().map(Duration::from_micros),
            answers: server.answers,
            timeouts: server.timeouts,
        })
    }

    /// Moves a question to another stage, which is the only way, and keeps `active` right.
    fn enter(&mut self, key: Key, stage: Stage) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        let (old, is_asked) = (flight.stage, flight.pinned().is_none());
        flight.stage = stage;
        match (old, stage) {
            (Stage::Waiting, Stage::Outbox | Stage::Sent) if is_asked => self.active += 1,
            (Stage::Outbox | Stage::Sent, Stage::Waiting) if is_asked => self.active -= 1,
            _ => {}
        }
    }

    /// Ends a question.
    fn finish(&mut self, key: Key, result: Result<Answer, Failure>) {
        let Some(flight) = self.flights.remove(key) else { return };
        for via in &flight.vias {
            self.forget(*via, key);
        }
        match flight.purpose {
            Purpose::Control(server) => self.tested(server, result),
            Purpose::Asked(askers) => {
                self.open -= 1;
                if flight.stage != Stage::Waiting {
                    self.active -= 1;
                }
                if self.twins.get(&flight.hash) == Some(&key) {
                    self.twins.remove(&flight.hash);
                }
                let (ends, server) = (askers.into_iter(), flight.server);
                self.done.extend(ends.map(|asker| Done { asker, result: result.clone(), server }));
            }
        }
    }

    /// Removes a question from a socket, which is closed when no answers are expected any more.
    fn forget(&mut self, via: Via, flight: Key) {
        match via {
            Via::Port(key) => {
                let Some(port) = self.ports.get_mut(key) else { return };
                port.lives.remove(flight);
                if port.lives.is_empty() && self.servers[port.server].port != Some(key) {
                    self.ports.remove(key);
                }
            }
            Via::Stream(server) => {
                let Some(stream) = &mut self.streams[server] else { return };
                stream.lives.remove(flight);
                if stream.lives.is_empty() {
                    self.streams[server] = None;
                }
            }
        }
    }

    /// If no questions are outstanding, closes all sockets and clears all timers.
    fn rest(&mut self) {
        if self.is_idle() {
            self.timers.clear();
            self.paused = None;
            for server in &mut self.servers {
                server.port.take().and_then(|port| self.ports.remove(port));
            }
        } else {
            let flights = &self.flights;
            self.timers.sweep(flights.len(), |deadline, key| {
                flights.get(key).is_some_and(|flight| flight.deadline == deadline)
            });
        }
    }

    /// Microseconds since the start.
    fn read_clock(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, time: Instant) -> u64 {
        u64::try_from(time.duration_since(self.clock).as_micros()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Mux {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (active, waiting) = (self.active, self.waiting.len());
        f.debug_struct("Mux").field("active", &active).field("waiting", &waiting).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// The server that was to be tested is unfit as soon as that is tried: tcp(4) connects to no group. The
    /// question that waited for it would wait for ever if nothing else was outstanding.
    #[test]
    fn a_question_does_not_wait_for_a_server_that_is_unfit_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let servers = [listener.local_addr().unwrap(), "224.0.0.1:53".parse().unwrap()];
        let (timeout, transport) = (Duration::from_secs(60), Transport::Tcp);
        let limits = Limits { in_flight: 10, timeout, attempts: 1, transport };
        let poll = mio::Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let mut mux = Mux::new(registry, &servers, limits).unwrap();
        mux.servers[0].fitness = Fitness::Odd(Failure::NoRoot);
        mux.servers[1].fitness = Fitness::Unfit(Failure::Timeout, 0);
        let asker = Asker { job: Table::new().insert(()), question: 0 };
        mux.ask(asker, &Name::root(), Rtype::MX);
        mux.work();
        assert_eq!((mux.active, mux.timeout()), (0, Some(Duration::ZERO)));
        mux.work();
        assert_eq!(mux.active, 1);
        assert!(mux.timeout() > Some(timeout / 2), "{:?}", mux.timeout());
    }
}
