//! A zone file (RFC 1035, 5.1) for a name server, with names relative to the origin.
//!
//! The serial number is the time, or one more than that of the text that is replaced if that is greater (RFC
//! 1982), so that secondary servers notice every change. Names are those of RFC 5782, 2.1 and 2.4; the test
//! entries are those of section 5.

use super::rbldnsd::TEST;
use super::words::{Words, value};
use super::{Cause, Listed, MARK, Settings, TTL};
use crate::name::reversed;
use std::fmt::Write;

/// The test entries.
const TESTS: [&str; 2] =
    ["2.0.0.127", "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"];

/// The text, unless the previous one has the same hosts.
pub fn text(hosts: &[Listed], settings: &Settings<'_>) -> Option<Vec<u8>> {
    let before = format!("; {MARK}\n$TTL {TTL}\n@ IN SOA localhost. root.localhost. ");
    let now = u32::try_from(settings.now).unwrap_or(0);
    let serial = match previous_serial(settings.previous) {
        Some(previous) if !is_greater(now, previous) => previous.wrapping_add(1),
        _ => now,
    };
    let mut text = format!("{before}{serial}");
    let after = text.len();
    records(&mut text, hosts, settings);
    let inner = settings.previous.strip_prefix(before.as_bytes());
    let inner = inner.and_then(|inner| inner.strip_suffix(text.get(after..)?.as_bytes()));
    let is_as_good = inner.and_then(number).is_some();
    (!is_as_good).then(|| text.into_bytes())
}

/// Appends what comes after the serial number.
fn records(text: &mut String, hosts: &[Listed], settings: &Settings<'_>) {
    // Writing to memory does not fail.
    let _ = writeln!(text, " 3600 600 604800 {TTL}\n@ IN NS localhost.");
    for name in TESTS {
        let _ = writeln!(text, "{name} A 127.0.0.{}\n{name} TXT \"{TEST}\"", value(Cause::Unknown));
    }
    for host in hosts {
        let (name, value) = (reversed(host.address), value(host.cause));
        let words = Words(host, settings.url);
        let _ = writeln!(text, "{name} A 127.0.0.{value}\n{name} TXT \"{words}\"");
    }
}

/// The serial number of an earlier text, if it is one.
fn previous_serial(previous: &[u8]) -> Option<u32> {
    let mut lines = previous.split(|&byte| byte == b'\n');
    let soa = lines.find_map(|line| line.strip_prefix(b"@ IN SOA localhost. root.localhost. "))?;
    number(soa.split(|&byte| byte == b' ').next()?)
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether a serial number is greater than another (RFC 1982, 3.2).
fn is_greater(one: u32, other: u32) -> bool {
    (1..=i32::MAX as u32).contains(&one.wrapping_sub(other))
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::super::testing::{NOON, listed, text};
    use super::*;
    use crate::scan::Rule;

    #[test]
    fn names_are_those_of_rfc_5782() {
        let hosts = [
            listed("192.0.2.99", Cause::Rule(Rule::Dns)),
            // The address in section 2.4, with its name.
            listed("2001:db8:1:2:3:4:567:89ab", Cause::Unknown),
        ];
        let settings = Settings { now: NOON, ..Settings::default() };
        let written = text(Form::Zone, &hosts, &settings);
        let lines: Vec<_> = written.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "; written by greytrapctl export",
                "$TTL 300",
                "@ IN SOA localhost. root.localhost. 1795953600 3600 600 604800 300",
                "@ IN NS localhost.",
                "2.0.0.127 A 127.0.0.2",
            ]
        );
        let six = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2";
        let times = "Deferred from 2026-11-29T12:00:00Z until 2026-11-30T12:00:00Z";
        assert_eq!(lines[8], "99.2.0.192 A 127.0.0.10");
        assert_eq!(
            lines[9],
            format!("99.2.0.192 TXT \"{times}: mail from a domain that cannot receive mail\"")
        );
        assert_eq!(lines[10], format!("{six} A 127.0.0.2"));
    }

    #[test]
    fn the_serial_number_always_rises() {
        let serial = |now, previous: &[u8]| {
            let settings = Settings { now, previous, ..Settings::default() };
            previous_serial(&Form::Zone.write(&[], &settings).unwrap()).unwrap()
        };
        let with = |serial: u32| format!("@ IN SOA localhost. root.localhost. {serial} 1 1 1 1\n");
        for (now, previous, wanted) in [
            (NOON, with(5), 1_795_953_600),
            (NOON, with(1_795_953_600), 1_795_953_601),
            (NOON, with(1_795_953_700), 1_795_953_701),
            (NOON, "garbage".into(), 1_795_953_600),
            (i64::from(u32::MAX) + 1, with(u32::MAX), 0),
        ] {
            assert_eq!(serial(now, previous.as_bytes()), wanted, "{now} {previous}");
        }
    }
}
