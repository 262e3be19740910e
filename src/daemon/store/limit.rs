//! `trap limit`: a maximum number of traps in a given time.
//!
//! The store enforces it, whatever the engine asks for.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts what happened within the last `time`.
#[derive(Debug)]
pub struct Limit {
    most: u32,
    time: Duration,
    /// The times and numbers of events, the oldest first.
    happened: VecDeque<(Instant, u32)>,
    count: u32,
}

impl Limit {
    /// A limit of `most` within `time`.
    pub fn new(most: u32, time: Duration) -> Limit {
        Limit { most, time, happened: VecDeque::new(), count: 0 }
    }

    /// What the next store must count: how long ago, and how many.
    pub fn legacy(&self, now: Instant) -> Vec<(Duration, u32)> {
        let aged = |(at, count): &(Instant, u32)| (now.saturating_duration_since(*at), *count);
        self.happened.iter().map(aged).collect()
    }

    /// Counts what the previous store has done.
    pub fn inherit(&mut self, counted: Vec<(Duration, u32)>, now: Instant) {
        for (age, count) in counted.into_iter().filter(|(age, _)| *age < self.time) {
            let Some(at) = now.checked_sub(age) else { continue };
            self.happened.push_back((at, count));
            self.count = self.count.saturating_add(count);
        }
    }

    /// Whether one more is allowed at `now`, which is not earlier than before.
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

    /// Counts one more at `now`, which is not earlier than before.
    pub fn count(&mut self, now: Instant) {
        self.count = self.count.saturating_add(1);
        match self.happened.back_mut() {
            // A hundredth of the time is precise enough, and limits what is kept.
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

    /// Any number of reloads does not circumvent the limit.
    #[test]
    fn what_one_has_counted_the_next_one_counts() {
        let (start, day) = (Instant::now() + Duration::from_secs(100), Duration::from_secs(86_400));
        let mut limit = Limit::new(5, day);
        (0..5).for_each(|n| limit.count(start + Duration::from_secs(1000 * n)));
        let now = start + Duration::from_secs(5000);
        assert!(!limit.has_room(now));
        for _ in 0..3 {
            let mut next = Limit::new(5, day);
            next.inherit(limit.legacy(now), now);
            assert!(!next.has_room(now));
            limit = next;
        }
        // Another configuration's limit counts the same, within its own time.
        for (most, has_room) in [(1, false), (2, true)] {
            let mut shorter = Limit::new(most, Duration::from_secs(1500));
            shorter.inherit(limit.legacy(now), now);
            assert_eq!(shorter.has_room(now), has_room);
        }
        assert!(limit.has_room(start + day));
        limit.count(start + day);
        assert!(!limit.has_room(start + day));
    }

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
