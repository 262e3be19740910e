//! Sends the questions in the outbox, several in one system call from the same port.
//!
//! If descriptors or buffers are short, nothing is lost: unsent questions stay in the outbox, and sending
//! pauses for a moment.
#![forbid(unsafe_code)]

use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::errno::Errno;

use super::super::failure::Failure;
use super::super::message::Edns;
use super::super::socket::{self, BATCH};
use super::super::table::Key;
use super::flight::{Stage, Via};
use super::health::Route;
use super::server::Fitness;
use super::{FIRST_PORT_TOKEN, FIRST_TOKEN, Live, Lives, Mux, Notice, PER_PORT, Port, Stream};

/// The time before a refused question is repeated, in microseconds.
pub const SOON: u64 = 50_000;
/// How long sending pauses if the system is short of resources, in microseconds.
const PAUSE: u64 = 5_000;
/// The time after which an open port takes no new questions, in microseconds.
const PORT_AGE: u64 = 10_000_000;

/// Whether sending may go on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Paused,
}

impl Mux {
    /// Sends everything that can be sent now.
    pub(super) fn flush(&mut self) {
        if self.paused.is_some_and(|until| until > self.now) {
            return;
        }
        self.paused = None;
        self.admit();
        while let Some(&key) = self.outbox.front() {
            let Some(flight) = self.flights.get(key).filter(|f| f.stage == Stage::Outbox) else {
                self.outbox.pop_front();
                continue;
            };
            let flow = match self.route(flight) {
                Route::To(server) if flight.tcp.is_some() => self.send_tcp(key, server),
                Route::To(server) => self.send_udp(server),
                Route::Wait => self.hold(key),
                Route::Nowhere(failure) => {
                    self.finish(key, Err(failure));
                    Flow::On
                }
            };
            if flow == Flow::Paused {
                break;
            }
        }
    }

    /// Moves questions from `waiting` to the outbox while there is room and a server to ask.
    fn admit(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.probe_due();
        if !self.any(Fitness::Fit) && self.any(Fitness::Probing) {
            return;
        }
        if !self.servers.iter().any(|server| server.is_hope()) {
            return self.give_up();
        }
        while self.active < self.in_flight
            && let Some(key) = self.waiting.pop_front()
        {
            let Some(flight) = self.flights.get_mut(key) else { continue };
            if flight.began == 0 {
                flight.began = self.now.max(1);
                flight.tcp = self.limits.transport.losses();
                flight.question.scramble(&mut self.random);
            }
            self.enter(key, Stage::Outbox);
            self.outbox.push_back(key);
        }
    }

    /// Whether questions wait for nothing but the next round: the last server that was being tested was found
    /// unfit while others' questions were sent.
    pub(super) fn may_admit(&self) -> bool {
        let is_full = self.active >= self.in_flight;
        let is_held_up = self.any(Fitness::Probing) || self.paused.is_some() || is_full;
        !self.waiting.is_empty() && !is_held_up
    }

    fn any(&self, fitness: Fitness) -> bool {
        self.servers.iter().any(|server| server.fitness == fitness)
    }

    /// Moves a question back to `waiting`, until the servers have been tested.
    fn hold(&mut self, key: Key) -> Flow {
        self.outbox.pop_front();
        self.enter(key, Stage::Waiting);
        self.waiting.push_front(key);
        Flow::On
    }

    /// Sends the questions for this server at the front of the outbox, as many as one port takes.
    fn send_udp(&mut self, server: usize) -> Flow {
        let port = match self.port(server) {
            Ok(port) => port,
            Err(error) => return self.no_socket(server, error),
        };
        self.gather(server, port);
        let (Some(datagrams), Some(open)) = (&mut self.datagrams, self.ports.get_mut(port)) else {
            return self.pause();
        };
        let batch = std::mem::take(&mut self.batch);
        let result = datagrams.send(&open.fd, &self.messages[..batch.len()]);
        let flow = match result {
            Ok(sent) => {
                open.sent += sent;
                self.counters.sent += sent as u64;
                let (gone, left) = batch.split_at(sent);
                gone.iter().for_each(|live| self.sent(Via::Port(port), server, *live));
                left.iter().rev().for_each(|live| self.outbox.push_front(live.flight));
                Flow::On
            }
            Err(error) if is_shortage(error) => {
                batch.iter().rev().for_each(|live| self.outbox.push_front(live.flight));
                self.pause()
            }
            Err(_) => {
                self.retire(port);
                for live in &batch {
                    self.unsent(live.flight);
                    self.refused(live.flight, server);
                }
                Flow::On
            }
        };
        self.batch = batch;
        if self.ports.get(port).is_some_and(|open| open.sent >= PER_PORT) {
            self.servers[server].port = None;
        }
        flow
    }

