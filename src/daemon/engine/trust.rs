//! How often a rule was wrong: what it has trapped that proved good, see [`Book`].
//!
//! A rule that is wrong too often ([`WRONG`] hosts at least, and more than `suspend rule at`) is only observed
//! from then on, until a reload, which begins the count anew. A restart is none: it goes on with what is
//! remembered of the last 30 days.
#![forbid(unsafe_code)]

use crate::config::Config;
use crate::control::status::{Mode, RuleState};
use crate::memory::{Book, Deed, Record, RuleRecord, Span};
use crate::scan::Rule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Fewer wrong traps than this may be chance.
const WRONG: usize = 3;
/// The number of addresses in a message.
const SHOWN: usize = 10;
/// What is kept for later: more than happens until memory answers.
const EARLY: usize = 10_000;
/// How far back rules are judged, in seconds.
const JUDGED: i64 = 30 * 24 * 60 * 60;

/// See the module.
#[derive(Debug, Default)]
pub struct Trust {
    /// The share of wrong traps, in percent, that suspends a rule; `None` if none does.
    limit: Option<f64>,
    book: Book,
    suspended: Vec<Rule>,
    /// What happened before it was known what had happened before.
    early: Vec<Record>,
    has_news: bool,
}

/// What the next engine is to know.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TrustLegacy {
    book: Book,
    suspended: Vec<Rule>,
}

/// A rule that has just been suspended.
#[derive(Debug, PartialEq, Eq)]
pub struct Suspension {
    rule: Rule,
    record: RuleRecord,
}

impl Trust {
    /// Nothing is known yet.
    pub fn new(limit: Option<f64>) -> Trust {
        Trust { limit, ..Trust::default() }
    }

    /// Takes over what is remembered.
    pub fn recall(&mut self, book: Book) {
        self.book = book;
        let early = std::mem::take(&mut self.early);
        early.iter().for_each(|record| self.book.note(record));
        self.has_news = true;
    }

    /// Takes over what the engine before knew.
    pub fn inherit(&mut self, TrustLegacy { book, suspended }: TrustLegacy) {
        (self.book, self.suspended) = (book, suspended);
    }

    /// What the next engine is to know.
    pub fn legacy(&mut self) -> TrustLegacy {
        let (book, suspended) = (std::mem::take(&mut self.book), self.suspended.clone());
        TrustLegacy { book, suspended }
    }

    /// What rules have trapped.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Takes out the hosts that were trapped for a sender domain, in lower case, which has now been found good.
    pub fn take_trapped_for(&mut self, domain: &[u8]) -> BTreeSet<IpAddr> {
        self.book.take_trapped_for(domain)
    }

    /// Takes note of what happened; until `has_recalled` for later too.
    pub fn note(&mut self, record: &Record, has_recalled: bool) {
        if record.deed == Deed::Reloaded {
            self.suspended.clear();
        }
        self.book.note(record);
        self.has_news |= matches!(record.deed, Deed::Released | Deed::Passed | Deed::Confirmed);
        if !has_recalled && self.early.len() < EARLY {
            let tuples = record.tuples.iter().take(1).cloned().collect();
            self.early.push(Record { details: Vec::new(), tuples, ..record.clone() });
        }
    }

    /// Forgets what was too long before `now`, in seconds since 1970.
    pub fn age(&mut self, now: i64) {
        self.book.forget(now.saturating_sub(JUDGED));
    }

    /// Whether a rule is suspended.
    pub fn is_suspended(&self, rule: Rule) -> bool {
        self.suspended.contains(&rule)
    }

    /// Suspends the rules that were wrong too often.
    pub fn suspend(&mut self) -> Vec<Suspension> {
        let (true, Some(limit)) = (std::mem::take(&mut self.has_news), self.limit) else {
            return Vec::new();
        };
        let open = Rule::ALL.into_iter().filter(|rule| !self.suspended.contains(rule));
        let records = open.map(|rule| {
            let record = self.book.record_of(rule.name(), Span::SinceReload);
            Suspension { rule, record }
        });
        let wrong: Vec<_> = records.filter(|found| found.is_due(limit)).collect();
        self.suspended.extend(wrong.iter().map(|found| found.rule));
        wrong
    }

    /// How every rule is.
    pub fn states(&self, config: &Config) -> Vec<RuleState> {
        Rule::ALL.into_iter().map(|rule| self.state(rule, config)).collect()
    }

    fn state(&self, rule: Rule, config: &Config) -> RuleState {
        let RuleRecord { trapped, released, passed, confirmed, wrong } =
            self.book.record_of(rule.name(), Span::All);
        let mode = match (rule.is_on(config), self.is_suspended(rule)) {
            (false, _) => Mode::Off,
            (true, true) => Mode::Suspended,
            (true, false) if config.observe.contains(&rule.name()) => Mode::Observed,
            (true, false) => Mode::On,
        };
        let wrong = wrong.into_iter().take(SHOWN).collect();
        RuleState { rule, mode, trapped, released, passed, confirmed, wrong }
    }
}

