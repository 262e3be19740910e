//! Records for tests, as spamd would have written them.

use super::{Report, Scan};
use crate::config::Rules;
use crate::db::{ByteOrder, Record};
use crate::spamd::Gdata;
use std::borrow::Cow;

/// The clock of all tests.
pub(super) const NOW: i64 = 1_795_420_000;

/// Any record.
pub(super) fn record(key: &str, expire: i64, pcount: i32) -> Record<'static> {
    let data = Gdata { first: NOW, pass: NOW, expire, bcount: 1, pcount };
    let value = data.encode(ByteOrder::NATIVE).to_vec();
    Record { key: Cow::Owned(key.as_bytes().to_vec()), value: Cow::Owned(value) }
}

/// A live tuple.
pub(super) fn grey(address: &str, helo: &str, from: &str, to: &str) -> Record<'static> {
    record(&format!("{address}\n{helo}\n{from}\n{to}"), NOW + 1, 0)
}

/// Tuples of one host with these senders, to a recipient of its own each.
pub(super) fn host(address: &str, helo: &str, senders: &[&str]) -> Vec<Record<'static>> {
    let numbered = senders.iter().enumerate();
    numbered.map(|(n, from)| grey(address, helo, from, &format!("<u{n}@ours.test>"))).collect()
}

/// A scan that has begun.
pub(super) fn scan<'r>(records: &[Record<'static>], rules: &'r Rules) -> Scan<'static, 'r> {
    Scan::begin(records.iter().cloned().map(Ok), ByteOrder::NATIVE, NOW, rules).unwrap()
}

/// `address rule reason` or `address - reason`, a line a verdict.
pub(super) fn lines(report: &Report<'_>) -> Vec<String> {
    let line = |verdict: super::Verdict<'_>| {
        let address = String::from_utf8_lossy(verdict.address()).into_owned();
        let rule = verdict.rule().map_or("-", |rule| rule.name());
        format!("{address} {rule} {}", verdict.reason())
    };
    report.verdicts().map(line).collect()
}
