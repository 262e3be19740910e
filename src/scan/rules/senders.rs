//! Rule `senders`: nearly every tuple has a different sender.
//!
//! Applies to hosts with more tuples than `suspect tuples`. Tags that were made for one recipient are
//! removed first (`tags`). Writing to a single recipient is never held against a host, since a subscriber
//! to busy lists looks like that, nor are senders in one or two registrable domains, since the people of a
//! company and of its daughter write to several lists. Source: the original's `MAX_SENDERS_RATIO`.

use super::{Case, Counts, Finding, Identity, Opinion, Sent, Stage, Subject, counted};
use crate::config::Config;
use crate::name;
use crate::scan::distinct::Distinct;
use crate::scan::measure::{Amount, Measure, Setting};
use crate::scan::{sender, tags};

/// A different sender in nearly every tuple.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Senders {
    senders: u32,
    tuples: u32,
}

impl Finding for Senders {
    const NAME: &'static str = "senders";
    const STAGE: Stage = Stage::Database;
    const IDENTITY: Identity = Identity::Excuses;

    fn is_on(config: &Config) -> bool {
        config.rules.max_sender_ratio.is_some()
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        subject.rules.max_sender_ratio.is_some() && subject.is_suspect()
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let subject = case.subject;
        let Some(max) = subject.rules.max_sender_ratio.filter(|_| subject.is_suspect()) else {
            return Opinion::Nothing;
        };
        let tuples = u32::try_from(subject.mailboxes()).unwrap_or(u32::MAX);
        let sent = subject.tuples().filter_map(|tuple| Sent::new(&tuple));
        let senders = nominate(sent, tuples, max, &mut case.scratch.distinct);
        senders.map(|senders| Senders { senders, tuples }).into()
    }

    fn confirm(self, case: &mut Case<'_, '_>) -> Opinion<Self> {
        case.recount(self, Senders::among)
    }

    /// `None` too if there is only one recipient, or senders are in two domains at most, since the rule does not apply then.
    fn measure(case: &mut Case<'_, '_>) -> Option<Measure> {
        let subject = case.subject;
        let max = subject.rules.max_sender_ratio?;
        let tuples = u32::try_from(subject.mailboxes()).unwrap_or(u32::MAX);
        let sent = subject.tuples().filter_map(|tuple| Sent::new(&tuple));
        let senders = nominate(sent, tuples, 0.0, &mut case.scratch.distinct)?;
        let value = Amount::ratio(f64::from(senders) / f64::from(tuples));
        Some(Measure { setting: Setting::MaxSenderRatio, value, limit: Amount::ratio(max) })
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let Senders { senders, tuples } = self;
        let max = subject.rules.max_sender_ratio.unwrap_or_default();
        format!("Senders/Tuples ratio is {senders}/{tuples} senders/tuples (> {max})")
    }
}

impl Senders {
    /// The finding, by the tuples that count.
    fn among(case: &mut Case<'_, '_>, counts: Counts<'_>) -> Option<Senders> {
        let (subject, max) = (case.subject, case.subject.rules.max_sender_ratio?);
        let sent: Vec<_> = counted(case, counts);
        let tuples = u32::try_from(sent.len()).unwrap_or(u32::MAX);
        let is_suspect = subject.is_suspect_by(sent.len());
        let senders = nominate(sent.into_iter(), tuples, max, &mut case.scratch.distinct)?;
        is_suspect.then_some(Senders { senders, tuples })
    }
}

/// Senders in so many registrable domains are not held against a host.
const FEW_DOMAINS: usize = 2;

/// The number of senders in `sent`, if it is more than `max` times the number of `tuples`, and they are in
/// more than [`FEW_DOMAINS`] and write to several recipients.
fn nominate<'t>(
    sent: impl Iterator<Item = Sent<'t>>,
    tuples: u32,
    max: f64,
    scratch: &mut Distinct,
) -> Option<u32> {
    let is_over = |senders: u32| f64::from(senders) / f64::from(tuples) > max;
    scratch.clear();
    let (mut recipients, mut domains) = (Recipients::default(), Few::default());
    let mut left = tuples;
    for one in sent {
        scratch.add(|out| tags::normal_form(&one.from, one.to, out));
        recipients.add(one.to);
        domains.add(one.from.domain);
        left = left.saturating_sub(1);
        // Often some of them are so similar that the others do not matter.
        let is_time = left.is_multiple_of((tuples / 8).max(1));
        if is_time && !is_over(scratch.count().saturating_add(left)) {
            return None;
        }
    }
    let are_meant = recipients.are_several && domains.are_many();
    Some(scratch.count()).filter(|&senders| are_meant && is_over(senders))
}

