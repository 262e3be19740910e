//! What is unanswered on one socket: ids in, the questions they belong to out.
//!
//! Every UDP port and every TCP connection has such a list. It is as short as a port's life, or as what
//! a connection carries, so it is searched from end to end.
#![forbid(unsafe_code)]

use super::super::message::Edns;
use super::super::random::Random;
use super::super::table::Key;

/// One message sent and not answered.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// Its id.
    pub id: u16,
    /// The question it carried.
    pub flight: Key,
    /// When it went, in microseconds.
    pub sent: u64,
    /// Whether it carried an OPT record.
    pub edns: Edns,
}

/// The unanswered messages of one socket.
#[derive(Debug, Default)]
pub struct Lives(Vec<Live>);

impl Lives {
    /// Adds one whose id no other here has.
    pub fn insert(&mut self, live: Live) {
        self.0.push(live);
    }

    /// The one with this id.
    pub fn find(&self, id: u16) -> Option<Live> {
        self.0.iter().find(|live| live.id == id).copied()
    }

    /// Forgets a question.
    pub fn remove(&mut self, flight: Key) {
        self.0.retain(|live| live.flight != flight);
    }

    /// When a question was sent here last, in microseconds.
    pub fn sent(&self, flight: Key) -> Option<u64> {
        self.0.iter().rev().find(|live| live.flight == flight).map(|live| live.sent)
    }

    /// Whether all is answered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The questions that wait here.
    pub fn flights(&self) -> Vec<Key> {
        self.0.iter().map(|live| live.flight).collect()
    }

    /// An id that is neither here nor among `taken`.
    pub fn fresh_id(&self, random: &mut Random, taken: &[Live]) -> u16 {
        loop {
            let id = random.u16();
            if self.0.iter().chain(taken).all(|live| live.id != id) {
                return id;
            }
        }
    }
}
