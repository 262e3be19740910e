//! Rule `rcpt`: mail to an address that nobody has a reason to write to.
//!
//! `pass rcpt` goes before `trap rcpt`, and `trap rcpt unlisted` comes last. Patterns meet the address
//! without its angle brackets, so that `@example\.org$` can match. Source: the original's `BADRCPT`.

use crate::config::RcptRules;
use crate::scan::sender;
use crate::spamd::Tuple;

/// Whether a tuple's recipient gives its host away.
pub(in crate::scan) fn hits(tuple: &Tuple<'_>, rules: &RcptRules) -> bool {
    if rules.trap.is_empty() && !rules.unlisted {
        return false;
    }
    let address = sender::bare(tuple.to);
    let is_meant = rules.unlisted || rules.trap.iter().any(|pattern| pattern.is_match(address));
    is_meant && !rules.pass.is_match(address)
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
        ] {
            assert_eq!(hits(&tuple("", to), &rules), is_hit, "{to} {rules:?}");
        }
        assert!(hits(
            &Tuple { address: b"", helo: b"", from: b"", to: b"<\xff@old.example>" },
            &rules(&[], old, false)
        ));
    }
}
