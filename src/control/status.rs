//! The state of the daemon, for `greytrapctl show` and `show metrics`.
//!
//! The daemon's engine fills in a [`Status`] and sends it as one frame; it is plain data of some hundred
//! bytes. The fields have the same names as in the JSON object that `show -j` prints, where times have a
//! unit.
#![forbid(unsafe_code)]

use super::protocol::Verbosity;
use crate::dns::verdict::Tally;
use crate::scan::{Counts, Rule};
use serde::{Deserialize, Serialize, Serializer};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The state of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// When this was written, in seconds since 1970.
    pub now: i64,
    /// When the daemon started.
    pub since: i64,
    /// For how long it has been running, whatever happened to the clock.
    #[serde(rename = "up_us")]
    pub up: Micros,
    /// How much it logs.
    pub log: Verbosity,
    /// What it is doing.
    pub phase: Phase,
    /// When the next scan begins, from now on.
    #[serde(rename = "next_scan_us")]
    pub next_scan: Option<Micros>,
    /// The last successful scan.
    pub last_scan: Option<Scan>,
    /// The last failure.
    pub last_failure: Option<Failure>,
    /// What does not work at present.
    pub troubles: Vec<Trouble>,
    /// Sums of this day, in UTC.
    pub today: Totals,
    /// Sums, over restarts as long as they are remembered.
    pub totals: Totals,
    /// The name servers; empty if none is asked.
    pub name_servers: Vec<NameServer>,
    /// The hosts to which traps are sent.
    pub peers: Vec<Peer>,
    /// Every rule, in order.
    pub rules: Vec<RuleState>,
    /// The most important settings.
    pub config: Configured,
}

/// What the daemon is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It waits for the next scan.
    #[default]
    Idle,
    /// It waits for the database's lock, or reads.
    Reading,
    /// It decodes records and judges hosts.
    Judging,
    /// It waits for DNS.
    Resolving,
    /// It waits for the address checker.
    Checking,
    /// It writes traps.
    Writing,
}

/// A scan that ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// How long its parts took.
    pub took: Took,
    /// How long it waited for the database's lock.
    #[serde(rename = "lock_waited_us")]
    pub lock_waited: Micros,
    /// The longest time for which it held the lock.
    #[serde(rename = "lock_held_us")]
    pub lock_held: Micros,
    /// Records in the database, by kind.
    pub records: Counts,
    /// Hosts with a live tuple.
    #[serde(rename = "waiting_hosts")]
    pub waiting: u64,
    /// Of these, hosts that the rules were asked about: not whitelisted, trapped or allowed.
    #[serde(rename = "judged_hosts")]
    pub judged: u64,
    /// Hosts trapped.
    #[serde(rename = "trapped_by_rule")]
    pub trapped: ByRule,
    /// Sender domains, by verdict.
    #[serde(rename = "sender_domains")]
    pub domains: Tally,
}

/// How long the parts of a scan took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// Reading the database.
    #[serde(rename = "read_us")]
    pub read: Micros,
    /// Decoding and judging.
    #[serde(rename = "judge_us")]
    pub judge: Micros,
    /// Waiting for DNS.
    #[serde(rename = "dns_us")]
    pub dns: Micros,
    /// Waiting for the address checker.
    #[serde(rename = "checker_us")]
    pub checker: Micros,
    /// Writing traps.
    #[serde(rename = "write_us")]
    pub write: Micros,
}

impl Took {
    /// The parts with their names, in order.
    pub fn parts(&self) -> [(&'static str, Micros); 5] {
        [
            ("read", self.read),
            ("judge", self.judge),
            ("dns", self.dns),
            ("checker", self.checker),
            ("write", self.write),
        ]
    }

    /// The total time.
    pub fn total(&self) -> Micros {
        Micros(self.parts().iter().fold(0, |sum, (_, part)| sum.saturating_add(part.0)))
    }
}

/// Sums, over restarts as long as they are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Successful scans.
    pub scans: u64,
    /// Failed scans.
    pub failed_scans: u64,
    /// Hosts trapped by the rules.
    #[serde(rename = "trapped_by_rule")]
    pub trapped: ByRule,
    /// Hosts that rules which are only observed would have trapped.
    #[serde(rename = "observed_by_rule")]
    pub observed: ByRule,
    /// Hosts trapped by hand.
    pub trapped_by_hand: u64,
    /// Traps ended by operators, or by an `allow` that is new.
    #[serde(rename = "released_hosts")]
    pub released: u64,
    /// Sender domains, each counted once per scan.
    #[serde(rename = "sender_domains")]
    pub domains: Tally,
}

