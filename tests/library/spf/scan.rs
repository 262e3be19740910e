//! Exemptions among the questions of a scan: what is believed, and what is remembered.

use super::{claim, resolver};
use crate::support::responder::*;
use crate::support::zone::Zone;
use greytrapper::dns::exemption::Claim;
use greytrapper::dns::resolver::Resolver;
use greytrapper::inquiry::{Findings, Inquiry, Questions};
use greytrapper::scan::Answers;
use greytrapper::scan::answers::{Exemption, Ground, SpfResult};
use std::collections::HashSet;
use std::net::IpAddr;

const HOST: &str = "192.0.2.1";

fn ask(resolver: &mut Resolver, exemptions: &[Claim], control: &str) -> Findings {
    let controls = vec![control.as_bytes().to_vec()];
    let exemptions = exemptions.to_vec();
    let questions = Questions { exemptions, controls, ..Questions::default() };
    let mut inquiry = Inquiry::begin(questions, resolver, None);
    while !inquiry.advance(resolver) {
        resolver.turn(inquiry.patience(), |_| {}).unwrap();
    }
    let (questions, answered) = inquiry.end(resolver);
    Findings::new(questions, answered, HashSet::new())
}

fn answer(findings: &Findings, domain: &str) -> (Exemption, Option<SpfResult>) {
    let host: IpAddr = HOST.parse().unwrap();
    let domain = domain.as_bytes();
    (findings.exemption(host, domain), findings.spf(host, domain))
}

const WORLD: &[&str] = &[
    "ours.example MX 10 mx.ours.example",
    "mail.example MX 10 mx.mail.example",
    "mx.mail.example A 192.0.2.1",
    "spf.example TXT v=spf1 ip4:192.0.2.0/24 -all",
    "deny.example TXT v=spf1 mx -all",
    "exact.example TXT v=spf1 exists:%{l}.%{i}.ok.exact.example ~all",
    "good.192.0.2.1.ok.exact.example A 127.0.0.2",
];

fn claims() -> Vec<Claim> {
    let senders = [
        "u@mail.example",
        "<u@SPF.example.>",
        "u@deny.example",
        "u@gone.example",
        "bad@exact.example",
        "good@exact.example",
    ];
    senders.iter().map(|sender| claim(HOST, "helo.example", sender)).collect()
}

#[test]
fn answers_are_found_by_address_and_domain() {
    let server = Zone::new(WORLD).serve();
    let found = ask(&mut resolver(server.address), &claims(), "ours.example");
    let spf = |mechanism: &str| Exemption::Exempt(Ground::Spf(mechanism.into()));
    let (pass, fail) = (Some(SpfResult::Pass), Some(SpfResult::Fail));
    for (domain, wanted) in [
        ("mail.example", (Exemption::Exempt(Ground::Mx), None)),
        ("spf.example", (spf("ip4:192.0.2.0/24"), pass)),
        ("deny.example", (Exemption::NotExempt, fail)),
        ("gone.example", (Exemption::NotExempt, Some(SpfResult::None))),
        // Of several messages the best counts.
        ("exact.example", (spf("exists:%{l}.%{i}.ok.exact.example"), pass)),
        ("never.asked.example", (Exemption::Unknown, None)),
    ] {
        assert_eq!(answer(&found, domain), wanted, "{domain}");
    }
    let other: IpAddr = "192.0.2.2".parse().unwrap();
    assert_eq!(found.exemption(other, b"mail.example"), Exemption::Unknown);
}

/// A server that denies even what must exist is not believed, but a pass is.
#[test]
fn what_rests_on_denials_of_an_unproven_server_is_unknown() {
    let spf_only = |query: &Query| {
        let zone = Zone::new(&WORLD[3..5]);
        if query.rtype == crate::support::zone::TXT { zone.answer(query) } else { denied(query) }
    };
    fn denied(query: &Query) -> Vec<Act> {
        query.control().unwrap_or_else(|| query.reply().rcode(NXDOMAIN).soa(60).send())
    }
    let server = Responder::start(spf_only);
    let found = ask(&mut resolver(server.address), &claims(), "ours.example");
    assert!(matches!(answer(&found, "spf.example").0, Exemption::Exempt(_)));
    for domain in ["mail.example", "deny.example", "gone.example"] {
        assert_eq!(answer(&found, domain), (Exemption::Unknown, None), "{domain}");
    }
    assert!(found.doubt().is_some());
}

#[test]
fn what_was_found_is_not_asked_for_again() {
    let (server, counts) = Zone::new(WORLD).serve_counting();
    let mut resolver = resolver(server.address);
    let claims = claims();
    ask(&mut resolver, &claims, "ours.example");
    let asked = |name: &str| counts.lock().unwrap().get(name).copied().unwrap_or_default();
    let names = ["mail.example", "spf.example", "deny.example", "gone.example", "exact.example"];
    let before = names.map(asked);
    assert_eq!(before, [2, 3, 3, 3, 3], "MX, A and mostly TXT");
    ask(&mut resolver, &claims, "ours.example");
    assert_eq!(names[..4].iter().map(|name| asked(name)).collect::<Vec<_>>(), before[..4]);
    // Another host asks the policy of a known domain no more, but all that it depends on.
    ask(&mut resolver, &[claim("192.0.2.9", "x", "u@mail.example")], "ours.example");
    assert_eq!(
        (asked("mail.example"), asked("mx.mail.example")),
        (4, 1),
        "A and TXT, which denied"
    );
}

/// 2000 hosts in the name of one big sender: its policy is asked for once.
#[test]
fn big_senders_cost_little() {
    let lines: Vec<String> = WORLD.iter().map(|line| (*line).to_owned()).collect();
    let server = Zone::new(&lines).serve();
    let hosts = (0..2000_u32).map(|n| std::net::Ipv4Addr::from_bits(0xc633_6400 + n).to_string());
    let claims: Vec<_> = hosts.map(|host| claim(&host, "x", "u@spf.example")).collect();
    let found = ask(&mut resolver(server.address), &claims, "ours.example");
    let not = claims
        .iter()
        .filter(|c| found.exemption(c.address, b"spf.example") == Exemption::NotExempt);
    assert_eq!(not.count(), 2000);
    assert!(server.asked() < 20, "{}", server.asked());
}
