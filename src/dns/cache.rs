//! Caches verdicts by domain, as long as DNS allows and while there is room; the oldest are removed first.
//!
//! The resolver looks here before it asks. Unknown verdicts are never kept. Strangers choose the names, so
//! their number and size are limited.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::kept::Kept;
use super::name::Name;
use super::verdict::DomainVerdict;

/// A good verdict is kept for at least this long.
const GOOD_LEAST: Duration = Duration::from_secs(60);
/// A good verdict is kept for at most this long.
const GOOD_MOST: Duration = Duration::from_secs(24 * 3600);
/// A bad verdict is kept for at most this long (RFC 2308 5 allows up to three hours).
const BAD_MOST: Duration = Duration::from_secs(3600);

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

impl Bounds {
    /// Half as much.
    pub fn half(self) -> Self {
        Self { entries: self.entries / 2, octets: self.octets / 2 }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Cache(Kept<DomainVerdict>);

impl Cache {
    /// An empty cache.
    pub fn new(bounds: Bounds) -> Self {
        Self(Kept::new(bounds))
    }

    /// The verdict on `name`, if it is still valid.
    pub fn verdict(&self, name: &Name, now: Instant) -> Option<DomainVerdict> {
        self.0.find(name.wire(), now).copied()
    }

    /// Keeps a verdict for `ttl` seconds within the bounds of its kind.
    pub fn insert(&mut self, name: &Name, verdict: DomainVerdict, ttl: u32, now: Instant) {
        let ttl = Duration::from_secs(ttl.into());
        let ttl = match verdict {
            DomainVerdict::Good(_) => ttl.clamp(GOOD_LEAST, GOOD_MOST),
            DomainVerdict::Bad(_) => ttl.min(BAD_MOST),
            DomainVerdict::Unknown(_) => return,
        };
        self.0.insert(name.wire(), verdict, 0, ttl, now);
    }

    /// Removes the verdict on `name`.
    pub fn remove(&mut self, name: &Name) {
        self.0.remove(name.wire());
    }

    /// The number of entries, including expired ones.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
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
}
