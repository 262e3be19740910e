//! Records on their way to the process `memory`, which keeps them over restarts, and the way back.
//!
//! Nothing waits for a write: records that come while a batch is being written are the next batch. If the disk
//! is so slow that there are more than [`GATHERED`], the newest are lost, which is logged. Only the first scan
//! waits, until it is known which hosts are held, but not longer than [`PATIENCE`].
#![forbid(unsafe_code)]

use super::now;
use crate::daemon::messages::{FromMemory, ToMemory};
use crate::daemon::peer::Peer;
use crate::evidence::{Entry, Key};
use crate::log;
use crate::memory::{Batch, Counter, Hold, Record, White};
use crate::plural::counted_here;
use crate::scan::seen::News;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The maximum number of records that wait for the previous batch: some ten megabytes.
const GATHERED: usize = 10_000;
/// The maximum number of records in a batch. Each may have some kilobytes of evidence, and a message can be
/// much larger than all of them.
const BATCH: usize = 500;

/// Blocks of tuples that wait, some 100 KB each at most, and in a batch.
const BLOCKS_GATHERED: usize = 600;
const BLOCKS: usize = 10;
/// Entries of evidence that wait, and in a batch.
const ENTRIES_GATHERED: usize = 300_000;
const ENTRIES: usize = 5000;
/// How long the first scan waits. A file of a gigabyte is verified in less.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub struct Ledger {
    memory: Peer<ToMemory, FromMemory>,
    next: Batch,
    /// Whether a batch is being written.
    is_writing: bool,
    /// Whether the engine has all that it needs at its start.
    has_recalled: bool,
    /// Whether the work goes on without it.
    goes_on: bool,
    /// When that is no longer waited for.
    begins_at: Option<Instant>,
    /// Hosts that were whitelisted by the last scan.
    white: HashSet<IpAddr>,
    /// The domains that were last written as good.
    good: Vec<Vec<u8>>,
    /// Records that were lost since this was last logged.
    lost: usize,
    /// Why the last batch was not written.
    failure: Option<String>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(memory: Peer<ToMemory, FromMemory>) -> Ledger {
        let next = Batch::default();
        Ledger {
            memory,
            next,
            is_writing: false,
            has_recalled: false,
            goes_on: false,
            begins_at: None,
            white: HashSet::new(),
            good: Vec::new(),
            lost: 0,
            failure: None,
        }
    }

    /// Asks for what an engine needs at its start, unless its predecessor has passed it on.
    pub fn begin(&mut self, has_inherited: bool) {
        match has_inherited {
            true => self.has_recalled = true,
            false => {
                self.begins_at = Instant::now().checked_add(PATIENCE);
                self.memory.send(&ToMemory::Recall);
            }
        }
    }

    /// Whether hosts can be judged `now`. Without memory's answer, after a while, as if nothing were
    /// remembered.
    pub fn may_begin(&mut self, now: Instant) -> bool {
        let is_late = self.begins_at.is_some_and(|at| at <= now);
        if is_late && !self.has_recalled {
            log::warning("memory: no answer yet; rules are only observed until it answers");
            self.begins_at = None;
            self.goes_on = true;
        }
        self.has_recalled || self.goes_on
    }

    /// Whether hosts are judged without knowing which of them were released: none may be trapped then.
    pub fn is_blind(&self) -> bool {
        !self.has_recalled
    }

    /// Whether memory has answered, or the predecessor has passed on what it knew.
    pub fn has_recalled(&self) -> bool {
        self.has_recalled
    }

    /// When hosts can be judged in any case, if not yet.
    pub fn begins_at(&self) -> Option<Instant> {
        self.begins_at.filter(|_| !self.has_recalled)
    }

    /// Why the last batch was not written, if it was not.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The next message, except for those about batches.
    pub fn hear(&mut self) -> Result<Option<FromMemory>, String> {
        loop {
            match self.memory.receive()? {
                Some(FromMemory::Written(failure)) => {
                    self.is_writing = false;
                    self.failure = failure;
                    self.tell_lost();
                }
                message => {
                    self.has_recalled |= matches!(message, Some(FromMemory::Recalled(_)));
                    return Ok(message);
                }
            }
        }
    }

    /// Adds a record.
    pub fn note(&mut self, record: Record) {
        if self.next.records.len() < GATHERED {
            self.next.records.push(record);
        } else {
            self.lost += 1;
        }
    }

    /// Has remembered what a scan has seen of all hosts.
    pub fn note_news(&mut self, News { blocks, white, watched, .. }: News) {
        self.next.watched = watched.or(self.next.watched);
        let room = BLOCKS_GATHERED.saturating_sub(self.next.blocks.len());
        self.next.blocks.extend(blocks.into_iter().take(room));
        let before = std::mem::replace(&mut self.white, white.iter().map(|(ip, _)| *ip).collect());
        self.next.white.extend(white.into_iter().filter(|(ip, _)| !before.contains(ip)));
    }

    /// Has the evidence of a scan remembered.
    pub fn note_evidence(&mut self, evidence: Vec<(Key, Entry)>) {
        let room = ENTRIES_GATHERED.saturating_sub(self.next.evidence.len());
        self.next.evidence.extend(evidence.into_iter().take(room));
    }

    /// Has the hosts remembered that were spared once with a bad message.
    pub fn note_warned(&mut self, warned: Vec<(IpAddr, i64)>) {
        self.next.warned = Some(warned);
    }

    /// Has hosts remembered for which the domain of a sender has vouched.
    pub fn note_vouched(&mut self, vouched: Vec<(IpAddr, i64)>) {
        let room = GATHERED.saturating_sub(self.next.vouched.len());
        self.next.vouched.extend(vouched.into_iter().take(room));
    }

    /// Has the good domains remembered, if they have changed.
    pub fn note_good(&mut self, mut good: Vec<Vec<u8>>) {
        good.sort_unstable();
        if self.good != good {
            self.next.good = Some(good.clone());
            self.good = good;
        }
    }

    /// Has the held hosts remembered.
    pub fn note_holds(&mut self, holds: Vec<Hold>) {
        self.next.holds = Some(holds);
    }

    /// Has the replaced WHITE records remembered.
    pub fn note_whites(&mut self, whites: Vec<White>) {
        self.next.whites = Some(whites);
    }

    /// Adds the counters.
    pub fn note_counters(&mut self, counters: Vec<Counter>) {
        self.next.counters = Some(counters);
    }

    /// Sends what was gathered if the previous batch has been written; nothing before memory has been read: an
    /// empty list of holds would replace the one in the file.
    pub fn write(&mut self) {
        if self.is_empty() || self.is_writing || !self.has_recalled {
            return;
        }
        let mut batch = Batch { now: now(), ..std::mem::take(&mut self.next) };
        self.next.records = batch.records.split_off(batch.records.len().min(BATCH));
        self.next.blocks = batch.blocks.split_off(batch.blocks.len().min(BLOCKS));
        self.next.evidence = batch.evidence.split_off(batch.evidence.len().min(ENTRIES));
        // Whoever passed is looked for in blocks.
        if !self.next.blocks.is_empty() {
            self.next.white = std::mem::take(&mut batch.white);
            self.next.watched = batch.watched.take();
        }
        self.is_writing = true;
        self.memory.send(&ToMemory::Write(batch));
    }

    /// Asks for records.
    pub fn ask(&mut self, question: &ToMemory) {
        self.memory.send(question);
    }

    /// Whether something has not been written yet, and memory is there to write it.
    pub fn is_behind(&self) -> bool {
        (self.is_writing || !self.is_empty()) && !self.memory.has_gone()
    }

    fn is_empty(&self) -> bool {
        let Batch {
            now: _,
            records,
            holds,
            counters,
            whites,
            evidence,
            white,
            blocks,
            watched,
            good,
            warned,
            vouched,
        } = &self.next;
        let is_nothing = holds.is_none() && counters.is_none() && whites.is_none();
        let is_nothing = is_nothing && good.is_none() && warned.is_none() && watched.is_none();
        let lists = [records.len(), evidence.len(), white.len(), blocks.len(), vouched.len()];
        is_nothing && lists == [0; 5]
    }

    fn tell_lost(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            let records = counted_here(lost, "record");
            log::warning(format_args!("memory: too slow, {records} not remembered"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::channel::Channel;
    use crate::process::spawn::pair;

    #[test]
    fn without_an_answer_rules_are_only_observed_after_a_while() {
        let (here, there) = pair().unwrap();
        let mut memory: Channel<FromMemory, ToMemory> = Channel::new(there).unwrap();
        let mut ledger = Ledger::new(Peer::unwatched(here));
        ledger.begin(false);
        let late = Instant::now() + PATIENCE;
        assert!(!ledger.may_begin(Instant::now()));
        assert!(ledger.begins_at().is_some_and(|at| at <= late), "somebody wakes up");
        assert!(ledger.may_begin(late) && ledger.is_blind());
        assert!(ledger.may_begin(late) && ledger.begins_at().is_none(), "it is said once");
        // It answers after all.
        memory.send(&FromMemory::Recalled(Box::default())).unwrap();
        assert!(matches!(ledger.hear(), Ok(Some(FromMemory::Recalled(_)))));
        assert!(ledger.may_begin(late) && !ledger.is_blind());
    }
}
