//! One question under way: who wants the answer, where it was sent, how often, what went wrong.
#![forbid(unsafe_code)]

use super::super::failure::Failure;
use super::super::message::{Edns, Question};
use super::super::table::Key;
use super::Asker;

/// Never, in microseconds.
pub const NEVER: u64 = u64::MAX;

/// A socket that carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A UDP port of ours.
    Port(Key),
    /// The TCP connection to the server with this number.
    Stream(usize),
}

/// What the question is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody asked.
    Asked(Vec<Asker>),
    /// The control question to the server with this number.
    Control(usize),
}

/// Where a flight is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits for room or for a fit server.
    Waiting,
    /// To be sent as soon as possible.
    Outbox,
    /// Sent, waits for its answer.
    Sent,
}

/// A question under way.
#[derive(Debug)]
pub struct Flight {
    /// For whom.
    pub purpose: Purpose,
    /// What is asked, as it is sent.
    pub question: Question,
    /// The question's hash, by which the same question is found.
    pub hash: u64,
    /// Where it is.
    pub stage: Stage,
    /// When it began to be sent, in microseconds.
    pub began: u64,
    /// When to stop waiting for the answer, in microseconds.
    pub deadline: u64,
    /// How often waiting was in vain.
    pub timeouts: u32,
    /// The server that was or is to be asked.
    pub server: usize,
    /// A bit for each server that gave no use to ask again.
    pub failed: u64,
    /// Why the last of them failed.
    pub failure: Failure,
    /// Whether it is to be sent by TCP, and how many connections were lost with it.
    pub tcp: Option<u32>,
    /// EDNS as the servers of this question want it.
    pub edns: Edns,
    /// Whether it was sent without EDNS at least once.
    pub was_plain: bool,
    /// Whether the letters' case is no longer random.
    pub plain: bool,
    /// The sockets on which answers may come.
    pub vias: Vec<Via>,
}

impl Flight {
    /// A new one.
    pub fn new(purpose: Purpose, question: Question) -> Self {
        Self {
            purpose,
            question,
            hash: 0,
            stage: Stage::Waiting,
            began: 0,
            deadline: NEVER,
            timeouts: 0,
            server: 0,
            failed: 0,
            failure: Failure::Timeout,
            tcp: None,
            edns: Edns::On,
            was_plain: false,
            plain: false,
            vias: Vec::new(),
        }
    }

    /// The server that alone may be asked.
    pub fn pinned(&self) -> Option<usize> {
        match self.purpose {
            Purpose::Control(server) => Some(server),
            Purpose::Asked(_) => None,
        }
    }

    /// Whether the server with this number may still be of use.
    pub fn may_ask(&self, server: usize) -> bool {
        self.failed & bit(server) == 0
    }

    /// Notes that the server with this number is of no use for this question.
    pub fn fail(&mut self, server: usize, failure: Failure) {
        self.failed |= bit(server);
        self.failure = failure;
    }
}

/// [`super::MAX_SERVERS`] keeps the number in range.
fn bit(server: usize) -> u64 {
    1 << server
}
