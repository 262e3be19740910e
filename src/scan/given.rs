//! The answers about a host, as they are shown beside its verdict.
//!
//! In: a host's tuples and the believed [`Answers`]. Out: one [`Given`] for each different sender domain,
//! HELO name and recipient that there was something to ask about, in the order of the tuples.

use super::answers::{Answers, Confirmation, DomainVerdict};
use super::identity;
use super::rules::{Subject, checker, dns};
use crate::name;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// An answer. The texts are strangers' bytes, unescaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Given {
    /// DNS, about a sender domain; `None` if it was not asked.
    Domain(Vec<u8>, Option<DomainVerdict>),
    /// DNS, about a HELO name of the host.
    Helo(Vec<u8>, Confirmation),
    /// The external program, about a recipient: whether it is known; `None` without a verdict.
    Recipient(Vec<u8>, Option<bool>),
}

impl Given {
    /// The answer in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Given::Domain(_, Some(verdict)) => verdict.word(),
            Given::Helo(_, Confirmation::Confirmed) => "confirmed",
            Given::Helo(_, Confirmation::NotConfirmed) => "denied",
            Given::Recipient(_, Some(true)) => "good",
            Given::Recipient(_, Some(false)) => "bad",
            Given::Domain(_, None)
            | Given::Helo(_, Confirmation::Unknown)
            | Given::Recipient(_, None) => "unknown",
        }
    }

    /// The name or address that the answer is about.
    pub fn about(&self) -> &[u8] {
        match self {
            Given::Domain(text, _) | Given::Helo(text, _) | Given::Recipient(text, _) => text,
        }
    }
}

/// The answers about a host.
pub(super) fn given<'s>(
    subject: &'s Subject<'_>,
    answers: &'s dyn Answers,
) -> impl Iterator<Item = Given> + 's {
    let (rules, address) = (subject.rules, subject.host.address.ip());
    let asks_recipients = rules.check_rcpt && subject.is_suspect();
    let mut seen = HashSet::new();
    let all = subject.tuples().flat_map(move |tuple| {
        let domain = dns::domain(&tuple).filter(|_| rules.sender_dns).map(|domain| {
            let mut lower = Vec::new();
            name::lower(domain, &mut lower);
            let verdict = answers.domain(&lower);
            Given::Domain(lower, verdict)
        });
        let helo = identity::lower_name(tuple.helo).filter(|_| rules.identity).map(|name| {
            let confirmation = answers.helo(address, &name);
            Given::Helo(name.into_bytes(), confirmation)
        });
        let recipient = checker::recipient(&tuple, &rules.rcpt).filter(|_| asks_recipients);
        let recipient = recipient.map(|to| {
            let is_known = answers.is_recipient(&to);
            Given::Recipient(to.into_owned(), is_known)
        });
        [domain, helo, recipient].into_iter().flatten()
    });
    all.filter(move |given| seen.insert((std::mem::discriminant(given), given.about().to_vec())))
}
