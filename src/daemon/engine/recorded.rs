//! Verdicts as records for the memory, and back; counters by name.
#![forbid(unsafe_code)]

use crate::control::protocol::{Explained, Span, Standing};
use crate::control::status::{ByRule, Totals};
use crate::memory::{Counter, Deed, Record, Tuple};
use crate::scan::{Evidence, Rule, Verdict, What};
use crate::spamd::{self, Address};
use std::net::IpAddr;

/// Makes the record of a verdict.
pub fn record(deed: Deed, verdict: &Verdict, time: i64, until: Option<i64>) -> Record {
    let tuples = verdict.evidence.tuples().map(|tuple| Tuple {
        helo: tuple.helo.into(),
        from: tuple.from.into(),
        to: tuple.to.into(),
    });
    Record {
        time,
        address: Some(verdict.address.ip()),
        deed,
        rule: verdict.rule.map(|rule| rule.name().into()),
        reason: verdict.reason.clone().into_owned(),
        until,
        count: verdict.evidence.count,
        details: verdict.evidence.details(),
        tuples: tuples.collect(),
    }
}

/// Makes a record about a host or the daemon that has no verdict.
pub fn event(deed: Deed, address: Option<IpAddr>, reason: &str, time: i64) -> Record {
    let (rule, until, details) = (None, None, Vec::new());
    let reason = reason.into();
    Record { time, address, deed, rule, reason, until, count: 0, details, tuples: Vec::new() }
}

/// Why a host was trapped, from the record of the trap; `None` for any other record.
pub fn explained(record: &Record) -> Option<Explained> {
    let address = Address::from(record.address.filter(|_| record.deed.is_trap() == Some(true))?);
    let tuples = record.tuples.iter().map(|Tuple { helo, from, to }| spamd::Tuple {
        address: address.key(),
        helo,
        from,
        to,
    });
    let evidence = Evidence::recall(record.count, &record.details, tuples);
    let rule = record.rule.as_ref().and_then(|name| Rule::named(name));
    let reason = record.reason.clone().into();
    let verdict = Verdict { address, what: What::Trap, rule, reason, evidence };
    let first = record.time;
    let standing = standing(record.until.map(|expire| Span { first, expire }));
    Some(Explained { judged: record.time, verdict, standing })
}

/// What the database says of a host that was trapped, as far as it is known without looking.
pub fn standing(trap: Option<Span>) -> Standing {
    Standing { trap, ..Standing::default() }
}

/// The prefixes of the names of counters by rule.
const TRAPPED: &str = "trapped.";
const OBSERVED: &str = "observed.";

/// The sums by name.
pub fn counters(totals: &Totals) -> Vec<Counter> {
    let mut copy = totals.clone();
    let plain = fields(&mut copy).map(|(name, value)| (name.to_owned(), *value));
    let trapped = totals.trapped.iter().map(|(rule, count)| (format!("{TRAPPED}{rule}"), count));
    let observed = totals.observed.iter();
    let observed = observed.map(|(rule, count)| (format!("{OBSERVED}{rule}"), count));
    plain.into_iter().chain(trapped).chain(observed).collect()
}

/// The prefix of the names of the counters at the beginning of a day, and the name of its number.
const BEGIN: &str = "begin.";
const DAY: &str = "day";

/// Adds a day since 1970 and the sums at its beginning.
pub fn with_day(counters: Vec<Counter>, (day, begin): (i64, &Totals)) -> Vec<Counter> {
    let begin = self::counters(begin).into_iter();
    let begin = begin.map(|(name, value)| (format!("{BEGIN}{name}"), value));
    let day = (DAY.into(), u64::try_from(day).unwrap_or_default());
    counters.into_iter().chain(begin).chain([day]).collect()
}

