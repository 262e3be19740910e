//! Converts words to values and back: numbers, durations, ratios, networks, names.
//!
//! In: words from `parse` and from tables of pf(4). Out: values of the right type, whose bounds `check`
//! checks. Numbers too large for their type become the largest of that type, which is out of every bound.

use super::Network;
use super::problem::{Problem, quoted};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

/// A number in decimal digits.
pub(super) fn number(word: &str) -> Option<u64> {
    is_decimal(word).then(|| word.parse().unwrap_or(u64::MAX))
}

/// A number of seconds, or of the unit that its last letter names: `s`, `m`, `h`, `d` or `w`.
pub(crate) fn duration(word: &str) -> Option<Duration> {
    let unit = UNITS.iter().find(|&&(letter, _)| word.ends_with(letter));
    let (digits, factor) = match unit {
        Some(&(letter, seconds)) => (word.strip_suffix(letter)?, seconds),
        None => (word, 1),
    };
    Some(Duration::from_secs(number(digits)?.saturating_mul(factor)))
}

/// A duration as in the configuration, in the largest unit that divides it; one day is `24h`, one week
/// `7d`.
pub(crate) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let fits = |unit: u64| seconds.is_multiple_of(unit) && seconds >= unit;
    match seconds {
        DAY => "24h".into(),
        WEEK => "7d".into(),
        _ => match UNITS.iter().rev().find(|&&(_, unit)| fits(unit)) {
            Some(&(letter, unit)) => {
                format!("{}{letter}", seconds.checked_div(unit).unwrap_or_default())
            }
            None => "0s".into(),
        },
    }
}

/// A number of bytes, or of the unit that its last letter names: `K`, `M` or `G`, powers of 1024.
pub(super) fn size(word: &str) -> Option<u64> {
    let unit = SIZES.iter().find(|&&(letter, _)| word.ends_with(letter));
    let (digits, factor) = match unit {
        Some(&(letter, bytes)) => (word.strip_suffix(letter)?, bytes),
        None => (word, 1),
    };
    Some(number(digits)?.saturating_mul(factor))
}

/// A size as in the configuration, in the largest unit that divides it.
pub(super) fn size_text(size: u64) -> String {
    let fits = |unit: u64| size.is_multiple_of(unit) && size >= unit;
    match SIZES.iter().rev().find(|&&(_, unit)| fits(unit)) {
        Some(&(letter, unit)) => {
            format!("{}{letter}", size.checked_div(unit).unwrap_or_default())
        }
        None => size.to_string(),
    }
}

/// A path as a string that the lexer reads.
pub(super) fn path_text(path: &Path) -> String {
    string_text(&path.to_string_lossy())
}

/// A string as the lexer reads it. A backslash is doubled only where it would otherwise begin an escape, so
/// that regular expressions look the way they were written.
pub(super) fn string_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let needs_escape = match c {
            '"' => true,
            '\\' => matches!(rest.peek(), None | Some('"' | '\\')),
            _ => false,
        };
        if needs_escape {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A decimal fraction without sign or exponent.
pub(super) fn ratio(word: &str) -> Option<f64> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    if !is_decimal(whole) || !is_decimal(fraction) {
        return None;
    }
    word.parse().ok()
}

/// A decimal fraction with a percent sign.
pub(super) fn percentage(word: &str) -> Option<f64> {
    ratio(word.strip_suffix('%')?)
}

/// A network as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WrittenNetwork {
    /// The network, its host bits cleared.
    pub(super) network: Network,
    /// Whether any bits had to be cleared: a mistake, or the lax form that pf accepts.
    pub(super) has_host_bits: bool,
}

/// An address, or an address and a prefix length. As in pf.conf(5), trailing zero octets of an IPv4 network
/// may be left out: `10/8` (inet_net_pton(3)).
pub(super) fn network(word: &str) -> Result<WrittenNetwork, Problem> {
    let expected = || Problem::Expected {
        what: "an address or a network".into(),
        found: quoted(word),
        nearest: None,
    };
    let (address, prefix) = match word.split_once('/') {
        Some((address, prefix)) => (address, Some(number(prefix).ok_or_else(expected)?)),
        None => (word, None),
    };
    let parsed = match (address.parse(), prefix) {
        (Err(_), Some(_)) => short_network(address),
        (parsed, _) => parsed.ok(),
    };
    let address: IpAddr = parsed.ok_or_else(expected)?;
    let Some(prefix) = prefix else {
        return Ok(WrittenNetwork { network: Network::host(address), has_host_bits: false });
    };
    match u8::try_from(prefix).ok().and_then(|p| Network::holding(address, p)) {
        Some(network) => Ok(WrittenNetwork {
            network,
            has_host_bits: network.address.to_canonical() != address.to_canonical(),
        }),
        None => Err(Problem::PrefixTooLong {
            network: word.into(),
            most: if address.is_ipv4() { 32 } else { 128 },
        }),
    }
}

