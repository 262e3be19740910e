//! Hosts by address: a list, and an open-addressing index into it.
//!
//! `hosts` makes one for each share of the hosts, with its final size. Strangers choose the addresses, so
//! the hash has a new key in each scan; its order is never visible.

use super::address::Address;
use super::hosts::Host;
use std::hash::{BuildHasher, RandomState};

/// An index entry without a host.
const EMPTY: u32 = u32::MAX;

/// The number of bits of an address's hash that select its share.
const SHARE_BITS: u32 = 6;

/// The number of shares: with a million tuples, each share fits into a CPU's second level cache.
pub(super) const SHARES: usize = 1 << SHARE_BITS;

/// All hosts, by address.
///
/// Hand-written, since it is not slower than `HashTable` (hashbrown 0.17) over the same list, which takes
/// 1.00 to 1.02 times as much CPU time for a million tuples (x86-64, medians of 30 alternating rounds).
#[derive(Debug)]
pub(super) struct Table {
    hosts: Vec<Host>,
    /// The number of entries is a power of two; at most half of them are used.
    index: Vec<u32>,
    seed: Seed,
}

/// The keys of the hash functions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u64, u64);

impl Table {
    /// A table for `hosts` hosts.
    pub fn new(hosts: usize, seed: Seed) -> Table {
        let entries = hosts.saturating_mul(2).next_power_of_two();
        Table { hosts: Vec::with_capacity(hosts), index: vec![EMPTY; entries], seed }
    }

    /// The hosts, in the order in which they were entered.
    pub fn into_hosts(mut self) -> Vec<Host> {
        self.hosts.shrink_to_fit();
        self.hosts
    }

    /// The host with this address and its number; a new one is entered.
    pub fn entry(&mut self, address: Address, place: u32) -> Option<(u32, &mut Host)> {
        let mask = self.index.len().wrapping_sub(1);
        #[allow(clippy::cast_possible_truncation)] // As many bits as the index has.
        let mut slot = self.seed.address(address) as usize & mask;
        let number = loop {
            let entry = self.index.get_mut(slot)?;
            match self.hosts.get(*entry as usize) {
                Some(host) if host.address == address => break *entry,
                Some(_) => slot = slot.wrapping_add(1) & mask,
                None => {
                    *entry = u32::try_from(self.hosts.len()).ok()?;
                    self.hosts.push(Host::new(address, place));
                    break *entry;
                }
            }
        };
        Some((number, self.hosts.get_mut(number as usize)?))
    }
}

impl Seed {
    /// New keys.
    pub fn new() -> Seed {
        let random = RandomState::new();
        Seed(random.hash_one(0), random.hash_one(1) | 1)
    }

    fn address(self, address: Address) -> u64 {
        self.fold(address.low, address.high)
    }

    /// Which of the [`SHARES`] an address belongs to.
    pub fn share(self, address: Address) -> usize {
        #[allow(clippy::cast_possible_truncation)] // So many bits are left.
        let share = (self.address(address) >> (u64::BITS - SHARE_BITS)) as usize;
        share
    }

    /// Folds two words into one, with the halves of a 128-bit product.
    fn fold(self, a: u64, b: u64) -> u64 {
        let (low, high) = halves(u128::from(a ^ self.0).wrapping_mul(u128::from(b ^ self.1)));
        low ^ high
    }

    /// A faster hash for exactly 32 bytes.
    pub fn hash_of_32(self, bytes: &[u8; 32]) -> u32 {
        let (pairs, _) = bytes.as_chunks::<16>();
        let state = pairs.iter().fold(0, |state, pair| {
            let (low, high) = halves(u128::from_le_bytes(*pair));
            self.fold(state ^ low, high)
        });
        (state >> 32) as u32
    }

    /// A hash of 32 bits.
    pub fn hash(self, bytes: &[u8]) -> u32 {
        (self.wide_hash(bytes) >> 32) as u32
    }

    /// A hash of 64 bits; equal bytes have equal hashes.
    pub fn wide_hash(self, bytes: &[u8]) -> u64 {
        let (pairs, rest) = bytes.as_chunks::<16>();
        // Hashed separately, or else a first byte could compensate for a length.
        let length = self.fold(bytes.len() as u64, 0);
        let state = pairs.iter().fold(length, |state, pair| {
            let (low, high) = halves(u128::from_le_bytes(*pair));
            self.fold(state ^ low, high)
        });
        let (low, high) = last_words(rest);
        self.fold(state ^ low, high)
    }
}

/// At most 16 bytes as two words; different bytes of one length are different words.
///
/// Reading both ends, which may overlap, takes fewer branches than reading single bytes.
fn last_words(bytes: &[u8]) -> (u64, u64) {
    if let (Some(start), Some(end)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (u64::from_le_bytes(*start), u64::from_le_bytes(*end))
    } else if let (Some(start), Some(end)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (u32::from_le_bytes(*start).into(), u32::from_le_bytes(*end).into())
    } else {
        let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
        (u16::from_le_bytes([at(0), at(1)]).into(), at(2).into())
    }
}

/// The low and the high half.
#[allow(clippy::cast_possible_truncation)] // The halves are meant.
fn halves(product: u128) -> (u64, u64) {
    (product as u64, (product >> 64) as u64)
}

impl Default for Seed {
    fn default() -> Seed {
        Seed::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    #[test]
    fn each_address_is_one_host() {
        let addresses: Vec<Address> = (0..5000u32)
            .map(|n| match n % 2 {
                0 => IpAddr::V4(Ipv4Addr::from_bits(n << 16)),
                _ => IpAddr::V6(Ipv6Addr::from_bits(u128::from(n) << 64)),
            })
            .map(Address::from)
            .collect();
        let mut table = Table::new(addresses.len(), Seed::new());
        for (place, address) in (0..).zip(addresses.iter().chain(&addresses)) {
            let (number, host) = table.entry(*address, place).unwrap();
            assert_eq!((host.address, number), (*address, place % 5000));
        }
        let hosts = table.into_hosts();
        assert!(hosts.iter().map(|host| host.address).eq(addresses));
        assert!((0..).zip(&hosts).all(|(place, host)| host.place == place));
    }

    #[test]
    fn shares_are_of_like_size() {
        let seed = Seed::new();
        let mut sizes = [0; SHARES];
        for n in 0..1000 * SHARES as u128 {
            sizes[seed.share(Address::from(IpAddr::V6(Ipv6Addr::from_bits(n))))] += 1;
        }
        assert!(sizes.iter().all(|size| (500..2000).contains(size)), "{sizes:?}");
    }

    #[test]
    fn hashes_see_length_and_every_byte() {
        let seed = Seed::new();
        let bytes: Vec<u8> = (1..70).collect();
        let mut hashes = Vec::new();
        for end in 0..=bytes.len() {
            let mut bytes = bytes[..end].to_vec();
            hashes.push(seed.wide_hash(&bytes));
            assert_eq!(seed.wide_hash(&bytes), seed.wide_hash(&bytes.clone()));
            for at in 0..end {
                bytes[at] ^= 0x80;
                hashes.push(seed.wide_hash(&bytes));
                bytes[at] ^= 0x80;
            }
        }
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
