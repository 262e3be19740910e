//! Counts different byte strings without an allocation for each.
//!
//! The rules that count domains, senders and recipients fill a [`Distinct`]; it is cleared and reused for
//! the next host. Strings are compared by a keyed hash of 64 bits: strangers cannot make two of them
//! collide, and a collision by chance makes the count too small, which favours the host.

use super::table::Seed;

/// The hashes of byte strings.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    seed: Seed,
    hashes: Vec<u64>,
    /// The string that is being added.
    bytes: Vec<u8>,
}

impl Distinct {
    /// An empty set, which hashes with this seed.
    pub fn new(seed: Seed) -> Distinct {
        Distinct { seed, ..Distinct::default() }
    }

    /// Removes all strings.
    pub fn clear(&mut self) {
        self.hashes.clear();
    }

    /// Adds the string that `write` appends, unless it appends nothing.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.clear();
        write(&mut self.bytes);
        if !self.bytes.is_empty() {
            self.hashes.push(self.seed.wide_hash(&self.bytes));
        }
    }

    /// Adds a string by its [`Seed::hash`]. All others must then be added with [`Distinct::add_short`].
    pub fn add_hash(&mut self, hash: u32) {
        self.hashes.push(hash.into());
    }

    /// Like [`Distinct::add`], with a hash of only 32 bits.
    pub fn add_short(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.clear();
        write(&mut self.bytes);
        self.hashes.push(self.seed.hash(&self.bytes).into());
    }

    /// The number of different strings.
    pub fn count(&mut self) -> u32 {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        u32::try_from(self.hashes.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn counts_as_a_set_does(strings in prop::collection::vec("[ab]{0,3}", 0..20)) {
            let mut distinct = Distinct::default();
            distinct.add(|out| out.push(b'x'));
            distinct.clear();
            strings.iter().for_each(|text| distinct.add(|out| out.extend_from_slice(text.as_bytes())));
            let set: BTreeSet<_> = strings.iter().filter(|text| !text.is_empty()).collect();
            prop_assert_eq!(distinct.count() as usize, set.len());
        }
    }
}
