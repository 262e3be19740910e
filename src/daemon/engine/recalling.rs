//! What memory knows of names, asked for by the judging, and its answer.
//!
//! ```text
//! judging --Said::Recall(Wanted)--> loop --ToMemory::Known--> memory
//!     ^                                                         |
//!     +---------------- a channel of its own <-- loop <---------+
//! ```
//!
//! The judging waits a moment ([`PATIENCE`]) and no longer: without an answer the scan itself is all evidence
//! there is, and rules that need more are silent. Whoever judges collects the keys of hosts that are certainly
//! anonymous, calls [`recall`], adds what comes back to its [`Evidence`](crate::evidence::Evidence), notes the
//! sightings, and leaves what is fresh in [`Found::evidence`](super::judging::Found).
#![forbid(unsafe_code)]

use super::Engine;
use crate::daemon::messages::ToMemory;
use crate::evidence::Key;
use crate::memory::Watched;
use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Keys in a message: far fewer bytes than it may have.
const CHUNK: usize = 10_000;
/// How long an answer is waited for, all messages together. A hundred thousand keys take less.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keys, and where the answer goes.
pub struct Wanted {
    keys: Vec<Key>,
    answer: Sender<Watched>,
}

/// Who waits for answers, by ticket.
pub type Recalls = HashMap<u64, Sender<Watched>>;

/// Asks what memory knows of these keys by way of `say`, and waits for it.
pub fn recall(mut keys: Vec<Key>, say: impl Fn(Wanted)) -> Watched {
    keys.sort_unstable();
    keys.dedup();
    let (answer, known) = channel();
    let chunks = keys.chunks(CHUNK);
    let count = chunks.len();
    chunks.for_each(|keys| say(Wanted { keys: keys.to_vec(), answer: answer.clone() }));
    // Nobody answers if memory has gone.
    drop(answer);
    let until = Instant::now() + PATIENCE;
    let next = |_| known.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    let parts: Vec<_> = (0..count).map_while(next).collect();
    // Who does not know all of it does not know whom hosts that passed wrote to.
    let watch = parts.last().filter(|_| parts.len() == count).and_then(|part| part.watch);
    let entries = parts.into_iter().flat_map(|part| part.entries).collect();
    Watched { entries, watch }
}

impl Engine {
    /// The judging wants to know something of memory.
    pub(super) fn recall(&mut self, Wanted { keys, answer }: Wanted) {
        let ticket = self.ticket();
        self.recalls.insert(ticket, answer);
        self.ledger.ask(&ToMemory::Known { ticket, keys });
    }

    /// Memory has answered.
    pub(super) fn recalled(&mut self, ticket: u64, known: Result<Watched, String>) {
        if let Some(answer) = self.recalls.remove(&ticket) {
            // It may no longer wait.
            let _ = answer.send(known.unwrap_or_default());
        } else {
            self.adopt_known(ticket, known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Entry, Watch};

    fn keys(count: usize) -> Vec<Key> {
        (0..count).filter_map(|n| Key::helo(format!("h{}", n % (count - 1)).as_bytes())).collect()
    }

    #[test]
    fn each_key_is_asked_for_once_and_all_answers_come_together() {
        let asked = std::cell::RefCell::new(Vec::new());
        let known = recall(keys(CHUNK + 2), |Wanted { keys, answer }| {
            asked.borrow_mut().push(keys.len());
            let entries = keys.into_iter().map(|key| (key, Entry::default())).collect();
            answer.send(Watched { entries, ..Watched::default() }).unwrap();
        });
        assert_eq!((known.entries.len(), asked.into_inner()), (CHUNK + 1, vec![CHUNK, 1]));
    }

    /// Of keys without an answer it is not known whether a host that passed wrote to them.
    #[test]
    fn nothing_is_watched_if_an_answer_is_missing() {
        let watch = Some(Watch::begin(5));
        for (answered, wanted) in [(2u32, watch), (1, None)] {
            let left = std::cell::Cell::new(answered);
            let known = recall(keys(CHUNK + 2), |Wanted { answer, .. }| {
                if left.replace(left.get().saturating_sub(1)) > 0 {
                    answer.send(Watched { watch, ..Watched::default() }).unwrap();
                }
            });
            assert_eq!(known.watch, wanted);
        }
    }

    #[test]
    fn without_memory_nothing_is_known_at_once() {
        let start = Instant::now();
        assert_eq!(recall(keys(5), drop), Watched::default());
        assert_eq!(recall(Vec::new(), drop), Watched::default());
        assert!(start.elapsed() < PATIENCE);
    }
}
