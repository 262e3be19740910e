//! What the counting rules have counted, beside the limits in the configuration.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A value of a host, and the limit that a rule compares it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// The setting that has the limit.
    pub setting: Setting,
    /// The host's value.
    pub value: Amount,
    /// The limit: more than this is against the host.
    pub limit: Amount,
}

/// A setting in greytrapper.conf(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// Compared with the number of tuples whose sender is a mailbox.
    SuspectTuples,
    /// Compared with the number of sender domains.
    MaxSenderDomains,
    /// Compared with the number of different senders for one tuple.
    MaxSenderRatio,
    /// Compared with the number of domains of HELO names that are not confirmed.
    MaxHeloNames,
}

impl Setting {
    /// The words of the statement.
    pub fn words(self) -> &'static str {
        match self {
            Setting::SuspectTuples => "suspect tuples",
            Setting::MaxSenderDomains => "max sender domains",
            Setting::MaxSenderRatio => "max sender ratio",
            Setting::MaxHeloNames => "max helo names",
        }
    }
}

/// A number or a ratio, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Amount(u64);

const ONE: u64 = 1_000_000;

impl From<u32> for Amount {
    fn from(number: u32) -> Amount {
        Amount(u64::from(number).saturating_mul(ONE))
    }
}

impl Amount {
    /// A ratio, rounded.
    pub fn ratio(ratio: f64) -> Amount {
        // There is no conversion that cannot lose something unnoticed.
        Amount(format!("{:.0}", ratio * 1e6).parse().unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.checked_div(ONE), self.0.checked_rem(ONE));
        let text = format!("{}.{:06}", whole.unwrap_or(0), rest.unwrap_or(0));
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_decimal() {
        for (amount, text) in [
            (Amount::from(0), "0"),
            (Amount::from(70), "70"),
            (Amount::from(u32::MAX), "4294967295"),
            (Amount::ratio(0.75), "0.75"),
            (Amount::ratio(6.0 / 7.0), "0.857143"),
            (Amount::ratio(1.0), "1"),
            (Amount::ratio(0.000_001), "0.000001"),
        ] {
            assert_eq!(amount.to_string(), text);
        }
    }
}
