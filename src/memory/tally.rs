//! How often each rule was wrong.

use super::error::Error;
use super::key::{self, Place, VERDICTS};
use super::record::{self, Deed, RuleRecord};
use super::store::Store;
use redb::ReadableDatabase;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

impl Store {
    /// What each rule has trapped since a time, and which of these hosts were released while it was its trap.
    ///
    /// # Errors
    /// Those of the file.
    pub fn rule_records(&self, since: i64) -> Result<Vec<RuleRecord>, Error> {
        let transaction = self.database.begin_read()?;
        let verdicts = transaction.open_table(VERDICTS)?;
        let mut rules: BTreeMap<String, (u64, BTreeSet<IpAddr>)> = BTreeMap::new();
        let mut last: HashMap<IpAddr, String> = HashMap::new();
        for entry in verdicts.range::<&Place>(&key::place(since, 0)..)? {
            let (place, verdict) = entry?;
            let time = key::time(place.value());
            let Some(record) = record::decode(time, verdict.value(), None) else { continue };
            let Some(address) = record.address else { continue };
            match (record.deed, record.rule) {
                (Deed::Trapped, Some(rule)) => {
                    let (trapped, _) = rules.entry(rule.clone()).or_default();
                    *trapped = trapped.saturating_add(1);
                    last.insert(address, rule);
                }
                (Deed::Released, _) => {
                    if let Some(rule) = last.remove(&address) {
                        rules.entry(rule).or_default().1.insert(address);
                    }
                }
                (Deed::TrappedByHand | Deed::Allowed, _) => drop(last.remove(&address)),
                _ => {}
            }
        }
        let record = |(rule, (trapped, wrong)): (String, (u64, BTreeSet<IpAddr>))| RuleRecord {
            rule,
            trapped,
            wrong: wrong.into_iter().collect(),
        };
        Ok(rules.into_iter().map(record).collect())
    }
}
