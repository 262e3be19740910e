//! What rules have trapped, and whether that was right: how often each was wrong, and which hosts come again.
//!
//! In: every [`Record`] in order of time, those in the file or those of the running daemon. A host that a rule
//! has trapped proves good if an operator releases it, if it is WHITE afterwards, or if DNS confirms later its
//! identity or the sender domain for which it was trapped.
//! Each counts once for a rule. A reload begins the count anew by which a rule is suspended, but forgets
//! nothing.

use super::record::{Deed, Record};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// Hosts in a book, about 50 bytes each; of more the oldest are forgotten.
const MOST: usize = 100_000;

/// The rule whose traps rest on a sender domain that does not receive mail.
const OF_DOMAINS: &str = "dns";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// The names of the rules, by number.
    rules: Vec<String>,
    hosts: HashMap<(IpAddr, u8), Caught>,
    /// Sender domains in lower case, with the hosts that were trapped for them and not been proved good.
    dead: HashMap<Vec<u8>, BTreeSet<IpAddr>>,
}

/// A host that a rule has trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Caught {
    /// When last, in seconds since 1970.
    time: i64,
    /// When that trap ends.
    until: i64,
    /// How often; not those times that proved wrong.
    times: u16,
    /// Whether it is in that trap, unless the time is over.
    is_standing: bool,
    /// Whether that was before the last reload.
    is_old: bool,
    released: bool,
    passed: bool,
    confirmed: bool,
}

/// How often a rule was wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// Hosts that it has trapped.
    pub trapped: u64,
    /// Of these, hosts that an operator has released.
    pub released: u64,
    /// Of these, hosts that were WHITE afterwards.
    pub passed: u64,
    /// Of these, hosts of which DNS has later confirmed the identity or the sender domain.
    pub confirmed: u64,
    /// All that proved good.
    pub wrong: BTreeSet<IpAddr>,
}

/// Which traps count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All.
    All,
    /// Those since the last reload.
    SinceReload,
}

impl Book {
    /// Takes note of something that happened.
    pub fn note(&mut self, record: &Record) {
        if record.deed == Deed::Reloaded {
            self.hosts.values_mut().for_each(|caught| caught.is_old = true);
        }
        let Some(address) = record.address else { return };
        match record.deed {
            Deed::Trapped => self.trap(address, record),
            Deed::Released => self.prove(address, None, |caught| {
                if std::mem::take(&mut caught.is_standing) {
                    (caught.released, caught.times) = (true, 0);
                }
            }),
            Deed::Passed => self.prove(address, record.rule.as_deref(), |caught| {
                (caught.passed, caught.times, caught.is_standing) = (true, 0, false);
            }),
            Deed::Confirmed => self.prove(address, record.rule.as_deref(), |caught| {
                (caught.confirmed, caught.times) = (true, 0);
            }),
            Deed::TrappedByHand | Deed::Allowed => {
                self.prove(address, None, |caught| caught.is_standing = false);
            }
            Deed::Spared | Deed::Observed | Deed::Started | Deed::Reloaded | Deed::Adopted => {}
        }
    }

    fn trap(&mut self, address: IpAddr, record: &Record) {
        let Some(rule) = record.rule.as_deref().and_then(|rule| self.number_of(rule)) else {
            return;
        };
        self.make_room(address, rule);
        // A host is in one trap at a time.
        self.prove(address, None, |caught| caught.is_standing = false);
        let before = self.hosts.get(&(address, rule)).filter(|caught| !caught.is_old);
        let times = self.hosts.get(&(address, rule)).map_or(0, |caught| caught.times);
        let caught = Caught {
            time: record.time,
            until: record.until.unwrap_or(record.time),
            times: times.saturating_add(1),
            is_standing: true,
            is_old: false,
            released: before.is_some_and(|caught| caught.released),
            passed: before.is_some_and(|caught| caught.passed),
            confirmed: before.is_some_and(|caught| caught.confirmed),
        };
        self.hosts.insert((address, rule), caught);
        if wants_tuples(record)
            && let Some(domain) = record.tuples.first().and_then(|tuple| domain(&tuple.from))
        {
            self.dead.entry(domain).or_default().insert(address);
        }
    }

    /// The number of a rule, which may be a new one.
    fn number_of(&mut self, rule: &str) -> Option<u8> {
        let known = self.rules.iter().position(|known| known == rule);
        let number = known.unwrap_or_else(|| {
            self.rules.push(rule.to_owned());
            self.rules.len().saturating_sub(1)
        });
        u8::try_from(number).ok()
    }

    fn make_room(&mut self, address: IpAddr, rule: u8) {
        if self.hosts.len() < MOST || self.hosts.contains_key(&(address, rule)) {
            return;
        }
        // A tenth at once, since it takes a walk.
        let mut times: Vec<_> = self.hosts.values().map(|caught| caught.time).collect();
        times.sort_unstable();
        let before = times.get(MOST / 10).copied().unwrap_or_default();
        self.forget(before.saturating_add(1));
    }

