//! What is remembered: one [`Record`] for each thing that became of a host, and what the engine must know
//! at its next start.
//!
//! **The order of the fields and of the variants in this file is the form on the disk** (postcard): what is
//! added, removed or moved makes files of another [`VERSION`], but for a [`Deed`] at the end. Rules are stored by name, so that the list
//! of rules can change. Texts from strangers are escaped before they get here; tuples are their bytes.

use super::book::Book;
use super::key::Place;
use crate::evidence::{Entry, Key};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The version of the form on the disk. Version 1 had only verdicts, their tuples, holds and counters, in the
/// same form: such a file is taken over.
pub const VERSION: u64 = 2;

/// One thing that became of a host, or of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in seconds since 1970.
    pub time: i64,
    /// The host; `None` for what happened to the daemon.
    pub address: Option<IpAddr>,
    /// What happened.
    pub deed: Deed,
    /// The name of the rule that hit, if one did.
    pub rule: Option<String>,
    /// Why, as it was logged, with values and limits.
    pub reason: String,
    /// When a trap ends, in seconds since 1970.
    pub until: Option<i64>,
    /// The number of live tuples that the host had.
    pub count: u32,
    /// Other evidence, in a form of its own; empty once the tuples are forgotten.
    pub details: Vec<u8>,
    /// The tuples that the verdict rests on; empty once they are forgotten.
    pub tuples: Vec<Tuple>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// A rule trapped the host.
    Trapped,
    /// An operator trapped it.
    TrappedByHand,
    /// A rule hit, but the host was spared.
    Spared,
    /// An operator ended its trap; it is held from then on.
    Released,
    /// Its trap was ended, since `allow` covers it.
    Allowed,
    /// A rule that is only observed would have trapped it.
    Observed,
    /// The daemon was started.
    Started,
    /// The configuration was reloaded.
    Reloaded,
    /// A host that this rule had trapped is whitelisted: it has passed since.
    Passed,
    /// DNS has confirmed the identity of a host that this rule had trapped.
    Confirmed,
    /// An operator made a recipient a spamtrap.
    Adopted,
}

/// A tuple without its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuple {
    /// What the host said in HELO.
    pub helo: Vec<u8>,
    /// The envelope sender, as spamd has it.
    pub from: Vec<u8>,
    /// The envelope recipient, as spamd has it.
    pub to: Vec<u8>,
}

/// A released host, which is not trapped by what it had sent before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The host.
    pub address: IpAddr,
    /// When it was released, in seconds since 1970.
    pub since: i64,
    /// Until when it is not trapped by anything; 0 if no time was given.
    pub until: i64,
    /// Why, and by whom.
    pub reason: String,
}

/// A hold in the form of version 1, under the key `holds`.
#[derive(Serialize, Deserialize)]
pub(super) struct BareHold {
    address: IpAddr,
    since: i64,
    until: i64,
}

impl From<BareHold> for Hold {
    fn from(BareHold { address, since, until }: BareHold) -> Hold {
        Hold { address, since, until, reason: String::new() }
    }
}

/// A WHITE record that a trap by hand has replaced, and that its release gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct White {
    /// The host.
    pub address: IpAddr,
    /// When the record was made, in seconds since 1970.
    pub first: i64,
    /// When the host passed.
    pub pass: i64,
    /// When the record expires.
    pub expire: i64,
    /// How often the host was deferred.
    pub bcount: i32,
    /// How often it passed.
    pub pcount: i32,
}

/// A counter: its name and its value.
pub type Counter = (String, u64);

/// What is written at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The time, in seconds since 1970, from which the age of records is counted.
    pub now: i64,
    /// What happened since the last one.
    pub records: Vec<Record>,
    /// All held hosts, if they have changed.
    pub holds: Option<Vec<Hold>>,
    /// All counters, if they have changed.
    pub counters: Option<Vec<Counter>>,
    /// All replaced WHITE records, if they have changed.
    pub whites: Option<Vec<White>>,
    /// Evidence of a scan: what is known of the same keys is added to it.
    pub evidence: Vec<(Key, Entry)>,
    /// Hosts that are whitelisted since a short time, each with the time of the tuple that passed: those that
    /// had waited are remembered as passed, and whom they wrote to.
    pub white: Vec<(IpAddr, i64)>,
    /// Tuples that were seen for the first time.
    pub blocks: Vec<Block>,
    /// When a scan has looked for hosts that passed, in seconds since 1970, if one has.
    pub watched: Option<i64>,
    /// All domains that were found good, if they have changed.
    pub good: Option<Vec<Vec<u8>>>,
    /// All hosts that were spared once with a bad message, if they have changed.
    pub warned: Option<Vec<(IpAddr, i64)>>,
    /// Hosts for which a sender's domain vouches, and when, in seconds since 1970.
    pub vouched: Vec<(IpAddr, i64)>,
}

/// Tuples that one scan saw for the first time, [packed](super::Seen).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// When the scan was, in seconds since 1970.
    pub time: i64,
    /// All tuples that spamd had entered until then, in seconds since 1970, are in this block or in one
    /// before.
    pub until: i64,
    /// The tuples.
    pub bytes: Vec<u8>,
}

