//! What is known of one key.

use super::latest::Latest;
use super::network::Network;
use super::{KEPT, MANY};
use serde::{Deserialize, Serialize};

/// What is known of one HELO name, sender domain or recipient. All times are in seconds since 1970.
///
/// The order of the fields is their form in the memory's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When an anonymous host first used it, as far as is known.
    pub first: Option<i64>,
    /// When a host that later passed, or had passed, last wrote to this recipient.
    pub passed: Option<i64>,
    /// The networks of anonymous hosts that used it.
    pub networks: Latest,
    /// The sender domains that they used with this HELO name.
    pub domains: Latest,
}

impl Entry {
    /// Notes that an anonymous host of this network used the key, and with which sender domain; whether that
    /// has changed anything.
    pub fn note(&mut self, network: Network, domain: Option<&[u8]>, time: i64) -> bool {
        let is_earlier = self.first.is_none_or(|first| time < first);
        if is_earlier {
            self.first = Some(time);
        }
        let has_network = self.networks.note(network.number(), time);
        let has_domain = domain.is_some_and(|domain| self.domains.note(short_hash(domain), time));
        is_earlier || has_network || has_domain
    }

    /// Notes that a host that passed wrote to it; whether that has changed anything.
    pub fn note_passed(&mut self, time: i64) -> bool {
        let is_later = self.passed < Some(time);
        self.passed = self.passed.max(Some(time));
        is_later
    }

    /// Adds what another entry of the same key knows.
    pub fn merge(&mut self, other: &Entry) {
        self.first = self.first.into_iter().chain(other.first).min();
        self.passed = self.passed.max(other.passed);
        self.networks.merge(&other.networks);
        self.domains.merge(&other.domains);
    }

    /// As a recipient: whether at `now` many networks have written to it, and no host that passed.
    pub fn is_unwanted(&self, now: i64) -> bool {
        let since = now.saturating_sub(KEPT.as_secs().cast_signed());
        self.passed.is_none() && self.networks.count(since, now) >= MANY
    }

    /// Forgets networks and domains of before `since`, and passed hosts of before `passed`; whether
    /// nothing is left.
    pub fn forget(&mut self, since: i64, passed: i64) -> bool {
        self.networks.forget(since);
        self.domains.forget(since);
        self.passed = self.passed.filter(|last| *last >= passed);
        self.networks.is_empty() && self.passed.is_none()
    }
}

/// 32 bits of FNV-1a (draft-eastlake-fnv): two domains in one are one, which is one too few.
fn short_hash(domain: &[u8]) -> u64 {
    let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    domain.iter().fold(0x811c_9dc5, mix).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of draft-eastlake-fnv-17, appendix C.
    #[test]
    fn the_hash_is_the_published_one() {
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(short_hash(text.as_bytes()), hash, "{text}");
        }
    }

    /// Memory's file has these bytes.
    #[test]
    fn the_form_on_the_disk_does_not_change() {
        let mut entry = Entry::default();
        entry.note(Network::of("192.0.2.1".parse().unwrap()), Some(b"a"), 5);
        entry.note_passed(3);
        let bytes = postcard::to_stdvec(&entry).unwrap();
        assert_eq!(bytes, b"\x01\x0a\x01\x06\x01\x80\x80\x03\x0a\x01\xac\xd2\xb0\xa0\x0e\x0a");
        assert_eq!(postcard::from_bytes::<Entry>(&bytes).unwrap(), entry);
    }
}
