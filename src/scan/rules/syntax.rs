//! Rule `syntax`: the envelope sender is no mailbox.
//!
//! The judgement itself is [`Sender::parse`]; here stands what it means for real mail.

use crate::scan::sender::{Fault, Sender};
use crate::spamd::Tuple;

/// What is wrong with a tuple's sender. Null senders, and those of which spamd kept only a part, are
/// never judged.
pub(in crate::scan) fn fault(tuple: &Tuple<'_>) -> Option<Fault> {
    match Sender::parse(tuple.from) {
        Sender::Invalid(fault) => Some(fault),
        Sender::Null | Sender::Cut | Sender::Mailbox(_) => None,
    }
}
