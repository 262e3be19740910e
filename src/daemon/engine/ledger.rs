//! Records on their way to the process `memory`, which keeps them over restarts, and the way back.
//!
//! Nothing waits for a write: records that come while a batch is being written are the next batch. If the disk
//! is so slow that there are more than [`GATHERED`], the newest are lost, which is logged. Only the first scan
//! waits, until it is known which hosts are held.
#![forbid(unsafe_code)]

use super::now;
use crate::daemon::messages::{FromMemory, ToMemory};
use crate::daemon::peer::Peer;
use crate::log;
use crate::memory::{Batch, Counter, Hold, Record, White};
use crate::plural::counted_here;

/// The maximum number of records that wait for the previous batch: some ten megabytes.
const GATHERED: usize = 10_000;
/// The maximum number of records in a batch. Each may have some kilobytes of evidence, and a message can be
/// much larger than all of them.
const BATCH: usize = 500;

/// See the module.
pub struct Ledger {
    memory: Peer<ToMemory, FromMemory>,
    next: Batch,
    /// Whether a batch is being written.
    is_writing: bool,
    /// Whether the engine has all that it needs at its start.
    has_recalled: bool,
    /// The number of records that were lost since this was last logged.
    lost: usize,
    /// Why the last batch was not written.
    failure: Option<String>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(memory: Peer<ToMemory, FromMemory>) -> Ledger {
        let next = Batch::default();
        let (is_writing, has_recalled) = (false, false);
        Ledger { memory, next, is_writing, has_recalled, lost: 0, failure: None }
    }

    /// Asks for what an engine needs at its start, unless its predecessor has passed it on.
    pub fn begin(&mut self, has_inherited: bool) {
        match has_inherited {
            true => self.has_recalled = true,
            false => self.memory.send(&ToMemory::Recall),
        }
    }

    /// Whether hosts can be judged already.
    pub fn has_recalled(&self) -> bool {
        self.has_recalled
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

    /// Adds the list of held hosts.
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
