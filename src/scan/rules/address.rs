//! Rule `address`: an anonymous host that calls itself by an address or by the recipient's domain.
//!
//! Addresses with and without brackets are meant, its own and those of others. One tuple is enough, since
//! mail servers that nobody has named are hardly ever set up to say that. Source: RFC 5321, 4.1.1.1 and
//! 4.1.3, allow address literals to hosts without a name; measured in real mail.

use super::{Case, Finding, Identity, Letter, Opinion, Stage, Subject};
use crate::config::{Config, Rules};
use crate::escape::escaped;
use crate::scan::sender;
use crate::spamd::Tuple;
use std::net::{IpAddr, Ipv6Addr};

/// A HELO that is an address or the recipient's domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Address {
    tuple: u32,
    form: Form,
}

/// What a host calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// An address, with or without brackets.
    Number,
    /// The recipient's domain.
    Recipients,
}

impl Finding for Address {
    const NAME: &'static str = "address";
    const STAGE: Stage = Stage::Host;
    const IDENTITY: Identity = Identity::Ignored;

    fn is_on(config: &Config) -> bool {
        is_on(&config.rules)
    }

    fn hits(letter: &Letter<'_, '_>, rules: &Rules) -> bool {
        is_on(rules) && form(letter.tuple).is_some()
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        is_on(subject.rules) && subject.is_lettered()
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        if !is_on(case.subject.rules) {
            return Opinion::Nothing;
        }
        let find = |number, tuple: &Tuple<'_>| Some(Address { tuple: number, form: form(tuple)? });
        case.one_letter(case.anonymity, find)
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let helo = escaped(subject.tuple(self.tuple).helo);
        match self.form {
            Form::Number => format!("Host calls itself {helo}"),
            Form::Recipients => format!("Host calls itself {helo}, the recipient's domain"),
        }
    }

    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        vec![subject.tuple(self.tuple)]
    }
}

fn is_on(rules: &Rules) -> bool {
    rules.helo_address && rules.identity
}

fn form(tuple: &Tuple<'_>) -> Option<Form> {
    if is_address(tuple.helo) {
        return Some(Form::Number);
    }
    is_recipients(tuple.helo, tuple.to).then_some(Form::Recipients)
}

/// Whether this is an address, or an address literal (RFC 5321, 4.1.3; the tag of IPv6 may be missing).
fn is_address(helo: &[u8]) -> bool {
    let parse = |text: &[u8]| str::from_utf8(text).ok()?.parse::<IpAddr>().ok();
    match helo {
        [b'[', inner @ .., b']'] => {
            let tag = inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case(b"IPv6:"));
            let tagged = tag.and_then(|_| inner.get(5..));
            let parse_6 = |text: &[u8]| str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok();
            tagged.map_or_else(|| parse(inner).is_some(), |text| parse_6(text).is_some())
        }
        // Nearly all names end here.
        [.., b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b':'] => {
            let is_digit = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
            helo.len() < 46 && helo.iter().all(is_digit) && parse(helo).is_some()
        }
        _ => false,
    }
}

