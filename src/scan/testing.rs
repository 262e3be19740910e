//! Records for tests, as spamd would write them, and answers.

use super::answers::{
    Answers, Bad, Confirmation, DomainVerdict, Exemption, Ground, Listed, SpfResult,
};
use super::{Portion, Report, Scan};
use crate::config::Rules;
use crate::config::rules::Hosts;
use crate::db::{ByteOrder, Record};
use crate::dns::failure::Failure;
use crate::dns::verdict::Good;
use crate::spamd::Gdata;
use regex::bytes::Regex;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

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

/// Six senders in three domains.
pub(super) const SIX_SENDERS: [&str; 6] = [
    "<a@x.example>",
    "<b@x.example>",
    "<c@y.example>",
    "<d@y.example>",
    "<e@z.example>",
    "<f@z.example>",
];

/// Confirms names that begin with `yes.`, denies those with `no.`; all others are unknown. Hosts in 10.1/16
/// have a name of their own, of those in 10.2/16 it is unknown, others have none.
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
            Some(b"late") => DomainVerdict::Unknown(Failure::Deadline),
            _ => DomainVerdict::Good(Good::Mx),
        })
    }

    fn reverse(&self, address: IpAddr) -> (Confirmation, Option<&[u8]>) {
        match address {
            IpAddr::V4(v4) if v4.octets().starts_with(&[10, 1]) => {
                (Confirmation::Confirmed, Some(b"mx.own.example"))
            }
            IpAddr::V4(v4) if v4.octets().starts_with(&[10, 2]) => (Confirmation::Unknown, None),
            _ => (Confirmation::NotConfirmed, None),
        }
    }

    fn is_gone(&self, _: IpAddr, name: &str) -> bool {
        name.contains(".gone.")
    }

    /// No domain vouches for anybody, except by its beginning.
    fn exemption(&self, _: IpAddr, domain: &[u8]) -> Exemption {
        match domain.split(|byte| *byte == b'.').next() {
            Some(b"vouches") => Exemption::Exempt(Ground::Mx),
            Some(b"maybe") => Exemption::Unknown,
            _ => Exemption::NotExempt,
        }
    }

    /// By a label of the domain.
    fn spf(&self, _: IpAddr, domain: &[u8]) -> Option<SpfResult> {
        let has = |label: &[u8]| domain.split(|byte| *byte == b'.').any(|other| other == label);
        match () {
            () if has(b"vouches") || has(b"maybe") => None,
            () if has(b"fail") => Some(SpfResult::Fail),
            () if has(b"softfail") => Some(SpfResult::SoftFail),
            () if has(b"temp") => Some(SpfResult::TempError),
            () => Some(SpfResult::None),
        }
    }

    /// By the first label of the list.
    fn listed(&self, _: IpAddr, zone: &str) -> Option<Listed> {
        let answers = |last| Some(Listed::Answers(vec![Ipv4Addr::new(127, 0, 0, last)]));
        match zone.split_once('.')?.0 {
            "two" => answers(2),
            "nine" => answers(9),
            "none" => Some(Listed::Nothing),
            "aside" => Some(Listed::Aside),
            "dunno" => Some(Listed::Unknown),
            _ => None,
        }
    }

    /// Everybody exists except those who left.
    fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        Some(!address.starts_with(b"left"))
    }
}

/// Rules that need no DNS, none that judges who a host is, with a recipient to whom only spammers write.
pub(super) fn rules() -> Rules {
    let mut rules = Rules {
        identity: false,
        sender_dns: false,
        helo_address: false,
        helo_dynamic: false,
        stranger: false,
        check_rcpt_for: Hosts::Suspect,
        ..Rules::default()
    };
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

/// Rules that judge who a host is, and no others.
pub(super) fn letter_rules() -> Rules {
    Rules {
        identity: true,
        helo_address: true,
        helo_dynamic: true,
        stranger: true,
        crowd: true,
        max_helo_names: None,
        ..rules()
    }
}

/// The verdicts of these rules with the answers of the [`Oracle`].
pub(super) fn letters(records: &[Record<'static>], rules: &Rules) -> Vec<String> {
    lines(&scan(records, rules).finish(Some(&Oracle)))
}
