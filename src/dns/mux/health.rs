//! Decides which servers may be asked, and what happens to questions if none may.
//!
//! Before a server is asked anything, it must answer the control query `. NS`, even with a refusal; if it
//! falls silent it must do so again, while new questions wait. If no server is left, all questions end at
//! once: a dead name server costs one timeout of the control query, not one for every domain.
#![forbid(unsafe_code)]

use domain::base::Rtype;
use nix::sys::resource::{Resource, getrlimit};

use super::super::answer::{Answer, Data};
use super::super::failure::Failure;
use super::super::message::{Edns, Question};
use super::super::name::Name;
use super::super::table::Key;
use super::flight::{Flight, NEVER, Purpose, Stage};
use super::server::Fitness;
use super::{Mux, Notice, Transport};

/// Descriptors reserved for other uses: standard streams, poller, socketpairs, log, TCP connections.
const RESERVED: usize = 32;

/// The maximum number of outstanding questions if all use one connection.
const PER_STREAM: usize = 1000;

/// What can be done with a question now.
pub enum Route {
    /// Ask this server.
    To(usize),
    /// Wait for a server that is being tested.
    Wait,
    /// There is no server left.
    Nowhere(Failure),
}

impl Mux {
    /// The server for a question, beginning with the question's own first server.
    pub(super) fn route(&self, flight: &Flight) -> Route {
        if let Some(server) = flight.pinned() {
            return Route::To(server);
        }
        let count = self.servers.len();
        let is = |n: &usize, fitness| self.servers[*n].fitness == fitness;
        let in_order = || (0..count).map(|n| (flight.server + n) % count);
        if let Some(server) = in_order().find(|n| is(n, Fitness::Fit) && flight.may_ask(*n)) {
            Route::To(server)
        } else if in_order().any(|n| is(&n, Fitness::Probing) && flight.may_ask(n)) {
            Route::Wait
        } else if let Some(server) = in_order().find(|n| self.is_odd(*n) && flight.may_ask(*n)) {
            Route::To(server)
        } else if in_order().any(|n| is(&n, Fitness::Fit) || self.is_odd(n)) {
            Route::Nowhere(flight.failure)
        } else {
            Route::Nowhere(Failure::NoServer)
        }
    }

    /// Whether a server answers, but not the control query.
    fn is_odd(&self, server: usize) -> bool {
        matches!(self.servers[server].fitness, Fitness::Odd(_))
    }

    /// Starts the control queries that are due, if there are any questions.
    pub(super) fn probe_due(&mut self) {
        for server in 0..self.servers.len() {
            if self.servers[server].wants_probe(self.now) {
                self.probe(server);
            }
        }
    }

    /// Asks a server the control query, and nothing else until it has answered.
    fn probe(&mut self, server: usize) {
        self.servers[server].fitness = Fitness::Probing;
        let question = Question::new(&Name::root(), Rtype::NS);
        let mut flight = Flight::new(Purpose::Control(server), question);
        (flight.server, flight.began, flight.stage) = (server, self.now, Stage::Outbox);
        flight.tcp = self.limits.transport.losses();
        let key = self.flights.insert(flight);
        self.outbox.push_front(key);
    }

    /// Takes the result of a control query.
    pub(super) fn tested(&mut self, number: usize, result: Result<Answer, Failure>) {
        let server = &mut self.servers[number];
        let notice = match result {
            Ok(Answer { data: Data::Other, .. }) => {
                server.passed();
                Notice::Fit(server.address)
            }
            Err(failure @ (Failure::Timeout | Failure::Tcp | Failure::NoServer)) => {
                server.put_aside(failure, self.now);
                Notice::Unfit(server.address, failure)
            }
            other => {
                let failure = other.err().unwrap_or(Failure::NoRoot);
                server.is_odd(failure);
                Notice::Odd(server.address, failure)
            }
        };
        self.notices.push(notice);
        if !self.servers.iter().any(|server| server.is_hope()) {
            self.give_up();
        }
    }

    /// Ends every question, since there is no server.
    pub(super) fn give_up(&mut self) {
        let all: Vec<Key> = self.flights.keys().collect();
        for key in all {
            self.finish(key, Err(Failure::NoServer));
        }
        self.waiting.clear();
        self.outbox.clear();
    }

