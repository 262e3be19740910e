//! Caches verdicts by domain, as long as DNS allows and while there is room; the oldest are removed first.
//!
//! The resolver looks here before it asks. Unknown verdicts are never kept. Strangers choose the names, so
//! their number and size are limited.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::name::Name;
use super::verdict::DomainVerdict;

/// A good verdict is kept for at least this long.
const GOOD_LEAST: Duration = Duration::from_secs(60);
/// A good verdict is kept for at most this long.
const GOOD_MOST: Duration = Duration::from_secs(24 * 3600);
/// A bad verdict is kept for at most this long (RFC 2308 5 allows up to three hours).
const BAD_MOST: Duration = Duration::from_secs(3600);
/// The size of an entry without its name, in octets.
const OVERHEAD: usize = 200;

/// The limits of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries.
    pub entries: usize,
    /// Total size in octets.
    pub octets: usize,
}

impl Default for Bounds {
    /// Enough for any scan of a busy mail host: some 80,000 domains, 20 MB.
    fn default() -> Self {
        Self { entries: 100_000, octets: 20_000_000 }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Cache {
    bounds: Bounds,
    entries: HashMap<Arc<[u8]>, Entry>,
    /// Names in the order in which they were entered, with the number of the entry; other numbers are
    /// outdated.
    order: VecDeque<(Arc<[u8]>, u64)>,
    octets: usize,
    number: u64,
}

#[derive(Debug)]
struct Entry {
    verdict: DomainVerdict,
    until: Instant,
    number: u64,
}

impl Cache {
    /// An empty cache.
    pub fn new(bounds: Bounds) -> Self {
        let (entries, order) = (HashMap::new(), VecDeque::new());
        Self { bounds, entries, order, octets: 0, number: 0 }
    }

    /// The verdict on `name`, if it is still valid.
    pub fn verdict(&self, name: &Name, now: Instant) -> Option<DomainVerdict> {
        let entry = self.entries.get(name.wire())?;
        (entry.until > now).then_some(entry.verdict)
    }

    /// Keeps a verdict for `ttl` seconds within the bounds of its kind.
    pub fn insert(&mut self, name: &Name, verdict: DomainVerdict, ttl: u32, now: Instant) {
        let ttl = Duration::from_secs(ttl.into());
        let ttl = match verdict {
            DomainVerdict::Good(_) => ttl.clamp(GOOD_LEAST, GOOD_MOST),
            DomainVerdict::Bad(_) => ttl.min(BAD_MOST),
            DomainVerdict::Unknown(_) => return,
        };
        if ttl.is_zero() {
            return;
        }
        self.remove(name);
        self.number += 1;
        let key: Arc<[u8]> = name.wire().into();
        self.octets += key.len() + OVERHEAD;
        self.order.push_back((key.clone(), self.number));
        self.entries.insert(key, Entry { verdict, until: now + ttl, number: self.number });
        self.shrink();
    }

    /// Removes the verdict on `name`.
    pub fn remove(&mut self, name: &Name) {
        if self.entries.remove(name.wire()).is_some() {
            self.octets -= name.wire().len() + OVERHEAD;
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

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn shrink(&mut self) {
        while self.entries.len() > self.bounds.entries || self.octets > self.bounds.octets {
            let Some((key, number)) = self.order.pop_front() else { return };
            if is_current(&self.entries, &key, number) {
                self.entries.remove(&key);
                self.octets -= key.len() + OVERHEAD;
            }
        }
    }
}

fn is_current(entries: &HashMap<Arc<[u8]>, Entry>, key: &Arc<[u8]>, number: u64) -> bool {
    entries.get(key).is_some_and(|entry| entry.number == number)
}

#[cfg(test)]
mod tests {
    use super::super::failure::Failure;
    use super::super::verdict::{Bad, Good};
    use super::*;

    const GOOD: DomainVerdict = DomainVerdict::Good(Good::Mx);
    const BAD: DomainVerdict = DomainVerdict::Bad(Bad::NxDomain);

    fn name(text: &str) -> Name {
        Name::from_domain(text.as_bytes()).unwrap()
    }

    /// How many seconds a verdict with this TTL is valid.
    fn holds(verdict: DomainVerdict, ttl: u32) -> u64 {
        let mut cache = Cache::new(Bounds::default());
        let now = Instant::now();
        cache.insert(&name("a.example"), verdict, ttl, now);
        let held = |seconds: &u64| {
            cache.verdict(&name("A.example"), now + Duration::from_secs(*seconds)) == Some(verdict)
        };
        (0..200_000).step_by(10).take_while(held).last().map_or(0, |last| last + 10)
    }

    #[test]
    fn ttls_are_kept_within_bounds() {
        assert_eq!((holds(GOOD, 0), holds(GOOD, 600), holds(GOOD, 172_800)), (60, 600, 86_400));
        assert_eq!((holds(BAD, 0), holds(BAD, 600), holds(BAD, 86_400)), (0, 600, 3600));
        assert_eq!(holds(DomainVerdict::Unknown(Failure::Timeout), 600), 0);
    }

    #[test]
    fn the_oldest_goes_first_and_a_renewed_one_is_young() {
        let mut cache = Cache::new(Bounds { entries: 3, octets: usize::MAX });
        let now = Instant::now();
        for text in ["a.example", "b.example", "c.example", "a.example", "d.example"] {
            cache.insert(&name(text), GOOD, 600, now);
        }
        let kept = |text: &str| cache.verdict(&name(text), now).is_some();
        assert!(kept("a.example") && !kept("b.example") && kept("c.example") && kept("d.example"));
    }

    #[test]
    fn octets_are_bounded_and_counted_back() {
        let mut cache = Cache::new(Bounds { entries: usize::MAX, octets: 2500 });
        let now = Instant::now();
        for n in 0..10_000 {
            cache.insert(&name(&format!("{}.example", n % 300)), GOOD, 600, now);
        }
        assert!(cache.octets <= 2500 && (11..=12).contains(&cache.len()), "{cache:?}");
        assert!(cache.order.len() <= 2 * cache.len() + 17);
        for n in 0..300 {
            cache.remove(&name(&format!("{n}.example")));
        }
        assert_eq!((cache.octets, cache.is_empty()), (0, true));
    }
}
