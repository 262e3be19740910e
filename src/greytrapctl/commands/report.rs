//! `report`: what happened in a time, in a page of 80 columns for daily.local(5). Nothing is printed if
//! nothing happened.
#![forbid(unsafe_code)]

use super::history::{self, since};
use super::show;
use crate::control::status::{self, Fitness, Status};
use crate::date::Date;
use crate::escape::harmless;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::options::Format;
use crate::memory::{Deed, Query, Record};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// The usual time.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Columns of a line.
const WIDTH: usize = 80;
/// Releases that are listed one by one.
const LISTED: usize = 20;

/// What happened.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// From when on, in seconds since 1970.
    begin: i64,
    /// Traps set, by rule.
    trapped_by_rule: BTreeMap<String, u64>,
    /// Traps set by operators.
    trapped_by_hand: u64,
    /// Traps that were not set, since their rule is only observed.
    observed_by_rule: BTreeMap<String, u64>,
    /// Hosts that were whitelisted after their trap, by the rule that had trapped them.
    passed_by_rule: BTreeMap<String, u64>,
    /// Hosts whose identity DNS confirmed after their trap, by rule.
    confirmed_by_rule: BTreeMap<String, u64>,
    /// Hosts spared, by reason.
    spared_by_reason: BTreeMap<String, u64>,
    /// Traps ended by operators.
    released: Vec<Released>,
    /// Traps ended since `allow` covers their hosts.
    allowed_hosts: u64,
    /// Name servers that are not in use.
    unfit_name_servers: Vec<String>,
    /// The last failure, if it was in this time.
    last_failure: Option<status::Failure>,
}

/// A host that an operator has released.
#[derive(Debug, Serialize)]
struct Released {
    address: IpAddr,
    /// The rule that had trapped it in this time.
    rule: Option<String>,
    reason: String,
}

/// Asks the daemon at `socket`, and prints the report on the last 24 hours, or another time.
pub fn run(
    console: &mut Console<'_>,
    socket: &Path,
    time: Option<Duration>,
) -> Result<(), Failure> {
    let since = since(Some(time.unwrap_or(DAY)));
    let mut report = Report { begin: since, ..Report::default() };
    let query = Query { since, ..Query::default() };
    let mut rules = BTreeMap::new();
    history::ask(socket, query, |record| {
        report.add(record, &mut rules);
        Ok(())
    })?;
    report.add_status(*show::status(socket)?);
    match console.format {
        Format::Json => console.json(&report),
        Format::Text => console.put(|buffer| buffer.extend(report.to_string().bytes())),
    }
}

impl Report {
    /// Counts what is remembered; `rules` are those that trapped each host so far.
    fn add(&mut self, record: Record, rules: &mut BTreeMap<IpAddr, String>) {
        let Record { address: Some(address), deed, rule, reason, .. } = record else { return };
        let name = rule.unwrap_or_default();
        match deed {
            Deed::Trapped => {
                *self.trapped_by_rule.entry(name.clone()).or_default() += 1;
                rules.insert(address, name);
            }
            Deed::TrappedByHand => self.trapped_by_hand += 1,
            Deed::Observed => *self.observed_by_rule.entry(name).or_default() += 1,
            Deed::Spared => {
                // Behind the colon is what its rule has found.
                let why = reason.split(": ").next().unwrap_or_default();
                *self.spared_by_reason.entry(why.to_owned()).or_default() += 1;
            }
            Deed::Released => {
                self.released.push(Released { address, rule: rules.remove(&address), reason });
            }
            Deed::Allowed => self.allowed_hosts += 1,
            Deed::Passed => *self.passed_by_rule.entry(name).or_default() += 1,
            Deed::Confirmed => *self.confirmed_by_rule.entry(name).or_default() += 1,
            Deed::Started | Deed::Reloaded => {}
        }
    }

    fn add_status(&mut self, status: Status) {
        for server in status.name_servers {
            if let Fitness::Unfit(why) = server.fitness {
                self.unfit_name_servers.push(format!("{}: {why}", server.address));
            }
        }
        self.last_failure = status.last_failure.filter(|failure| failure.time >= self.begin);
    }

