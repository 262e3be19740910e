//! Rule `stranger`: an anonymous host, with signs of spam in two different fields of a tuple.
//!
//! No sign says much by itself: good mail has each of them now and then. Two in different fields of one
//! tuple, from a host of which nothing is known, are a verdict.
//!
//! | field | signs |
//! |---|---|
//! | HELO | one label; no top-level domain; a registrable domain that does not exist; used in several networks with several sender domains; the host is in a DNS list, or other sites have it in the trap |
//! | sender | its domain is used in several networks; SPF (RFC 7208) fails; it is in the recipient's domain |
//! | recipient | with `learn recipients`: many networks have written to it, and no host that passed |
//!
//! A HELO that is the sender's domain, which SPF denies, is a sign in both. Null senders give none. Source:
//! measured in real mail.

use super::{Case, Finding, Identity, Opinion, Stage, Subject};
use crate::config::{Config, Meaning, Rules};
use crate::escape::escaped_path;
use crate::evidence::{Evidence, KEPT, MANY};
use crate::name;
use crate::scan::answers::{Confirmation, Exemption, SpfResult};
use crate::scan::given::{Field, Given};
use crate::scan::{exemption, lists};
use crate::scan::identity::{self, Anonymity};
use crate::scan::sender::{self, Mailbox};
use crate::scan::unasked::{Check, Unasked};
use crate::spamd::Tuple;
use crate::spamd::spamtrap::Spamtrap;
use std::path::Path;

/// Signs of spam in two fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Stranger {
    tuple: u32,
    signs: Both,
}

/// In which fields they are, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Both {
    HeloAndSender(HeloSign, SenderSign),
    HeloAndRecipient(HeloSign),
    SenderAndRecipient(SenderSign),
}

/// A sign in the field HELO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeloSign {
    OneLabel,
    NoTld,
    Gone,
    /// It is used in so many networks.
    Shared(u8),
    /// It is the sender's domain, which SPF denies.
    Senders,
    /// The DNS list with this number has the host.
    Listed(u8),
    /// Other sites have it in the trap.
    Heard,
}

/// A sign in the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SenderSign {
    /// Its domain is used in so many networks.
    Shared(u8),
    /// SPF: fail or softfail.
    Fail,
    SoftFail,
    /// It is in the recipient's domain.
    Recipients,
}

impl HeloSign {
    fn text(self, rules: &Rules) -> String {
        match self {
            HeloSign::OneLabel => "one-label HELO".into(),
            HeloSign::NoTld => "HELO without a top-level domain".into(),
            HeloSign::Gone => "HELO in a domain that does not exist".into(),
            HeloSign::Shared(networks) => format!("HELO from {networks} networks"),
            HeloSign::Senders => "HELO of the sender domain".into(),
            HeloSign::Heard => {
                let path = rules.hear.as_deref().unwrap_or(Path::new(""));
                format!("listed in {}", escaped_path(path))
            }
            HeloSign::Listed(number) => {
                let list = rules.lists.get(usize::from(number));
                format!("listed by {}", list.map_or("a list", |list| &list.zone))
            }
        }
    }
}

impl SenderSign {
    fn text(self) -> String {
        match self {
            SenderSign::Shared(networks) => format!("sender domain from {networks} networks"),
            SenderSign::Fail => "SPF fail".into(),
            SenderSign::SoftFail => "SPF softfail".into(),
            SenderSign::Recipients => "sender in the recipient's domain".into(),
        }
    }
}

/// The sign in the recipient: evidence counts no further than [`MANY`].
const RECIPIENT: &str = "recipient mailed from more than 10 networks";
/// The least number of networks, and of sender domains with a HELO name, that is a sign.
const SEVERAL: usize = 2;

impl Finding for Stranger {
    const NAME: &'static str = "stranger";
    const STAGE: Stage = Stage::Host;
    const IDENTITY: Identity = Identity::Ignored;

