//! When to stop waiting: a heap of deadlines. Entries are not taken out when the answer comes; the
//! owner sees by the flight's own deadline that an entry has nothing to say any more.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::table::Key;

/// Deadlines in microseconds, the next one first.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(u64, Key)>>);

impl Timers {
    /// Adds one.
    pub fn set(&mut self, deadline: u64, flight: Key) {
        self.0.push(Reverse((deadline, flight)));
    }

    /// When the next one is.
    pub fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes one out that is due.
    pub fn due(&mut self, now: u64) -> Option<Key> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, flight))| flight)
    }

    /// Sweeps when there are many more entries than flights: answered questions leave theirs behind.
    pub fn sweep(&mut self, flights: usize, lives: impl Fn(u64, Key) -> bool) {
        if self.0.len() > flights.saturating_mul(4).saturating_add(1024) {
            self.0.retain(|Reverse((deadline, flight))| lives(*deadline, *flight));
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
