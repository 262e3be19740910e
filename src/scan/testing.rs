//! Records for tests, as spamd would write them, and answers.

use super::answers::{Answers, Bad, Confirmation, DomainVerdict};
use super::{Portion, Report, Scan};
use crate::config::Rules;
use crate::db::{ByteOrder, Record};
use crate::dns::failure::Failure;
use crate::dns::verdict::Good;
use crate::spamd::Gdata;
use regex::bytes::Regex;
use std::borrow::Cow;
use std::net::IpAddr;

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

/// Tuples of one host with these senders, each to a different recipient.
pub(super) fn host(address: &str, helo: &str, senders: &[&str]) -> Vec<Record<'static>> {
    let numbered = senders.iter().enumerate();
    numbered.map(|(n, from)| grey(address, helo, from, &format!("<u{n}@ours.test>"))).collect()
}

/// A scan that has begun.
pub(super) fn scan<'r>(records: &[Record<'static>], rules: &'r Rules) -> Scan<'r> {
    Scan::begin(records.iter().cloned().map(Ok), ByteOrder::NATIVE, NOW, rules).unwrap()
}

/// A line for each verdict: `address rule reason`, or `address - reason` if the host passes.
pub(super) fn lines(report: &Report<'_>) -> Vec<String> {
    let line = |verdict: super::Verdict| {
        let rule = verdict.trapping_rule();
        let rule = rule.map_or("-", |rule| rule.name());
        format!("{} {rule} {}", verdict.address, verdict.reason)
    };
    report.verdicts(Portion::None).map(line).collect()
}

/// Senders in six domains.
pub(super) const SIX_DOMAINS: [&str; 6] = [
    "<a@a.example>",
    "<a@b.example>",
    "<a@c.example>",
    "<a@d.example>",
    "<a@e.example>",
    "<a@f.example>",
];

/// Six senders in one domain.
pub(super) const SIX_SENDERS: [&str; 6] = [
    "<a@x.example>",
    "<b@x.example>",
    "<c@x.example>",
    "<d@x.example>",
    "<e@x.example>",
    "<f@x.example>",
];

/// Confirms names that begin with `yes.`, denies those with `no.`; all others are unknown.
pub(super) struct Oracle;

impl Answers for Oracle {
    fn helo(&self, _: IpAddr, name: &str) -> Confirmation {
        match name.split_once('.') {
            Some(("yes", _)) => Confirmation::Confirmed,
            Some(("no", _)) => Confirmation::NotConfirmed,
            _ => Confirmation::Unknown,
        }
    }

    /// Domains are bad or unknown by their beginning.
    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        Some(match domain.split(|byte| *byte == b'.').next() {
            Some(b"gone") => DomainVerdict::Bad(Bad::NxDomain),
            Some(b"null") => DomainVerdict::Bad(Bad::NullMx),
            Some(b"dunno") => DomainVerdict::Unknown(Failure::Timeout),
            _ => DomainVerdict::Good(Good::Mx),
        })
    }

    /// Everybody exists except those who left.
    fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        Some(!address.starts_with(b"left"))
    }
}

/// Rules that need no DNS, with a recipient to whom only spammers write.
pub(super) fn rules() -> Rules {
    let mut rules = Rules { identity: false, sender_dns: false, ..Rules::default() };
    rules.rcpt.trap = vec![Regex::new("(?i)@old\\.test$").unwrap()];
    rules
}

/// The verdicts without answers.
pub(super) fn verdicts(records: &[Record<'static>], rules: &Rules) -> Vec<String> {
    lines(&scan(records, rules).finish(None))
}

/// The verdicts with the answers of the [`Oracle`].
pub(super) fn asked(records: &[Record<'static>]) -> Vec<String> {
    let rules = Rules { identity: true, sender_dns: true, ..rules() };
    lines(&scan(records, &rules).finish(Some(&Oracle)))
}
