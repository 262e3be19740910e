//! Rule `senders`: nearly every tuple has a sender of its own.
//!
//! Asked for hosts with more tuples than `suspect tuples`. What was made for one recipient is undone
//! first (`tags`), and to write to one recipient only is no crime: a mailbox that takes part in busy
//! lists looks so. Source: the original's `MAX_SENDERS_RATIO`.

use super::Sent;
use crate::scan::distinct::Distinct;
use crate::scan::{sender, tags};

/// How many senders there are, if they are more than `max` times the tuples.
pub(in crate::scan) fn nominate(
    sent: &[Sent<'_>],
    max: f64,
    scratch: &mut Distinct,
) -> Option<u32> {
    scratch.clear();
    for one in sent {
        scratch.add(|out| tags::normal_form(&one.from, one.to, out));
    }
    let senders = scratch.count();
    let tuples = u32::try_from(sent.len()).ok()?;
    let is_over = f64::from(senders) / f64::from(tuples) > max;
    (is_over && has_recipients(sent)).then_some(senders)
}

/// Whether there are two recipients or more.
fn has_recipients(sent: &[Sent<'_>]) -> bool {
    let mut recipients = sent.iter().map(|one| sender::bare(one.to));
    recipients.next().is_some_and(|one| recipients.any(|other| !other.eq_ignore_ascii_case(one)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rules::tests::sent;

    const TWO: &[&str] = &["<x@example.org>", "<y@example.org>"];

    fn count(from: &[&str], to: &[&str]) -> Option<u32> {
        nominate(&sent(from, to), 0.75, &mut Distinct::default())
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
