//! Rule `dns`: a sender in a domain that takes no mail, so that nobody could ever answer.
//!
//! A tuple comes in, the domain that DNS is asked about goes out, and what the answers say of a host's
//! tuples. Null senders and address literals have no domain; what is no mailbox is the rule `syntax`'s.
//! Source: RFC 5321, 5.1, and RFC 7505; only a definite answer counts.

use crate::name;
use crate::scan::answers::{Answers, Bad, DomainVerdict};
use crate::scan::sender::Sender;
use crate::spamd::Tuple;

/// What the answers say of a host's senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scan) enum Finding {
    /// The tuple of this number is the first whose domain takes no mail.
    Bad(u32, Bad),
    /// None is bad, but of one nothing is known.
    Unknown,
    /// Nothing is wrong with any of them.
    Nothing,
}

/// The domain of a tuple's sender, as written.
pub(in crate::scan) fn domain<'t>(tuple: &Tuple<'t>) -> Option<&'t [u8]> {
    match Sender::parse(tuple.from) {
        Sender::Mailbox(from) => Some(from.domain).filter(|domain| !domain.starts_with(b"[")),
        Sender::Null | Sender::Cut | Sender::Invalid(_) => None,
    }
}

/// Judges numbered tuples by the answers.
pub(in crate::scan) fn judge<'t>(
    tuples: impl Iterator<Item = (u32, Tuple<'t>)>,
    answers: &dyn Answers,
) -> Finding {
    let mut finding = Finding::Nothing;
    let mut lower = Vec::new();
    for (number, domain) in tuples.filter_map(|(number, tuple)| Some((number, domain(&tuple)?))) {
        lower.clear();
        name::lower(domain, &mut lower);
        match answers.domain(&lower) {
            Some(DomainVerdict::Bad(bad)) => return Finding::Bad(number, bad),
            None => finding = Finding::Unknown,
            // What is no name was never asked for: no lack of an answer.
            Some(verdict) if verdict.is_lacking() => finding = Finding::Unknown,
            Some(_) => {}
        }
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::super::tests::tuple;
    use super::*;
    use crate::dns::failure::Failure;
    use crate::dns::name::NameError;
    use crate::dns::verdict::Good;
    use crate::scan::answers::Confirmation;
    use std::net::IpAddr;

    #[test]
    fn only_mailboxes_have_a_domain() {
        for (from, wanted) in [
            ("<a@X.example>", Some("X.example")),
            ("a@x.example.", Some("x.example")),
            ("<@r.example:a@x.example>", Some("x.example")),
            ("<a@b\u{fc}cher.example>", Some("b\u{fc}cher.example")),
            ("<>", None),
            ("<a@[192.0.2.1]>", None),
            ("<a@[IPv6:2001:db8::1]>", None),
            ("<nobody>", None),
            ("<a@192.0.2.1>", None),
            ("<\"john", None),
        ] {
            assert_eq!(domain(&tuple(from, "u")), wanted.map(str::as_bytes), "{from}");
        }
    }

    struct Zone;

    impl Answers for Zone {
        fn helo(&self, _: IpAddr, _: &str) -> Confirmation {
            Confirmation::Unknown
        }

        fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
            Some(match domain {
                b"good.example" => DomainVerdict::Good(Good::Mx),
                b"null.example" => DomainVerdict::Bad(Bad::NullMx),
                b"gone.example" => DomainVerdict::Bad(Bad::NxDomain),
                b"dunno.example" => DomainVerdict::Unknown(Failure::Timeout),
                b"odd.example" => DomainVerdict::Unknown(Failure::Name(NameError::Idna)),
                _ => return None,
            })
        }
    }

    #[test]
    fn the_first_bad_domain_decides_and_doubt_never_does() {
        for (froms, wanted) in [
            (&["<a@good.example>", "<a@Gone.EXAMPLE>"][..], Finding::Bad(1, Bad::NxDomain)),
            (
                &["<a@dunno.example>", "<a@null.example>", "<a@gone.example>"],
                Finding::Bad(1, Bad::NullMx),
            ),
            (&["<a@dunno.example>", "<a@good.example>"], Finding::Unknown),
            (&["<a@odd.example>", "<a@good.example>", "<>"], Finding::Nothing),
            (&["<a@never.example>"], Finding::Unknown),
        ] {
            let tuples = (0..).zip(froms.iter().map(|from| tuple(from, "u")));
            assert_eq!(judge(tuples, &Zone), wanted, "{froms:?}");
        }
    }
}
