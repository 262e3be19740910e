//! Rule `dynamic`: a host that calls itself by the name that its access network has made of its address.
//!
//! That such a name is confirmed tells nothing, since it leads back to its line by itself; a PTR name of the
//! host's own does. Mail servers of providers are numbered in the same way, but say in their name what they
//! are ([`name::has_mail_word`]). One tuple is enough. Source: the tests of SpamAssassin for HELO names that
//! hold the address; measured in real mail.

use super::{Case, Finding, Identity, Letter, Opinion, Stage, Subject};
use crate::config::{Config, Rules};
use crate::escape::escaped;
use crate::name;
use crate::scan::exemption;
use crate::spamd::Tuple;
use std::net::IpAddr;

/// A HELO name made of the host's own address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Dynamic {
    tuple: u32,
}

impl Finding for Dynamic {
    const NAME: &'static str = "dynamic";
    const STAGE: Stage = Stage::Host;
    const IDENTITY: Identity = Identity::Ignored;

    fn is_on(config: &Config) -> bool {
        is_on(&config.rules)
    }

    fn hits(letter: &Letter<'_, '_>, rules: &Rules) -> bool {
        let address = letter.address.ip();
        is_on(rules)
            && name::may_be_of_line(letter.tuple.helo, address)
            && is_of_line(letter.tuple, address)
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        is_on(subject.rules) && subject.is_lettered()
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let address = case.subject.host.address.ip();
        let own = case.answers.map(|answers| answers.reverse(address).0).unwrap_or_default();
        if !is_on(case.subject.rules) {
            return Opinion::Nothing;
        }
        case.one_letter(own.into(), |number, tuple| {
            is_of_line(tuple, address).then_some(Dynamic { tuple: number })
        })
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let helo = escaped(subject.tuple(self.tuple).helo);
        format!("Host calls itself by its address ({helo})")
    }

    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        vec![subject.tuple(self.tuple)]
    }
}

fn is_on(rules: &Rules) -> bool {
    rules.helo_dynamic && rules.identity
}

/// Whether the tuple's HELO is the name of the host's line, and not the sender's domain too.
fn is_of_line(tuple: &Tuple<'_>, address: IpAddr) -> bool {
    let Some(helo) = name::host_name(tuple.helo) else { return false };
    let is_sender = || {
        let from = exemption::mailbox(tuple.from);
        from.is_some_and(|from| from.domain.eq_ignore_ascii_case(helo))
    };
    name::is_of_line(helo, address) && !is_sender()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::testing::{grey, letter_rules, letters};

    /// Forms in real mail, with other addresses and domains; `name::made` has those of the names.
    #[test]
    fn names_of_lines() {
        for (helo, from, wanted, what) in [
            ("203-0-113-7.dsl.example", "<a@x.example>", true, "a line"),
            ("203-0-113-7.dsl.example.", "<>", true, "a null sender"),
            ("7.113.0.203.dsl.example", "<a@x.example>", true, "backwards"),
            ("cb007107.dip.example", "<a@x.example>", true, "hexadecimal"),
            ("203-0-113-7.dsl.example", "<a@203-0-113-7.DSL.example>", false, "the sender's domain"),
            ("203-0-113-7.dsl.example", "<a@dsl.example>", true, "its network's domain"),
            ("mail-203-0-113-7.example", "<a@x.example>", false, "mail service"),
            ("203-0-113-7.out.example", "<a@x.example>", false, "mail service"),
            ("0-113-7.dsl.example", "<a@x.example>", false, "three octets"),
            ("203-0-113-8.dsl.example", "<a@x.example>", false, "another line"),
            ("203.0.113.7", "<a@x.example>", false, "an address: the rule `address`"),
            ("[203.0.113.7]", "<a@x.example>", false, "a literal: the same"),
            ("203-0-113-7", "<a@x.example>", false, "no dot"),
            ("cb007107", "<a@x.example>", false, "no dot"),
            ("203-0-113-7..example", "<a@x.example>", false, "no name"),
            ("203-0-113-7 dsl.example", "<a@x.example>", false, "no name"),
            ("mx.example", "<a@x.example>", false, "a name"),
        ] {
            let address = IpAddr::from([203, 0, 113, 7]);
            let (from, to) = (from.as_bytes(), &b"<u@ours.example>"[..]);
            let tuple = Tuple { address: b"203.0.113.7", helo: helo.as_bytes(), from, to };
            assert_eq!(is_of_line(&tuple, address), wanted, "{what}: {tuple:?}");
            let hits = name::may_be_of_line(tuple.helo, address);
            assert!(hits || !wanted, "{what}");
        }
    }

    #[test]
    fn a_name_of_its_own_spares_and_a_confirmed_helo_does_not() {
        let rules = Rules { stranger: false, crowd: false, ..letter_rules() };
        let found = |helo: &str| format!("Host calls itself by its address ({helo})");
        let (none, own, unknown) =
            ("10-0-0-1.dsl.example", "10-1-0-1.dsl.example", "10-2-0-1.dsl.example");
        for (address, helo, from, wanted) in [
            ("10.0.0.1", none, "<a@x.example>", format!("dynamic {}", found(none))),
            ("10.0.0.1", none, "<>", format!("dynamic {}", found(none))),
            ("10.1.0.1", own, "<a@x.example>", "- nothing against it".into()),
            (
                "10.2.0.1",
                unknown,
                "<a@x.example>",
                format!("- identity not known: {}", found(unknown)),
            ),
            (
                "10.0.0.1",
                none,
                "<a@vouches.example>",
                format!("- sender's domain vouches for it: {}", found(none)),
            ),
            (
                "10.0.0.1",
                none,
                "<a@maybe.example>",
                format!("- not known whether the sender's domain vouches for it: {}", found(none)),
            ),
            ("10.0.0.1", none, "<a@10-0-0-1.DSL.example>", "- nothing against it".into()),
            ("10.0.0.1", "mx-10-0-0-1.example", "<a@x.example>", "- nothing against it".into()),
        ] {
            let records = [grey(address, helo, from, "<u@ours.test>")];
            let wanted = format!("{address} {wanted}");
            assert_eq!(letters(&records, &rules), [wanted], "{address} {helo} {from}");
        }
        let both = [
            grey("10.0.0.1", "yes.x.example", "<a@x.example>", "<u@ours.test>"),
            grey("10.0.0.1", none, "<a@x.example>", "<v@ours.test>"),
        ];
        assert_eq!(letters(&both, &rules), [format!("10.0.0.1 dynamic {}", found(none))]);
        let off = Rules { helo_dynamic: false, ..rules };
        assert_eq!(letters(&both, &off), ["10.0.0.1 - nothing against it"]);
    }
}
