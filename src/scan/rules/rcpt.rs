//! Rule `rcpt`: mail to an address to which nobody has a reason to write.
//!
//! `pass rcpt` comes before `trap rcpt`, and `trap rcpt unlisted` comes last. Patterns are matched with the
//! plain address ([`sender::recipient`]), so that `^joe@` and `@example\.org$` match however it is spelled.
//! What spamd has cut short is not an address. Source: the original's `BADRCPT`.

use super::{Case, Finding, Identity, Letter, Opinion, Stage, Subject};
use crate::config::{Config, RcptRules, Rules};
use crate::escape::escaped;
use crate::scan::answers::Answers;
use crate::scan::sender;
use crate::spamd::Tuple;
use std::borrow::Cow;

/// A recipient to whom only spammers write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Rcpt {
    tuple: u32,
}

impl Finding for Rcpt {
    const NAME: &'static str = "rcpt";
    const STAGE: Stage = Stage::Database;
    const IDENTITY: Identity = Identity::Outweighs;

    fn is_on(config: &Config) -> bool {
        let rcpt = &config.rules.rcpt;
        !rcpt.trap.is_empty() || rcpt.unlisted
    }

    fn hits(letter: &Letter<'_, '_>, rules: &Rules) -> bool {
        is_bad(letter.tuple, &rules.rcpt)
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let rules = &case.subject.rules.rcpt;
        let look = |tuple, sent: &Tuple<'_>| is_bad(sent, rules).then_some(Rcpt { tuple });
        case.subject.first(look).into()
    }

    fn bad<'t>(
        tuple: &Tuple<'t>,
        rules: &Rules,
        _: Option<&dyn Answers>,
    ) -> Option<Cow<'t, [u8]>> {
        sender::recipient(tuple.to).filter(|_| is_bad(tuple, &rules.rcpt))
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let to = escaped(sender::bare(subject.tuple(self.tuple).to));
        format!("Mailed to trap address {to}")
    }

    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        vec![subject.tuple(self.tuple)]
    }
}

/// Whether a tuple's recipient traps its host.
fn is_bad(tuple: &Tuple<'_>, rules: &RcptRules) -> bool {
    if rules.trap.is_empty() && !rules.unlisted {
        return false;
    }
    let Some(address) = sender::recipient(tuple.to) else { return false };
    let is_meant = rules.unlisted || rules.trap.iter().any(|pattern| pattern.is_match(&address));
    is_meant && !rules.pass.is_match(&address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rules::tests::tuple;
    use regex::bytes::{Regex, RegexSet};

    fn rules(pass: &[&str], trap: &[&str], unlisted: bool) -> RcptRules {
        let insensitive = |pattern: &&str| format!("(?i){pattern}");
        RcptRules {
            pass: RegexSet::new(pass.iter().map(insensitive)).unwrap(),
            trap: trap.iter().map(|p| Regex::new(&insensitive(p)).unwrap()).collect(),
            unlisted,
        }
    }

    #[test]
    fn pass_goes_before_trap_and_unlisted_comes_last() {
        let old = &[r"@old\.example$"][..];
        let postmaster = &["^postmaster@"][..];
        for (rules, to, is_hit) in [
            (rules(&[], &[], false), "<x@old.example>", false),
            (rules(&[], old, false), "<x@old.example>", true),
            (rules(&[], old, false), "x@OLD.example", true),
            (rules(&[], old, false), "<x@old.example.org>", false),
            (rules(postmaster, old, false), "<Postmaster@old.example>", false),
            (rules(postmaster, old, false), "<x-postmaster@old.example>", true),
            (rules(postmaster, &[], true), "<postmaster@example.com>", false),
            (rules(postmaster, &[], true), "<anybody@example.com>", true),
            (rules(&[], &["^a@", "^b@"], false), "<b@example.com>", true),
            (rules(&["^joe@"], &[], true), "<@r.example:\"joe\"@example.com.>", false),
            (rules(&["@example\\.com$"], &[], true), "<joe@example.com.>", false),
            (rules(&[], &["^joe@old\\.example$"], false), "<@r.example:joe@old.example.>", true),
            (rules(&["^joe@"], &[], true), "<joe@example.com", false),
            (rules(&["^joe@"], &[], true), "<", false),
            (rules(&[], &["^ann@"], true), "<ann@old.example", false),
            (rules(postmaster, &[], true), "<Postmaster>", false),
            (rules(&[], &[], true), "<postmaster>", false),
            (rules(&[], &["^postmaster$"], false), "<postmaster>", false),
            (rules(&[], &[], true), "<root>", true),
        ] {
            assert_eq!(is_bad(&tuple("", to), &rules), is_hit, "{to} {rules:?}");
        }
        assert!(is_bad(
            &Tuple { address: b"", helo: b"", from: b"", to: b"<\xff@old.example>" },
            &rules(&[], old, false)
        ));
    }
}
