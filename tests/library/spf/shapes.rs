//! The shapes of policies that big senders publish, with other names and networks, and what they mean for a
//! host: `result` of `check_host()`, and whether the host is exempt.

use super::{check_host, claim, endorse, resolver};
use crate::support::nsd::Nsd;
use crate::support::zone::Zone;
use greytrapper::dns::exemption::{Exemption, Ground};
use greytrapper::dns::spf::{SpfResult, Width};
use std::net::SocketAddr;

/// A provider whose policy is a redirect to includes of many networks.
const MAIL: &[&str] = &[
    "bigmail.example TXT v=spf1 redirect=_spf.bigmail.example",
    "_spf.bigmail.example TXT v=spf1 include:_netblocks.bigmail.example include:_netblocks2.bigmail.example ~all",
    "_netblocks.bigmail.example TXT v=spf1 ip4:198.51.100.0/25 ip4:198.51.100.128/26 ip4:198.51.100.192/27 ip4:203.0.113.0/26 ~all",
    "_netblocks2.bigmail.example TXT v=spf1 ip6:2001:db8:4000::/36 ip6:2001:db8:6000::/36 ip4:192.0.2.0/25 ~all",
    "bigmail.example MX 10 mx1.in.bigmail.example",
    "mx1.in.bigmail.example A 198.51.100.250",
    "bigmail.example A 198.51.100.251",
];

/// A company that uses the provider, a mailing service and its own hosts.
const COMPANY: &[&str] = &[
    "company.example TXT google-site-verification=abc",
    "company.example TXT v=spf1 mx a:relay.company.example include:_spf.bigmail.example include:servers.mailing.example exists:%{i}._spf.crm.example -all",
    "company.example MX 10 mx.company.example",
    "company.example MX 20 backup.isp.example",
    "mx.company.example A 203.0.113.200",
    "backup.isp.example A 203.0.113.201",
    "relay.company.example A 203.0.113.202",
    "servers.mailing.example TXT v=spf1 ip4:203.0.113.64/27 ?all",
    "203.0.113.222._spf.crm.example A 127.0.0.2",
];

const OTHERS: &[&str] = &[
    "wide.example TXT v=spf1 ip4:203.0.0.0/8 -all",
    "widest.example TXT v=spf1 +all",
    "wide16.example TXT v=spf1 ip4:203.0.0.0/16 -all",
    "wide15.example TXT v=spf1 include:inner.wide15.example -all",
    "inner.wide15.example TXT v=spf1 ip4:203.0.0.0/15 -all",
    "six.example TXT v=spf1 ip6:2001:db8::/32 -all",
    "wide6.example TXT v=spf1 ip6:2001:d00::/24 -all",
    "a8.example TXT v=spf1 a/8 -all",
    "a8.example A 203.0.113.1",
    "exists.example TXT v=spf1 exists:yes.exists.example -all",
    "yes.exists.example A 127.0.0.2",
    "byhelo.example TXT v=spf1 exists:%{h}.ok.byhelo.example -all",
    "mail.client.example.ok.byhelo.example A 127.0.0.2",
    "byname.example TXT v=spf1 ptr -all",
    "byanyname.example TXT v=spf1 ptr:%{d1} -all",
    "9.113.0.203.in-addr.arpa PTR out9.byname.example",
    "out9.byname.example A 203.0.113.9",
    "neutral.example TXT v=spf1 ?all",
    "soft.example TXT v=spf1 mx ~all",
    "null.example TXT v=spf1 -all",
    "null.example MX 0 .",
    "twice.example TXT v=spf1 -all",
    "twice.example TXT v=spf1 ~all",
    "typo.example TXT v=spf1 ipv4:203.0.113.9 -all",
    "mute.example MUTE",
    "half.example TXT v=spf1 a:mute.example -all",
    "nopolicy.example MX 10 mx.nopolicy.example",
    "mx.nopolicy.example A 203.0.113.9",
    "bare.example A 203.0.113.9",
    "alias.example CNAME company.example",
];

