//! The scans of the past, one after the other, judged again by a configuration.
//!
//! In: the tuples that each scan saw for the first time, in the order of scans. A host is judged when it has a new
//! tuple, by all its tuples that live then; nothing else can make a rule hit. Hosts that passed, or are still
//! in the trap of this configuration, are left alone. Out: the first trap of each host ([`Caught`]).
#![forbid(unsafe_code)]

use crate::config::Config;
use crate::db::{ByteOrder, Damage, Record};
use crate::dns::exemption::Claim;
use crate::dns::listing::Listing;
use crate::evidence::{Entry, KEPT, Key};
use crate::inquiry::Questions;
use crate::memory::Seen;
use crate::scan::identity::Question;
use crate::scan::{Answers, Portion, Rule, Scan};
use crate::spamd::{Gdata, Tuple};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// The byte order of values, which are made here.
const ORDER: ByteOrder = ByteOrder::Little;
/// HELO names of a host that are asked about.
const NAMES: usize = 64;
/// Entries of evidence among which none is looked for that is too old.
const EVIDENCE: usize = 100_000;
/// Scans after which what has expired is removed everywhere.
const TIDIED: u64 = 36;

/// The first trap of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// When, in seconds since 1970.
    pub time: i64,
    /// By which rule.
    pub rule: Rule,
    /// Why.
    pub reason: String,
}

/// The hosts that wait, and when they passed.
#[derive(Default)]
pub struct Past {
    waiting: HashMap<IpAddr, Vec<(Vec<u8>, Gdata)>>,
    passed: HashMap<IpAddr, i64>,
    /// Scans and tuples so far.
    pub scans: u64,
    /// See above.
    pub tuples: u64,
}

impl Past {
    /// Hosts that passed, each with the time of that.
    pub fn knowing(passed: HashMap<IpAddr, i64>) -> Past {
        Past { passed, ..Past::default() }
    }

    /// When a host passed, in seconds since 1970, if it did.
    pub fn passed(&self, address: IpAddr) -> Option<i64> {
        self.passed.get(&address).copied()
    }

    /// The next scan, at `now`: the records of all hosts that have new tuples.
    pub fn scan(&mut self, now: i64, tuples: Vec<Seen>) -> Vec<(IpAddr, Records)> {
        self.scans += 1;
        self.tuples += tuples.len() as u64;
        let mut touched = HashSet::new();
        for seen in tuples {
            let address = seen.address.to_canonical();
            if self.passed(address).is_none_or(|passed| now <= passed) {
                touched.insert(address);
                self.waiting.entry(address).or_default().push(record(&seen));
            }
        }
        let live = |records: &mut Vec<(_, Gdata)>| {
            records.retain(|(_, data)| data.expire > now);
            !records.is_empty()
        };
        if self.scans.is_multiple_of(TIDIED) {
            self.waiting.retain(|_, records| live(records));
        }
        for address in &touched {
            self.waiting.get_mut(address).map(live);
        }
        let mut touched: Vec<_> = touched.into_iter().collect();
        touched.sort_unstable();
        let records = touched.into_iter().filter_map(|address| {
            let records = self.waiting.get(&address)?;
            let value = |(key, data): &(Vec<u8>, Gdata)| (key.clone(), data.encode(ORDER).to_vec());
            Some((address, records.iter().map(value).collect()))
        });
        records.collect()
    }
}

/// Keys and values.
pub type Records = Vec<(Vec<u8>, Vec<u8>)>;

fn record(seen: &Seen) -> (Vec<u8>, Gdata) {
    let Seen { address, helo, from, to, first, expire } = seen;
    let address = address.to_canonical().to_string();
    let key = Tuple { address: address.as_bytes(), helo, from, to }.encode();
    (key, Gdata { first: *first, pass: *expire, expire: *expire, bcount: 1, pcount: 0 })
}

fn record_of((key, value): &(Vec<u8>, Vec<u8>)) -> Result<Record<'_>, Damage> {
    Ok(Record { key: Cow::Borrowed(key), value: Cow::Borrowed(value) })
}

/// What one configuration does.
pub struct Judge<'c> {
    config: &'c Config,
    /// The first trap of each host.
    pub caught: BTreeMap<IpAddr, Caught>,
    /// Until when hosts are in the trap.
    until: HashMap<IpAddr, i64>,
    /// What DNS is to be asked.
    pub questions: Questions,
    /// Where in it each host is.
    asked: HashMap<IpAddr, usize>,
    /// Hosts and their senders in it.
    claimed: HashSet<Claim>,
    /// Hosts and lists in it.
    listings: HashSet<Listing>,
    /// What is known of names.
    evidence: HashMap<Key, Entry>,
    /// With more entries old ones are looked for.
    most_evidence: usize,
}

