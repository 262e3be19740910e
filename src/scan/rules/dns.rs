//! Rule `dns`: a sender in a domain that does not receive mail, so that a reply is impossible.
//!
//! Finds the domain to look up for a tuple, and what the answers mean for a host's tuples. Null senders and
//! address literals have no domain; the rule `syntax` handles senders that are not mailboxes. A host with
//! identity is judged only by tuples whose HELO name is in the sender's registrable domain: others are
//! relays that many use. Source: RFC 5321, 5.1, and RFC 7505; only a definite answer counts.

use super::{Case, Finding, Identity, Opinion, Stage, Subject};
use crate::config::{Config, Rules};
use crate::escape::escaped;
use crate::name;
use crate::scan::answers::{Answers, Bad, DomainVerdict};
use crate::scan::sender::Sender;
use crate::scan::unasked::Check;
use crate::spamd::Tuple;
use std::borrow::Cow;

/// A sender domain without a mail server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Dns {
    tuple: u32,
    bad: Bad,
}

impl Finding for Dns {
    const NAME: &'static str = "dns";
    const STAGE: Stage = Stage::Answers;
    const IDENTITY: Identity = Identity::Outweighs;

    fn is_on(config: &Config) -> bool {
        config.rules.sender_dns
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        subject.rules.sender_dns
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let answers = case.answers.filter(|_| Dns::could_hit(&case.subject));
        match answers.map(|answers| judge(case.subject.numbered(), answers)) {
            Some(Found::Bad(tuple, bad)) => Opinion::Against(Dns { tuple, bad }),
            Some(Found::Unknown) => Opinion::Unasked(Check::SenderDomain.into()),
            Some(Found::Nothing) | None => Opinion::Nothing,
        }
    }

    /// If the tuple is not a relay's: its HELO name is in the sender's registrable domain.
    fn stands(&self, subject: &Subject<'_>) -> bool {
        is_direct(&subject.tuple(self.tuple))
    }

    /// The registrable domain: names below one of them count once.
    fn bad<'t>(
        tuple: &Tuple<'t>,
        _: &Rules,
        answers: Option<&dyn Answers>,
    ) -> Option<Cow<'t, [u8]>> {
        let (answers, domain) = (answers?, domain(tuple).filter(|_| is_direct(tuple))?);
        let (mut lower, mut registrable) = (Vec::new(), Vec::new());
        name::lower(domain, &mut lower);
        if !matches!(answers.domain(&lower), Some(DomainVerdict::Bad(_))) {
            return None;
        }
        name::registrable(domain, &mut registrable);
        Some(registrable.into())
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let domain = escaped(domain(&subject.tuple(self.tuple)).unwrap_or_default());
        let null = if self.bad == Bad::NullMx { " (null MX)" } else { "" };
        format!("Mailed from sender {domain} with no MX or A{null}")
    }

    /// The tuples with the domain that does not receive mail.
    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        let wanted = domain(&subject.tuple(self.tuple)).unwrap_or_default();
        let is_wanted = |tuple: &Tuple<'_>| {
            domain(tuple).is_some_and(|domain| domain.eq_ignore_ascii_case(wanted))
        };
        subject.tuples().filter(is_wanted).collect()
    }
}

/// Whether a tuple's HELO name is in the registrable domain of its sender.
fn is_direct(tuple: &Tuple<'_>) -> bool {
    let (Some(helo), Some(domain)) = (name::host_name(tuple.helo), domain(tuple)) else {
        return false;
    };
    let (mut one, mut other) = (Vec::new(), Vec::new());
    name::registrable(helo, &mut one);
    name::registrable(domain, &mut other);
    one == other
}

/// What the answers say about a host's senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The tuple with this number is the first whose domain does not receive mail, of those that are not a
    /// relay's if there is one.
    Bad(u32, Bad),
    /// None is bad, but one is unknown.
    Unknown,
    /// All are good.
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
fn judge<'t>(
    tuples: impl Iterator<Item = (u32, Tuple<'t>)>,
    answers: &dyn Answers,
) -> Found {
    let mut finding = Found::Nothing;
    let mut lower = Vec::new();
    for (number, tuple) in tuples {
        let Some(domain) = domain(&tuple) else { continue };
        lower.clear();
        name::lower(domain, &mut lower);
        match (answers.domain(&lower), finding) {
            (Some(DomainVerdict::Bad(bad)), _) if is_direct(&tuple) => {
                return Found::Bad(number, bad);
            }
            (_, Found::Bad(..)) => {}
            (Some(DomainVerdict::Bad(bad)), _) => finding = Found::Bad(number, bad),
            (None, _) => finding = Found::Unknown,
            // Something that is not a name was never looked up, so no answer is missing.
            (Some(verdict), _) if verdict.is_lacking() => finding = Found::Unknown,
            _ => {}
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
            (&["<a@good.example>", "<a@Gone.EXAMPLE>"][..], Found::Bad(1, Bad::NxDomain)),
            (
                &["<a@dunno.example>", "<a@null.example>", "<a@gone.example>"],
                Found::Bad(1, Bad::NullMx),
            ),
            (&["<a@dunno.example>", "<a@good.example>"], Found::Unknown),
            (&["<a@odd.example>", "<a@good.example>", "<>"], Found::Nothing),
            (&["<a@never.example>"], Found::Unknown),
        ] {
            let tuples = (0..).zip(froms.iter().map(|from| tuple(from, "u")));
            assert_eq!(judge(tuples, &Zone), wanted, "{froms:?}");
        }
    }
}