/// The first address of an IPv4 network that is written without trailing octets.
fn short_network(written: &str) -> Option<IpAddr> {
    let mut octets = [0; 4];
    let mut places = octets.iter_mut();
    for octet in written.split('.') {
        *places.next()? = octet.parse().ok().filter(|_| is_decimal(octet))?;
    }
    Some(IpAddr::from(octets))
}

/// Whether spamd's sync can reach `text` by unicast: it is an IPv4 address (the protocol supports no other)
/// or a host name according to RFC 1123 section 2.1, with underscores, which are found in practice.
pub(super) fn is_sync_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_numeric {
        return name.parse::<Ipv4Addr>().is_ok();
    }
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether `text` can name an interface: shorter than IFNAMSIZ, 16 (if(4), <net/if.h>).
pub(super) fn is_interface(text: &str) -> bool {
    (1..16).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

const DAY: u64 = 24 * 60 * 60;
const WEEK: u64 = 7 * DAY;

/// The units of durations, shortest first.
const SIZES: [(char, u64); 3] = [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30)];
const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 60 * 60), ('d', DAY), ('w', WEEK)];

fn is_decimal(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (word, seconds, text) in [
            ("90", 90, "90s"),
            ("0", 0, "0s"),
            ("60s", 60, "1m"),
            ("10m", 600, "10m"),
            ("24h", 86_400, "24h"),
            ("1d", 86_400, "24h"),
            ("36h", 129_600, "36h"),
            ("1w", 604_800, "7d"),
            ("14d", 1_209_600, "2w"),
            ("010m", 600, "10m"),
        ] {
            let duration = duration(word).unwrap();
            assert_eq!((duration.as_secs(), duration_text(duration).as_str()), (seconds, text));
        }
        for word in ["", "m", "10 m", "1.5h", "-1", "+1", "10M", "10ms", "1h30m", "10µ", "٣m"] {
            assert_eq!(duration(word), None, "{word}");
        }
        assert_eq!(duration("99999999999999999999w"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn ratios() {
        for (word, value) in [("0", 0.0), ("0.75", 0.75), ("1", 1.0), ("1.0", 1.0), ("7", 7.0)] {
            assert_eq!(ratio(word), Some(value), "{word}");
        }
        for word in ["", ".5", "1.", "-0.5", "1e-3", "nan", "inf", "0,75", "0.7.5"] {
            assert_eq!(ratio(word), None, "{word}");
        }
    }

    #[test]
    fn networks() {
        let shown = |word| match network(word) {
            Ok(written) => format!("{} {}", written.network, written.has_host_bits),
            Err(problem) => problem.to_string(),
        };
        for (word, expected) in [
            ("192.0.2.1", "192.0.2.1 false"),
            ("192.0.2.0/24", "192.0.2.0/24 false"),
            ("192.0.2.1/24", "192.0.2.0/24 true"),
            ("192.0.2.1/32", "192.0.2.1 false"),
            ("0.0.0.0/0", "0.0.0.0/0 false"),
            ("2001:DB8::/32", "2001:db8::/32 false"),
            ("2001:db8::1/32", "2001:db8::/32 true"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24 false"),
            ("::ffff:192.0.2.1/120", "192.0.2.0/24 true"),
            ("192.0.2.0/33", "prefix of \"192.0.2.0/33\" must be between 0 and 32"),
            ("::/129", "prefix of \"::/129\" must be between 0 and 128"),
            (
                "::/999999999999999999999",
                "prefix of \"::/999999999999999999999\" must be between 0 and 128",
            ),
            ("192.0.2/24", "192.0.2.0/24 false"),
            ("10/8", "10.0.0.0/8 false"),
            ("10.1/8", "10.0.0.0/8 true"),
            ("10", "expected an address or a network, found \"10\""),
            ("10./8", "expected an address or a network, found \"10./8\""),
            ("1.2.3.4.5/8", "expected an address or a network, found \"1.2.3.4.5/8\""),
            ("256/8", "expected an address or a network, found \"256/8\""),
            ("192.0.2.0/", "expected an address or a network, found \"192.0.2.0/\""),
            ("192.0.2.0/-1", "expected an address or a network, found \"192.0.2.0/-1\""),
            ("fe80::1%em0", "expected an address or a network, found \"fe80::1%em0\""),
            ("example.org", "expected an address or a network, found \"example.org\""),
        ] {
            assert_eq!(shown(word), expected);
        }
    }

    #[test]
    fn sync_hosts() {
        let long_label = "a".repeat(64);
        for good in ["mx2.example.org", "mx2", "mx2.example.org.", "192.0.2.1", "a_b.example"] {
            assert!(is_sync_host(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "-a",
            "a-.b",
            "2001:db8::1",
            "192.0.2",
            "192.0.2.256",
            "a b",
            &long_label,
        ] {
            assert!(!is_sync_host(bad), "{bad}");
        }
    }

    #[test]
    fn interfaces() {
        for good in ["em0", "vlan10", "enp0s31f6.100", "a23456789012345"] {
            assert!(is_interface(good), "{good}");
        }
        for bad in ["", "a234567890123456", "em 0", "../x", "em0\0"] {
            assert!(!is_interface(bad), "{bad}");
        }
    }
}