    fn is_on(config: &Config) -> bool {
        is_on(&config.rules)
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        is_on(subject.rules)
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        if !is_on(case.subject.rules) {
            return Opinion::Nothing;
        }
        let mut lacking = Unasked::NONE;
        let opinion = case.one_letter(case.anonymity, |number, tuple| match signs(case, tuple) {
            Signs::Both(signs) => Some(Stranger { tuple: number, signs }),
            Signs::Few(checks) => {
                lacking = lacking.or(checks);
                None
            }
        });
        match opinion {
            Opinion::Nothing if case.anonymity == Anonymity::Anonymous && !lacking.is_empty() => {
                Opinion::Unasked(lacking)
            }
            opinion => opinion,
        }
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let rules = subject.rules;
        match self.signs {
            Both::HeloAndSender(helo, from) => {
                format!("Stranger: {}, {}", helo.text(rules), from.text())
            }
            Both::HeloAndRecipient(helo) => format!("Stranger: {}, {RECIPIENT}", helo.text(rules)),
            Both::SenderAndRecipient(from) => format!("Stranger: {}, {RECIPIENT}", from.text()),
        }
    }

    fn seen(&self, subject: &Subject<'_>) -> Vec<Given> {
        let tuple = subject.tuple(self.tuple);
        let (helo, from, is_learnt) = match self.signs {
            Both::HeloAndSender(helo, from) => (Some(helo), Some(from), false),
            Both::HeloAndRecipient(helo) => (Some(helo), None, true),
            Both::SenderAndRecipient(from) => (None, Some(from), true),
        };
        let helo = helo.and_then(|sign| match sign {
            HeloSign::Shared(networks) => {
                Some(Given::Seen(Field::Helo, tuple.helo.to_vec(), networks, 0))
            }
            _ => None,
        });
        let from = from.and_then(|sign| match sign {
            SenderSign::Shared(networks) => {
                let mut domain = Vec::new();
                name::registrable(exemption::mailbox(tuple.from)?.domain, &mut domain);
                Some(Given::Seen(Field::Sender, domain, networks, 0))
            }
            _ => None,
        });
        let to = is_learnt.then(|| {
            let to = sender::recipient(tuple.to).unwrap_or_default().into_owned();
            Given::Seen(Field::Recipient, to, small(MANY), 0)
        });
        [helo, from, to].into_iter().flatten().collect()
    }

    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        vec![subject.tuple(self.tuple)]
    }
}

fn is_on(rules: &Rules) -> bool {
    rules.stranger && rules.identity
}

/// The signs in a tuple.
enum Signs {
    /// In two fields.
    Both(Both),
    /// These checks, which have no result, could make it two.
    Few(Unasked),
}

fn signs(case: &Case<'_, '_>, tuple: &Tuple<'_>) -> Signs {
    let Some(from) = exemption::mailbox(tuple.from) else { return Signs::Few(Unasked::NONE) };
    let (spf, sender) = (spf_sign(case, &from), sender_sign(case, &from, tuple.to));
    let is_learnt = is_learnt(case, tuple.to);
    let mut lacking = Unasked::NONE;
    let mut helo = helo_sign(case, tuple.helo);
    if helo.is_none() {
        let (listed, number) = listed(case);
        helo = (listed == Confirmation::Confirmed).then_some(HeloSign::Listed(number));
        helo = helo.or_else(|| is_heard(case).then_some(HeloSign::Heard));
        let is_enough = sender.is_some() || is_learnt || !matches!(spf, Spf::Other);
        if helo.is_none() && listed == Confirmation::Unknown && is_enough {
            lacking = lacking.and(Check::List);
        }
    }
    let name = tuple.helo.strip_suffix(b".").unwrap_or(tuple.helo);
    let is_senders = from.domain.eq_ignore_ascii_case(name);
    Signs::Both(match (helo, sender, spf) {
        (Some(helo), Some(sign), _) | (Some(helo), None, Spf::Denies(sign)) => {
            Both::HeloAndSender(helo, sign)
        }
        (None, _, Spf::Denies(sign)) if is_senders => Both::HeloAndSender(HeloSign::Senders, sign),
        (Some(helo), ..) if is_learnt => Both::HeloAndRecipient(helo),
        (None, Some(sign), _) | (None, None, Spf::Denies(sign)) if is_learnt => {
            Both::SenderAndRecipient(sign)
        }
        (Some(_), None, Spf::Unknown) => return Signs::Few(lacking.and(Check::Exemption)),
        (None, _, Spf::Unknown) if is_senders || is_learnt => {
            return Signs::Few(lacking.and(Check::Exemption));
        }
        _ => return Signs::Few(lacking),
    })
}