/// Something that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What.
    pub about: About,
    /// How that shows.
    pub text: String,
}

/// What may not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// The last scan.
    Scan,
    /// The last reload.
    Reload,
    /// Name servers.
    Dns,
    /// The external program that checks recipients.
    Recipients,
    /// The memory.
    Memory,
    /// A rule is suspended.
    Rule,
    /// `trap limit` was reached.
    Limit,
}

impl About {
    /// Everything that may not work.
    pub const ALL: [About; 7] = [
        About::Scan,
        About::Reload,
        About::Dns,
        About::Recipients,
        About::Memory,
        About::Rule,
        About::Limit,
    ];

    /// The word in metrics and JSON.
    pub fn word(self) -> &'static str {
        match self {
            About::Scan => "scan",
            About::Reload => "reload",
            About::Dns => "dns",
            About::Recipients => "recipients",
            About::Memory => "memory",
            About::Rule => "rule",
            About::Limit => "limit",
        }
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When, in seconds since 1970.
    pub time: i64,
    /// What, as it was logged.
    pub text: String,
}

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServer {
    /// Its address and port.
    #[serde(rename = "server")]
    pub address: SocketAddr,
    /// Whether it is asked.
    pub fitness: Fitness,
    /// Its smoothed round-trip time.
    #[serde(rename = "round_trip_us")]
    pub round_trip: Option<Micros>,
    /// Answers accepted.
    #[serde(rename = "answer_count")]
    pub answers: u64,
    /// Timeouts.
    #[serde(rename = "timeout_count")]
    pub timeouts: u64,
}

/// Whether a name server is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fitness {
    /// It has not been tested yet.
    Untested,
    /// It answers properly.
    Fit,
    /// It is not in use; why.
    Unfit(String),
}

/// A rule, and how often it was wrong in the last 30 days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleState {
    /// Which.
    pub rule: Rule,
    /// What it does.
    pub mode: Mode,
    /// Hosts that it has trapped.
    #[serde(rename = "trapped_hosts")]
    pub trapped: u64,
    /// Of these, hosts that an operator has released.
    #[serde(rename = "released_hosts")]
    pub released: u64,
    /// Of these, hosts that were whitelisted afterwards.
    #[serde(rename = "passed_hosts")]
    pub passed: u64,
    /// Of these, hosts whose identity DNS has confirmed later.
    #[serde(rename = "confirmed_hosts")]
    pub confirmed: u64,
    /// The first few that proved good in one of these ways.
    #[serde(rename = "good_hosts")]
    pub wrong: Vec<IpAddr>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It traps hosts.
    On,
    /// Nothing.
    Off,
    /// It only tells of hosts, by the configuration.
    Observed,
    /// The same, since it was wrong too often.
    Suspended,
}

impl Mode {
    /// The word in listings and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Mode::On => "on",
            Mode::Off => "off",
            Mode::Observed => "observed",
            Mode::Suspended => "suspended",
        }
    }
}

/// A host to which traps are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The name in the configuration.
    #[serde(rename = "peer")]
    pub name: String,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that could not be sent.
    pub failed: u64,
}

/// What of the configuration one wants to know at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// The database.
    pub database: String,
    /// Time from the start of one scan to the start of the next.
    #[serde(rename = "scan_every_us")]
    pub scan_every: Micros,
    /// How long a trap lasts.
    #[serde(rename = "trap_for_us")]
    pub trap_for: Micros,
}

