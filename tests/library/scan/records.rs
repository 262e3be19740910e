//! Records in memory, and verdicts as lines.

use greytrapper::config::Rules;
use greytrapper::db::{ByteOrder, Record};
use greytrapper::scan::{Portion, Report, Scan};
use greytrapper::spamd::Gdata;
use std::borrow::Cow;

/// The time around which the golden databases were made.
pub const NOW: i64 = 1_795_420_000;

/// A record with `pcount`, that expires in an hour.
pub fn record(key: impl Into<Vec<u8>>, pcount: i32) -> Record<'static> {
    let data = Gdata { first: NOW, pass: NOW, expire: NOW + 3600, bcount: 1, pcount };
    let value = data.encode(ByteOrder::NATIVE).to_vec();
    Record { key: Cow::Owned(key.into()), value: Cow::Owned(value) }
}

/// A tuple.
pub fn grey(address: &str, helo: &str, from: &str, to: &str) -> Record<'static> {
    record(format!("{address}\n{helo}\n{from}\n{to}"), 0)
}

/// What is trapped and why, by the offline rules: `address rule reason`.
pub fn traps(records: &[Record<'static>], rules: &Rules) -> Vec<String> {
    shown(&judge(records, rules))
}

/// A scan of these records without DNS.
pub fn judge<'r>(records: &[Record<'static>], rules: &'r Rules) -> Report<'r> {
    let records = records.iter().cloned().map(Ok);
    Scan::begin(records, ByteOrder::NATIVE, NOW, rules).unwrap().finish(None)
}

/// The traps of a report.
pub fn shown(report: &Report<'_>) -> Vec<String> {
    let line = |verdict: greytrapper::scan::Verdict| {
        format!("{} {} {}", verdict.address, verdict.rule.unwrap(), verdict.reason)
    };
    report.traps(Portion::None).map(line).collect()
}

/// The rules that judge by the database alone.
pub fn offline() -> Rules {
    Rules { identity: false, ..Rules::default() }
}
