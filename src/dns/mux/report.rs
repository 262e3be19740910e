//! What the multiplexer tells of itself: counters and health for `show`, notices for the log.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::failure::Failure;
use super::server::Fitness;

/// What happened since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages sent, by UDP and TCP.
    pub sent: u64,
    /// Of these, by TCP.
    pub sent_tcp: u64,
    /// UDP ports that were opened.
    pub ports: u64,
    /// Waits for an answer that were in vain.
    pub timeouts: u64,
    /// Messages dropped: shorter than a header.
    pub dropped_short: u64,
    /// Messages dropped: an id that nothing waits for, or no more.
    pub dropped_id: u64,
    /// Messages dropped: no answers, or to another operation.
    pub dropped_no_answer: u64,
    /// Messages dropped: answers to another question.
    pub dropped_question: u64,
    /// Messages dropped: letters in another case than sent.
    pub dropped_case: u64,
}

/// Something the operator ought to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Descriptors or buffers are short: so many questions at once from now on.
    Lowered(usize),
    /// A name server is put aside.
    Unfit(SocketAddr, Failure),
    /// A name server answers, though not what the root's name servers are.
    Odd(SocketAddr, Failure),
    /// A name server answers properly.
    Fit(SocketAddr),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lowered(count) => write!(f, "in flight lowered to {count}"),
            Self::Unfit(address, failure) => write!(f, "{address} not in use: {failure}"),
            Self::Odd(address, failure) => {
                write!(f, "{address} answers, but not for the root: {failure}")
            }
            Self::Fit(address) => write!(f, "{address} answers"),
        }
    }
}

/// What is known of a name server, for `show`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it is asked.
    pub fitness: Fitness,
    /// Its smoothed round-trip time.
    pub round_trip: Option<Duration>,
    /// Answers that were taken.
    pub answers: u64,
    /// Waits in vain.
    pub timeouts: u64,
}
