//! Values by name, each for a while, and as long as there is room; the oldest are removed first.
//!
//! Strangers choose the names, so their number and the size of everything are limited.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cache::Bounds;

/// The size of an entry without its name and what its value points to, in octets.
const OVERHEAD: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Kept<V> {
    bounds: Bounds,
    entries: HashMap<Arc<[u8]>, Entry<V>>,
    /// Names in the order in which they were entered, with the number of the entry; other numbers are
    /// outdated.
    order: VecDeque<(Arc<[u8]>, u64)>,
    octets: usize,
    number: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    until: Instant,
    number: u64,
    size: usize,
}

impl<V> Kept<V> {
    /// Nothing.
    pub fn new(bounds: Bounds) -> Self {
        let (entries, order) = (HashMap::new(), VecDeque::new());
        Self { bounds, entries, order, octets: 0, number: 0 }
    }

    /// The value of a name, if it is still valid.
    pub fn find(&self, name: &[u8], now: Instant) -> Option<&V> {
        self.find_with_time(name, now).map(|(value, _)| value)
    }

    /// The same, and for how long it still is.
    pub fn find_with_time(&self, name: &[u8], now: Instant) -> Option<(&V, Duration)> {
        let entry = self.entries.get(name)?;
        let left = entry.until.saturating_duration_since(now);
        (!left.is_zero()).then_some((&entry.value, left))
    }

    /// Keeps a value, which points to so many octets, for so long.
    pub fn insert(&mut self, name: &[u8], value: V, octets: usize, ttl: Duration, now: Instant) {
        if ttl.is_zero() {
            return;
        }
        self.remove(name);
        self.number += 1;
        let (key, number): (Arc<[u8]>, _) = (name.into(), self.number);
        let size = key.len() + OVERHEAD + octets;
        self.octets += size;
        self.order.push_back((key.clone(), number));
        self.entries.insert(key, Entry { value, until: now + ttl, number, size });
        self.shrink();
    }

    /// Removes the value of a name.
    pub fn remove(&mut self, name: &[u8]) {
        if let Some(entry) = self.entries.remove(name) {
            self.octets -= entry.size;
            // Outdated names in `order` must not accumulate with each renewal.
            if self.order.len() > 2 * self.entries.len() + 16 {
                let entries = &self.entries;
                self.order.retain(|(key, number)| is_current(entries, key, *number));
            }
        }
    }

    /// The number of entries, including expired ones.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn shrink(&mut self) {
        while self.entries.len() > self.bounds.entries || self.octets > self.bounds.octets {
            let Some((key, number)) = self.order.pop_front() else { return };
            if is_current(&self.entries, &key, number)
                && let Some(entry) = self.entries.remove(&key)
            {
                self.octets -= entry.size;
            }
        }
    }
}

fn is_current<V>(entries: &HashMap<Arc<[u8]>, Entry<V>>, key: &Arc<[u8]>, number: u64) -> bool {
    entries.get(key).is_some_and(|entry| entry.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHILE: Duration = Duration::from_secs(600);

    #[test]
    fn the_oldest_goes_first_and_a_renewed_one_is_young() {
        let mut kept = Kept::new(Bounds { entries: 3, octets: usize::MAX });
        let now = Instant::now();
        for text in ["a", "b", "c", "a", "d"] {
            kept.insert(text.as_bytes(), (), 0, WHILE, now);
        }
        let has = |text: &str| kept.find(text.as_bytes(), now).is_some();
        assert!(has("a") && !has("b") && has("c") && has("d"));
    }

    #[test]
    fn octets_are_bounded_and_counted_back() {
        let mut kept = Kept::new(Bounds { entries: usize::MAX, octets: 2500 });
        let now = Instant::now();
        for n in 0..10_000_usize {
            kept.insert(format!("{}.example", n % 300).as_bytes(), (), n % 7, WHILE, now);
        }
        assert!(kept.octets <= 2500 && (11..=12).contains(&kept.len()), "{kept:?}");
        assert!(kept.order.len() <= 2 * kept.len() + 17);
        for n in 0..300 {
            kept.remove(format!("{n}.example").as_bytes());
        }
        assert_eq!((kept.octets, kept.len()), (0, 0));
        kept.insert(b"big", (), 2500, WHILE, now);
        assert_eq!((kept.octets, kept.len()), (0, 0), "larger than everything may be");
    }
}
