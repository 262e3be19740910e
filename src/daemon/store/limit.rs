//! So many within so long a time: `trap limit`.
//!
//! Kept by the store, whatever the engine asks for.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts what happened within the last `time`.
#[derive(Debug)]
pub struct Limit {
    most: u32,
    time: Duration,
    /// When, and how many then; the oldest first.
    happened: VecDeque<(Instant, u32)>,
    count: u32,
}

impl Limit {
    /// At most `most` within `time`.
    pub fn new(most: u32, time: Duration) -> Limit {
        Limit { most, time, happened: VecDeque::new(), count: 0 }
    }

    /// Whether one more may happen at `now`, which is no earlier than before.
    pub fn has_room(&mut self, now: Instant) -> bool {
        while let Some(&(at, count)) = self.happened.front() {
            if now.saturating_duration_since(at) < self.time {
                break;
            }
            self.happened.pop_front();
            self.count = self.count.saturating_sub(count);
        }
        self.count < self.most
    }

    /// One more has happened at `now`, which is no earlier than before.
    pub fn count(&mut self, now: Instant) {
        self.count = self.count.saturating_add(1);
        match self.happened.back_mut() {
            // A hundredth of the time is exact enough, and bounds what is kept.
            Some((at, count)) if now.saturating_duration_since(*at) < self.time / 100 => {
                *count += 1
            }
            _ => self.happened.push_back((now, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_within_any_so_long_a_time() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut limit = Limit::new(1000, minute);
        let mut admitted = Vec::new();
        // Ten a second for five minutes.
        for n in 0..3000 {
            let now = start + Duration::from_millis(100 * n);
            if limit.has_room(now) {
                limit.count(now);
                admitted.push(now);
            }
            assert!(limit.happened.len() <= 102);
        }
        let burst: Vec<_> = (0..5000).map(|_| start + 6 * minute).collect();
        for now in burst {
            if limit.has_room(now) {
                limit.count(now);
                admitted.push(now);
            }
        }
        for (n, at) in admitted.iter().enumerate() {
            let within = admitted[n..].iter().take_while(|other| **other - *at < minute * 99 / 100);
            assert!(within.count() <= 1000);
        }
        // All but nothing is lost to the rule.
        assert!(admitted.len() >= 3000 + 900, "{}", admitted.len());
    }
}
