//! What is to be remembered over restarts, on its way to the process `memory`, and the way back.
//!
//! Nothing waits for a write: records are gathered while a batch is being written, and are the next one. If the
//! disk is so slow that there are more than [`GATHERED`], the newest are lost, and this is logged. Only
//! the first scan waits, until it is known which hosts are held.
#![forbid(unsafe_code)]

use super::now;
use crate::daemon::messages::{FromMemory, ToMemory};
use crate::daemon::peer::Peer;
use crate::log;
use crate::memory::{Batch, Counter, Hold, Record, White};
use crate::plural::counted_here;

/// Records that wait for the batch before them: some ten megabytes at most.
const GATHERED: usize = 10_000;
/// Records of a batch, each of which may have some kilobytes of evidence: far less than a message may have.
const BATCH: usize = 500;

/// See the module.
pub struct Ledger {
    memory: Peer<ToMemory, FromMemory>,
    next: Batch,
    /// Whether a batch is being written.
    is_writing: bool,
    /// Whether it is known what an engine must know at its start.
    has_recalled: bool,
    /// Records that were lost since this was last logged.
    lost: usize,
    /// Why the last batch was not written.
    failure: Option<String>,
}

impl Ledger {
    /// Nothing to be remembered yet.
    pub fn new(memory: Peer<ToMemory, FromMemory>) -> Ledger {
        let next = Batch::default();
        let (is_writing, has_recalled) = (false, false);
        Ledger { memory, next, is_writing, has_recalled, lost: 0, failure: None }
    }

    /// Asks what an engine must know at its start, unless its predecessor has told it.
    pub fn begin(&mut self, has_inherited: bool) {
        match has_inherited {
            true => self.has_recalled = true,
            false => self.memory.send(&ToMemory::Recall),
        }
    }

    /// Whether hosts can be judged.
    pub fn has_recalled(&self) -> bool {
        self.has_recalled
    }

    /// Why the last batch was not written, if it was not.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The next message, but what became of a batch.
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

    /// Has something remembered.
    pub fn note(&mut self, record: Record) {
        if self.next.records.len() < GATHERED {
            self.next.records.push(record);
        } else {
            self.lost += 1;
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

    /// Has the counters remembered.
    pub fn note_counters(&mut self, counters: Vec<Counter>) {
        self.next.counters = Some(counters);
    }

    /// Sends what was gathered, if the batch before it was written. Not before everything is known: an empty
    /// list of holds would replace that in the file.
    pub fn write(&mut self) {
        if self.is_empty() || self.is_writing || !self.has_recalled {
            return;
        }
        let mut batch = Batch { now: now(), ..std::mem::take(&mut self.next) };
        self.next.records = batch.records.split_off(batch.records.len().min(BATCH));
        self.is_writing = true;
        self.memory.send(&ToMemory::Write(batch));
    }

    /// Asks for records.
    pub fn ask(&mut self, question: &ToMemory) {
        self.memory.send(question);
    }

    /// Whether there is something that was not yet written, and somebody to write it.
    pub fn is_behind(&self) -> bool {
        (self.is_writing || !self.is_empty()) && !self.memory.has_gone()
    }

    fn is_empty(&self) -> bool {
        let Batch { now: _, records, holds, counters, whites } = &self.next;
        records.is_empty() && holds.is_none() && counters.is_none() && whites.is_none()
    }

    fn tell_lost(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            let records = counted_here(lost, "record");
            log::warning(format_args!("memory: too slow, {records} not remembered"));
        }
    }
}