/// Tuples of all hosts, as far as they fit into an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuples {
    /// Blocks, each with the time of its scan in seconds since 1970, in the order of scans.
    pub blocks: Vec<(i64, Vec<u8>)>,
    /// Where the next page begins, if there are more.
    pub next: Option<Place>,
    /// With the last page: the hosts that passed, and when, in seconds since 1970.
    pub passed: Vec<(IpAddr, i64)>,
}

/// What an engine must know at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalled {
    /// All held hosts.
    pub holds: Vec<Hold>,
    /// All counters.
    pub counters: Vec<Counter>,
    /// All replaced WHITE records.
    pub whites: Vec<White>,
    /// The latest traps that still stand, the newest last.
    pub standing: Vec<Record>,
    /// What rules have trapped, and whether that was right.
    pub book: Book,
    /// Domains that were found good.
    pub good: Vec<Vec<u8>>,
    /// Hosts that were spared once with a bad message, and when, in seconds since 1970.
    pub warned: Vec<(IpAddr, i64)>,
    /// Hosts for which a sender's domain vouched, and when, in seconds since 1970.
    pub vouched: Vec<(IpAddr, i64)>,
    /// Until when tuples are remembered, in seconds since 1970.
    pub until: i64,
}

impl Deed {
    /// The word in listings and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Deed::Trapped => "trapped",
            Deed::TrappedByHand => "trapped_by_hand",
            Deed::Spared => "spared",
            Deed::Released => "released",
            Deed::Allowed => "allowed",
            Deed::Observed => "observed",
            Deed::Started => "started",
            Deed::Reloaded => "reloaded",
            Deed::Passed => "passed",
            Deed::Confirmed => "confirmed",
            Deed::Adopted => "adopted",
        }
    }

    /// Whether the host is in a trap afterwards; `None` if this says nothing about it.
    pub fn is_trap(self) -> Option<bool> {
        match self {
            Deed::Trapped | Deed::TrappedByHand => Some(true),
            Deed::Released | Deed::Allowed | Deed::Passed => Some(false),
            Deed::Spared
            | Deed::Observed
            | Deed::Started
            | Deed::Reloaded
            | Deed::Confirmed
            | Deed::Adopted => None,
        }
    }
}

/// A record's value in the table `verdicts`: without its time, which is in the key, and without tuples and
/// details, which name strangers' customers and have a table of their own.
#[derive(Serialize, Deserialize)]
struct Stored {
    address: Option<IpAddr>,
    deed: Deed,
    rule: Option<String>,
    reason: String,
    until: Option<i64>,
    count: u32,
}

/// A record's value in the table `tuples`.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    details: Vec<u8>,
    tuples: Vec<Tuple>,
}

impl Kept {
    /// Completes a record.
    pub fn complete(bytes: &[u8], record: &mut Record) {
        if let Ok(Kept { details, tuples }) = postcard::from_bytes(bytes) {
            (record.details, record.tuples) = (details, tuples);
        }
    }
}

/// The values of a record: in `verdicts`, and in `tuples` if it has any.
pub(super) fn encode(record: Record) -> Result<(Vec<u8>, Option<Vec<u8>>), postcard::Error> {
    let Record { time: _, address, deed, rule, reason, until, count, details, tuples } = record;
    let stored = Stored { address, deed, rule, reason, until, count };
    let is_any = !tuples.is_empty() || !details.is_empty();
    let kept = is_any.then(|| postcard::to_stdvec(&Kept { details, tuples })).transpose()?;
    Ok((postcard::to_stdvec(&stored)?, kept))
}

/// The record that these values are; `None` if they are none.
pub(super) fn decode(time: i64, verdict: &[u8], kept: Option<&[u8]>) -> Option<Record> {
    let Stored { address, deed, rule, reason, until, count } =
        postcard::from_bytes(verdict).ok()?;
    let (details, tuples) = (Vec::new(), Vec::new());
    let mut record = Record { time, address, deed, rule, reason, until, count, details, tuples };
    if let Some(bytes) = kept {
        Kept::complete(bytes, &mut record);
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These bytes are in files: another form needs another version.
    #[test]
    fn the_form_on_the_disk_does_not_change() {
        let record = Record {
            time: 1,
            address: Some("192.0.2.1".parse().unwrap()),
            deed: Deed::Observed,
            rule: Some("helo".into()),
            reason: "x".into(),
            until: Some(300),
            count: 2,
            details: vec![7, 8],
            tuples: vec![Tuple { helo: vec![255], from: b"<>".to_vec(), to: vec![] }],
        };
        let (verdict, tuples) = encode(record.clone()).unwrap();
        let expected = b"\x01\x00\xc0\x00\x02\x01\x05\x01\x04helo\x01x\x01\xd8\x04\x02";
        assert_eq!((VERSION, verdict.as_slice()), (2, &expected[..]));
        assert_eq!(tuples.as_deref(), Some(&b"\x02\x07\x08\x01\x01\xff\x02<>\x00"[..]));
        assert_eq!(decode(1, &verdict, tuples.as_deref()), Some(record.clone()));
        let bare = Record { tuples: vec![], details: vec![], ..record };
        assert_eq!(decode(1, &verdict, None), Some(bare));
        assert_eq!(decode(1, &verdict[..9], None), None);
    }
}