/// Whether a HELO string is the domain of this recipient, both as written. What spamd has cut short has no
/// domain.
fn is_recipients(helo: &[u8], to: &[u8]) -> bool {
    let helo = helo.strip_suffix(b".").unwrap_or(helo);
    let end = to.strip_suffix(b">").unwrap_or(to);
    let end = end.strip_suffix(b".").unwrap_or(end);
    let Some((before, domain)) =
        end.len().checked_sub(helo.len()).and_then(|at| end.split_at_checked(at))
    else {
        return false;
    };
    let is_equal = !helo.is_empty() && before.ends_with(b"@") && domain.eq_ignore_ascii_case(helo);
    is_equal && !sender::is_cut(to) && sender::domain(to).is_some_and(|to| to == domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::testing::{grey, letter_rules, letters};

    /// Forms in real mail, with other addresses and domains.
    #[test]
    fn forms_of_helo() {
        let (number, recipients) = (Some(Form::Number), Some(Form::Recipients));
        for (helo, to, wanted, what) in [
            ("192.0.2.1", "<u@ours.example>", number, "its own address"),
            ("198.51.100.9", "<u@ours.example>", number, "another's"),
            ("[192.0.2.1]", "<u@ours.example>", number, "a literal"),
            ("[198.51.100.9]", "<u@ours.example>", number, "another's literal"),
            ("[IPv6:2001:db8::1]", "<u@ours.example>", number, "IPv6"),
            ("[ipv6:2001:DB8::1]", "<u@ours.example>", number, "the tag in any case"),
            ("[2001:db8::1]", "<u@ours.example>", number, "without its tag"),
            ("2001:db8::1", "<u@ours.example>", number, "without brackets"),
            ("::ffff:192.0.2.1", "<u@ours.example>", number, "mapped"),
            ("fe80::1", "<u@ours.example>", number, "letters first"),
            ("ours.example", "<u@ours.example>", recipients, "the recipient's domain"),
            ("OURS.Example.", "<u@ours.example>", recipients, "in another spelling"),
            ("ours.example", "u@ours.example", recipients, "without brackets"),
            ("ours.example", "<u@Ours.example.>", recipients, "with a dot"),
            ("ours.example", "<@relay.example:u@ours.example>", recipients, "a source route"),
            ("ours.example", "<\"u@x\"@ours.example>", recipients, "a quoted string"),
            ("mx.ours.example", "<u@ours.example>", None, "a host there"),
            ("ours.example", "<u@sub.ours.example>", None, "the domain above"),
            ("urs.example", "<u@ours.example>", None, "the end of it"),
            ("example", "<u@ours.example>", None, "its last label"),
            ("ours.example", "<u@ours.example", None, "cut short"),
            ("ours.example", "<postmaster>", None, "no domain"),
            ("", "<u@>", None, "nothing"),
            ("[192.0.2.1", "<u@ours.example>", None, "not closed"),
            ("[ours]", "<u@ours.example>", None, "no address in brackets"),
            ("[IPv6:192.0.2.1]", "<u@ours.example>", None, "a wrong tag"),
            ("[]", "<u@ours.example>", None, "an empty literal"),
            ("192.0.2", "<u@ours.example>", None, "three numbers"),
            ("192.0.2.256", "<u@ours.example>", None, "no octet"),
            ("192.0.2.1.", "<u@ours.example>", None, "a dot more"),
            ("0300.0.2.1", "<u@ours.example>", None, "base 8"),
            ("0xc0000201", "<u@ours.example>", None, "base 16"),
            ("3221225985", "<u@ours.example>", None, "one number"),
            ("\u{661}92.0.2.1", "<u@ours.example>", None, "other digits"),
            ("192.0.2.1:25", "<u@ours.example>", None, "a port"),
            ("192-0-2-1.dsl.example", "<u@ours.example>", None, "a name"),
            ("friend", "<u@ours.example>", None, "one label"),
            ("dead.beef", "<u@ours.example>", None, "letters that are digits"),
        ] {
            let (helo, from, to) = (helo.as_bytes(), &b"<a@x.example>"[..], to.as_bytes());
            let tuple = Tuple { address: b"192.0.2.1", helo, from, to };
            assert_eq!(form(&tuple), wanted, "{what}: {tuple:?}");
        }
    }

    #[test]
    fn anonymous_hosts_may_not_say_it() {
        let rules = Rules { stranger: false, crowd: false, ..letter_rules() };
        let one = |address: &str, helo: &str, from: &str| {
            letters(&[grey(address, helo, from, "<u@no.ours.test>")], &rules).remove(0)
        };
        let number = "Host calls itself 203.0.113.7";
        for (address, helo, from, wanted) in [
            ("10.0.0.1", "203.0.113.7", "<a@x.example>", format!("address {number}")),
            ("10.0.0.1", "203.0.113.7", "<>", format!("address {number}")),
            ("2001:db8::1", "203.0.113.7", "<a@x.example>", format!("address {number}")),
            (
                "10.0.0.1",
                "no.ours.test",
                "<a@x.example>",
                "address Host calls itself no.ours.test, the recipient's domain".into(),
            ),
            ("10.1.0.1", "203.0.113.7", "<a@x.example>", "- nothing against it".into()),
            ("10.2.0.1", "203.0.113.7", "<a@x.example>", format!("- identity not known: {number}")),
            (
                "10.0.0.1",
                "203.0.113.7",
                "<a@vouches.example>",
                format!("- sender's domain vouches for it: {number}"),
            ),
            (
                "10.0.0.1",
                "203.0.113.7",
                "<a@maybe.example>",
                format!("- not known whether the sender's domain vouches for it: {number}"),
            ),
            ("10.0.0.1", "friend", "<a@x.example>", "- nothing against it".into()),
        ] {
            let wanted = format!("{address} {wanted}");
            assert_eq!(one(address, helo, from), wanted, "{address} {helo} {from}");
        }
        let off = Rules { helo_address: false, ..rules.clone() };
        let records = [grey("10.0.0.1", "203.0.113.7", "<a@x.example>", "<u@ours.test>")];
        assert_eq!(letters(&records, &off), ["10.0.0.1 - nothing against it"]);
        let nobody = Rules { identity: false, ..rules };
        assert_eq!(letters(&records, &nobody), ["10.0.0.1 - nothing against it"]);
    }

    /// Who vouches for one message does not vouch for another.
    #[test]
    fn only_the_domain_of_the_tuple_exempts() {
        let rules = Rules { stranger: false, crowd: false, ..letter_rules() };
        let one = |helo, from, to| grey("10.0.0.1", helo, from, to);
        let exempt = one("[192.0.2.1]", "<a@vouches.example>", "<u@ours.test>");
        let other = one("[192.0.2.1]", "<a@x.example>", "<v@ours.test>");
        let good = one("friend", "<a@x.example>", "<w@ours.test>");
        let named = one("yes.x.example", "<a@x.example>", "<w@ours.test>");
        let trapped = "10.0.0.1 address Host calls itself [192.0.2.1]";
        let spared = "10.0.0.1 - sender's domain vouches for it: Host calls itself [192.0.2.1]";
        assert_eq!(letters(&[exempt.clone(), other.clone()], &rules), [trapped]);
        assert_eq!(letters(&[exempt, good], &rules), [spared]);
        // One HELO name that DNS confirms says who the host is.
        assert_eq!(letters(&[other, named], &rules), ["10.0.0.1 - nothing against it"]);
    }
}
