//! Dates: a number of seconds since 1970 as text.
//!
//! UTC in RFC 3339's form, which sorts as text and needs no time zone files.
#![forbid(unsafe_code)]

use std::fmt;

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
    fn no_time_is_too_far() {
        assert!(Date(i64::MAX).to_string().ends_with("-12-04T15:30:07Z"));
        Date(i64::MIN).to_string();
    }
}
