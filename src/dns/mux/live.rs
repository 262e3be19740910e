//! The unanswered messages on one socket, which maps ids to questions.
//!
//! Every UDP port and every TCP connection has such a list. It is short, since a port does not live long
//! and a connection does not carry much, so the search is linear.
#![forbid(unsafe_code)]

use super::super::message::Edns;
use super::super::random::Random;
use super::super::table::Key;

/// One unanswered message.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// Its id.
    pub id: u16,
    /// The question it carried.
    pub flight: Key,
    /// When it was sent, in microseconds.
    pub sent: u64,
    /// Whether it had an OPT record.
    pub edns: Edns,
}

/// The unanswered messages of one socket.
#[derive(Debug, Default)]
pub struct Lives(Vec<Live>);

impl Lives {
    /// Adds one with an id that no other has.
    pub fn insert(&mut self, live: Live) {
        self.0.push(live);
    }

    /// The one with this id.
    pub fn find(&self, id: u16) -> Option<Live> {
        self.0.iter().find(|live| live.id == id).copied()
    }

    /// Removes a question.
    pub fn remove(&mut self, flight: Key) {
        self.0.retain(|live| live.flight != flight);
    }

    /// When a question was last sent here, in microseconds.
    pub fn sent(&self, flight: Key) -> Option<u64> {
        self.0.iter().rev().find(|live| live.flight == flight).map(|live| live.sent)
    }

    /// Whether everything is answered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The questions that wait here.
    pub fn flights(&self) -> Vec<Key> {
        self.0.iter().map(|live| live.flight).collect()
    }

    /// An id that is used neither here nor in `taken`.
    pub fn fresh_id(&self, random: &mut Random, taken: &[Live]) -> u16 {
        loop {
            let id = random.u16();
            if self.0.iter().chain(taken).all(|live| live.id != id) {
                return id;
            }
        }
    }
}