    /// Builds the messages for `server` at the front of the outbox.
    fn gather(&mut self, server: usize, port: Key) {
        self.batch.clear();
        let Some(open) = self.ports.get(port) else { return };
        let room = PER_PORT.saturating_sub(open.sent).clamp(1, BATCH);
        while self.batch.len() < room
            && let Some(&key) = self.outbox.front()
        {
            self.outbox.pop_front();
            let Some(flight) = self.flights.get(key).filter(|f| f.stage == Stage::Outbox) else {
                continue;
            };
            if flight.tcp.is_some() || !matches!(self.route(flight), Route::To(s) if s == server) {
                self.outbox.push_front(key);
                break;
            }
            let id = open.lives.fresh_id(&mut self.random, &self.batch);
            let edns = self.edns(flight, server);
            if self.servers[server].is_folding()
                && let Some(flight) = self.flights.get_mut(key)
            {
                flight.plain = true;
                flight.question.unscramble();
            }
            let Some(flight) = self.flights.get(key) else { continue };
            flight.question.write(&mut self.messages[self.batch.len()], id, edns);
            self.batch.push(Live { id, flight: key, sent: self.now, edns });
        }
    }

    /// Notes that a message was sent, and how long to wait for the answer.
    fn sent(&mut self, via: Via, server: usize, live: Live) {
        let lives = match via {
            Via::Port(port) => self.ports.get_mut(port).map(|p| &mut p.lives),
            Via::Stream(server) => self.streams[server].as_mut().map(|s| &mut s.lives),
        };
        lives.into_iter().for_each(|lives| lives.insert(live));
        let timeouts = self.flights.get(live.flight).map_or(0, |flight| flight.timeouts);
        let deadline = self.now.saturating_add(self.wait(via, server, timeouts));
        self.enter(live.flight, Stage::Sent);
        let Some(flight) = self.flights.get_mut(live.flight) else { return };
        (flight.server, flight.deadline) = (server, deadline);
        flight.was_plain |= live.edns == Edns::Off;
        if !flight.vias.contains(&via) {
            flight.vias.push(via);
        }
        self.timers.set(deadline, live.flight);
    }

    /// How long to wait after so many timeouts, in microseconds: the server's usual time, multiplied by
    /// four each time, so that few attempts outlast an outage of a second, plus up to an eighth, so that
    /// questions lost together are not repeated together. The last attempt, and any over TCP, which
    /// retransmits by itself, waits as long as configured.
    fn wait(&mut self, via: Via, server: usize, timeouts: u32) -> u64 {
        let longest = u64::try_from(self.limits.timeout.as_micros()).unwrap_or(u64::MAX);
        if timeouts + 1 >= self.limits.attempts || matches!(via, Via::Stream(_)) {
            return longest;
        }
        let wait = self.servers[server].timeout() << (2 * timeouts.min(10));
        let jitter = ((wait >> 3) * u64::from(self.random.u16())) >> 16;
        (wait + jitter).min(longest)
    }

    /// The port for the next questions to this server.
    fn port(&mut self, server: usize) -> Result<Key, Errno> {
        if let Some(key) = self.servers[server].port {
            match self.ports.get(key) {
                Some(port) if self.now - port.opened < PORT_AGE => return Ok(key),
                _ => self.retire(key),
            }
        }
        let fd = socket::udp(self.servers[server].address, self.promise)?;
        let raw = fd.as_raw_fd();
        let port = Port { fd, server, opened: self.now, sent: 0, lives: Lives::default() };
        let key = self.ports.insert(port);
        let token = Token(FIRST_PORT_TOKEN + key.slot());
        if let Err(error) = self.registry.register(&mut SourceFd(&raw), token, Interest::READABLE) {
            self.ports.remove(key);
            return Err(error.raw_os_error().map_or(Errno::ENOMEM, Errno::from_raw));
        }
        self.servers[server].port = Some(key);
        self.counters.ports += 1;
        Ok(key)
    }

