//! The sender domains to look up in DNS, each once however many hosts use it.
//!
//! [`Scan::domains`](super::Scan::domains) fills it from envelope senders, which strangers chose. DNS
//! lookups access it by number, the rule `dns` by name. It is one text with two lists of numbers: an
//! allocation for each of a hundred thousand names would cost more than the names.

use super::table::Seed;

/// An index entry that names no domain.
const EMPTY: u32 = u32::MAX;

/// Domains in lower case, numbered from 0.
///
/// The index is hand-written: with `HashTable` (hashbrown 0.17), 120,000 names of half a million senders
/// took 1.35 to 1.40 times as much CPU time (x86-64, medians of 30 alternating rounds).
#[derive(Clone, Debug)]
pub struct Domains {
    text: Vec<u8>,
    /// The end of each name in `text`, where the next one begins.
    ends: Vec<u32>,
    /// The number of entries is a power of two; at most half of them are used.
    index: Vec<u32>,
    seed: Seed,
}

impl Default for Domains {
    fn default() -> Self {
        Domains { text: Vec::new(), ends: Vec::new(), index: vec![EMPTY; 64], seed: Seed::new() }
    }
}

/// Adds domains in lower case; a domain that is already there keeps its number.
impl<D: AsRef<[u8]>> Extend<D> for Domains {
    fn extend<I: IntoIterator<Item = D>>(&mut self, domains: I) {
        domains.into_iter().for_each(|domain| self.add(domain.as_ref()));
    }
}

impl Domains {
    /// The number of domains.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The domain of this number.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before));
        self.text.get(start.copied().unwrap_or(0) as usize..end as usize)
    }

    /// The number of a domain.
    pub fn number(&self, domain: &[u8]) -> Option<usize> {
        self.find(domain).ok()
    }

    /// Adds a domain, unless it is already there.
    pub(super) fn add(&mut self, domain: &[u8]) {
        let Err(slot) = self.find(domain) else { return };
        let end = u32::try_from(self.text.len().saturating_add(domain.len()));
        let (Ok(end), Ok(number)) = (end, u32::try_from(self.ends.len())) else { return };
        self.text.extend_from_slice(domain);
        self.ends.push(end);
        self.put(slot, number);
        if self.ends.len() > self.index.len() / 2 {
            self.grow();
        }
    }

    /// The number of a domain, or the free index entry where it belongs.
    fn find(&self, domain: &[u8]) -> Result<usize, usize> {
        let mask = self.index.len().wrapping_sub(1);
        let mut slot = self.seed.hash(domain) as usize & mask;
        loop {
            match self.index.get(slot) {
                None | Some(&EMPTY) => return Err(slot),
                Some(&number) if self.get(number as usize) == Some(domain) => {
                    return Ok(number as usize);
                }
                Some(_) => slot = slot.wrapping_add(1) & mask,
            }
        }
    }

    fn put(&mut self, slot: usize, number: u32) {
        if let Some(entry) = self.index.get_mut(slot) {
            *entry = number;
        }
    }

    fn grow(&mut self) {
        let entries = self.index.len().saturating_mul(2);
        self.index.clear();
        self.index.resize(entries, EMPTY);
        for number in 0..self.ends.len() {
            let slot = self.get(number).and_then(|domain| self.find(domain).err());
            if let (Some(slot), Ok(number)) = (slot, u32::try_from(number)) {
                self.put(slot, number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hundred_thousand_domains_take_little_room() {
        let mut domains = Domains::default();
        for n in 0..200_000 {
            domains.add(format!("mail{}.example", n % 100_000).as_bytes());
        }
        assert_eq!(domains.len(), 100_000);
        assert_eq!(domains.get(99_999), Some(&b"mail99999.example"[..]));
        let bytes = domains.text.capacity() + 4 * (domains.ends.capacity() + domains.index.len());
        assert!(bytes < 5 << 20, "{bytes}");
    }

    proptest! {
        #[test]
        fn each_is_there_once_in_the_order_of_coming(names in prop::collection::vec("[ab.]{0,5}", 0..300)) {
            let (mut domains, mut wanted) = (Domains::default(), Vec::new());
            for name in &names {
                domains.add(name.as_bytes());
                if !wanted.contains(name) {
                    wanted.push(name.clone());
                }
            }
            prop_assert_eq!(domains.len(), wanted.len());
            for (number, name) in wanted.iter().enumerate() {
                prop_assert_eq!(domains.get(number), Some(name.as_bytes()));
                prop_assert_eq!(domains.number(name.as_bytes()), Some(number));
            }
            prop_assert_eq!((domains.number(b"c"), domains.get(wanted.len())), (None, None));
        }
    }
}