/// The sums at the beginning of this day since 1970, if they were counted.
pub fn begin_of(counters: &[Counter], day: i64) -> Option<Totals> {
    let is_day = |(name, value): &&Counter| name == DAY && i64::try_from(*value) == Ok(day);
    counters.iter().find(is_day)?;
    let begin = counters
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(BEGIN)?.to_owned(), *value)));
    let mut totals = Totals::default();
    add(&mut totals, &begin.collect::<Vec<_>>());
    Some(totals)
}

/// Adds sums of an earlier daemon. Those of rules that no longer exist are left out.
pub fn add(totals: &mut Totals, counters: &[Counter]) {
    for (name, count) in counters {
        if let Some(rule) = name.strip_prefix(TRAPPED) {
            add_named(&mut totals.trapped, rule, *count);
        } else if let Some(rule) = name.strip_prefix(OBSERVED) {
            add_named(&mut totals.observed, rule, *count);
        } else if let Some((_, value)) = fields(totals).into_iter().find(|(field, _)| field == name)
        {
            *value = value.saturating_add(*count);
        }
    }
}

fn add_named(counts: &mut ByRule, rule: &str, count: u64) {
    if let Some(rule) = Rule::named(rule) {
        counts.add(rule, count);
    }
}

fn fields(totals: &mut Totals) -> [(&'static str, &mut u64); 8] {
    [
        ("scans", &mut totals.scans),
        ("failed_scans", &mut totals.failed_scans),
        ("trapped_by_hand", &mut totals.trapped_by_hand),
        ("released", &mut totals.released),
        ("domains.good", &mut totals.domains.good),
        ("domains.bad", &mut totals.domains.bad),
        ("domains.unknown", &mut totals.domains.unknown),
        ("domains.not_asked", &mut totals.domains.not_asked),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Written;

    #[test]
    fn a_trap_is_the_same_when_it_is_recalled() {
        let address = Address::parse(b"192.0.2.1").unwrap();
        let tuple = spamd::Tuple { address: address.key(), helo: b"h", from: b"<>", to: b"<\xff>" };
        let mut evidence = Evidence::new(7, [tuple].into_iter());
        let written = Written { statement: "trap rcpt".into(), origin: None };
        evidence.statements.push(written);
        let (rule, reason) = (Some(Rule::Helo), "a reason".into());
        let verdict = Verdict { address, what: What::Trap, rule, reason, evidence };
        let kept = record(Deed::Trapped, &verdict, 5, Some(10));
        let standing = standing(Some(Span { first: 5, expire: 10 }));
        assert_eq!(explained(&kept), Some(Explained { judged: 5, verdict, standing }));
        let foreign = Record { details: b"\x02else".to_vec(), ..kept.clone() };
        assert!(explained(&foreign).unwrap().verdict.evidence.statements.is_empty());
        let other = Record { rule: Some("gone".into()), ..kept.clone() };
        assert_eq!(explained(&other).unwrap().verdict.rule, None);
        assert_eq!(explained(&Record { deed: Deed::Released, ..kept }), None);
    }

    #[test]
    fn sums_are_the_same_when_they_are_recalled() {
        let mut totals = Totals { scans: 1, failed_scans: 2, released: 3, ..Totals::default() };
        totals.domains.not_asked = u64::MAX;
        totals.trapped.add(Rule::Dns, 9);
        totals.observed.add(Rule::Helo, 4);
        let begin = Totals { scans: 7, ..Totals::default() };
        let both = with_day(counters(&totals), (20_000, &begin));
        assert_eq!(begin_of(&both, 20_000), Some(begin));
        assert_eq!(begin_of(&both, 20_001), None);
        let mut alone = Totals::default();
        add(&mut alone, &both);
        assert_eq!(alone, totals);
        let mut counters = counters(&totals);
        counters.extend([("trapped.gone".into(), 5), ("gone".into(), 6)]);
        let mut recalled = Totals::default();
        add(&mut recalled, &counters);
        assert_eq!(recalled, totals);
        add(&mut recalled, &counters);
        assert_eq!((recalled.scans, recalled.domains.not_asked), (2, u64::MAX));
        assert_eq!(recalled.trapped.total(), 18);
    }
}
