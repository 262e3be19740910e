//! Rule `syntax`: the envelope sender is not a mailbox.
//!
//! [`Sender::parse`] decides that; this file decides what it means for real mail.

use super::{Case, Finding, Identity, Letter, Opinion, Stage, Subject};
use crate::config::{Config, Rules};
use crate::escape::escaped;
use crate::scan::sender::{self, Fault, Sender};
use crate::spamd::Tuple;

/// A sender that is not a mailbox.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Syntax {
    tuple: u32,
    fault: Fault,
}

impl Finding for Syntax {
    const NAME: &'static str = "syntax";
    const STAGE: Stage = Stage::Database;
    const IDENTITY: Identity = Identity::Ignored;

    fn is_on(config: &Config) -> bool {
        config.rules.sender_syntax
    }

    fn hits(letter: &Letter<'_, '_>, rules: &Rules) -> bool {
        rules.sender_syntax && matches!(letter.from, Sender::Invalid(_))
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        if !case.subject.rules.sender_syntax {
            return Opinion::Nothing;
        }
        let look = |tuple, sent: &Tuple<'_>| Some(Syntax { tuple, fault: fault(sent)? });
        case.subject.first(look).into()
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let from = escaped(sender::bare(subject.tuple(self.tuple).from));
        format!("Invalid source address {from} ({})", self.fault)
    }

    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        vec![subject.tuple(self.tuple)]
    }
}

/// What is wrong with a tuple's sender. Null senders, and senders that spamd has cut short, are never
/// judged.
fn fault(tuple: &Tuple<'_>) -> Option<Fault> {
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
