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