    fn is_empty(&self) -> bool {
        let counts = [&self.trapped_by_rule, &self.observed_by_rule, &self.spared_by_reason];
        let lists = self.released.is_empty() && self.unfit_name_servers.is_empty();
        let is_quiet = counts.iter().all(|counts| counts.is_empty()) && lists;
        is_quiet
            && (self.trapped_by_hand, self.allowed_hosts) == (0, 0)
            && self.last_failure.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        writeln!(f, "greytrapper since {}\n", Date(self.begin))?;
        table(f, "trapped", &self.trapped_by_rule)?;
        total(f, "trapped by hand", self.trapped_by_hand)?;
        table(f, "observed only", &self.observed_by_rule)?;
        table(f, "spared", &self.spared_by_reason)?;
        total(f, "released", self.released.len() as u64)?;
        for Released { address, rule, reason } in self.released.iter().take(LISTED) {
            let rule = rule.as_deref().unwrap_or("-");
            line(f, &format!("  {address}  {rule}  {}", harmless(reason)))?;
        }
        let unlisted = self.released.len().saturating_sub(LISTED);
        if unlisted > 0 {
            line(f, &format!("  and {unlisted} more"))?;
        }
        total(f, "in allow now", self.allowed_hosts)?;
        for server in &self.unfit_name_servers {
            line(f, &format!("name server not in use: {}", harmless(server)))?;
        }
        match &self.last_failure {
            Some(failure) => line(f, &format!("last failure: {}", harmless(&failure.text))),
            None => Ok(()),
        }
    }
}

fn table(f: &mut fmt::Formatter<'_>, name: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    total(f, name, counts.values().fold(0, |sum: u64, count| sum.saturating_add(*count)))?;
    for (name, count) in counts {
        let name: String = harmless(name).to_string().chars().take(WIDTH - 12).collect();
        writeln!(f, "  {name:<width$} {count:>8}", width = WIDTH - 12)?;
    }
    Ok(())
}

fn total(f: &mut fmt::Formatter<'_>, name: &str, count: u64) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    writeln!(f, "{name:<width$} {count:>8}", width = WIDTH - 10)
}

/// A line that is not longer than a terminal's.
fn line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "{}", text.chars().take(WIDTH).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::{Failure, NameServer};

    fn record(address: &str, deed: Deed, rule: Option<&str>, reason: &str) -> Record {
        let (address, rule) = (address.parse().ok(), rule.map(String::from));
        let (until, details, tuples) = (None, Vec::new(), Vec::new());
        Record {
            time: 5,
            address,
            deed,
            rule,
            reason: reason.into(),
            until,
            count: 1,
            details,
            tuples,
        }
    }

    #[test]
    fn a_quiet_day_is_no_news() {
        let mut report = Report::default();
        report.add(record("-", Deed::Started, None, ""), &mut BTreeMap::new());
        let failure = Some(Failure { time: -5, text: "long ago".into() });
        report.add_status(Status { last_failure: failure, ..Status::default() });
        assert_eq!(report.to_string(), "");
    }

    #[test]
    fn a_day_fits_into_eighty_columns() {
        let mut report = Report { begin: 1_795_420_010, ..Report::default() };
        let (long, mut rules) = ("x".repeat(200), BTreeMap::new());
        for (address, deed, rule, reason) in [
            ("192.0.2.1", Deed::Trapped, Some("helo"), ""),
            ("192.0.2.2", Deed::Trapped, Some("helo"), ""),
            ("192.0.2.3", Deed::Trapped, Some("dns"), ""),
            ("192.0.2.4", Deed::TrappedByHand, None, "by hand (root)"),
            ("192.0.2.5", Deed::Observed, Some("syntax"), ""),
            ("192.0.2.6", Deed::Spared, None, "identity confirmed: Host calls itself"),
            ("192.0.2.7", Deed::Spared, None, "identity confirmed"),
            ("192.0.2.8", Deed::Spared, None, long.as_str()),
            ("192.0.2.1", Deed::Released, None, "by hand (root)"),
            ("192.0.2.9", Deed::Released, None, long.as_str()),
            ("192.0.2.2", Deed::Allowed, None, "in allow"),
        ] {
            report.add(record(address, deed, rule, reason), &mut rules);
        }
        let unfit = NameServer {
            address: "[2001:db8::1]:53".parse().unwrap(),
            fitness: Fitness::Unfit("no answer".into()),
            round_trip: None,
            answers: 0,
            timeouts: 9,
        };
        let failure = Some(Failure { time: i64::MAX, text: long.clone() });
        let name_servers = vec![unfit];
        report.add_status(Status { last_failure: failure, name_servers, ..Status::default() });
        let text = report.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let words: Vec<_> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let shown: Vec<_> =
            words.iter().map(|line| line.chars().take(44).collect::<String>()).collect();
        let xs = "x".repeat(44);
        assert_eq!(
            shown,
            [
                "greytrapper since 2026-11-23T07:46:50Z",
                "",
                "trapped 3",
                "dns 1",
                "helo 2",
                "trapped by hand 1",
                "observed only 1",
                "syntax 1",
                "spared 3",
                "identity confirmed 2",
                xs.as_str(),
                "released 2",
                "192.0.2.1 helo by hand (root)",
                &format!("192.0.2.9 - {}", &xs[12..]),
                "in allow now 1",
                "name server not in use: [2001:db8::1]:53: no",
                &format!("last failure: {}", &xs[14..]),
            ]
        );
    }
}
