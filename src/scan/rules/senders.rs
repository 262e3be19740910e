//! Rule `senders`: nearly every tuple has a different sender.
//!
//! Applies to hosts with more tuples than `suspect tuples`. Tags that were made for one recipient are
//! removed first (`tags`). Writing to a single recipient is never held against a host, since a subscriber
//! to busy lists looks like that. Source: the original's `MAX_SENDERS_RATIO`.

use super::{Case, Finding, Identity, Opinion, Sent, Stage, Subject};
use crate::config::Config;
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

    /// `None` too if there is only one recipient, since the rule does not apply then.
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

/// The number of senders in `sent`, if it is more than `max` times the number of `tuples`.
fn nominate<'t>(
    sent: impl Iterator<Item = Sent<'t>>,
    tuples: u32,
    max: f64,
    scratch: &mut Distinct,
) -> Option<u32> {
    let is_over = |senders: u32| f64::from(senders) / f64::from(tuples) > max;
    scratch.clear();
    let mut recipients = Recipients::default();
    let mut left = tuples;
    for one in sent {
        scratch.add(|out| tags::normal_form(&one.from, one.to, out));
        recipients.add(one.to);
        left = left.saturating_sub(1);
        // Often some of them are so similar that the others do not matter.
        let is_time = left.is_multiple_of((tuples / 8).max(1));
        if is_time && !is_over(scratch.count().saturating_add(left)) {
            return None;
        }
    }
    Some(scratch.count()).filter(|&senders| is_over(senders) && recipients.are_several)
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
            (&["a@x.com", "b@x.com", "c@x.com", "d@x.com"][..], TWO, Some(4), "all different"),
            (&["a@x.com", "b@x.com", "c@x.com", "c@x.com"], TWO, None, "0.75 is the limit"),
            (
                &["a@x.com", "b@x.com", "c@x.com", "d@x.com"],
                &["<x@example.org>", "<X@Example.org>"],
                None,
                "one recipient",
            ),
            (
                &["n-x=example.org@x.com", "n-y=example.org@x.com", "n-x=example.org@x.com"],
                TWO,
                None,
                "VERP",
            ),
            (
                &["prvs=1=a@x.com", "prvs=2=a@x.com", "btv1==3==a@x.com", "a@x.com"],
                TWO,
                None,
                "BATV",
            ),
            (&["SRS0=a=b=x.com=a@f.com", "SRS0=c=d=x.com=a@f.com", "a@x.com"], TWO, None, "SRS"),
            (&["b-17@x.com", "b-18@x.com", "b-1a2f@x.com", "b-19@x.com"], TWO, None, "counters"),
            (
                &["a@x.com", "<>", "b@x.com", "<>", "c@x.com", "<>"],
                TWO,
                None,
                "null senders; one recipient is left",
            ),
        ] {
            assert_eq!(count(from, to), found, "{source}");
        }
    }
}
