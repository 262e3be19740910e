//! How many different byte strings there are among many, without an allocation for each.
//!
//! The rules that count domains, senders and recipients fill one of these and ask; it is cleared and
//! used again for the next host. Strings are told apart by a keyed hash of 64 bits: strangers cannot
//! make two of them meet, and should two meet by chance, too few are counted, which speaks for the host.

use super::table::Seed;

/// The hashes of byte strings.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    seed: Seed,
    hashes: Vec<u64>,
    /// The string that is being taken in.
    bytes: Vec<u8>,
}

impl Distinct {
    /// None yet; hashes are this seed's.
    pub fn new(seed: Seed) -> Distinct {
        Distinct { seed, ..Distinct::default() }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.hashes.clear();
    }

    /// Takes in what `write` appends; nothing appended is nothing taken in.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.clear();
        write(&mut self.bytes);
        if !self.bytes.is_empty() {
            self.hashes.push(self.seed.wide_hash(&self.bytes));
        }
    }

    /// Takes in one by its [`Seed::hash`]. The others must come through [`Distinct::add_short`].
    pub fn add_hash(&mut self, hash: u32) {
        self.hashes.push(hash.into());
    }

    /// As [`Distinct::add`], but the hash has only 32 bits.
    pub fn add_short(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.clear();
        write(&mut self.bytes);
        self.hashes.push(self.seed.hash(&self.bytes).into());
    }

    /// How many different ones there are.
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
