//! Times for people: how long ago something was, or how long it took.
#![forbid(unsafe_code)]

use crate::control::status::Micros;
use std::fmt;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

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

    #[test]
    fn no_time_is_too_far() {
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
