//! Rule `domains`: mail from senders in many registrable domains.
//!
//! Applies to hosts with more tuples than `suspect tuples`. Registrable domains are compared:
//! `a.example.com` and `b.example.com` are the same. Source: the original's `MAX_DOMAINS`, without its bug
//! of counting one too many.

use super::{Case, Counts, Finding, Identity, Opinion, Sent, Stage, Subject, counted};
use crate::config::Config;
use crate::name;
use crate::scan::distinct::Distinct;
use crate::scan::measure::{Measure, Setting};
use crate::scan::notes::Marks;

/// Senders in many domains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Domains {
    domains: u32,
    max: u32,
}

impl Finding for Domains {
    const NAME: &'static str = "domains";
    const STAGE: Stage = Stage::Database;
    const IDENTITY: Identity = Identity::Excuses;

    fn is_on(config: &Config) -> bool {
        config.rules.max_sender_domains.is_some()
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        subject.rules.max_sender_domains.is_some() && subject.is_suspect()
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let subject = case.subject;
        let Some(max) = subject.rules.max_sender_domains.filter(|_| subject.is_suspect()) else {
            return Opinion::Nothing;
        };
        count(case, max).map(|domains| Domains { domains, max }).into()
    }

    fn confirm(self, case: &mut Case<'_, '_>) -> Opinion<Self> {
        case.recount(self, Domains::among)
    }

    fn measure(case: &mut Case<'_, '_>) -> Option<Measure> {
        let max = case.subject.rules.max_sender_domains?;
        let value = count(case, 0).unwrap_or(0).into();
        Some(Measure { setting: Setting::MaxSenderDomains, value, limit: max.into() })
    }

    fn reason(&self, _: &Subject<'_>) -> String {
        format!("Host sending from {} domains (> {})", self.domains, self.max)
    }
}

impl Domains {
    /// The finding, by the tuples that count.
    fn among(case: &mut Case<'_, '_>, counts: Counts<'_>) -> Option<Domains> {
        let (subject, max) = (case.subject, case.subject.rules.max_sender_domains?);
        let sent: Vec<_> = counted(case, counts);
        let domains = sent.iter().map(|sent| Domain::Written(sent.from.domain));
        let domains = nominate(domains, max, &mut case.scratch.distinct)?;
        subject.is_suspect_by(sent.len()).then_some(Domains { domains, max })
    }
}

/// The number of domains of the host's senders, if it is more than `max`.
fn count(case: &mut Case<'_, '_>, max: u32) -> Option<u32> {
    let firsts = &mut case.scratch.firsts;
    firsts.clear();
    firsts.extend(case.subject.notes().filter(|note| note.marks.any(Marks::MAILBOX)));
    // One of each domain, judging by the hashes.
    firsts.sort_unstable_by_key(|note| note.domain);
    firsts.dedup_by_key(|note| note.domain);
    if firsts.len() <= max as usize {
        return None;
    }
    let senders = firsts.iter().filter_map(|note| match note.marks.any(Marks::REGISTERED) {
        true => Some(Domain::Registered(note.domain)),
        false => Some(Domain::Written(Sent::new(&note.tuple())?.from.domain)),
    });
    nominate(senders, max, &mut case.scratch.distinct)
}

/// A sender's domain.
#[derive(Clone, Copy, Debug)]
enum Domain<'t> {
    /// As written.
    Written(&'t [u8]),
    /// [Its own](name::is_registered) registrable domain: its hash with the seed of the scratch.
    Registered(u32),
}

/// The number of domains of `senders`, if it is more than `max`.
fn nominate<'t>(
    senders: impl Iterator<Item = Domain<'t>>,
    max: u32,
    scratch: &mut Distinct,
) -> Option<u32> {
    scratch.clear();
    senders.for_each(|domain| match domain {
        Domain::Written(domain) => scratch.add_short(|out| name::registrable(domain, out)),
        Domain::Registered(hash) => scratch.add_hash(hash),
    });
    Some(scratch.count()).filter(|&domains| domains > max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rules::tests::sent;
    use crate::scan::table::Seed;

    fn count(from: &[&str]) -> Option<u32> {
        let sent = sent(from, &["<x@example.org>"]);
        let seed = Seed::new();
        let written = sent.iter().map(|sent| Domain::Written(sent.from.domain));
        let found = nominate(written, 3, &mut Distinct::new(seed));
        let known = sent.iter().map(|sent| match sent.from.domain {
            domain if name::is_registered(domain) => Domain::Registered(seed.hash(domain)),
            domain => Domain::Written(domain),
        });
        assert_eq!(nominate(known, 3, &mut Distinct::new(seed)), found, "hashes tell the same");
        found
    }

    #[test]
    fn domains_are_counted_by_what_is_registered() {
        for (from, found, source) in [
            (&["a@a.example", "a@b.example", "a@c.example", "a@d.example"][..], Some(4), "four"),
            (&["a@a.example", "a@b.example", "a@c.example"], None, "three are the limit"),
            (&["a@a.x.com", "a@b.x.com", "a@c.x.com", "a@x.com"], None, "hosts of one domain"),
            (&["a@a.co.uk", "a@b.co.uk", "a@c.co.uk", "a@d.co.uk"], Some(4), "public suffix list"),
            (&["a@x.com", "a@X.COM", "a@x.com.", "a@www.x.com"], None, "RFC 4343: case"),
            (
                &["a@bücher.example", "a@xn--bcher-kva.example", "a@b.example", "a@c.example"],
                None,
                "RFC 5890",
            ),
            (
                &["a@[192.0.2.1]", "a@[192.0.2.2]", "a@[192.0.2.3]", "a@c.example"],
                Some(4),
                "literals",
            ),
            (&["a@co.uk", "a@a.co.uk", "a@com.au", "a@a.com.au"], Some(4), "suffixes themselves"),
            (&["<>", "<>", "a@b.example", "a@c.example", "a@d.example"], None, "null senders"),
        ] {
            assert_eq!(count(from), found, "{source}");
        }
    }
}
