//! How often a rule was wrong: how many hosts that it trapped an operator has released.
//!
//! A rule that is wrong too often (at least [`WRONG`] hosts, and more than `suspend rule at`) is only observed
//! until a reload, which starts the count again. After a restart the count continues with what is remembered
//! of the last 30 days, and the next release acts on it.
#![forbid(unsafe_code)]

use crate::memory::RuleRecord;
use crate::scan::Rule;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

/// Fewer wrong traps than this may be chance.
const WRONG: usize = 3;
/// The number of addresses in a message.
const SHOWN: usize = 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Trust {
    /// The share of wrong traps, in percent, that suspends a rule; `None` if none does.
    limit: Option<f64>,
    records: HashMap<Rule, (u64, BTreeSet<IpAddr>)>,
    suspended: Vec<Rule>,
}

/// A rule that has just been suspended.
#[derive(Debug, PartialEq, Eq)]
pub struct Suspension {
    rule: Rule,
    trapped: u64,
    wrong: Vec<IpAddr>,
}

impl Trust {
    /// Nothing counted yet.
    pub fn new(limit: Option<f64>) -> Trust {
        Trust { limit, ..Trust::default() }
    }

    /// Takes over the counts that are remembered.
    pub fn recall(&mut self, records: Vec<RuleRecord>) {
        for RuleRecord { rule, trapped, wrong } in records {
            let Some(rule) = Rule::named(&rule) else { continue };
            let (sum, all) = self.records.entry(rule).or_default();
            *sum = sum.saturating_add(trapped);
            all.extend(wrong);
        }
    }

    /// Whether a rule is suspended.
    pub fn is_suspended(&self, rule: Rule) -> bool {
        self.suspended.contains(&rule)
    }

    /// Counts a trap of a rule.
    pub fn trapped(&mut self, rule: Rule) {
        let (sum, _) = self.records.entry(rule).or_default();
        *sum = sum.saturating_add(1);
    }

    /// Counts the release of a host that a rule trapped; returns the rule if that suspends it.
    pub fn released(&mut self, rule: Rule, address: IpAddr) -> Option<Suspension> {
        let (trapped, wrong) = self.records.entry(rule).or_default();
        wrong.insert(address);
        let share = 100.0 * wrong.len() as f64 / *trapped as f64;
        let is_too_much = wrong.len() >= WRONG && self.limit.is_some_and(|limit| share > limit);
        if !is_too_much || self.suspended.contains(&rule) {
            return None;
        }
        self.suspended.push(rule);
        let wrong = wrong.iter().copied().collect();
        Some(Suspension { rule, trapped: *trapped, wrong })
    }
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Suspension { rule, trapped, wrong } = self;
        let count = wrong.len();
        write!(
            f,
            "rule {rule} suspended: {count} of {trapped} hosts that it trapped were released"
        )?;
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

    fn host(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[test]
    fn three_releases_of_ten_traps_suspend_a_rule() {
        let mut trust = Trust::new(Some(1.0));
        (0..10).for_each(|_| trust.trapped(Rule::Helo));
        (0..10).for_each(|_| trust.trapped(Rule::Dns));
        assert_eq!(trust.released(Rule::Helo, host(1)), None);
        assert_eq!(trust.released(Rule::Helo, host(2)), None);
        assert_eq!(trust.released(Rule::Helo, host(2)), None, "one host counts once");
        assert!(!trust.is_suspended(Rule::Helo));
        let suspension = trust.released(Rule::Helo, host(3)).unwrap();
        assert_eq!(
            suspension.to_string(),
            "rule helo suspended: 3 of 10 hosts that it trapped were released (192.0.2.1, \
             192.0.2.2, 192.0.2.3); it is only observed until a reload"
        );
        assert!(trust.is_suspended(Rule::Helo) && !trust.is_suspended(Rule::Dns));
        assert_eq!(trust.released(Rule::Helo, host(4)), None, "said once");
    }

    #[test]
    fn a_small_share_is_chance() {
        let mut trust = Trust::new(Some(1.0));
        let wrong = vec![host(1), host(2)];
        let gone = RuleRecord { rule: "gone".into(), trapped: 5, wrong: Vec::new() };
        trust.recall(vec![RuleRecord { rule: "dns".into(), trapped: 300, wrong }, gone]);
        assert_eq!(trust.released(Rule::Dns, host(3)), None, "1 % is not more than 1 %");
        assert!(trust.released(Rule::Dns, host(4)).is_some());
        let mut never = Trust::new(None);
        assert!((1..100).all(|n| never.released(Rule::Dns, host(n)).is_none()));
    }
}
