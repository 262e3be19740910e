//! All evidence of a scan.

use super::entry::Entry;
use super::key::{Key, Kind, Sighting};
use super::network::Network;
use super::watch::Watch;
use super::{KEPT, MANY};
use std::collections::HashMap;
use std::time::Duration;

/// So many keys are known at a time. Of more, those that come first count, and the others are as if nobody
/// had used them.
pub const KEYS_MAX: usize = 1_000_000;

/// What is known at one time. See the [module](super).
#[derive(Clone, Debug)]
pub struct Evidence {
    now: i64,
    most: usize,
    known: HashMap<Key, Known>,
    watch: Option<Watch>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    entry: Entry,
    /// Whether this scan has added to it.
    is_fresh: bool,
}

/// Who uses a HELO name. Of each at most [`MOST`](super::MOST) are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeloSeen {
    /// The different networks.
    pub networks: usize,
    /// The different registrable sender domains, null senders left out.
    pub domains: usize,
}

/// Who writes to a recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecipientSeen {
    /// The different networks of anonymous hosts, at most [`MOST`](super::MOST).
    pub networks: usize,
    /// Whether a host that passed spamd has ever written to it.
    pub is_passed: bool,
}

impl Evidence {
    /// Nothing is known, at `now`, in seconds since 1970.
    pub fn new(now: i64) -> Evidence {
        Evidence::with_most(now, KEYS_MAX)
    }

    /// The same with another bound on the keys.
    pub(super) fn with_most(now: i64, most: usize) -> Evidence {
        Evidence { now, most, known: HashMap::new(), watch: None }
    }

    /// Adds what memory has kept of earlier scans. Without it only this scan is evidence.
    pub fn recall(&mut self, stored: impl IntoIterator<Item = (Key, Entry)>) {
        for (key, entry) in stored {
            if let Some(known) = self.known(key) {
                known.entry.merge(&entry);
            }
        }
    }

    /// Since when memory has watched whom hosts that pass write to; without it nothing is learnt of recipients.
    pub fn watched(&mut self, watch: Option<Watch>) {
        self.watch = watch;
    }

    /// Adds a tuple of a host that is certainly anonymous; again makes no difference. A time in the future
    /// counts as now.
    pub fn note(&mut self, sighting: &Sighting<'_>) {
        let (network, time) = (Network::of(sighting.address), sighting.time.min(self.now));
        for key in sighting.keys() {
            let domain = sighting.domain.filter(|_| key.kind == Kind::Helo).and_then(Key::domain);
            if let Some(known) = self.known(key) {
                let domain = domain.as_ref().map(|domain| &*domain.name);
                known.is_fresh |= known.entry.note(network, domain, time);
            }
        }
    }

    /// A host that has passed spamd wrote to this recipient.
    pub fn note_passed(&mut self, recipient: &[u8], time: i64) {
        if let Some(known) = Key::recipient(recipient).and_then(|key| self.known(key)) {
            known.is_fresh |= known.entry.note_passed(time);
        }
    }

    /// Who used this HELO name in the time `within` before now.
    pub fn helo(&self, helo: &[u8], within: Duration) -> HeloSeen {
        let (since, now) = (self.since(within), self.now);
        self.entry(Key::helo(helo)).map_or_else(HeloSeen::default, |entry| HeloSeen {
            networks: entry.networks.count(since, now),
            domains: entry.domains.count(since, now),
        })
    }

    /// How many networks used this registrable sender domain in the time `within` before now, at most
    /// [`MOST`](super::MOST).
    pub fn domain(&self, domain: &[u8], within: Duration) -> usize {
        let entry = self.entry(Key::domain(domain));
        entry.map_or(0, |entry| entry.networks.count(self.since(within), self.now))
    }

    /// Who wrote to this recipient in the time `within` before now.
    pub fn recipient(&self, recipient: &[u8], within: Duration) -> RecipientSeen {
        let (since, now) = (self.since(within), self.now);
        let entry = self.entry(Key::recipient(recipient));
        entry.map_or_else(RecipientSeen::default, |entry| RecipientSeen {
            networks: entry.networks.count(since, now),
            is_passed: entry.passed.is_some(),
        })
    }

    /// Whether recipients have been watched for long enough, and this one was written to from many networks
    /// and by no host that passed.
    pub fn is_learnt(&self, recipient: &[u8]) -> bool {
        let is_watched = self.watch.is_some_and(|watch| watch.is_long_enough(self.now));
        is_watched && {
            let RecipientSeen { networks, is_passed } = self.recipient(recipient, KEPT);
            networks >= MANY && !is_passed
        }
    }

    /// What memory is to keep: all entries to which this scan has added, with what was known before.
    pub fn fresh(&self) -> Vec<(Key, Entry)> {
        let fresh = self.known.iter().filter(|(_, known)| known.is_fresh);
        let mut fresh: Vec<_> =
            fresh.map(|(key, known)| (key.clone(), known.entry.clone())).collect();
        fresh.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        fresh
    }

    fn since(&self, within: Duration) -> i64 {
        self.now.saturating_sub(i64::try_from(within.as_secs()).unwrap_or(i64::MAX))
    }

    fn entry(&self, key: Option<Key>) -> Option<&Entry> {
        Some(&self.known.get(&key?)?.entry)
    }

    /// What is known of a key, which may be new if there is room.
    fn known(&mut self, key: Key) -> Option<&mut Known> {
        let is_full = self.known.len() >= self.most;
        if is_full && !self.known.contains_key(&key) {
            return None;
        }
        Some(self.known.entry(key).or_default())
    }
}
