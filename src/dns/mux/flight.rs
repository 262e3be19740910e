//! One outstanding question: who wants the answer, where and how often it was sent, and what went wrong.
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

/// The purpose of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// These asked it.
    Asked(Vec<Asker>),
    /// It is the control query to the server with this number.
    Control(usize),
}

/// The stage of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for room or for a fit server.
    Waiting,
    /// It will be sent as soon as possible.
    Outbox,
    /// It has been sent, and waits for its answer.
    Sent,
}

/// An outstanding question.
#[derive(Debug)]
pub struct Flight {
    /// Its purpose.
    pub purpose: Purpose,
    /// The question, as it is sent.
    pub question: Question,
    /// The hash of the question, to find identical ones.
    pub hash: u64,
    /// Its stage.
    pub stage: Stage,
    /// When it was first sent, in microseconds.
    pub began: u64,
    /// When to stop waiting for the answer, in microseconds.
    pub deadline: u64,
    /// The number of timeouts.
    pub timeouts: u32,
    /// The server that was or will be asked.
    pub server: usize,
    /// A bit for each server that it is useless to ask again.
    pub failed: u64,
    /// Why the last of them failed.
    pub failure: Failure,
    /// Whether to send it by TCP, and how many connections were lost with it.
    pub tcp: Option<u32>,
    /// Whether the servers for this question want EDNS.
    pub edns: Edns,
    /// Whether it has been sent without EDNS at least once.
    pub was_plain: bool,
    /// Whether the case of letters is no longer random.
    pub plain: bool,
    /// The sockets on which answers may arrive.
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

    /// The only server that may be asked, if there is one.
    pub fn pinned(&self) -> Option<usize> {
        match self.purpose {
            Purpose::Control(server) => Some(server),
            Purpose::Asked(_) => None,
        }
    }

    /// Whether the server with this number may still be asked.
    pub fn may_ask(&self, server: usize) -> bool {
        self.failed & bit(server) == 0
    }

    /// Notes that the server with this number is useless for this question.
    pub fn fail(&mut self, server: usize, failure: Failure) {
        self.failed |= bit(server);
        self.failure = failure;
    }
}

/// [`super::MAX_SERVERS`] keeps the number in range.
fn bit(server: usize) -> u64 {
    1 << server
}