    /// Changes what is known of a host, as far as one rule or any rule is concerned.
    fn prove(&mut self, address: IpAddr, rule: Option<&str>, how: impl Fn(&mut Caught)) {
        for (number, name) in (0..).zip(&self.rules) {
            if rule.is_none_or(|rule| rule == name)
                && let Some(caught) = self.hosts.get_mut(&(address, number))
            {
                how(caught);
            }
        }
    }

    /// Forgets what was trapped last before this time, in seconds since 1970.
    pub fn forget(&mut self, before: i64) {
        self.hosts.retain(|_, caught| caught.time >= before);
        let Some(rule) = self.number_of(OF_DOMAINS) else { return };
        let hosts = &self.hosts;
        self.dead.retain(|_, trapped| {
            trapped.retain(|address| hosts.contains_key(&(*address, rule)));
            !trapped.is_empty()
        });
    }

    /// The sender domains, in lower case, for which hosts were trapped.
    pub fn dead_domains(&self) -> impl Iterator<Item = &[u8]> {
        self.dead.keys().map(Vec::as_slice)
    }

    /// Takes out the hosts that were trapped for a sender domain, in lower case, which has proved good.
    pub fn take_trapped_for(&mut self, domain: &[u8]) -> BTreeSet<IpAddr> {
        self.dead.remove(domain).unwrap_or_default()
    }

    /// How often a rule was wrong.
    pub fn record_of(&self, rule: &str, span: Span) -> RuleRecord {
        let mut record = RuleRecord::default();
        let hosts = self.hosts.iter().filter(|((_, number), caught)| {
            self.rules.get(usize::from(*number)).is_some_and(|name| name == rule)
                && (span == Span::All || !caught.is_old)
        });
        for ((address, _), caught) in hosts {
            let counts = [
                (&mut record.trapped, true),
                (&mut record.released, caught.released),
                (&mut record.passed, caught.passed),
                (&mut record.confirmed, caught.confirmed),
            ];
            counts.into_iter().for_each(|(count, is_one)| {
                *count = count.saturating_add(u64::from(is_one));
            });
            if caught.released || caught.passed || caught.confirmed {
                record.wrong.insert(*address);
            }
        }
        record
    }

    /// How often a host was trapped by rules, and rightly as far as is known.
    pub fn times(&self, address: IpAddr) -> u32 {
        let times = |number| self.hosts.get(&(address, number)).map_or(0, |caught| caught.times);
        (0..=u8::MAX).take(self.rules.len()).map(|number| u32::from(times(number))).sum()
    }

    /// Hosts that have not yet been WHITE after their trap.
    pub fn watched(&self) -> HashSet<IpAddr> {
        let open = self.hosts.iter().filter(|(_, caught)| !caught.passed);
        open.map(|((address, _), _)| *address).collect()
    }

    /// The rules that have trapped a host which has neither been WHITE since nor been confirmed by DNS.
    pub fn unproven(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        (0..).zip(&self.rules).filter_map(move |(number, name)| {
            let caught = self.hosts.get(&(address, number))?;
            (!caught.passed && !caught.confirmed).then_some(name.as_str())
        })
    }

    /// The rules that have trapped a host which has not been WHITE since.
    pub fn unpassed(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        (0..).zip(&self.rules).filter_map(move |(number, name)| {
            let caught = self.hosts.get(&(address, number))?;
            (!caught.passed).then_some(name.as_str())
        })
    }
}

/// Whether the tuples of a record matter.
pub fn wants_tuples(record: &Record) -> bool {
    record.deed == Deed::Trapped && record.rule.as_deref() == Some(OF_DOMAINS)
}

