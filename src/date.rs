//! Dates: a number of seconds since 1970 as text.
//!
//! UTC in RFC 3339's form, which sorts as text and needs no time zone files.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 24 * 60 * 60;

/// A date: `2026-11-24T03:45:12Z`. Years beyond 9999 have more digits.
#[derive(Clone, Copy, Debug)]
pub struct Date(pub i64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// A day in UTC, by its number since 1970: `2027-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub i64);

impl Day {
    /// The day of a time in seconds since 1970.
    pub fn of(time: i64) -> Day {
        Day(time.div_euclid(DAY))
    }

    /// The day that it is.
    pub fn today() -> Day {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Day::of(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
    }

    /// Its first second, since 1970.
    pub fn begin(self) -> i64 {
        self.0.saturating_mul(DAY)
    }

    /// The first second after it, since 1970.
    pub fn end(self) -> i64 {
        Day(self.0.saturating_add(1)).begin()
    }

    /// A day of a four-digit year as it displays itself (RFC 3339 `full-date`); `None` if there is none.
    pub fn parse(text: &str) -> Option<Day> {
        let parts: Vec<_> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else { return None };
        let is_number = |part: &str, length| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(year, 4) || !is_number(month, 2) || !is_number(day, 2) {
            return None;
        }
        let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        let found = Day(days(year, month, day));
        (civil(found.0) == (year, month, day)).then_some(found)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The number of a day since 1970: the inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar: 400 years have
/// 146,097 days, and a year that begins in March has its leap day at the end.
fn civil(days: i64) -> (i64, i64, i64) {
    // 1970-01-01 is day 719,468 since 0000-03-01.
    let days = days.saturating_add(719_468);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `date -u -d @N +%FT%TZ` (GNU) prints.
    #[test]
    fn dates_are_those_of_date() {
        let rows = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_420_010, "2026-11-23T07:46:50Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_800, "10000-01-01T00:00:00Z"),
        ];
        for (epoch, date) in rows {
            assert_eq!(Date(epoch).to_string(), date);
        }
    }

    #[test]
    fn days_are_read_as_they_are_written() {
        for (epoch, text) in [(0, "1970-01-01"), (951_782_400, "2000-02-29")] {
            assert_eq!(Day::parse(text), Some(Day::of(epoch)));
        }
        for number in (-200_000..200_000).step_by(37) {
            assert_eq!(Day::parse(&Day(number).to_string()), Some(Day(number)));
        }
        let day = Day::parse("2027-01-31").unwrap();
        assert_eq!(Date(day.begin()).to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(Date(day.end()).to_string(), "2027-02-01T00:00:00Z");
        for text in ["2027-02-29", "2027-00-10", "2027-13-01", "2027-1-1", "27-01-01", "+027-01-01"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        for text in ["", "2027-01", "2027-01-01-01", "2027-01-32", "2027-01-00", "tomorrow"] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_time_is_too_far() {
        assert!(Date(i64::MAX).to_string().ends_with("-12-04T15:30:07Z"));
        Date(i64::MIN).to_string();
    }
}