/// A time in microseconds, which is precise enough for everything shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Micros(pub u64);

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Micros {
        Micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Micros> for Duration {
    fn from(micros: Micros) -> Duration {
        Duration::from_micros(micros.0)
    }
}

/// A count for each rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ByRule([u64; Rule::ALL.len()]);

impl Totals {
    /// Adds other sums.
    pub fn add(&mut self, other: &Totals) {
        let counts = [
            (&mut self.scans, other.scans),
            (&mut self.failed_scans, other.failed_scans),
            (&mut self.trapped_by_hand, other.trapped_by_hand),
            (&mut self.released, other.released),
        ];
        counts.into_iter().for_each(|(sum, more)| *sum = sum.saturating_add(more));
        self.trapped.merge(&other.trapped);
        self.observed.merge(&other.observed);
        self.domains.add(&other.domains);
    }

    /// What was added to earlier sums.
    pub fn since(&self, before: &Totals) -> Totals {
        Totals {
            scans: self.scans.saturating_sub(before.scans),
            failed_scans: self.failed_scans.saturating_sub(before.failed_scans),
            trapped: self.trapped.minus(&before.trapped),
            observed: self.observed.minus(&before.observed),
            trapped_by_hand: self.trapped_by_hand.saturating_sub(before.trapped_by_hand),
            released: self.released.saturating_sub(before.released),
            domains: self.domains.minus(&before.domains),
        }
    }
}

impl ByRule {
    /// Counts `many` more for `rule`.
    pub fn add(&mut self, rule: Rule, many: u64) {
        if let Some(count) = self.0.get_mut(rule as usize) {
            *count = count.saturating_add(many);
        }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &ByRule) {
        other.iter().for_each(|(rule, count)| self.add(rule, count));
    }

    /// The counts without those of `other`.
    pub fn minus(&self, other: &ByRule) -> ByRule {
        let mut counts = ByRule::default();
        for ((rule, count), (_, less)) in self.iter().zip(other.iter()) {
            counts.add(rule, count.saturating_sub(less));
        }
        counts
    }

    /// The counts in the rules' order.
    pub fn iter(&self) -> impl Iterator<Item = (Rule, u64)> + '_ {
        Rule::ALL.into_iter().zip(self.0)
    }

    /// The sum of all counts.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// In JSON a map from the names of the rules; in messages only the counts.
impl Serialize for ByRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_map(self.iter().map(|(rule, count)| (rule.name(), count)))
        } else {
            self.0.serialize(serializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_counted_each_by_itself() {
        let mut counts = ByRule::default();
        Rule::ALL.into_iter().for_each(|rule| counts.add(rule, 1 + rule as u64));
        counts.add(Rule::Dns, u64::MAX);
        counts.merge(&{
            let mut other = ByRule::default();
            other.add(Rule::Helo, 10);
            other
        });
        let found: Vec<_> = counts.iter().map(|(rule, count)| (rule.name(), count)).collect();
        assert_eq!(found[..4], [("syntax", 1), ("domains", 2), ("senders", 3), ("helo", 14)]);
        let one_letter = [("address", 5), ("dynamic", 6), ("stranger", 7), ("crowd", 8)];
        assert_eq!(found[4..8], one_letter);
        assert_eq!(found[8..], [("rcpt", 9), ("checker", 10), ("dns", u64::MAX)]);
        assert_eq!(counts.total(), u64::MAX, "sums end at the top");
    }

    #[test]
    fn counts_by_rule_are_a_map_for_people_and_numbers_on_the_wire() {
        let mut counts = ByRule::default();
        counts.add(Rule::Domains, 300);
        let json = serde_json::to_string(&counts).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"syntax":0,"domains":300,"senders":0,"helo":0,"address":0,"dynamic":0,"#,
                r#""stranger":0,"crowd":0,"rcpt":0,"checker":0,"dns":0}"#
            )
        );
        let wire = postcard::to_stdvec(&counts).unwrap();
        assert_eq!(wire, [0, 0xac, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(postcard::from_bytes::<ByRule>(&wire), Ok(counts));
    }

    #[test]
    fn times_longer_than_there_are_microseconds_end_at_the_top() {
        assert_eq!(Micros::from(Duration::MAX), Micros(u64::MAX));
        assert_eq!(Duration::from(Micros(1_500_000)), Duration::from_millis(1500));
    }
}
