//! `report`: what happened in a time, in a page of 80 columns for daily.local(5). Nothing is printed if
//! nothing happened.
#![forbid(unsafe_code)]

use super::history::since;
use super::show;
use crate::control::client::Answer;
use crate::control::protocol::{Reply, Request};
use crate::control::status::{Fitness, Status};
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
    since: i64,
    /// Traps set, by rule.
    trapped: BTreeMap<String, u64>,
    /// Traps set by operators.
    trapped_by_hand: u64,
    /// Traps that were not set, since their rule is only observed.
    observed: BTreeMap<String, u64>,
    /// Hosts spared, by reason.
    spared: BTreeMap<String, u64>,
    /// Traps ended by operators.
    released: Vec<Released>,
    /// Traps ended since `allow` covers their hosts.
    allowed: u64,
    /// Name servers that are not in use.
    unfit_name_servers: Vec<String>,
    /// The last failure, if it was in this time.
    failure: Option<String>,
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
    let mut report = Report { since, ..Report::default() };
    let query = Query { since, ..Query::default() };
    let mut answer = Answer::to(&Request::History(query), socket)?;
    let mut rules = BTreeMap::new();
    while let Some(reply) = answer.part()? {
        let Reply::Record(record) = reply else { return Err(answer.unexpected().into()) };
        report.add(record, &mut rules);
    }
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
                *self.trapped.entry(name.clone()).or_default() += 1;
                rules.insert(address, name);
            }
            Deed::TrappedByHand => self.trapped_by_hand += 1,
            Deed::Observed => *self.observed.entry(name).or_default() += 1,
            Deed::Spared => {
                // Behind the colon is what its rule has found.
                let why = reason.split(": ").next().unwrap_or_default();
                *self.spared.entry(why.to_owned()).or_default() += 1;
            }
            Deed::Released => {
                self.released.push(Released { address, rule: rules.remove(&address), reason });
            }
            Deed::Allowed => self.allowed += 1,
            Deed::Started | Deed::Reloaded => {}
        }
    }

    fn add_status(&mut self, status: Status) {
        for server in status.name_servers {
            if let Fitness::Unfit(why) = server.fitness {
                self.unfit_name_servers.push(format!("{}: {why}", server.address));
            }
        }
        let failure = status.last_failure.filter(|failure| failure.time >= self.since);
        self.failure = failure.map(|failure| failure.text);
    }

    fn is_empty(&self) -> bool {
        let Report { trapped, observed, spared, released, unfit_name_servers, .. } = self;
        let is_quiet = trapped.is_empty() && observed.is_empty() && spared.is_empty();
        let is_untouched = released.is_empty() && self.trapped_by_hand == 0 && self.allowed == 0;
        is_quiet && is_untouched && unfit_name_servers.is_empty() && self.failure.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        writeln!(f, "greytrapper since {}\n", Date(self.since))?;
        table(f, "trapped", &self.trapped)?;
        total(f, "trapped by hand", self.trapped_by_hand)?;
        table(f, "observed only", &self.observed)?;
        table(f, "spared", &self.spared)?;
        total(f, "released", self.released.len() as u64)?;
        for Released { address, rule, reason } in self.released.iter().take(LISTED) {
            let rule = rule.as_deref().unwrap_or("-");
            line(f, &format!("  {address}  {rule}  {}", harmless(reason)))?;
        }
        let unlisted = self.released.len().saturating_sub(LISTED);
        if unlisted > 0 {
            line(f, &format!("  and {unlisted} more"))?;
        }
        total(f, "in allow now", self.allowed)?;
        for server in &self.unfit_name_servers {
            line(f, &format!("name server not in use: {}", harmless(server)))?;
        }
        match &self.failure {
            Some(failure) => line(f, &format!("last failure: {}", harmless(failure))),
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
        let (until, answer, tuples) = (None, None, Vec::new());
        Record {
            time: 5,
            address,
            deed,
            rule,
            reason: reason.into(),
            until,
            count: 1,
            answer,
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
        let mut report = Report { since: 1_795_420_010, ..Report::default() };
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