/// The domain of an envelope sender, in lower case.
fn domain(from: &[u8]) -> Option<Vec<u8>> {
    let bare = from.strip_prefix(b"<").unwrap_or(from);
    let bare = bare.strip_suffix(b">").unwrap_or(bare);
    let at = memchr::memrchr(b'@', bare)?;
    let domain = bare.get(at..)?.strip_prefix(b"@")?.to_ascii_lowercase();
    (!domain.is_empty()).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Tuple;

    const HOUR: i64 = 3600;

    fn host(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn record(time: i64, number: u8, deed: Deed, rule: Option<&str>) -> Record {
        Record {
            time,
            address: Some(host(number)),
            deed,
            rule: rule.map(Into::into),
            reason: String::new(),
            until: Some(time + 24 * HOUR),
            count: 1,
            details: Vec::new(),
            tuples: Vec::new(),
        }
    }

    fn book(records: &[Record]) -> Book {
        let mut book = Book::default();
        records.iter().for_each(|record| book.note(record));
        book
    }

    fn counts(book: &Book, rule: &str, span: Span) -> [u64; 5] {
        let record = book.record_of(rule, span);
        let RuleRecord { trapped, released, passed, confirmed, wrong } = record;
        [trapped, released, passed, confirmed, wrong.len() as u64]
    }

    #[test]
    fn each_host_counts_once_whatever_proves_it_good() {
        let book = book(&[
            record(1, 1, Deed::Trapped, Some("helo")),
            record(1, 2, Deed::Trapped, Some("helo")),
            record(1, 3, Deed::Trapped, Some("dns")),
            record(2, 1, Deed::Released, None),
            record(3, 1, Deed::Trapped, Some("helo")),
            record(4, 1, Deed::Passed, Some("helo")),
            record(5, 1, Deed::Confirmed, Some("helo")),
        ]);
        assert_eq!(counts(&book, "helo", Span::All), [2, 1, 1, 1, 1]);
        assert_eq!(counts(&book, "dns", Span::All), [1, 0, 0, 0, 0]);
        assert_eq!(counts(&book, "gone", Span::All), [0; 5]);
        assert_eq!(book.watched(), HashSet::from([host(2), host(3)]));
    }

    /// A name server that was broken for a day made a domain look dead.
    #[test]
    fn a_domain_that_proves_good_gives_back_its_hosts_once() {
        let from = |number, from: &[u8], rule| {
            let tuple = Tuple { helo: b"h".into(), from: from.into(), to: b"<u@x.example>".into() };
            Record { tuples: vec![tuple], ..record(1, number, Deed::Trapped, Some(rule)) }
        };
        let mut book = book(&[
            from(1, b"<a@Gone.example>", "dns"),
            from(2, b"b@gone.example", "dns"),
            from(3, b"<c@other.example>", "dns"),
            from(4, b"<d@gone.example>", "helo"),
            from(5, b"<>", "dns"),
        ]);
        let mut legacy = book.clone();
        assert_eq!(book.take_trapped_for(b"gone.example"), BTreeSet::from([host(1), host(2)]));
        assert_eq!(book.take_trapped_for(b"gone.example"), BTreeSet::new());
        legacy.forget(2);
        assert_eq!(legacy.take_trapped_for(b"other.example"), BTreeSet::new());
    }

    /// The release of an operator's own trap, or of one that was ended, says nothing about a rule.
    #[test]
    fn only_the_trap_that_stands_is_wrong() {
        for between in [Deed::TrappedByHand, Deed::Allowed, Deed::Passed] {
            let rule = (between == Deed::Passed).then_some("helo");
            let book = book(&[
                record(1, 1, Deed::Trapped, Some("helo")),
                record(2, 1, between, rule),
                record(3, 1, Deed::Released, None),
            ]);
            assert_eq!(counts(&book, "helo", Span::All)[1], 0, "{between:?}");
        }
        let book = book(&[
            record(1, 1, Deed::Trapped, Some("helo")),
            record(2, 1, Deed::Trapped, Some("dns")),
            record(3, 1, Deed::Released, None),
        ]);
        assert_eq!(counts(&book, "helo", Span::All)[1], 0);
        assert_eq!(counts(&book, "dns", Span::All)[1], 1);
    }

    #[test]
    fn a_reload_begins_anew_and_forgets_nothing() {
        let reload = Record { address: None, ..record(3, 1, Deed::Reloaded, None) };
        let mut records = vec![
            record(1, 1, Deed::Trapped, Some("helo")),
            record(1, 2, Deed::Trapped, Some("helo")),
            record(2, 1, Deed::Released, None),
            reload,
            // A release of what was trapped before is no news.
            record(4, 2, Deed::Released, None),
        ];
        let so_far = book(&records);
        assert_eq!(counts(&so_far, "helo", Span::All), [2, 2, 0, 0, 2]);
        assert_eq!(counts(&so_far, "helo", Span::SinceReload), [0; 5]);
        records.push(record(5, 1, Deed::Trapped, Some("helo")));
        assert_eq!(counts(&book(&records), "helo", Span::SinceReload), [1, 0, 0, 0, 0]);
    }

    /// Wrong traps do not make the next one longer.
    #[test]
    fn times_are_those_that_were_right() {
        let mut records = vec![
            record(1, 1, Deed::Trapped, Some("helo")),
            record(2, 1, Deed::Trapped, Some("dns")),
            record(3, 1, Deed::Trapped, Some("dns")),
        ];
        assert_eq!(book(&records).times(host(1)), 3);
        records.push(record(4, 1, Deed::Released, None));
        assert_eq!(book(&records).times(host(1)), 1);
        let mut book = book(&records);
        assert_eq!(book.times(host(2)), 0);
        book.forget(2);
        assert_eq!(book.times(host(1)), 0);
    }

    #[test]
    fn a_flood_of_traps_needs_bounded_room() {
        let mut book = Book::default();
        for n in 0..150_000u32 {
            let address = Some(IpAddr::from(n.to_be_bytes()));
            let flood = record(n.into(), 0, Deed::Trapped, Some("helo"));
            book.note(&Record { address, ..flood });
        }
        assert!(book.hosts.len() <= MOST && book.hosts.len() > MOST / 2, "{}", book.hosts.len());
        assert_eq!(book.times(IpAddr::from(149_999u32.to_be_bytes())), 1);
    }
}