impl Suspension {
    fn is_due(&self, limit: f64) -> bool {
        let RuleRecord { trapped, wrong, .. } = &self.record;
        wrong.len() >= WRONG && 100.0 * wrong.len() as f64 / *trapped as f64 > limit
    }
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Suspension { rule, record } = self;
        let RuleRecord { trapped, released, passed, confirmed, wrong } = record;
        let count = wrong.len();
        write!(f, "rule {rule} suspended: {count} of {trapped} hosts that it trapped proved good")?;
        let counts = [
            (*released, "released"),
            (*passed, "whitelisted afterwards"),
            (*confirmed, "confirmed by DNS"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, how)| format!("{count} {how}")).collect();
        write!(f, ", {}", counts.join(", "))?;
        let shown: Vec<_> = wrong.iter().take(SHOWN).map(IpAddr::to_string).collect();
        write!(f, " ({}", shown.join(", "))?;
        if count > SHOWN {
            f.write_str(", ...")?;
        }
        f.write_str("); it is only observed until a reload")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(host: u8, deed: Deed, rule: Option<Rule>) -> Record {
        Record {
            time: 1,
            address: Some(IpAddr::from([192, 0, 2, host])),
            deed,
            rule: rule.map(|rule| rule.name().into()),
            reason: String::new(),
            until: Some(86_401),
            count: 1,
            details: Vec::new(),
            tuples: Vec::new(),
        }
    }

    /// What follows from something that happened to a host.
    fn after(trust: &mut Trust, host: u8, deed: Deed, rule: Option<Rule>) -> Vec<String> {
        trust.note(&record(host, deed, rule), true);
        trust.suspend().iter().map(Suspension::to_string).collect()
    }

    fn ten_traps(rule: Rule) -> Trust {
        let mut trust = Trust::new(Some(1.0));
        (1..=10).for_each(|host| trust.note(&record(host, Deed::Trapped, Some(rule)), true));
        trust
    }

    const NOTHING: [String; 0] = [];

    #[test]
    fn three_releases_of_ten_traps_suspend_a_rule() {
        let mut trust = ten_traps(Rule::Helo);
        for host in [1, 2, 2] {
            assert_eq!(after(&mut trust, host, Deed::Released, None), NOTHING);
        }
        assert!(!trust.is_suspended(Rule::Helo));
        assert_eq!(
            after(&mut trust, 3, Deed::Released, None),
            ["rule helo suspended: 3 of 10 hosts that it trapped proved good, 3 released \
              (192.0.2.1, 192.0.2.2, 192.0.2.3); it is only observed until a reload"]
        );
        assert!(trust.is_suspended(Rule::Helo) && !trust.is_suspended(Rule::Dns));
        assert_eq!(after(&mut trust, 4, Deed::Released, None), NOTHING, "said once");
        let state = |trust: &Trust| trust.state(Rule::Helo, &Config::default());
        assert_eq!((state(&trust).mode, state(&trust).released), (Mode::Suspended, 4));
        assert_eq!(after(&mut trust, 0, Deed::Reloaded, None), NOTHING);
        assert_eq!((state(&trust).mode, state(&trust).released), (Mode::On, 4));
    }

    #[test]
    fn what_passes_afterwards_or_is_confirmed_counts_too() {
        let mut trust = ten_traps(Rule::Dns);
        assert_eq!(after(&mut trust, 1, Deed::Passed, Some(Rule::Dns)), NOTHING);
        assert_eq!(after(&mut trust, 2, Deed::Confirmed, Some(Rule::Dns)), NOTHING);
        let told = after(&mut trust, 3, Deed::Passed, Some(Rule::Dns));
        let counts = "proved good, 2 whitelisted afterwards, 1 confirmed by DNS (192.0.2.1,";
        assert!(told[0].contains(counts), "{told:?}");
    }

    #[test]
    fn a_small_share_is_chance() {
        let many = |trust: &mut Trust| {
            for n in 0..300u16 {
                let [a, b] = n.to_be_bytes();
                let address = Some(IpAddr::from([10, 0, a, b]));
                let record = record(0, Deed::Trapped, Some(Rule::Dns));
                trust.note(&Record { address, ..record }, true);
            }
        };
        let release = |trust: &mut Trust, host: u8| {
            let address = Some(IpAddr::from([10, 0, 0, host]));
            trust.note(&Record { address, ..record(0, Deed::Released, None) }, true);
            trust.suspend().len()
        };
        let mut trust = Trust::new(Some(1.0));
        many(&mut trust);
        assert_eq!([1, 2, 3].map(|host| release(&mut trust, host)), [0; 3], "1 % is not more");
        assert_eq!(release(&mut trust, 4), 1);
        let mut never = Trust::new(None);
        many(&mut never);
        assert!((0..100).all(|host| release(&mut never, host) == 0));
    }

    /// A restart goes on; what was done before memory has answered counts.
    #[test]
    fn what_is_remembered_suspends_a_rule_again() {
        let mut book = Book::default();
        for host in 1..=10 {
            book.note(&record(host, Deed::Trapped, Some(Rule::Helo)));
        }
        [1, 2].iter().for_each(|host| book.note(&record(*host, Deed::Released, None)));
        let mut trust = Trust::new(Some(1.0));
        trust.note(&record(0, Deed::Started, None), false);
        trust.note(&record(3, Deed::Released, None), false);
        assert_eq!(trust.suspend().len(), 0);
        trust.recall(book.clone());
        assert_eq!(trust.suspend().len(), 1);
        let mut next = Trust::new(Some(1.0));
        next.inherit(trust.legacy());
        assert!(next.is_suspended(Rule::Helo) && next.suspend().is_empty());
        // But not after a reload, wherever it is remembered.
        let reload = Record { address: None, ..record(0, Deed::Reloaded, None) };
        book.note(&record(3, Deed::Released, None));
        book.note(&reload);
        let mut trust = Trust::new(Some(1.0));
        trust.recall(book);
        assert_eq!(trust.suspend().len(), 0);
    }
}
