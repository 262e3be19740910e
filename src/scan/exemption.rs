//! Whether the domain of a sender vouches for a host: the questions to DNS, and what the answers mean.
//!
//! A domain vouches for a host by MX, by its own address, or by SPF ([`Exemption`]). It is asked about
//! hosts that are about to be trapped by a rule from `domains` to `crowd`. For a rule that counts, the
//! tuples of such a domain do not count; for a rule of one tuple, it must be the domain of that tuple.
//! Anybody can publish a policy for a domain of his own, so this exempts a host from nothing else.

use super::answers::{Answers, Confirmation, Exemption};
use super::sender::{Mailbox, Sender};
use crate::dns::exemption::Claim;
use crate::name;
use crate::spamd::Tuple;
use std::collections::HashSet;
use std::net::IpAddr;

/// The least number of sender domains of one host that are asked about.
const FEW: usize = 12;

/// Whether the domain of this sender vouches for the host; confirmed if it does. A null sender, and one that
/// is not a mailbox or has an address literal, has no domain that could.
pub(super) fn of_sender(answers: &dyn Answers, address: IpAddr, from: &[u8]) -> Confirmation {
    let Some(from) = mailbox(from) else { return Confirmation::NotConfirmed };
    match answers.exemption(address, &domain(&from)) {
        Exemption::Exempt(_) => Confirmation::Confirmed,
        Exemption::NotExempt => Confirmation::NotConfirmed,
        Exemption::Unknown => Confirmation::Unknown,
    }
}

/// A sender that has a domain.
pub(super) fn mailbox(from: &[u8]) -> Option<Mailbox<'_>> {
    match Sender::parse(from) {
        Sender::Mailbox(from) => Some(from).filter(|from| !from.domain.starts_with(b"[")),
        Sender::Null | Sender::Cut | Sender::Invalid(_) => None,
    }
}

/// The domain of a sender, as it is asked about.
pub(super) fn domain(from: &Mailbox<'_>) -> Vec<u8> {
    let mut lower = Vec::new();
    name::lower(from.domain, &mut lower);
    lower
}

/// The questions about a host: at most `most` sender domains or a few, in as many registrable domains as
/// possible, each with the first sender in it.
pub(super) fn claims<'t>(
    address: IpAddr,
    tuples: impl Iterator<Item = Tuple<'t>>,
    most: usize,
) -> Vec<Claim> {
    let (mut seen, mut registered) = (HashSet::new(), HashSet::new());
    let (mut firsts, mut others) = (Vec::new(), Vec::new());
    for tuple in tuples {
        let Some(from) = mailbox(tuple.from) else { continue };
        let domain = domain(&from);
        if !seen.insert(domain.clone()) {
            continue;
        }
        let mut above = Vec::new();
        name::registrable(&domain, &mut above);
        let (helo, local) = (tuple.helo.to_vec(), from.local.to_vec());
        let list = if registered.insert(above) { &mut firsts } else { &mut others };
        list.push(Claim { address, helo, local, domain });
    }
    firsts.extend(others);
    firsts.truncate(most.max(FEW));
    firsts
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::tuple;
    use super::*;

    #[test]
    fn each_domain_is_asked_about_once_and_many_of_one_zone_hide_no_other() {
        let mut from: Vec<_> = (0..30).map(|n| format!("<a@r{n}.one.example>")).collect();
        from.extend(["<>", "<b@R0.one.example.>", "<c@[192.0.2.1]>", "<nobody>"].map(String::from));
        from.extend(["<d@Two.example>", "<e@two.example>"].map(String::from));
        let tuples = from.iter().map(|from| Tuple { helo: b"h", ..tuple(from, "<u@ours.test>") });
        let claims = claims(IpAddr::from([192, 0, 2, 1]), tuples, 0);
        let texts: Vec<_> = claims
            .iter()
            .map(|Claim { local, domain, .. }| [&local[..], b"@", domain].concat())
            .map(|text| String::from_utf8(text).unwrap())
            .collect();
        assert_eq!(texts[..3], ["a@r0.one.example", "d@two.example", "a@r1.one.example"]);
        assert_eq!(texts.len(), FEW);
    }
}
