//! Hosts by address: a growing list, and an open-addressing index into it.
//!
//! A scan looks up a million addresses at random, so a look-up should miss the cache as rarely as it
//! can: four bytes in the index, then the host itself, 32 bytes that hold its address and all that the
//! first pass notes about it. Addresses are chosen by strangers: the hash is keyed anew for each table
//! (its order is never seen).

use super::address::Address;
use super::hosts::{BATCH, Host};
use std::hash::{BuildHasher, RandomState};

/// An index entry that names no host.
const EMPTY: u32 = u32::MAX;

/// Every host met, by address.
#[derive(Debug)]
pub(super) struct Table {
    hosts: Vec<Host>,
    /// A power of two of entries, at most half of them taken.
    index: Vec<u32>,
    seed: Seed,
}

/// The keys of the hash functions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u64, u64);

impl Table {
    pub fn new(seed: Seed) -> Table {
        Table { hosts: Vec::new(), index: vec![EMPTY; 1024], seed }
    }

    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Reads what [`entry`](Self::entry) will read for each of `addresses`. Looked up one by one they
    /// would miss the cache one by one; these reads do not wait for each other.
    pub fn expect(&self, addresses: impl Iterator<Item = Address>) {
        let mut entries = [EMPTY; BATCH];
        for (entry, address) in entries.iter_mut().zip(addresses) {
            *entry = self.index.get(self.first_slot(address)).copied().unwrap_or(EMPTY);
        }
        let read = |entry: u32| self.hosts.get(entry as usize).map_or(0, |host| host.place);
        std::hint::black_box(entries.map(read));
    }

    /// The host of this address, entered now if it is new; a record of it is at `place`.
    pub fn entry(&mut self, address: Address, place: u32) -> Option<&mut Host> {
        let mut slot = self.first_slot(address);
        let found = loop {
            let entry = self.index.get_mut(slot)?;
            if *entry == EMPTY {
                *entry = u32::try_from(self.hosts.len()).ok()?;
                self.hosts.push(Host::new(address, place));
                break *entry;
            }
            if self.hosts.get(*entry as usize)?.address == address {
                break *entry;
            }
            slot = slot.wrapping_add(1) & self.mask();
        };
        if self.hosts.len() > self.index.len() / 2 {
            self.grow();
        }
        let host = self.hosts.get_mut(found as usize)?;
        host.place = host.place.min(place);
        Some(host)
    }

    fn mask(&self) -> usize {
        self.index.len().wrapping_sub(1)
    }

    fn first_slot(&self, address: Address) -> usize {
        #[allow(clippy::cast_possible_truncation)] // As many bits as the index has.
        let hash = self.seed.fold(address.low, address.high) as usize;
        hash & self.mask()
    }

    fn grow(&mut self) {
        let entries = self.index.len().saturating_mul(2);
        self.index.clear();
        self.index.resize(entries, EMPTY);
        for (number, host) in (0..).zip(&self.hosts) {
            let mut slot = self.first_slot(host.address);
            while let Some(entry) = self.index.get_mut(slot) {
                if *entry == EMPTY {
                    *entry = number;
                    break;
                }
                slot = slot.wrapping_add(1) & self.mask();
            }
        }
    }
}

impl Seed {
    /// New keys.
    pub fn new() -> Seed {
        let random = RandomState::new();
        Seed(random.hash_one(0), random.hash_one(1) | 1)
    }

    /// Two words into one, by the halves of a 128-bit product.
    fn fold(self, a: u64, b: u64) -> u64 {
        let product = u128::from(a ^ self.0).wrapping_mul(u128::from(b ^ self.1));
        #[allow(clippy::cast_possible_truncation)] // The halves are meant.
        let (high, low) = ((product >> 64) as u64, product as u64);
        high ^ low
    }

    /// A hash of bytes in 32 bits.
    pub fn hash(self, bytes: &[u8]) -> u32 {
        (self.wide_hash(bytes) >> 32) as u32
    }

    /// A hash of bytes; equal bytes have equal hashes.
    pub fn wide_hash(self, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let start = bytes.len() as u64;
        let state =
            words.iter().fold(start, |state, word| self.fold(state, u64::from_le_bytes(*word)));
        self.fold(state, u64::from_le_bytes(last))
    }
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
    fn hosts_keep_their_place_while_the_table_grows() {
        let addresses: Vec<Address> = (0..5000u32)
            .map(|n| match n % 2 {
                0 => IpAddr::V4(Ipv4Addr::from_bits(n << 16)),
                _ => IpAddr::V6(Ipv6Addr::from_bits(u128::from(n) << 64)),
            })
            .map(Address::from)
            .collect();
        let mut table = Table::new(Seed::new());
        for (place, address) in (0..).zip(addresses.iter().chain(&addresses)) {
            let host = table.entry(*address, place).unwrap();
            assert_eq!(host.address, *address);
            host.senders += 1;
        }
        assert!(table.hosts().iter().map(|host| host.address).eq(addresses));
        assert!(table.hosts().iter().all(|host| host.senders == 2));
        assert!((0..).zip(table.hosts()).all(|(place, host)| host.place == place));
    }

    #[test]
    fn hashes_see_length_and_every_byte() {
        let seed = Seed::new();
        let bytes = b"mail.example.com";
        let mut hashes: Vec<u32> = (0..=bytes.len()).map(|end| seed.hash(&bytes[..end])).collect();
        hashes.push(seed.hash(b"mail.example.com\0"));
        hashes.push(seed.hash(b"mail.example.con"));
        hashes.push(seed.hash(b"nail.example.com"));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), bytes.len() + 4);
        assert_eq!(seed.hash(bytes), seed.hash(b"mail.example.com"));
    }
}