impl<'c> Judge<'c> {
    /// Nobody is trapped.
    pub fn new(config: &'c Config) -> Judge<'c> {
        Judge {
            config,
            caught: BTreeMap::new(),
            until: HashMap::new(),
            questions: Questions::default(),
            asked: HashMap::new(),
            claimed: HashSet::new(),
            listings: HashSet::new(),
            evidence: HashMap::new(),
            most_evidence: EVIDENCE,
        }
    }

    /// Judges the hosts of a scan, and gathers the questions to which there is no answer yet.
    ///
    /// # Errors
    /// None that is known.
    pub fn scan(
        &mut self,
        now: i64,
        hosts: &[(IpAddr, Records)],
        answers: Option<&dyn Answers>,
    ) -> Result<(), Damage> {
        let is_free = |address| self.until.get(address).is_none_or(|until| *until <= now);
        let free = hosts.iter().filter(|(address, _)| is_free(address));
        let records: Vec<_> = free.flat_map(|(_, records)| records.iter().map(record_of)).collect();
        if records.is_empty() {
            return Ok(());
        }
        let mut scan = Scan::begin(records.into_iter(), ORDER, now, &self.config.rules)?;
        match answers {
            None => {
                self.ask(Questions::of(&scan));
                scan.settle(None);
            }
            Some(answers) => self.settle(&mut scan, now, answers),
        }
        let (report, _) = scan.end();
        for verdict in report.traps_by(answers, Portion::None) {
            let (address, Some(rule)) = (verdict.address.ip(), verdict.rule) else { continue };
            let trap_for = self.config.trap_for.as_secs().cast_signed();
            self.until.insert(address, now.saturating_add(trap_for));
            let reason = verdict.reason.into_owned();
            self.caught.entry(address).or_insert(Caught { time: now, rule, reason });
        }
        Ok(())
    }

    /// Settles the hosts by the answers and by the evidence of earlier scans.
    fn settle(&mut self, scan: &mut Scan<'_>, now: i64, answers: &dyn Answers) {
        scan.settle(Some(answers));
        let known = |key: Key| self.evidence.get(&key).map(|entry| (key.clone(), entry.clone()));
        scan.recall(scan.keys().into_iter().filter_map(known).collect::<Vec<_>>());
        scan.settle(Some(answers));
        self.evidence.extend(scan.evidence().fresh());
        self.ask(Questions::further(scan));
        if self.evidence.len() > self.most_evidence {
            let since = now.saturating_sub(KEPT.as_secs().cast_signed());
            self.evidence.retain(|_, entry| !entry.forget(since, since));
            self.most_evidence = EVIDENCE.max(2 * self.evidence.len());
        }
    }

    /// Gathers questions, each once: the same host is in question scan after scan, and may have other names.
    fn ask(&mut self, mut questions: Questions) {
        for Question { address, names } in std::mem::take(&mut questions.hosts) {
            let place = *self.asked.entry(address).or_insert(self.questions.hosts.len());
            match self.questions.hosts.get_mut(place) {
                Some(asked) => {
                    let known = asked.names.clone();
                    let new = names.into_iter().filter(|name| !known.contains(name));
                    let room = NAMES.saturating_sub(known.len());
                    asked.names.extend(new.take(room));
                }
                None => self.questions.hosts.push(Question { address, names }),
            }
        }
        let claimed = &mut self.claimed;
        questions.exemptions.retain(|claim| claimed.insert(claim.clone()));
        let listings = &mut self.listings;
        questions.listings.retain(|listing| listings.insert(listing.clone()));
        self.questions.add(questions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_420_010;

    fn seen(address: &str, from: &str, first: i64) -> Seen {
        Seen {
            address: address.parse().unwrap(),
            helo: b"h.example".to_vec(),
            from: from.into(),
            to: b"<user@example.org>".to_vec(),
            first,
            expire: first + 4 * 3600,
        }
    }

    fn six(address: &str, first: i64, gap: i64) -> Vec<Seen> {
        let one = |n: i64| seen(address, &format!("<a@d{n}.example>"), first + gap * n);
        (0..6).map(one).collect()
    }

    /// Each tuple in a scan of its own; who is caught, and when after the start.
    fn replayed(
        config: &Config,
        mut tuples: Vec<Seen>,
        passed: &[(&str, i64)],
    ) -> Vec<(String, i64)> {
        let passed = passed.iter().map(|(ip, time)| (ip.parse().unwrap(), NOW + time)).collect();
        let (mut past, mut judge) = (Past::knowing(passed), Judge::new(config));
        tuples.sort_by_key(|tuple| tuple.first);
        for tuple in tuples {
            let now = tuple.first + 1;
            let hosts = past.scan(now, vec![tuple]);
            judge.scan(now, &hosts, None).unwrap();
        }
        let caught = judge.caught.into_iter();
        caught.map(|(address, caught)| (address.to_string(), caught.time - NOW)).collect()
    }

    fn config() -> Config {
        let mut config = Config::default();
        config.rules.identity = false;
        config.rules.sender_dns = false;
        config
    }

    #[test]
    fn a_host_is_caught_by_the_scan_that_sees_enough() {
        let config = config();
        assert_eq!(replayed(&config, six("192.0.2.1", NOW, 60), &[]), [("192.0.2.1".into(), 301)]);
        // Tuples that have expired do not count.
        assert_eq!(replayed(&config, six("192.0.2.1", NOW, 4000), &[]), []);
        // Nor those of a host that has passed meanwhile.
        let passed = [("192.0.2.1", 250)];
        assert_eq!(replayed(&config, six("192.0.2.1", NOW, 60), &passed), []);
        let mut laxer = config.clone();
        laxer.rules.suspect_tuples = 6;
        assert_eq!(replayed(&laxer, six("192.0.2.1", NOW, 60), &[]), []);
    }
}