/// Whether the recipient is one to which only strangers write, and could be a spamtrap.
fn is_learnt(case: &Case<'_, '_>, to: &[u8]) -> bool {
    let Rules { learn_recipients: true, rcpt, .. } = case.subject.rules else { return false };
    let is_learnt = |evidence: &Evidence| {
        sender::recipient(to).is_some_and(|recipient| {
            evidence.is_learnt(&recipient)
                && !rcpt.pass.is_match(&recipient)
                && Spamtrap::parse(&recipient).is_ok()
        })
    };
    case.evidence.is_some_and(is_learnt)
}

/// Whether other sites have the host in the trap.
fn is_heard(case: &Case<'_, '_>) -> bool {
    let address = case.subject.host.address.ip();
    let said = case.answers.and_then(|answers| answers.is_heard(address));
    case.subject.rules.hear.is_some() && said == Some(true)
}

/// Whether a DNS list that is a sign has the host.
fn listed(case: &Case<'_, '_>) -> (Confirmation, u8) {
    let Some(answers) = case.answers else { return (Confirmation::NotConfirmed, 0) };
    let address = case.subject.host.address.ip();
    lists::found(case.subject.rules, answers, address, Meaning::Sign)
}

fn helo_sign(case: &Case<'_, '_>, helo: &[u8]) -> Option<HeloSign> {
    if is_label(helo) {
        return Some(HeloSign::OneLabel);
    }
    if let Some(name) = name::host_name(helo) {
        let address = case.subject.host.address.ip();
        let is_gone = |name: &String| {
            case.answers.is_some_and(|answers| answers.is_gone(address, name))
        };
        if name::lacks_tld(name) {
            return Some(HeloSign::NoTld);
        }
        if identity::lower_name(helo, address).is_some_and(|name| is_gone(&name)) {
            return Some(HeloSign::Gone);
        }
    }
    let seen = case.evidence?.helo(helo, KEPT);
    let is_shared = seen.networks >= SEVERAL && seen.domains >= SEVERAL;
    is_shared.then(|| HeloSign::Shared(small(seen.networks)))
}

/// Whether this is a single label: no address, literal or garbage.
fn is_label(helo: &[u8]) -> bool {
    let label = helo.strip_suffix(b".").unwrap_or(helo);
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.iter().all(is_inner)
}

/// Other signs in the sender than SPF.
fn sender_sign(case: &Case<'_, '_>, from: &Mailbox<'_>, to: &[u8]) -> Option<SenderSign> {
    let mut registered = Vec::new();
    name::registrable(from.domain, &mut registered);
    let networks = case.evidence.map_or(0, |evidence| evidence.domain(&registered, KEPT));
    if networks >= SEVERAL {
        return Some(SenderSign::Shared(small(networks)));
    }
    let is_recipients = sender::domain(to).is_some_and(|to| to.eq_ignore_ascii_case(from.domain));
    is_recipients.then_some(SenderSign::Recipients)
}

/// What SPF says of a sender.
enum Spf {
    Denies(SenderSign),
    Unknown,
    Other,
}

