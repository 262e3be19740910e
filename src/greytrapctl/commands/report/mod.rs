//! `report`: what happened in a time, for daily.local(5). Nothing is printed if nothing happened.
//!
//! In: what the daemon remembers, and its state. Out: a [`Report`], which is printed as text or JSON, or written
//! as a page.
#![forbid(unsafe_code)]

mod page;
mod text;

use super::history::{self, since};
use super::{show, suggest};
use crate::control::status::{self, Mode, RuleState, Status, Trouble};
use crate::escape::escaped;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::options::Format;
use crate::greytrapctl::output::Output;
use crate::memory::{Deed, Query, Record, Suggestion};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// The usual time.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: i64 = 60 * 60;

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
    /// Recipients that could be spamtraps, if strangers have written to them only since the beginning.
    new_recipients: Vec<NewRecipient>,
    /// What was done in each hour in which something was.
    hours: Vec<Hour>,
    /// Rules that were wrong in the last 30 days, or are suspended.
    rules: Vec<RuleState>,
    /// What does not work at present.
    troubles: Vec<Trouble>,
    /// The last failure, if it was in this time.
    last_failure: Option<status::Failure>,
}

/// What was done in an hour.
#[derive(Debug, Serialize)]
struct Hour {
    /// Its beginning, in seconds since 1970.
    time: i64,
    /// Traps set, by rule.
    trapped_by_rule: BTreeMap<String, u64>,
    /// Traps that were not set, since their rule is only observed.
    observed_by_rule: BTreeMap<String, u64>,
}

/// A recipient that could be a spamtrap.
#[derive(Debug, Serialize)]
struct NewRecipient {
    /// Its address, escaped.
    recipient: String,
    /// How many networks wrote to it; 11 stands for 11 or more.
    networks: usize,
    /// When a stranger first wrote to it, in seconds since 1970.
    first: i64,
}

/// A host that an operator has released.
#[derive(Debug, Serialize)]
struct Released {
    address: IpAddr,
    /// The rule that had trapped it in this time.
    rule: Option<String>,
    reason: String,
}

/// Asks the daemon at `socket`, and prints the report on the last 24 hours, or another time; or writes it as a
/// page.
pub fn run(
    console: &mut Console<'_>,
    socket: &Path,
    time: Option<Duration>,
    page: Option<Output>,
) -> Result<(), Failure> {
    let since = since(Some(time.unwrap_or(DAY)));
    let mut report = Report { begin: since, ..Report::default() };
    let query = Query { since, ..Query::default() };
    let mut rules = BTreeMap::new();
    history::ask(socket, query, |record| {
        report.add(record, &mut rules);
        Ok(())
    })?;
    // What keeps the daemon from suggesting, such as a damaged database, is among its troubles.
    let _ = suggest::ask(socket, |suggestion| {
        report.add_recipient(&suggestion);
        Ok(())
    });
    let status = *show::status(socket)?;
    let now = status.now;
    report.add_status(status);
    if let Some(output) = page {
        return output.replace(page::page(&report, now).as_bytes());
    }
    match console.format {
        Format::Json => console.json(&report),
        Format::Text => console.put(|buffer| buffer.extend(report.to_string().bytes())),
    }
}

impl Report {
    /// Counts what is remembered; `rules` are those that trapped each host so far.
    fn add(&mut self, record: Record, rules: &mut BTreeMap<IpAddr, String>) {
        let Record { time, address: Some(address), deed, rule, reason, .. } = record else {
            return;
        };
        let name = rule.unwrap_or_default();
        self.add_to_hour(time, deed, &name);
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
            Deed::Started | Deed::Reloaded | Deed::Adopted => {}
        }
    }

    /// Adds a recipient, if it is a new one.
    fn add_recipient(&mut self, Suggestion { recipient, networks, first }: &Suggestion) {
        let recipient = escaped(recipient).to_string();
        if *first >= self.begin {
            let found = NewRecipient { recipient, networks: *networks, first: *first };
            self.new_recipients.push(found);
        }
    }

    /// Records come in order of time.
    fn add_to_hour(&mut self, time: i64, deed: Deed, rule: &str) {
        if !matches!(deed, Deed::Trapped | Deed::Observed) {
            return;
        }
        let time = time.saturating_sub(time.rem_euclid(HOUR));
        if self.hours.last().is_none_or(|hour| hour.time != time) {
            let (trapped_by_rule, observed_by_rule) = (BTreeMap::new(), BTreeMap::new());
            self.hours.push(Hour { time, trapped_by_rule, observed_by_rule });
        }
        let Some(hour) = self.hours.last_mut() else { return };
        let counts = match deed {
            Deed::Trapped => &mut hour.trapped_by_rule,
            _ => &mut hour.observed_by_rule,
        };
        *counts.entry(rule.to_owned()).or_default() += 1;
    }

    fn add_status(&mut self, status: Status) {
        let was_wrong =
            |state: &RuleState| !state.wrong.is_empty() || state.mode == Mode::Suspended;
        self.rules = status.rules.into_iter().filter(was_wrong).collect();
        self.troubles = status.troubles;
        self.last_failure = status.last_failure.filter(|failure| failure.time >= self.begin);
    }

    fn is_empty(&self) -> bool {
        let counts = [
            &self.trapped_by_rule,
            &self.observed_by_rule,
            &self.spared_by_reason,
            &self.passed_by_rule,
            &self.confirmed_by_rule,
        ];
        counts.iter().all(|counts| counts.is_empty())
            && self.released.is_empty()
            && self.new_recipients.is_empty()
            && self.troubles.is_empty()
            && (self.trapped_by_hand, self.allowed_hosts) == (0, 0)
            && self.last_failure.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::text::WIDTH;
    use super::*;
    use crate::control::status::{About, Failure};
    use crate::scan::Rule;

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
            ("192.0.2.10", Deed::Passed, Some("senders"), "whitelisted after its trap"),
            ("192.0.2.1", Deed::Released, None, "by hand (root)"),
            ("192.0.2.9", Deed::Released, None, long.as_str()),
            ("192.0.2.2", Deed::Allowed, None, "in allow"),
        ] {
            report.add(record(address, deed, rule, reason), &mut rules);
        }
        for (recipient, first) in
            [(&b"a\x1b@example.org"[..], 1_795_420_011), (b"old@example.org", 5)]
        {
            report.add_recipient(&Suggestion { recipient: recipient.into(), networks: 11, first });
        }
        let trouble = |text: &str| Trouble { about: About::Dns, text: text.into() };
        let wrong = RuleState {
            rule: Rule::Helo,
            mode: Mode::Suspended,
            trapped: 20,
            released: 1,
            passed: 2,
            confirmed: 0,
            wrong: vec!["192.0.2.1".parse().unwrap()],
        };
        let failure = Some(Failure { time: i64::MAX, text: long.clone() });
        let troubles = vec![trouble("DNS: [2001:db8::1]:53 not in use: no answer"), trouble(&long)];
        let rules = vec![wrong];
        let last_failure = failure;
        report.add_status(Status { last_failure, troubles, rules, ..Status::default() });
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
                "whitelisted after their trap 1",
                "senders 1",
                "released 2",
                "192.0.2.1 helo by hand (root)",
                &format!("192.0.2.9 - {}", &xs[12..]),
                "in allow now 1",
                "new recipients worth a spamtrap 1",
                "a\\033@example.org 2026-11-23",
                "rule helo (suspended): of 20 hosts in 30 day",
                "DNS: [2001:db8::1]:53 not in use: no answer",
                xs.as_str(),
                &format!("last failure: {}", &xs[14..]),
            ]
        );
    }
}
