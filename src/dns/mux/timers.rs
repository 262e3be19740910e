//! A heap of deadlines. Entries are not removed when the answer arrives; the owner recognizes outdated
//! entries by the question's own deadline.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::table::Key;

/// Deadlines in microseconds, beginning with the next one.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(u64, Key)>>);

impl Timers {
    /// Adds one.
    pub fn set(&mut self, deadline: u64, flight: Key) {
        self.0.push(Reverse((deadline, flight)));
    }

    /// The next deadline.
    pub fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Removes and returns one that is due.
    pub fn due(&mut self, now: u64) -> Option<Key> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, flight))| flight)
    }

    /// Removes outdated entries, which answered questions leave behind, if there are many more entries than
    /// questions.
    pub fn sweep(&mut self, flights: usize, lives: impl Fn(u64, Key) -> bool) {
        if self.0.len() > flights.saturating_mul(4).saturating_add(1024) {
            self.0.retain(|Reverse((deadline, flight))| lives(*deadline, *flight));
        }
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
