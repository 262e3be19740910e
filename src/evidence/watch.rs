//! Since when recipients have been watched.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So long they must have been watched before what is known of them is a sign.
pub const LEARNT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// After a longer time without a scan, watching begins anew: hosts that passed meanwhile are not known.
pub const GAP: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// A time of scans without a long gap. All times are in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Its first scan.
    pub since: i64,
    /// Its last scan.
    pub last: i64,
}

impl Watch {
    /// It begins with a scan at `now`.
    pub fn begin(now: i64) -> Watch {
        Watch { since: now, last: now }
    }

    /// The same after another scan at `now`. A clock that was set back to before the first one is a new
    /// beginning.
    #[must_use]
    pub fn go_on(self, now: i64) -> Watch {
        let is_long = now.saturating_sub(self.last) > GAP.as_secs().cast_signed();
        if is_long || now < self.since {
            return Watch::begin(now);
        }
        Watch { since: self.since, last: now }
    }

    /// Whether, with a scan at `now`, it has lasted as long as [`LEARNT`].
    pub fn is_long_enough(self, now: i64) -> bool {
        let since = self.go_on(now).since;
        now.saturating_sub(since) >= LEARNT.as_secs().cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;
    const NOW: i64 = 1_795_420_010;

    #[test]
    fn fourteen_days_are_enough_unless_there_is_a_gap_in_them() {
        let daily = |days: std::ops::Range<i64>, watch: Watch| {
            days.fold(watch, |watch, day| watch.go_on(NOW + day * DAY))
        };
        let watch = daily(1..14, Watch::begin(NOW));
        assert!(!watch.is_long_enough(NOW + 14 * DAY - 1));
        assert!(watch.is_long_enough(NOW + 14 * DAY));
        assert!(watch.is_long_enough(NOW + 15 * DAY), "two days without a scan");
        assert!(!watch.is_long_enough(NOW + 15 * DAY + 1), "more than that");
        let again = watch.go_on(NOW + 100 * DAY);
        assert_eq!(again, Watch::begin(NOW + 100 * DAY));
        assert!(daily(101..114, again).is_long_enough(NOW + 114 * DAY));
    }

    #[test]
    fn a_clock_that_was_wrong_does_not_make_it_longer() {
        let watch = Watch::begin(NOW).go_on(NOW + 1000 * DAY).go_on(NOW + DAY);
        assert_eq!(watch, Watch::begin(NOW + DAY));
        let back = Watch::begin(NOW).go_on(NOW + DAY).go_on(NOW + 5);
        assert_eq!(back, Watch { since: NOW, last: NOW + 5 });
        assert!(!Watch::begin(i64::MIN).is_long_enough(i64::MAX));
    }
}
