//! A combined dataset of rbldnsd(8), with IPv4 and IPv6 addresses.
//!
//! rbldnsd stops answering from data that have expired ([`EXPIRE`]), so that no host stays listed because
//! exports have stopped. Therefore an unchanged text is renewed when it is [`RENEW`] old. Source: rbldnsd(8),
//! *Zone Data Files*; the test entries are those of RFC 5782, 5.

use super::words::{Words, value};
use super::{Cause, Listed, MARK, Settings, TTL};
use crate::date::Date;
use std::io::Write;

/// How long the data are good, in seconds.
const EXPIRE: i64 = 4 * 60 * 60;
/// The age at which an unchanged text is written again, in seconds.
const RENEW: i64 = 60 * 60;

/// The test entry for IPv4: a list that works has it.
const TEST_V4: &str = "127.0.0.2";
/// That for IPv6. rbldnsd does not know `::ffff:127.0.0.2`.
const TEST_V6: &str = "::ffff:7f00:2";

/// What the test entries say.
pub const TEST: &str = "Test entry";

/// The text, unless the previous one has the same hosts and is young enough.
pub fn text(hosts: &[Listed], settings: &Settings<'_>) -> Option<Vec<u8>> {
    let head = format!("# {MARK}\n");
    let mut text = head.clone().into_bytes();
    // Writing to memory does not fail.
    let _ = writeln!(text, "$TIMESTAMP {} +{EXPIRE}s", stamp(settings.now));
    let start = text.len();
    datasets(&mut text, hosts, settings);
    let youngest = stamp(settings.now.saturating_sub(RENEW));
    let is_young =
        |written: &str| youngest.as_str() < written && written <= stamp(settings.now).as_str();
    let previous = previous_stamp(settings.previous, &head, text.get(start..)?);
    (!previous.is_some_and(is_young)).then_some(text)
}

/// When the previous text was written, as a [`stamp`], if it has the same hosts.
fn previous_stamp<'p>(previous: &'p [u8], head: &str, body: &[u8]) -> Option<&'p str> {
    let line = previous.strip_prefix(head.as_bytes())?.strip_suffix(body)?;
    std::str::from_utf8(line).ok()?.strip_prefix("$TIMESTAMP ")?.split(' ').next()
}

/// Appends what comes after the time.
fn datasets(text: &mut Vec<u8>, hosts: &[Listed], settings: &Settings<'_>) {
    let _ = writeln!(text, "$SOA {TTL} localhost root.localhost 0 1h 10m 1w {TTL}");
    let _ = writeln!(text, "$NS {TTL} localhost\n$TTL {TTL}");
    let (v4, v6) = hosts.split_at(hosts.partition_point(|host| host.address.is_ipv4()));
    for (kind, test, hosts) in [("ip4trie", TEST_V4, v4), ("ip6trie", TEST_V6, v6)] {
        let _ = writeln!(text, "$DATASET {kind} @\n{test} :{}:{TEST}", value(Cause::Unknown));
        for host in hosts {
            let words = Words(host, settings.url).to_string();
            // A single dollar sign stands for the address.
            let words = words.replace('$', "$$");
            let _ = writeln!(text, "{} :{}:{words}", host.address, value(host.cause));
        }
    }
}

/// `2026:11:29:12:00:00`: stamps are in order of time.
fn stamp(time: i64) -> String {
    Date(time).to_string().trim_end_matches('Z').replace(['-', 'T'], ":")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOON, listed, text};
    use super::super::{Form, Url};
    use super::*;
    use crate::scan::Rule;

    #[test]
    fn both_families_have_a_dataset_with_a_test_entry() {
        let hosts =
            [listed("192.0.2.1", Cause::Rule(Rule::Helo)), listed("2001:db8::1", Cause::Hand)];
        let url = Url::parse("https://mx.example.org/$").unwrap();
        let settings = Settings { now: NOON, url: Some(&url), ..Settings::default() };
        let times = "Deferred from 2026-11-29T12:00:00Z until 2026-11-30T12:00:00Z";
        assert_eq!(
            text(Form::Rbldnsd, &hosts, &settings),
            format!(
                "# written by greytrapctl export\n\
                 $TIMESTAMP 2026:11:29:12:00:00 +14400s\n\
                 $SOA 300 localhost root.localhost 0 1h 10m 1w 300\n\
                 $NS 300 localhost\n$TTL 300\n\
                 $DATASET ip4trie @\n127.0.0.2 :2:Test entry\n\
                 192.0.2.1 :7:{times}: different names in HELO, see https://mx.example.org/$$\n\
                 $DATASET ip6trie @\n::ffff:7f00:2 :2:Test entry\n\
                 2001:db8::1 :3:{times}: decision of the postmaster, see https://mx.example.org/$$\n"
            )
        );
    }

    #[test]
    fn an_unchanged_text_is_renewed_before_it_expires() {
        let hosts = [listed("192.0.2.1", Cause::Hand)];
        let first = Settings { now: NOON, ..Settings::default() };
        let previous = Form::Rbldnsd.write(&hosts, &first).unwrap();
        for (age, is_renewed) in [(0, false), (RENEW - 1, false), (RENEW, true), (-1, true)] {
            let settings = Settings { now: NOON + age, previous: &previous, ..Settings::default() };
            let text = Form::Rbldnsd.write(&hosts, &settings);
            assert_eq!(text.is_some(), is_renewed, "{age}");
        }
        const { assert!(RENEW < EXPIRE) };
    }
}