fn spf_sign(case: &Case<'_, '_>, from: &Mailbox<'_>) -> Spf {
    let (address, domain) = (case.subject.host.address.ip(), exemption::domain(from));
    let Some(answers) = case.answers else { return Spf::Unknown };
    match answers.spf(address, &domain) {
        Some(SpfResult::Fail) => Spf::Denies(SenderSign::Fail),
        Some(SpfResult::SoftFail) => Spf::Denies(SenderSign::SoftFail),
        Some(SpfResult::TempError) => Spf::Unknown,
        None if answers.exemption(address, &domain) == Exemption::Unknown => Spf::Unknown,
        _ => Spf::Other,
    }
}

/// A number of networks, which evidence bounds.
fn small(networks: usize) -> u8 {
    u8::try_from(networks).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rules::RcptRules;
    use crate::db::{ByteOrder, Record};
    use crate::evidence::{Evidence, Sighting, Watch};
    use crate::scan::answers::{Confirmation, DomainVerdict};
    use crate::scan::{Answers, Scan};
    use regex::bytes::RegexSet;
    use std::net::IpAddr;
    use crate::scan::testing::{NOW, Oracle, grey, letter_rules, letters, lines, scan};

    fn rules() -> Rules {
        Rules { helo_address: false, helo_dynamic: false, crowd: false, ..letter_rules() }
    }

    fn one(address: &str, helo: &str, from: &str) -> Record<'static> {
        grey(address, helo, from, "<u@ours.test>")
    }

    /// Other hosts, in 10.3/16 and 10.4/16, some of which DNS knows.
    fn others() -> Vec<Record<'static>> {
        let mut records = Vec::new();
        for (network, domain) in [("10.3", "one"), ("10.4", "two")] {
            let domain = format!("<a@{domain}.example>");
            let address = |host| format!("{network}.0.{host}");
            records.push(one(&address("1"), "no.shared.example", &domain));
            records.push(one(&address("2"), "no.bounce.example", "<>"));
            records.push(one(&address("3"), "no.alike.example", "<a@alike.example>"));
            records.push(one(&address("4"), "no.u.example", "<a@www.pool.example>"));
            records.push(one(&address("5"), "yes.v.example", "<a@named.example>"));
            records.push(one(&address("6"), "dunno.v.example", "<a@unknown.example>"));
        }
        records.push(one("10.0.77.1", "no.u.example", "<a@near.example>"));
        records.push(one("10.1.0.1", "no.u.example", "<a@own.example>"));
        records
    }

    #[test]
    fn signs_in_two_fields_of_a_tuple_are_a_verdict() {
        let nothing = "- nothing against it";
        for (helo, from, wanted, what) in [
            (
                "friend",
                "<a@pool.example>",
                "stranger Stranger: one-label HELO, sender domain from 3 networks",
                "as in the manual",
            ),
            (
                "friend",
                "<a@mx.Pool.example.>",
                "stranger Stranger: one-label HELO, sender domain from 3 networks",
                "the registrable domain counts",
            ),
            ("friend", "<a@fail.example>", "stranger Stranger: one-label HELO, SPF fail", "SPF"),
            (
                "friend",
                "<a@softfail.example>",
                "stranger Stranger: one-label HELO, SPF softfail",
                "SPF",
            ),
            (
                "friend",
                "<a@ours.test>",
                "stranger Stranger: one-label HELO, sender in the recipient's domain",
                "a colleague",
            ),
            (
                "FRIEND.",
                "<u@OURS.test>",
                "stranger Stranger: one-label HELO, sender in the recipient's domain",
                "the recipient himself",
            ),
            (
                "no.pc.fritzbox",
                "<a@pool.example>",
                "stranger Stranger: HELO without a top-level domain, sender domain from 3 networks",
                "no TLD",
            ),
            (
                "web1.localdomain",
                "<a@fail.example>",
                "stranger Stranger: HELO without a top-level domain, SPF fail",
                "special-use",
            ),
            (
                "no.gone.example",
                "<a@pool.example>",
                "stranger Stranger: HELO in a domain that does not exist, \
                    sender domain from 3 networks",
                "NXDOMAIN",
            ),
            (
                "no.shared.example",
                "<a@pool.example>",
                "stranger Stranger: HELO from 3 networks, sender domain from 3 networks",
                "both by evidence",
            ),
            (
                "no.shared.example",
                "<a@fail.example>",
                "stranger Stranger: HELO from 3 networks, SPF fail",
                "one by evidence",
            ),
            (
                "no.fail.example",
                "<a@no.fail.example>",
                "stranger Stranger: HELO of the sender domain, SPF fail",
                "HELO is the sender's domain",
            ),
            (
                "NO.softfail.example.",
                "<a@no.softfail.example>",
                "stranger Stranger: HELO of the sender domain, SPF softfail",
                "the same in another spelling",
            ),
            ("friend", "<a@x.example>", nothing, "only HELO"),
            ("friend", "<>", nothing, "a null sender"),
            ("no.shared.example", "<>", nothing, "the same"),
            ("friend", "<a@[10.3.0.4]>", nothing, "a literal"),
            ("friend", "<a@sub.ours.test>", nothing, "a domain below the recipient's"),
            ("no.x.example", "<a@pool.example>", nothing, "only the sender"),
            ("no.x.example", "<a@fail.example>", nothing, "only the sender"),
            ("no.fail.example", "<a@fail.example>", nothing, "a host in the sender's domain"),
            ("no.x.example", "<a@no.x.example>", nothing, "SPF does not deny"),
            ("friend", "<a@near.example>", nothing, "a host in the same network"),
            ("friend", "<a@own.example>", nothing, "a host with a name of its own"),
            ("friend", "<a@named.example>", nothing, "hosts whose HELO is confirmed"),
            ("friend", "<a@unknown.example>", nothing, "hosts of which it is unknown"),
            ("no.bounce.example", "<a@pool.example>", nothing, "null senders have no domain"),
            ("no.alike.example", "<a@alike.example>", nothing, "one sender domain"),
            ("203.0.113.7", "<a@pool.example>", nothing, "an address"),
            ("[203.0.113.7]", "<a@pool.example>", nothing, "a literal"),
            ("b|c", "<a@pool.example>", nothing, "garbage"),
            ("", "<a@pool.example>", nothing, "no HELO"),
            ("yes.shared.example", "<a@pool.example>", nothing, "HELO is confirmed"),
            ("dunno.x.example", "<a@fail.example>", nothing, "HELO is unknown"),
            ("friend", "<a@temp.example>", "- exemption not known", "SPF is unknown"),
            (
                "friend",
                "<a@vouches.pool.example>",
                "- sender's domain vouches for it: \
                    Stranger: one-label HELO, sender domain from 3 networks",
                "exempt",
            ),
            (
                "friend",
                "<a@maybe.pool.example>",
                "- not known whether the sender's domain vouches for it: \
                    Stranger: one-label HELO, sender domain from 3 networks",
                "perhaps exempt",
            ),
        ] {
            let mut records = vec![one("10.0.0.1", helo, from)];
            records.extend(others());
            let found = letters(&records, &rules()).remove(0);
            assert_eq!(found, format!("10.0.0.1 {wanted}"), "{what}: {helo} {from}");
        }
    }

    #[test]
    fn only_anonymous_hosts_are_strangers() {
        let signs = "Stranger: one-label HELO, sender domain from 3 networks";
        for (address, wanted) in [
            ("10.1.0.9", "- nothing against it".to_owned()),
            ("10.2.0.9", format!("- identity not known: {}", signs.replace('3', "2"))),
            ("10.5.0.9", format!("stranger {signs}")),
            ("2001:db8::9", format!("stranger {signs}")),
        ] {
            let mut records = vec![one(address, "friend", "<a@pool.example>")];
            records.extend(others());
            assert_eq!(letters(&records, &rules())[0], format!("{address} {wanted}"));
        }
        let mut two = vec![
            one("10.0.0.1", "friend", "<a@x.example>"),
            one("10.0.0.1", "no.x.example", "<a@pool.example>"),
        ];
        two.extend(others());
        assert_eq!(letters(&two, &rules())[0], "10.0.0.1 - nothing against it", "two tuples");
    }

    /// A scan knows what memory has kept of earlier ones.
    #[test]
    fn earlier_scans_are_evidence_too() {
        let record = one("10.0.0.1", "friend", "<a@x.example>");
        for (age, wanted) in [
            (0, "10.0.0.1 stranger Stranger: one-label HELO, sender domain from 2 networks"),
            (7 * 86_400 + 1, "10.0.0.1 - nothing against it"),
        ] {
            let mut before = Evidence::new(NOW);
            before.note(&Sighting {
                address: "10.3.0.1".parse().unwrap(),
                helo: b"other",
                domain: Some(b"x.example"),
                recipient: b"v@ours.test",
                time: NOW - age,
            });
            let (records, rules) = ([record.clone()], rules());
            let mut scan = scan(&records, &rules);
            scan.settle(Some(&Oracle));
            let names: Vec<_> = scan.keys().into_iter().map(|key| key.name).collect();
            let wanted_names: [&[u8]; 3] = [b"friend", b"x.example", b"u@ours.test"];
            assert_eq!(names, wanted_names.map(Box::from));
            scan.recall(before.fresh());
            assert_eq!(lines(&scan.finish(Some(&Oracle))), [wanted]);
        }
    }

    /// So many networks have written to the recipient, and `days` were watched.
    fn mailed(record: &Record<'static>, rules: &Rules, (networks, days): (u8, i64)) -> Vec<String> {
        let key = String::from_utf8_lossy(&record.key).into_owned();
        let to = key.rsplit('\n').next().unwrap_or_default();
        let mut before = Evidence::new(NOW);
        for network in 0..networks {
            before.note(&Sighting {
                address: [10, 100 + network, 0, 1].into(),
                helo: b"other",
                domain: None,
                recipient: to.as_bytes(),
                time: NOW,
            });
        }
        let mut records = vec![record.clone()];
        records.extend(others().into_iter().map(|other| {
            let key = String::from_utf8_lossy(&other.key).replace("u@ours", "v@ours");
            Record { key: key.into_bytes().into(), ..other }
        }));
        let mut scan = scan(&records, rules);
        scan.settle(Some(&Oracle));
        scan.recall(before.fresh());
        scan.watched(Some(Watch { since: NOW - days * 86_400, last: NOW - 600 }));
        lines(&scan.finish(Some(&Oracle)))
    }

    /// The host's own network is the eleventh.
    #[test]
    fn a_learnt_recipient_is_the_second_sign_or_none() {
        let learns = Rules { learn_recipients: true, ..rules() };
        let last = "recipient mailed from more than 10 networks";
        for (helo, from, wanted) in [
            ("friend", "<a@x.example>", format!("stranger Stranger: one-label HELO, {last}")),
            ("no.gone.example", "<a@x.example>", format!("stranger Stranger: HELO in a domain that does not exist, {last}")),
            ("no.x.example", "<a@fail.example>", format!("stranger Stranger: SPF fail, {last}")),
            ("no.x.example", "<a@pool.example>", format!("stranger Stranger: sender domain from 3 networks, {last}")),
            // Both other fields have signs.
            ("friend", "<a@fail.example>", "stranger Stranger: one-label HELO, SPF fail".into()),
            ("no.fail.example", "<a@no.fail.example>", "stranger Stranger: HELO of the sender domain, SPF fail".into()),
            // It is the only sign.
            ("no.x.example", "<a@x.example>", "- nothing against it".into()),
            ("no.x.example", "<a@no.x.example>", "- nothing against it".into()),
            ("no.x.example", "<a@temp.example>", "- exemption not known".into()),
            ("friend", "<>", "- nothing against it".into()),
            ("yes.x.example", "<a@pool.example>", "- nothing against it".into()),
            (
                "friend",
                "<a@vouches.example>",
                format!("- sender's domain vouches for it: Stranger: one-label HELO, {last}"),
            ),
        ] {
            let record = one("10.0.0.1", helo, from);
            let found = mailed(&record, &learns, (10, 14)).remove(0);
            assert_eq!(found, format!("10.0.0.1 {wanted}"), "{helo} {from}");
        }
        let record = one("10.0.0.1", "friend", "<a@x.example>");
        for (rules, networks, days) in [(&rules(), 10, 14), (&learns, 9, 14), (&learns, 10, 13)] {
            let found = mailed(&record, rules, (networks, days)).remove(0);
            assert_eq!(found, "10.0.0.1 - nothing against it", "{networks} {days}");
        }
        // Everybody may write to these.
        let pass = RegexSet::new(["^wanted@"]).unwrap();
        let passing = Rules { rcpt: RcptRules { pass, ..RcptRules::default() }, ..learns };
        for (to, is_sign) in [
            ("<bait@ours.test>", true),
            ("<wanted@ours.test>", false),
            ("<Postmaster@ours.test>", false),
            ("<abuse@ours.test>", false),
        ] {
            let record = grey("10.0.0.1", "friend", "<a@x.example>", to);
            let found = mailed(&record, &passing, (10, 14)).remove(0);
            assert_eq!(found.contains(last), is_sign, "{to}: {found}");
        }
    }

    /// What spares a host is asked about only if it is about to be trapped, or SPF would make the second sign.
    #[test]
    fn who_may_be_exempt_is_asked_about() {
        let mut records = others();
        records.extend([
            one("10.0.0.1", "friend", "<a@pool.example>"),
            one("10.0.0.2", "friend", "<a@x.example>"),
            one("10.0.0.3", "no.x.example", "<a@no.x.example>"),
            one("10.0.0.4", "no.x.example", "<a@x.example>"),
            one("10.1.0.4", "friend", "<a@pool.example>"),
            one("10.2.0.4", "friend", "<a@pool.example>"),
        ]);
        let rules = rules();
        let records = records.into_iter().map(Ok);
        let mut scan = Scan::begin(records, ByteOrder::NATIVE, NOW, &rules).unwrap();
        assert_eq!(scan.claims(), []);
        scan.settle(Some(&Unvouched));
        let claims = scan.claims().into_iter().map(|claim| claim.address.to_string());
        let claims: Vec<_> = claims.filter(|address| address.starts_with("10.0.0")).collect();
        assert_eq!(claims, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    }

    /// The oracle before it was asked about exemptions.
    struct Unvouched;

    impl Answers for Unvouched {
        fn helo(
            &self,
            address: IpAddr,
            name: &str,
        ) -> Confirmation {
            Oracle.helo(address, name)
        }

        fn domain(&self, _: &[u8]) -> Option<DomainVerdict> {
            None
        }

        fn reverse(
            &self,
            address: IpAddr,
        ) -> (Confirmation, Option<&[u8]>) {
            (Oracle.reverse(address).0, None)
        }
    }

    #[test]
    fn one_label() {
        for (helo, wanted) in [
            ("friend", true),
            ("User-PC", true),
            ("localhost", true),
            ("pc_1.", true),
            ("1", true),
            ("", false),
            (".", false),
            ("a.b", false),
            ("2001:db8::1", false),
            ("[192.0.2.1]", false),
            ("b|c", false),
            ("b\u{fc}ro", false),
            (&"a".repeat(64), false),
        ] {
            assert_eq!(is_label(helo.as_bytes()), wanted, "{helo}");
        }
    }
}