fn world() -> Zone {
    Zone::new(&[MAIL, COMPANY, OTHERS].concat())
}

const PASS: SpfResult = SpfResult::Pass;
const FAIL: SpfResult = SpfResult::Fail;

#[test]
fn what_big_senders_publish() {
    let server = world().serve();
    what_they_mean(server.address, |_| true);
}

/// The same from a name server that others wrote.
#[test]
#[ignore = "needs nsd(8)"]
fn what_big_senders_publish_by_nsd() {
    let lines = [MAIL, COMPANY, OTHERS].concat();
    let records = lines.iter().filter(|line| !line.ends_with(" MUTE")).map(|line| {
        let (owner, rest) = line.split_once(' ').unwrap();
        match rest.split_once(' ').unwrap() {
            ("TXT", text) => format!("{owner}. TXT \"{text}\""),
            ("A" | "AAAA", _) | ("MX", "0 .") => format!("{owner}. {rest}"),
            _ => format!("{owner}. {rest}."),
        }
    });
    let nsd = Nsd::start(records);
    what_they_mean(nsd.address, |domain| !["mute.example", "half.example"].contains(&domain));
}

/// Asks a server about domains of the table.
fn what_they_mean(server: SocketAddr, is_there: impl Fn(&str) -> bool) {
    let spf = |mechanism: &str| Exemption::Exempt(Ground::Spf(mechanism.into()));
    let (not, unknown) = (Exemption::NotExempt, Exemption::Unknown);
    let (mx, address) = (Exemption::Exempt(Ground::Mx), Exemption::Exempt(Ground::Address));
    for (host, domain, result, exemption) in [
        ("198.51.100.200", "bigmail.example", PASS, spf("ip4:198.51.100.192/27")),
        ("2001:db8:4000::1", "bigmail.example", PASS, spf("ip6:2001:db8:4000::/36")),
        ("203.0.113.99", "bigmail.example", SpfResult::SoftFail, not.clone()),
        ("198.51.100.250", "bigmail.example", SpfResult::SoftFail, mx.clone()),
        ("198.51.100.251", "bigmail.example", SpfResult::SoftFail, address.clone()),
        ("192.0.2.77", "company.example", PASS, spf("ip4:192.0.2.0/25")),
        ("203.0.113.201", "company.example", PASS, mx.clone()),
        ("203.0.113.202", "company.example", PASS, spf("a:relay.company.example")),
        ("203.0.113.70", "company.example", PASS, spf("ip4:203.0.113.64/27")),
        ("203.0.113.222", "company.example", PASS, spf("exists:%{i}._spf.crm.example")),
        ("203.0.113.223", "company.example", FAIL, not.clone()),
        ("203.0.113.200", "alias.example", PASS, mx.clone()),
        ("203.0.113.223", "alias.example", FAIL, not.clone()),
        // As good as +all.
        ("203.0.113.9", "wide.example", PASS, not.clone()),
        ("203.0.113.9", "widest.example", PASS, not.clone()),
        ("203.0.113.9", "wide15.example", PASS, not.clone()),
        ("203.0.113.9", "a8.example", PASS, not.clone()),
        ("203.0.113.9", "exists.example", PASS, not.clone()),
        ("203.0.113.9", "byhelo.example", PASS, not.clone()),
        ("203.0.113.9", "byanyname.example", PASS, not.clone()),
        ("2001:db8::1", "wide6.example", PASS, not.clone()),
        ("198.51.100.9", "wide16.example", FAIL, not.clone()),
        ("203.0.113.9", "wide16.example", PASS, spf("ip4:203.0.0.0/16")),
        ("2001:db8::1", "six.example", PASS, spf("ip6:2001:db8::/32")),
        ("203.0.113.9", "byname.example", PASS, spf("ptr")),
        ("203.0.113.10", "byname.example", FAIL, not.clone()),
        ("203.0.113.9", "neutral.example", SpfResult::Neutral, not.clone()),
        ("203.0.113.9", "soft.example", SpfResult::SoftFail, not.clone()),
        ("203.0.113.9", "null.example", FAIL, not.clone()),
        ("203.0.113.9", "twice.example", SpfResult::PermError, not.clone()),
        ("203.0.113.9", "typo.example", SpfResult::PermError, not.clone()),
        ("203.0.113.9", "half.example", SpfResult::TempError, unknown.clone()),
        ("203.0.113.9", "mute.example", SpfResult::TempError, unknown.clone()),
        ("203.0.113.9", "nopolicy.example", SpfResult::None, mx.clone()),
        ("203.0.113.9", "bare.example", SpfResult::None, address.clone()),
        ("203.0.113.9", "gone.example", SpfResult::None, not.clone()),
        ("203.0.113.9", "[203.0.113.9]", SpfResult::None, not.clone()),
        ("203.0.113.9", "host.localdomain", SpfResult::None, not.clone()),
    ] {
        if !is_there(domain) {
            continue;
        }
        let claim = claim(host, "mail.client.example", &format!("u@{domain}"));
        let report = check_host(server, &claim);
        assert_eq!(report.result, result, "{host} {domain}: {report:?}");
        let endorsed = endorse(&mut resolver(server), &claim);
        assert_eq!(endorsed.exemption, exemption, "{host} {domain}");
        let is_by_hosts = [&mx, &address].contains(&&exemption);
        assert_eq!(endorsed.spf, Some(result).filter(|_| !is_by_hosts), "{host} {domain}");
    }
}

