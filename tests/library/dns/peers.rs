//! Tests with real name servers, ignored by default, since they must be installed.

use super::{resolver, verdicts};
use crate::support::nsd::Nsd;

#[test]
#[ignore = "needs nsd(8)"]
fn nsd_serves_the_table() {
    let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
    let records = [
        "mx.example. MX 10 mail.example.",
        "null.example. MX 0 .",
        "a.example. A 192.0.2.1",
        "aaaa.example. AAAA 2001:db8::1",
        "none.example. TXT nothing",
        "alias.example. CNAME mx.example.",
        "dangling.example. CNAME gone.example.",
        "loop1.example. CNAME loop2.example.",
        "loop2.example. CNAME loop1.example.",
        "child.example. NS ns.elsewhere.example.",
        "xn--bcher-kva.example. MX 10 mail.example.",
    ];
    let chain = (0..20).map(|n| format!("c{n}.example. CNAME c{}.example.", n + 1));
    let end = ["c20.example. MX 10 mail.example.".to_owned(), format!("{long}. MX 10 a.")];
    let many = (0..1500).map(|n| format!("many.example. MX {n} mail{n}.example."));
    let zone = records.map(str::to_owned).into_iter().chain(chain).chain(end).chain(many);
    let nsd = Nsd::start(zone);
    let (domains, expected): (Vec<_>, Vec<_>) = [
        ("mx.example", "good MX"),
        ("null.example", "bad null MX"),
        ("a.example", "good no MX, address"),
        ("aaaa.example", "good no MX, address"),
        ("none.example", "bad no MX or A"),
        ("gone.example", "bad no such domain"),
        ("alias.example", "good MX"),
        ("dangling.example", "bad no such domain"),
        ("sub.child.example", "unknown lame server"),
        ("bücher.example", "good MX"),
        ("many.example", "good MX"),
        ("MX.example.", "good MX"),
        (&long, "good MX"),
    ]
    .into_iter()
    .unzip();
    let mut resolver = resolver(&[nsd.address]);
    let found = verdicts(&mut resolver, &domains);
    for ((domain, found), expected) in domains.iter().zip(&found).zip(expected) {
        assert_eq!(found, expected, "{domain}");
    }
    // Fifteen hundred MX records do not fit into a datagram.
    assert!(resolver.counters().sent_tcp >= 1);
    for name in ["loop1.example", "c0.example"] {
        let found = verdicts(&mut resolver, &[name]).remove(0);
        assert!(!found.starts_with("bad "), "{name}: {found}");
    }
}
