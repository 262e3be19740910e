//! The latest few of what used a key, each with its last time.

use serde::{Deserialize, Serialize};

/// So many networks or sender domains are kept for a key: one more than the largest number that a rule asks
/// for.
pub const MOST: usize = 11;

/// Numbers with their last times, in seconds since 1970; of more than [`MOST`] those with the latest times.
///
/// However the same sightings are ordered and divided between several of these, their sum is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest(Vec<(u64, i64)>);

impl Latest {
    /// Notes a number; whether that has changed anything.
    pub fn note(&mut self, number: u64, time: i64) -> bool {
        if let Some((_, last)) = self.0.iter_mut().find(|(other, _)| *other == number) {
            let is_later = *last < time;
            *last = time.max(*last);
            return is_later;
        }
        if self.0.len() < MOST {
            self.0.push((number, time));
            return true;
        }
        // Numbers decide between equal times, so that the order of notes does not.
        let age = |(number, time): &&mut (u64, i64)| (*time, *number);
        let Some(oldest) = self.0.iter_mut().min_by_key(age) else { return false };
        let is_later = (oldest.1, oldest.0) < (time, number);
        if is_later {
            *oldest = (number, time);
        }
        is_later
    }

    /// Notes all numbers of another.
    pub fn merge(&mut self, other: &Latest) {
        for (number, time) in &other.0 {
            self.note(*number, *time);
        }
    }

    /// How many have a time from `since` to `now`; [`MOST`] means as many or more.
    pub fn count(&self, since: i64, now: i64) -> usize {
        self.0.iter().filter(|(_, time)| (since..=now).contains(time)).take(MOST).count()
    }

    /// Forgets what is older than `since`, and what is beyond the bound in a list from elsewhere.
    pub fn forget(&mut self, since: i64) {
        self.0.retain(|(_, time)| *time >= since);
        self.0.truncate(MOST);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
