//! How many different byte strings there are among many, without an allocation for each.
//!
//! The rules that count domains, senders and recipients fill one of these and ask; it is cleared and
//! used again for the next host.

/// Byte strings, one after the other.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    bytes: Vec<u8>,
    /// Where each begins and ends.
    spans: Vec<(usize, usize)>,
}

impl Distinct {
    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Takes in what `write` appends; nothing appended is nothing taken in.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        if self.bytes.len() > start {
            self.spans.push((start, self.bytes.len()));
        }
    }

    /// How many different ones there are.
    pub fn count(&mut self) -> u32 {
        let Distinct { bytes, spans } = self;
        let text = |&(start, end): &(usize, usize)| bytes.get(start..end);
        spans.sort_unstable_by(|a, b| text(a).cmp(&text(b)));
        spans.dedup_by(|a, b| text(a) == text(b));
        u32::try_from(spans.len()).unwrap_or(u32::MAX)
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
