//! Receives messages, matches them to the questions that wait on the socket, and acts on them.
#![forbid(unsafe_code)]

use domain::base::Message;
use domain::base::iana::Rcode;
use nix::errno::Errno;

use super::super::answer;
use super::super::failure::Failure;
use super::super::message::{self, Edns, Match};
use super::super::socket::{self, BATCH, DATAGRAM};
use super::super::table::Key;
use super::flight::Via;
use super::{Live, Mux, Stream};

/// The number of batches or chunks read from one socket before others have their turn.
const ROUNDS: usize = 8;

impl Mux {
    /// Reads what has arrived at a port.
    pub(super) fn receive(&mut self, key: Key) {
        let Some(mut datagrams) = self.datagrams.take() else { return };
        for round in 0..=ROUNDS {
            let Some(port) = self.ports.get(key) else { break };
            if round == ROUNDS {
                self.unread.push(Via::Port(key));
                break;
            }
            match datagrams.receive(&port.fd) {
                Ok(count) => {
                    for index in 0..count {
                        self.arrived(Via::Port(key), datagrams.datagram(index));
                    }
                    if count < BATCH {
                        break;
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(_) => {
                    self.port_refused(key);
                    break;
                }
            }
        }
        self.datagrams = Some(datagrams);
    }

    /// Writes to and reads from a connection.
    pub(super) fn stream_ready(&mut self, server: usize) {
        let Some(Some(stream)) = self.streams.get_mut(server) else { return };
        if !matches!(socket::pending_error(&stream.fd), Ok(None)) || stream.write().is_err() {
            return self.lose_stream(server);
        }
        for _ in 0..ROUNDS {
            let Some(stream) = &mut self.streams[server] else { return };
            match stream.read(self.now) {
                Ok(true) => self.take_messages(server),
                Ok(false) => return,
                Err(_) => return self.lose_stream(server),
            }
        }
        self.unread.push(Via::Stream(server));
    }

    fn take_messages(&mut self, server: usize) {
        while let Some(message) = self.streams[server].as_mut().and_then(Stream::message) {
            self.arrived(Via::Stream(server), &message);
        }
    }

    /// Handles an ICMP error: nothing that waits on this port will be answered.
    fn port_refused(&mut self, key: Key) {
        let Some(port) = self.ports.get(key) else { return };
        let server = port.server;
        let flights = port.lives.flights();
        for flight in &flights {
            self.forget(Via::Port(key), *flight);
        }
        self.retire(key);
        flights.into_iter().for_each(|flight| self.refused(flight, server));
    }

    /// Handles a message from one of our sockets.
    fn arrived(&mut self, via: Via, bytes: &[u8]) {
        let Some(live) = self.awaited(via, bytes) else { return };
        let (server, key) = (self.server_of(via), live.flight);
        let Some(flight) = self.flights.get_mut(key) else { return };
        match flight.question.compare(bytes) {
            Some(Match::Exact) => self.ours(via, server, live, bytes),
            Some(Match::NoQuestion) if live.edns == Edns::On && is_refusal_of_edns(bytes) => {
                self.without_edns(key, server);
            }
            Some(Match::Folded) => {
                self.counters.dropped_case += 1;
                if !flight.plain {
                    flight.plain = true;
                    flight.question.unscramble();
                    self.servers[server].folds();
                    self.resend(key, server);
                }
            }
            Some(Match::NoAnswer) => self.counters.dropped_no_answer += 1,
            Some(Match::Other | Match::NoQuestion) => self.counters.dropped_question += 1,
            None => self.counters.dropped_short += 1,
        }
    }

    /// The question that waits for a message with this id.
    fn awaited(&mut self, via: Via, bytes: &[u8]) -> Option<Live> {
        let Some(id) = message::id(bytes).filter(|_| bytes.len() >= message::HEADER) else {
            self.counters.dropped_short += 1;
            return None;
        };
        let live = match via {
            Via::Port(port) => self.ports.get(port)?.lives.find(id),
            Via::Stream(server) => self.streams[server].as_ref()?.lives.find(id),
        };
        if live.is_none() {
            self.counters.dropped_id += 1;
        }
        live
    }

    fn server_of(&self, via: Via) -> usize {
        match via {
            Via::Port(port) => self.ports.get(port).map_or(0, |port| port.server),
            Via::Stream(server) => server,
        }
    }

    /// Handles the answer to one of our questions.
    fn ours(&mut self, via: Via, server: usize, live: Live, bytes: &[u8]) {
        let key = live.flight;
        let took = matches!(via, Via::Port(_)).then(|| self.now.saturating_sub(live.sent));
        self.servers[server].answered(self.now, took);
        let truncated = Message::from_slice(bytes).is_ok_and(|m| m.header().tc());
        if matches!(via, Via::Port(_)) && (truncated || bytes.len() == DATAGRAM) {
            let Some(flight) = self.flights.get_mut(key) else { return };
            if flight.tcp.is_none() {
                flight.tcp = Some(0);
                self.resend(key, server);
            }
            return;
        }
        let result = answer::read(bytes);
        let is_error = matches!(result, Err(Failure::Rcode(_)));
        if is_error && live.edns == Edns::On && is_refusal_of_edns(bytes) {
            return self.without_edns(key, server);
        }
        self.note_edns(key, server, live.edns);
        match result {
            Ok(answer) => {
                if let Some(flight) = self.flights.get_mut(key) {
                    flight.server = server;
                }
                self.finish(key, Ok(answer));
            }
            Err(failure) => self.try_next(key, server, failure),
        }
    }

    /// Asks again without an OPT record (RFC 6891 7).
    fn without_edns(&mut self, key: Key, server: usize) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        if flight.edns == Edns::On {
            flight.edns = Edns::Off;
            self.resend(key, server);
        }
    }
}

/// Servers without EDNS answer FORMERR or NOTIMP, those with another version BADVERS.
fn is_refusal_of_edns(bytes: &[u8]) -> bool {
    Message::from_slice(bytes).is_ok_and(|message| {
        let rcode = message.header().rcode();
        rcode == Rcode::FORMERR
            || rcode == Rcode::NOTIMP
            || message.opt_rcode() == domain::base::iana::OptRcode::BADVERS
    })
}
