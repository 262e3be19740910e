//! The answers about a host, as they are shown beside its verdict.
//!
//! In: a host's tuples and the believed [`Answers`]. Out: one [`Given`] for each different sender domain,
//! HELO name and recipient that there was something to ask about, in the order of the tuples, after the PTR
//! name, what an earlier scan has said, and the DNS lists.

use super::answers::{Answers, Confirmation, DomainVerdict, Exemption, Ground, Listed, SpfResult};
use super::rules::{Rule, Subject, checker, dns};
use super::{exemption, identity, lists};
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
    /// DNS, about the PTR name of the host: whether it has a name of its own. The name is empty if there is
    /// none.
    Ptr(Vec<u8>, Confirmation),
    /// DNS, about a sender domain: whether it vouches for the host, and what SPF says, if it was asked.
    Exemption(Vec<u8>, Exemption, Option<SpfResult>),
    /// The external program, about a recipient: whether it is known; `None` without a verdict.
    Recipient(Vec<u8>, Option<bool>),
    /// Earlier scans: the host was spared although it had one bad message.
    Warned,
    /// A DNS list, by its name, or a file that is heard, by its path: whether the host is in it, and what the
    /// list has answered.
    List(Vec<u8>, Confirmation, Listed),
    /// Evidence, about a HELO name, a sender domain or a recipient: in how many networks anonymous hosts have
    /// used it, and for a HELO name, with how many sender domains; 0: several.
    Seen(Field, Vec<u8>, u8, u8),
}

/// A field of a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// The HELO name.
    Helo,
    /// The envelope sender's registrable domain.
    Sender,
    /// The envelope recipient.
    Recipient,
}

impl Given {
    /// The answer in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Given::Domain(_, Some(verdict)) => verdict.word(),
            Given::Helo(_, Confirmation::Confirmed) => "confirmed",
            Given::Helo(_, Confirmation::NotConfirmed) => "denied",
            Given::Ptr(_, Confirmation::Confirmed) => "own",
            Given::Ptr(_, Confirmation::NotConfirmed) => "none",
            Given::Exemption(_, Exemption::Exempt(_), _) => "exempt",
            Given::Exemption(_, Exemption::NotExempt, _) => "not exempt",
            Given::Recipient(_, Some(true)) => "good",
            Given::Recipient(_, Some(false)) => "bad",
            Given::Warned => "spared",
            Given::Seen(..) => "shared",
            Given::List(_, _, Listed::Aside) => "put aside",
            Given::List(_, Confirmation::Confirmed, _) => "listed",
            Given::List(_, Confirmation::NotConfirmed, _) => "not listed",
            Given::Domain(_, None)
            | Given::Helo(_, Confirmation::Unknown)
            | Given::Ptr(_, Confirmation::Unknown)
            | Given::Exemption(_, Exemption::Unknown, _)
            | Given::Recipient(_, None)
            | Given::List(_, Confirmation::Unknown, _) => "unknown",
        }
    }

    /// By what a sender domain vouches for the host or, if it does not, what SPF says; the answers of a list.
    pub fn by(&self) -> Option<String> {
        match self {
            Given::Exemption(_, Exemption::Exempt(ground), _) => Some(match ground {
                Ground::Mx => "MX".into(),
                Ground::Address => "address".into(),
                Ground::Spf(mechanism) => format!("SPF {mechanism}"),
            }),
            Given::Exemption(_, _, Some(spf)) => Some(format!("SPF {spf}")),
            Given::List(_, _, Listed::Answers(answers)) if !answers.is_empty() => {
                let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
                Some(answers.join(", "))
            }
            Given::Seen(Field::Helo, _, networks, 0) => {
                Some(format!("{networks} networks, several sender domains"))
            }
            Given::Seen(Field::Helo, _, networks, domains) => {
                Some(format!("{networks} networks, {domains} sender domains"))
            }
            Given::Seen(_, _, networks, _) => Some(format!("{networks} networks")),
            _ => None,
        }
    }

    /// The name or address that the answer is about; empty if there is none.
    pub fn about(&self) -> &[u8] {
        match self {
            Given::Domain(text, _)
            | Given::Helo(text, _)
            | Given::Ptr(text, _)
            | Given::Exemption(text, ..)
            | Given::Recipient(text, _)
            | Given::List(text, ..)
            | Given::Seen(_, text, ..) => text,
            Given::Warned => b"",
        }
    }
}

/// The answers about a host.
pub(super) fn given<'s>(
    subject: &'s Subject<'_>,
    answers: &'s dyn Answers,
) -> impl Iterator<Item = Given> + 's {
    let (rules, address) = (subject.rules, subject.host.address.ip());
    let asks_recipients = rules.check_rcpt && Rule::Checker.could_hit(subject);
    let mut seen = HashSet::new();
    let (own, name) = answers.reverse(address);
    let is_asked = rules.identity && (own != Confirmation::Unknown || name.is_some());
    let ptr = is_asked.then(|| Given::Ptr(name.unwrap_or_default().to_vec(), own));
    let lists = rules.lists.iter().filter_map(move |list| {
        let listed = answers.listed(address, &list.zone)?;
        let standing = lists::standing(list, &listed);
        Some(Given::List(list.zone.clone().into_bytes(), standing, listed))
    });
    let heard = rules.hear.iter().filter_map(move |path| {
        let path = path.as_os_str().as_encoded_bytes().to_vec();
        Some(match answers.is_heard(address)? {
            true => Given::List(path, Confirmation::Confirmed, Listed::Answers(Vec::new())),
            false => Given::List(path, Confirmation::NotConfirmed, Listed::Nothing),
        })
    });
    let all = subject.tuples().flat_map(move |tuple| {
        let domain = dns::domain(&tuple).filter(|_| rules.sender_dns).map(|domain| {
            let mut lower = Vec::new();
            name::lower(domain, &mut lower);
            let verdict = answers.domain(&lower);
            Given::Domain(lower, verdict)
        });
        let helo =
            identity::lower_name(tuple.helo, address).filter(|_| rules.identity).map(|name| {
                let confirmation = answers.helo(address, &name);
                Given::Helo(name.into_bytes(), confirmation)
            });
        let recipient = checker::recipient(&tuple, &rules.rcpt).filter(|_| asks_recipients);
        let recipient = recipient.map(|to| {
            let is_known = answers.is_recipient(&to);
            Given::Recipient(to.into_owned(), is_known)
        });
        let from = exemption::mailbox(tuple.from).filter(|_| rules.identity);
        let exemption = from.and_then(|from| {
            let domain = exemption::domain(&from);
            let found = answers.exemption(address, &domain);
            let spf = answers.spf(address, &domain);
            let is_known = found != Exemption::Unknown || spf.is_some();
            is_known.then_some(Given::Exemption(domain, found, spf))
        });
        [domain, exemption, helo, recipient].into_iter().flatten()
    });
    let warned = answers.was_spared(address).then_some(Given::Warned);
    ptr.into_iter()
        .chain(warned)
        .chain(lists)
        .chain(heard)
        .chain(all)
        .filter(move |given| seen.insert((std::mem::discriminant(given), given.about().to_vec())))
}