#[test]
fn a_report_names_the_mechanism_and_its_domain() {
    let server = world().serve();
    let report = check_host(server.address, &claim("192.0.2.77", "x", "u@company.example"));
    let matched = report.matched.clone().unwrap();
    assert_eq!(matched.mechanism, "ip4:192.0.2.0/25");
    assert_eq!(matched.domain.text(), b"_netblocks2.bigmail.example");
    assert_eq!(matched.width, Width::Narrow);
    // mx, a, include and the two includes in it; TXT of four domains, MX, three A.
    assert_eq!((report.terms, report.lookups, report.voids, report.ttl), (5, 8, 0, 60));
    assert!(report.is_sure && !report.is_for_message);
    let report = check_host(server.address, &claim("203.0.113.9", "x", "u@byhelo.example"));
    assert!(report.is_for_message, "the HELO name decides");
}

/// PTR names belong to whoever owns the address: what they hide makes no fail certain.
#[test]
fn a_fail_that_rests_on_missing_names_of_the_host_is_not_certain() {
    let mut lines = vec!["byname.example TXT v=spf1 ptr -all".to_owned()];
    lines.extend((0..12).map(|n| format!("1.2.0.192.in-addr.arpa PTR r{n}.other.example")));
    lines.push("2.2.0.192.in-addr.arpa MUTE".into());
    lines.push("3.2.0.192.in-addr.arpa PTR mute.byname.example".into());
    lines.push("mute.byname.example MUTE".into());
    lines.push("4.2.0.192.in-addr.arpa PTR r1.other.example".into());
    let server = Zone::new(&lines).serve();
    for (host, exemption, spf) in [
        ("192.0.2.1", Exemption::Unknown, None),
        ("192.0.2.2", Exemption::Unknown, None),
        ("192.0.2.3", Exemption::Unknown, None),
        ("192.0.2.4", Exemption::NotExempt, Some(FAIL)),
    ] {
        let claim = claim(host, "x", "u@byname.example");
        assert_eq!(check_host(server.address, &claim).result, FAIL, "{host}");
        let endorsed = endorse(&mut resolver(server.address), &claim);
        assert_eq!((endorsed.exemption, endorsed.spf), (exemption, spf), "{host}");
    }
}