    /// Ends the wait for an answer, unless it has already ended.
    pub(super) fn expire(&mut self, key: Key) {
        let now = self.now;
        let Some(flight) = self.flights.get_mut(key) else { return };
        if flight.deadline > now {
            return;
        }
        flight.deadline = NEVER;
        flight.timeouts += 1;
        let is_last_try = flight.pinned().is_some() && !flight.was_plain;
        let (server, timeouts) = (flight.server, flight.timeouts);
        self.counters.timeouts += 1;
        self.drop_stalled_stream(key, server);
        if self.servers[server].missed() {
            self.probe(server);
        }
        if timeouts >= self.limits.attempts.max(1) && !is_last_try {
            let failure = self.flights.get(key).map_or(Failure::Timeout, |f| f.failure);
            self.finish(key, Err(failure));
        } else {
            self.resend(key, server + 1);
        }
    }

    /// Asks the next server, since this one cannot answer the question.
    pub(super) fn try_next(&mut self, key: Key, server: usize, failure: Failure) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        flight.fail(server, failure);
        if flight.pinned().is_some() {
            return self.finish(key, Err(failure));
        }
        self.resend(key, server + 1);
    }

    /// Puts a question into the outbox again, for `server` first.
    pub(super) fn resend(&mut self, key: Key, server: usize) {
        let count = self.servers.len();
        let Some(flight) = self.flights.get_mut(key) else { return };
        if flight.pinned().is_none() {
            flight.server = server % count;
        }
        if flight.stage == Stage::Sent {
            flight.deadline = NEVER;
            self.enter(key, Stage::Outbox);
            self.outbox.push_back(key);
        }
    }

    /// Notes that a question left the outbox without being sent. What becomes of it is for the caller to say.
    pub(super) fn unsent(&mut self, key: Key) {
        self.enter(key, Stage::Sent);
    }

    /// Handles an ICMP error: nobody listens there, or there is no route. Another server is asked at once,
    /// the same one after a short while. A question that was going to be sent again anyway stays where it is.
    pub(super) fn refused(&mut self, key: Key, server: usize) {
        if self.servers[server].missed() {
            self.probe(server);
        }
        let flight = self.flights.get_mut(key).filter(|flight| flight.stage == Stage::Sent);
        let Some(flight) = flight else { return };
        flight.fail(server, Failure::Timeout);
        let flight = &self.flights.get(key);
        if flight.is_some_and(|f| f.pinned().is_none() && matches!(self.route(f), Route::To(_))) {
            return self.resend(key, server + 1);
        }
        let deadline = flight.map_or(0, |f| self.now + (super::send::SOON << f.timeouts.min(10)));
        if let Some(flight) = self.flights.get_mut(key) {
            flight.failed = 0;
            flight.deadline = deadline;
            self.timers.set(deadline, key);
        }
    }

    /// Limits the number of outstanding questions to that configured, to the number of descriptors that the
    /// process may have, since each may need its own, and to what one connection can carry.
    pub(super) fn set_in_flight(&mut self) {
        self.in_flight = self.limits.in_flight.max(1);
        if self.limits.transport == Transport::Tcp {
            self.in_flight = self.in_flight.min(PER_STREAM);
        }
        let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
        // The signedness of the type differs between systems.
        let soft = usize::try_from(soft).unwrap_or(usize::MAX);
        let descriptors = soft.saturating_sub(RESERVED).max(1);
        if self.in_flight > descriptors {
            self.in_flight = descriptors;
            self.notices.push(Notice::Lowered(descriptors));
        }
    }

    /// Whether to use EDNS for this question and server. After a timeout, every other attempt is made
    /// without it, since some firewalls drop messages with an OPT record (RFC 6891 6.2.5).
    pub(super) fn edns(&self, flight: &Flight, server: usize) -> Edns {
        match flight.edns {
            Edns::On if flight.timeouts & 1 == 0 => self.servers[server].edns(),
            _ => Edns::Off,
        }
    }

    /// Notes what an answer to a message with or without an OPT record tells about its server.
    pub(super) fn note_edns(&mut self, key: Key, server: usize, sent: Edns) {
        let Some(flight) = self.flights.get(key) else { return };
        match (sent, flight.edns) {
            (Edns::On, _) => self.servers[server].answers_edns(),
            (Edns::Off, _) if flight.pinned().is_some() => self.servers[server].knows_no_edns(),
            (Edns::Off, Edns::Off) => self.servers[server].answers_bare(),
            (Edns::Off, Edns::On) if flight.timeouts > 0 => self.servers[server].answers_bare(),
            _ => {}
        }
    }
}
