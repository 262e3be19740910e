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