    /// Retires a port, which is closed when no answers are expected any more.
    pub(super) fn retire(&mut self, key: Key) {
        let Some(port) = self.ports.get(key) else { return };
        if self.servers[port.server].port == Some(key) {
            self.servers[port.server].port = None;
        }
        if port.lives.is_empty() {
            self.ports.remove(key);
        }
    }

    /// Sends one question over the server's connection, which is opened if necessary.
    fn send_tcp(&mut self, key: Key, server: usize) -> Flow {
        if self.streams[server].is_none() {
            match self.connect(server) {
                Ok(stream) => self.streams[server] = Some(stream),
                Err(error) if is_shortage(error) => return self.no_socket(server, error),
                Err(_) => {
                    self.outbox.pop_front();
                    self.unsent(key);
                    self.try_next(key, server, Failure::Tcp);
                    return Flow::On;
                }
            }
        }
        self.outbox.pop_front();
        let Some(flight) = self.flights.get(key) else { return Flow::On };
        let edns = self.edns(flight, server);
        let Some(stream) = &mut self.streams[server] else { return Flow::On };
        let id = stream.lives.fresh_id(&mut self.random, &[]);
        let message = &mut self.messages[0];
        flight.question.write(message, id, edns);
        stream.push(message);
        let written = stream.write();
        self.counters.sent += 1;
        self.counters.sent_tcp += 1;
        self.sent(Via::Stream(server), server, Live { id, flight: key, sent: self.now, edns });
        if written.is_err() {
            self.lose_stream(server);
        }
        Flow::On
    }

    fn connect(&mut self, server: usize) -> Result<Stream, Errno> {
        let fd = socket::tcp(self.servers[server].address, self.promise)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        let token = Token(FIRST_TOKEN + server);
        match self.registry.register(&mut SourceFd(&fd.as_raw_fd()), token, both) {
            Ok(()) => Ok(Stream::new(fd)),
            Err(error) => Err(error.raw_os_error().map_or(Errno::ENOMEM, Errno::from_raw)),
        }
    }

    /// Handles a failure to get a socket for the question at the front of the outbox: the system is short
    /// of resources, or there is no route.
    fn no_socket(&mut self, server: usize, error: Errno) -> Flow {
        let Some(&key) = self.outbox.front() else { return Flow::On };
        if !is_shortage(error) {
            self.outbox.pop_front();
            self.unsent(key);
            self.refused(key, server);
            return Flow::On;
        }
        let under_way = self.active.saturating_sub(self.outbox.len()).max(1);
        if under_way < self.in_flight {
            self.in_flight = under_way;
            self.notices.push(Notice::Lowered(under_way));
        }
        let patience = self.limits.timeout.saturating_mul(self.limits.attempts);
        let patience = u64::try_from(patience.as_micros()).unwrap_or(u64::MAX);
        let began = self.flights.get(key).map_or(0, |flight| flight.began);
        if self.now.saturating_sub(began) > patience {
            self.finish(key, Err(Failure::NoServer));
        }
        self.pause()
    }

    fn pause(&mut self) -> Flow {
        self.paused = Some(self.now + PAUSE);
        Flow::Paused
    }

    /// Handles the end of a connection: its questions are repeated once; after that its server is useless
    /// for them.
    pub(super) fn lose_stream(&mut self, server: usize) {
        let Some(stream) = self.streams[server].take() else { return };
        for key in stream.lives.flights() {
            let Some(flight) = self.flights.get_mut(key) else { continue };
            flight.vias.retain(|via| *via != Via::Stream(server));
            let losses = flight.tcp.unwrap_or(0) + 1;
            flight.tcp = Some(losses);
            if losses > 1 {
                self.try_next(key, server, Failure::Tcp);
            } else {
                self.resend(key, server);
            }
        }
    }

    /// Drops a dead connection, on which nothing has arrived since this question was sent.
    pub(super) fn drop_stalled_stream(&mut self, key: Key, server: usize) {
        let Some(stream) = &self.streams[server] else { return };
        let waits_since = stream.lives.sent(key);
        if waits_since.is_some_and(|sent| stream.read_at <= sent) {
            self.lose_stream(server);
        }
    }
}

/// Whether the system is temporarily short of descriptors, ports or memory.
fn is_shortage(error: Errno) -> bool {
    use Errno::{EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    [EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(&error)
}
