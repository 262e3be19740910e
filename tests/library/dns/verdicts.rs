//! The verdict table, row by row, against a server that says what each row says.

use super::{resolver, verdict, verdicts};
use crate::support::responder::*;

/// A zone with a name for each row.
pub fn zone(query: &Query) -> Vec<Act> {
    if let Some(control) = query.control() {
        return control;
    }
    let (owner, reply) = (query.name.as_str(), query.reply());
    let first = owner.split('.').next().unwrap_or_default();
    match (first, query.rtype) {
        ("mx", MX) => reply.answer(owner, MX, 300, &mx(10, "mail.example")),
        ("two", MX) => {
            reply.answer(owner, MX, 300, &mx(0, "")).answer(owner, MX, 300, &mx(10, "mail.example"))
        }
        ("null", MX) => reply.answer(owner, MX, 300, &mx(0, "")),
        ("null10", MX) => reply.answer(owner, MX, 300, &mx(10, "")),
        ("nulls", MX) => {
            reply.answer(owner, MX, 300, &mx(0, "")).answer(owner, MX, 300, &mx(5, ""))
        }
        ("a", A) => reply.answer(owner, A, 300, &[192, 0, 2, 1]),
        ("aaaa", AAAA) => reply.answer(owner, AAAA, 300, &[1; 16]),
        ("a" | "aaaa" | "none", _) => reply.soa(60),
        ("bare", _) => reply,
        ("gone", _) => reply.rcode(NXDOMAIN).soa(60),
        ("alias", MX) => reply.answer(owner, CNAME, 300, &name("mx.example")).answer(
            "mx.example",
            MX,
            300,
            &mx(10, "mail.example"),
        ),
        // The record of another name than the one at the chain's end does not count.
        ("astray", _) => reply
            .answer(owner, CNAME, 300, &name("gone.example"))
            .answer("other.example", MX, 300, &mx(10, "mail.example"))
            .rcode(NXDOMAIN),
        ("stranger", MX) => reply.answer("other.example", MX, 300, &mx(10, "mail.example")),
        ("stranger", _) => reply.soa(60),
        ("dangling", _) => {
            reply.answer(owner, CNAME, 300, &name("gone.example")).rcode(NXDOMAIN).soa(60)
        }
        ("empty", _) => reply.answer(owner, CNAME, 300, &name("none.example")).soa(60),
        ("outward", _) => {
            reply.authoritative().answer(owner, CNAME, 300, &name("elsewhere.example"))
        }
        ("referral", _) => reply.authority("example", NS, 300, &name("ns.example")),
        ("lame", _) => reply.lame(),
        ("lamegone", _) => reply.lame().rcode(NXDOMAIN),
        ("authority", _) => reply.authoritative().rcode(NXDOMAIN).soa(60),
        ("contradiction", MX) => {
            reply.answer(owner, MX, 300, &mx(10, "mail.example")).rcode(NXDOMAIN)
        }
        // As load balancers deny what they have no record of.
        ("shop", A) => reply.answer(owner, A, 300, &[192, 0, 2, 80]),
        ("shop", _) => reply.rcode(NXDOMAIN).soa(60),
        ("half", A) => reply.rcode(SERVFAIL),
        ("half", _) => reply.soa(60),
        ("servfail", _) => reply.rcode(SERVFAIL),
        ("refused", _) => reply.rcode(REFUSED),
        _ => return Vec::new(),
    }
    .send()
}

#[test]
fn the_table() {
    let server = Responder::start(zone);
    let (domains, expected): (Vec<_>, Vec<_>) = [
        ("mx.example", "good MX"),
        ("two.example", "good MX"),
        ("null.example", "bad null MX"),
        ("null10.example", "unknown null MX with a preference or beside other MX records"),
        ("nulls.example", "unknown null MX with a preference or beside other MX records"),
        ("a.example", "good no MX, address"),
        ("aaaa.example", "good no MX, address"),
        ("none.example", "bad no MX or A"),
        ("bare.example", "bad no MX or A"),
        ("gone.example", "bad no such domain"),
        ("shop.example", "good no MX, address"),
        ("alias.example", "good MX"),
        ("astray.example", "bad no such domain"),
        ("stranger.example", "bad no MX or A"),
        ("dangling.example", "bad no such domain"),
        ("empty.example", "bad no MX or A"),
        ("outward.example", "unknown referral"),
        ("referral.example", "unknown referral"),
        ("lame.example", "unknown lame server"),
        ("lamegone.example", "unknown lame server"),
        ("authority.example", "bad no such domain"),
        ("contradiction.example", "unknown malformed answer"),
        ("half.example", "unknown SERVFAIL"),
        ("servfail.example", "unknown SERVFAIL"),
        ("refused.example", "unknown REFUSED"),
        ("silent.example", "unknown no answer"),
    ]
    .into_iter()
    .unzip();
    let found = verdicts(&mut resolver(&[server.address]), &domains);
    for ((domain, found), expected) in domains.iter().zip(&found).zip(expected) {
        assert_eq!(found, expected, "{domain}");
    }
}

#[test]
fn the_same_over_ipv6() {
    let server = Responder::start_at("[::1]:0".parse().unwrap(), zone);
    assert_eq!(verdict(server.address, "mx.example"), "good MX");
    assert_eq!(verdict(server.address, "gone.example"), "bad no such domain");
}

/// Not one of these reaches the server: only the control question may.
#[test]
fn what_is_no_name_is_not_asked() {
    let server = Responder::start(zone);
    let long = format!("{0}.{0}.{0}.{0}.example", "a".repeat(63));
    let label = format!("{}.example", "a".repeat(64));
    let domains = [
        "",
        ".",
        "..",
        "a..example",
        "192.0.2.1",
        "123",
        "a b.example",
        "a\0b.example",
        "[192.0.2.1]",
        &long,
        &label,
        "xn--\u{fffd}.example",
        "\u{7f}.example",
        "-\n.example",
    ];
    for (domain, found) in domains.iter().zip(verdicts(&mut resolver(&[server.address]), &domains))
    {
        assert!(found.starts_with("unknown "), "{domain:?}: {found}");
    }
    assert_eq!(server.asked(), 0);
}

#[test]
fn names_as_long_as_may_be_are_asked() {
    let server = Responder::start(zone);
    let label = "a".repeat(63);
    let longest = format!("mx.{label}.{label}.{label}.{}", "a".repeat(58));
    assert_eq!(longest.len(), 253);
    assert_eq!(verdict(server.address, &longest), "good MX");
    assert_eq!(verdict(server.address, &format!("mx.{label}.example.")), "good MX");
    assert_eq!(verdict(server.address, "MX.Bücher.example"), "good MX");
}

/// One question for all who ask at once, and for all who ask while the verdict holds.
#[test]
fn a_domain_is_asked_once() {
    let server = Responder::start(zone);
    let mut resolver = resolver(&[server.address]);
    for _ in 0..3 {
        let found = verdicts(&mut resolver, &["mx.example", "MX.example", "mx.example."]);
        assert_eq!(found, ["good MX"; 3]);
    }
    assert_eq!(server.asked(), 2);
    // What is not known is asked again.
    for round in 1..=2 {
        verdicts(&mut resolver, &["servfail.example"]);
        assert_eq!(server.asked(), 2 + round);
    }
}
