//! Times for people: a date from seconds since 1970, and how long ago or how long something took.
//!
//! Dates are UTC in RFC 3339's form, which sorts as text and needs no time zone files.
#![forbid(unsafe_code)]

use crate::control::status::Micros;
use std::fmt;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A date: `2026-11-24T03:45:12Z`. Years beyond 9999 have more digits.
#[derive(Clone, Copy, Debug)]
pub struct Date(pub i64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day_length = i64::try_from(DAY).unwrap_or(i64::MAX);
        let (year, month, day) = civil(self.0.div_euclid(day_length));
        let second = self.0.rem_euclid(day_length);
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

/// A long time in seconds, as bgpctl(8) shows it: `03:45:12`, from a day on `3d04h12m`.
#[derive(Clone, Copy, Debug)]
pub struct Long(pub u64);

impl Long {
    /// From one time, in seconds since 1970, to a later one.
    pub fn between(earlier: i64, later: i64) -> Long {
        Long(u64::try_from(later.saturating_sub(earlier)).unwrap_or_default())
    }
}

impl From<Micros> for Long {
    fn from(micros: Micros) -> Long {
        Long(micros.0 / 1_000_000)
    }
}

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / DAY, self.0 / HOUR % 24);
        let (minutes, seconds) = (self.0 / MINUTE % 60, self.0 % MINUTE);
        match days {
            0 => write!(f, "{hours:02}:{minutes:02}:{seconds:02}"),
            _ => write!(f, "{days}d{hours:02}h{minutes:02}m"),
        }
    }
}

/// How long something took: `812us`, `12.3ms`, `1.234s`.
#[derive(Clone, Copy, Debug)]
pub struct Short(pub Micros);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.0 {
            0 => f.write_str("0"),
            micros @ ..1000 => write!(f, "{micros}us"),
            micros @ ..1_000_000 => write!(f, "{}.{}ms", micros / 1000, micros / 100 % 10),
            micros => write!(f, "{}.{:03}s", micros / 1_000_000, micros / 1000 % 1000),
        }
    }
}

/// Seconds with six decimals, as metrics have them.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub Micros);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.0 / 1_000_000, self.0.0 % 1_000_000)
    }
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
        assert_eq!(Long::between(i64::MAX, i64::MIN).to_string(), "00:00:00");
        Long(u64::MAX).to_string();
    }

    #[test]
    fn times_have_the_form_that_fits_their_length() {
        assert_eq!(Long::between(1, 13_513).to_string(), "03:45:12");
        assert_eq!(Long(3 * DAY + 4 * HOUR + 12 * MINUTE + 59).to_string(), "3d04h12m");
        assert_eq!(Long::from(Micros(59_999_999)).to_string(), "00:00:59");
        let shown = |micros| Short(Micros(micros)).to_string();
        assert_eq!([shown(0), shown(812), shown(12_345)], ["0", "812us", "12.3ms"]);
        assert_eq!([shown(999_999), shown(61_234_567)], ["999.9ms", "61.234s"]);
        assert_eq!(Seconds(Micros(1_000_042)).to_string(), "1.000042");
    }
}
