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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rules::tests::tuple;

    #[test]
    fn only_what_is_certainly_no_mailbox_is_a_fault() {
        for (from, is_fault) in [
            ("<>", false),
            ("", false),
            ("<\"john", false),
            ("<user@example.com>", false),
            ("<user@localhost>", true),
            ("<user>", true),
        ] {
            assert_eq!(fault(&tuple(from, "<x@example.org>")).is_some(), is_fault, "{from}");
        }
    }
}
