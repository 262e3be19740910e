//! The state of one name server: whether it is fit, how long it takes to answer, and what it does not
//! support.
//!
//! The multiplexer reports every answer and every timeout. A server is asked only the control query (`.
//! NS`) until it has answered that, and again if it falls silent. The content of that answer says little: a
//! forwarder may refuse to answer about the root and know everything else.
#![forbid(unsafe_code)]

use std::net::SocketAddr;

use super::super::failure::Failure;
use super::super::message::Edns;
use super::super::table::Key;

/// RFC 6298 2.4 suggests one second; unbound's minimum is 50 ms, which suits a nearby resolver.
const MIN_RTO: u64 = 50_000;
/// RFC 6298 2.1, before the first measurement.
const FIRST_RTO: u64 = 1_000_000;
/// The number of timeouts in a row, without any answer, after which the server must prove itself again.
const SUSPECT_AFTER: u32 = 8;
/// How long an unfit server is not asked, in microseconds.
const ASIDE: u64 = 30_000_000;
/// An answer older than this, in microseconds, proves nothing for a new scan.
const STALE: u64 = 60_000_000;
/// After this many answers only without EDNS, or with the case changed, the server is always asked like
/// that.
const SETTLED: u32 = 3;

/// Whether a server may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It has not been tested.
    Untested,
    /// The control query is outstanding.
    Probing,
    /// It answered the control query properly.
    Fit,
    /// It answered something else: it is asked if no other server is fit.
    Odd(Failure),
    /// It did not answer; it is not tried again before the given time, in microseconds.
    Unfit(Failure, u64),
}

/// One name server.
#[derive(Debug)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it may be asked.
    pub fitness: Fitness,
    /// Our UDP port for its next questions.
    pub port: Option<Key>,
    /// Answers accepted.
    pub answers: u64,
    /// Timeouts.
    pub timeouts: u64,
    silent: u32,
    heard: u64,
    /// Smoothed round-trip time and its deviation (RFC 6298 2), in microseconds.
    estimate: Option<(u64, u64)>,
    bare: u32,
    folded: u32,
}

impl Server {
    /// A server about which nothing is known.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            fitness: Fitness::Untested,
            port: None,
            answers: 0,
            timeouts: 0,
            silent: 0,
            heard: 0,
            estimate: None,
            bare: 0,
            folded: 0,
        }
    }

    /// Whether it may be usable now or soon.
    pub fn is_hope(&self) -> bool {
        matches!(self.fitness, Fitness::Fit | Fitness::Odd(_) | Fitness::Probing)
    }

    /// Notes an answer, with the time that it took if it came by UDP.
    pub fn answered(&mut self, now: u64, took: Option<u64>) {
        self.answers += 1;
        self.silent = 0;
        self.heard = now;
        let Some(took) = took else { return };
        self.estimate = Some(match self.estimate {
            None => (took, took / 2),
            Some((smoothed, deviation)) => {
                ((7 * smoothed + took) / 8, (3 * deviation + smoothed.abs_diff(took)) / 4)
            }
        });
    }

    /// Notes a timeout; returns whether the server must prove itself.
    pub fn missed(&mut self) -> bool {
        self.timeouts += 1;
        self.silent += 1;
        matches!(self.fitness, Fitness::Fit | Fitness::Odd(_)) && self.silent >= SUSPECT_AFTER
    }

    /// The smoothed round-trip time in microseconds.
    pub fn round_trip(&self) -> Option<u64> {
        self.estimate.map(|(smoothed, _)| smoothed)
    }

    /// How long to wait for the answer to the first attempt, in microseconds.
    pub fn timeout(&self) -> u64 {
        self.estimate
            .map_or(FIRST_RTO, |(smoothed, deviation)| smoothed + 4 * deviation)
            .max(MIN_RTO)
    }

    /// Whether the control query should be asked.
    pub fn wants_probe(&self, now: u64) -> bool {
        match self.fitness {
            Fitness::Untested => true,
            Fitness::Unfit(_, until) => until <= now,
            Fitness::Probing | Fitness::Fit | Fitness::Odd(_) => false,
        }
    }

    /// Notes a proper answer to the control query.
    pub fn passed(&mut self) {
        self.fitness = Fitness::Fit;
        self.silent = 0;
    }

    /// Notes an answer to it without the root's name servers.
    pub fn is_odd(&mut self, failure: Failure) {
        self.fitness = Fitness::Odd(failure);
        self.silent = 0;
    }

    /// Notes that it was not answered.
    pub fn put_aside(&mut self, failure: Failure, now: u64) {
        self.fitness = Fitness::Unfit(failure, now.saturating_add(ASIDE));
    }

    /// Begins a new scan: old knowledge must be obtained again.
    pub fn refresh(&mut self, now: u64) {
        let stale = now.saturating_sub(self.heard) > STALE;
        match self.fitness {
            Fitness::Fit if stale => {}
            Fitness::Odd(_) | Fitness::Unfit(..) => {}
            _ => return,
        }
        self.fitness = Fitness::Untested;
        (self.bare, self.folded) = (0, 0);
    }

    /// Notes another answer that came only without EDNS.
    pub fn answers_bare(&mut self) {
        self.bare = self.bare.saturating_add(1);
    }

    /// Notes an answer with EDNS: earlier losses were accidental.
    pub fn answers_edns(&mut self) {
        self.bare = 0;
    }

    /// Notes that the control query was answered only without EDNS.
    pub fn knows_no_edns(&mut self) {
        self.bare = SETTLED;
    }

    /// Notes another answer with the case of the question changed.
    pub fn folds(&mut self) {
        self.folded += 1;
    }

    /// Whether it wants EDNS.
    pub fn edns(&self) -> Edns {
        if self.bare >= SETTLED { Edns::Off } else { Edns::On }
    }

    /// Whether random case is useless with it.
    pub fn is_folding(&self) -> bool {
        self.folded >= SETTLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server::new("192.0.2.53:53".parse().unwrap())
    }

    /// RFC 6298 2.2 and 2.3 with alpha 1/8, beta 1/4, K 4.
    #[test]
    fn the_timeout_follows_the_round_trips() {
        let mut one = server();
        assert_eq!(one.timeout(), 1_000_000);
        one.answered(0, Some(80_000));
        assert_eq!((one.round_trip(), one.timeout()), (Some(80_000), 80_000 + 4 * 40_000));
        one.answered(0, Some(40_000));
        assert_eq!((one.round_trip(), one.timeout()), (Some(75_000), 75_000 + 4 * 40_000));
        for _ in 0..100 {
            one.answered(0, Some(300));
        }
        assert_eq!(one.timeout(), 50_000);
    }

    #[test]
    fn silence_makes_suspect_and_an_answer_clears() {
        let mut one = server();
        one.passed();
        assert!((1..8).all(|_| !one.missed()));
        one.answered(0, Some(1));
        assert!((1..8).all(|_| !one.missed()));
        assert!(one.missed());
    }

    #[test]
    fn an_unfit_server_rests_and_a_scan_wants_proof() {
        let mut one = server();
        assert!(one.wants_probe(0));
        one.put_aside(Failure::Timeout, 5);
        assert!(!one.wants_probe(29_000_000) && one.wants_probe(30_000_005));
        one.refresh(6);
        assert!(one.wants_probe(6));
        one.passed();
        one.answered(10, Some(1));
        one.refresh(60_000_000);
        assert_eq!(one.fitness, Fitness::Fit);
        one.refresh(60_000_011);
        assert_eq!(one.fitness, Fitness::Untested);
    }
}