/// The first few registrable domains, until there are more than [`FEW_DOMAINS`].
#[derive(Default)]
struct Few(Vec<Vec<u8>>);

impl Few {
    fn add(&mut self, domain: &[u8]) {
        if self.are_many() {
            return;
        }
        let mut registered = Vec::new();
        name::registrable(domain.strip_suffix(b".").unwrap_or(domain), &mut registered);
        if !self.0.contains(&registered) {
            self.0.push(registered);
        }
    }

    fn are_many(&self) -> bool {
        self.0.len() > FEW_DOMAINS
    }
}

/// Whether there are at least two recipients.
#[derive(Default)]
struct Recipients<'t> {
    first: Option<&'t [u8]>,
    are_several: bool,
}

impl<'t> Recipients<'t> {
    fn add(&mut self, to: &'t [u8]) {
        if !self.are_several {
            let to = sender::bare(to);
            self.are_several = !self.first.get_or_insert(to).eq_ignore_ascii_case(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rules::tests::sent;

    const TWO: &[&str] = &["<x@example.org>", "<y@example.org>"];

    fn count(from: &[&str], to: &[&str]) -> Option<u32> {
        let sent = sent(from, to);
        let tuples = u32::try_from(sent.len()).unwrap();
        nominate(sent.into_iter(), tuples, 0.75, &mut Distinct::default())
    }

    #[test]
    fn senders_are_counted_without_what_was_made_for_one_recipient() {
        for (from, to, found, source) in [
            (&["a@x.com", "b@y.com", "c@z.com", "d@x.com"][..], TWO, Some(4), "all different"),
            (&["a@x.com", "b@y.com", "c@z.com", "c@z.com"], TWO, None, "0.75 is the limit"),
            (
                &["a@x.com", "b@y.com", "c@z.com", "d@x.com"],
                &["<x@example.org>", "<X@Example.org>"],
                None,
                "one recipient",
            ),
            (&["a@x.com", "b@x.com", "c@x.com", "d@x.com"], TWO, None, "the people of a company"),
            (&["a@x.com", "b@y.com", "c@mx.x.com", "d@y.com."], TWO, None, "and of its daughter"),
            (&["a@x.co.uk", "b@y.co.uk", "c@z.co.uk", "d@z.co.uk"], TWO, Some(4), "three of those"),
            (&["a@a.x.com", "b@b.x.com", "c@c.x.com", "d@x.com"], TWO, None, "hosts of one domain"),
            (
                &["a@x.com", "<>", "b@y.com", "<>", "c@z.com", "<>"],
                TWO,
                None,
                "null senders; one recipient is left",
            ),
        ] {
            assert_eq!(count(from, to), found, "{source}");
        }
    }

    /// Each sender is there in three domains too: that alone does not spare it.
    #[test]
    fn tags_do_not_make_a_sender_another() {
        for (locals, source) in [
            (&["n-x=example.org", "n-y=example.org"][..], "VERP"),
            (&["prvs=1=a", "prvs=2=a", "btv1==3==a", "a"], "BATV"),
            (&["b-17", "b-18", "b-1a2f", "b-19"], "counters"),
        ] {
            let domains = ["x.com", "y.com", "z.com"].into_iter();
            let from = domains.flat_map(|domain| {
                locals.iter().map(move |local| format!("{local}@{domain}"))
            });
            let from: Vec<_> = from.collect();
            let from: Vec<_> = from.iter().map(String::as_str).collect();
            assert_eq!(count(&from, TWO), None, "{source}");
        }
        let srs = ["x.com", "y.com", "z.com"].map(|domain| {
            [format!("SRS0=a=b={domain}=a@f.com"), format!("SRS0=c=d={domain}=a@f.com"), format!("a@{domain}")]
        });
        let srs: Vec<_> = srs.iter().flatten().map(String::as_str).collect();
        assert_eq!(count(&srs, TWO), None, "SRS");
        let bare = ["a@x.com", "b@x.com", "c@y.com", "d@y.com", "e@z.com", "f@z.com"];
        assert_eq!(count(&bare, TWO), Some(6), "without tags");
    }
}
