//! Rule `checker`: mail to an address that the external program (`check rcpt with`) does not know.
//!
//! Finds the address to ask the program about, and the tuple of a host that is bad according to the
//! answers. Applies to all hosts or, if the configuration says so, to those with more tuples than `suspect
//! tuples`, after the rule `rcpt`, whose `pass rcpt` applies here too. Source: the original's `greytrap_checkrcpt`; without a verdict there is no trap.

use super::{Case, Finding, Identity, Opinion, Stage, Subject};
use crate::config::rules::Hosts;
use crate::config::{Config, RcptRules, Rules};
use crate::escape::escaped;
use crate::scan::answers::Answers;
use crate::scan::sender;
use crate::scan::unasked::Check;
use crate::spamd::Tuple;
use std::borrow::Cow;

/// A recipient that the external program does not know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Checker {
    tuple: u32,
}

impl Finding for Checker {
    const NAME: &'static str = "checker";
    const STAGE: Stage = Stage::Answers;
    const IDENTITY: Identity = Identity::Outweighs;

    fn is_on(config: &Config) -> bool {
        config.checker.is_some()
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        match subject.rules.check_rcpt_for {
            Hosts::All => subject.rules.check_rcpt,
            Hosts::Suspect => subject.is_suspect(),
        }
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let subject = case.subject;
        let Some(answers) = case.answers.filter(|_| Checker::could_hit(&subject)) else {
            return Opinion::Nothing;
        };
        let rules = subject.rules;
        match judge(subject.numbered(), &rules.rcpt, answers) {
            Found::Bad(tuple) => Opinion::Against(Checker { tuple }),
            Found::Unknown if rules.check_rcpt => Opinion::Unasked(Check::Recipient.into()),
            Found::Unknown | Found::Nothing => Opinion::Nothing,
        }
    }

    fn bad<'t>(
        tuple: &Tuple<'t>,
        rules: &Rules,
        answers: Option<&dyn Answers>,
    ) -> Option<Cow<'t, [u8]>> {
        let answers = answers?;
        recipient(tuple, &rules.rcpt).filter(|to| answers.is_recipient(to) == Some(false))
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let to = escaped(sender::bare(subject.tuple(self.tuple).to));
        format!("Mailed to unknown recipient {to}")
    }

    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        vec![subject.tuple(self.tuple)]
    }
}

/// The recipient to ask about; `None` if `pass rcpt` matches it, or if spamd has cut it short.
pub(in crate::scan) fn recipient<'t>(
    tuple: &Tuple<'t>,
    rules: &RcptRules,
) -> Option<Cow<'t, [u8]>> {
    sender::recipient(tuple.to).filter(|address| !rules.pass.is_match(address))
}

/// What the program says about a host's recipients.
enum Found {
    /// The recipient of this tuple is the first bad one.
    Bad(u32),
    /// None is bad, but one has no verdict.
    Unknown,
    /// All are known.
    Nothing,
}

fn judge<'t>(
    tuples: impl Iterator<Item = (u32, Tuple<'t>)>,
    rules: &RcptRules,
    answers: &dyn Answers,
) -> Found {
    let mut found = Found::Nothing;
    for (number, tuple) in tuples {
        let Some(to) = recipient(&tuple, rules) else { continue };
        match answers.is_recipient(&to) {
            Some(false) => return Found::Bad(number),
            Some(true) => {}
            None => found = Found::Unknown,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rules::tests::tuple;
    use regex::bytes::RegexSet;

    #[test]
    fn whole_recipients_that_nobody_passes_are_asked_about() {
        let pass = RegexSet::new(["(?i)^postmaster@"]).unwrap();
        let rules = RcptRules { pass, ..RcptRules::default() };
        let long = format!("<{}", "a".repeat(1022));
        for (to, wanted) in [
            ("<A@x.example>", Some("A@x.example")),
            ("a@x.example", Some("a@x.example")),
            ("<@r.example:\"a\"@x.example.>", Some("a@x.example")),
            ("<\"Postmaster\"@x.example>", None),
            ("<Postmaster>", None),
            ("<a@x.example", None),
            ("<Postmaster@x.example>", None),
            ("<>", None),
            ("", None),
            ("<\"john", None),
            (&long, None),
        ] {
            let found = recipient(&tuple("", to), &rules);
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{to}");
        }
    }
}
