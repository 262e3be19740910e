//! `simulate` with DNS: sender domains, identity, and both while DNS has problems.

use crate::dns::{NOW, ROWS, conf, conf_of_all, database, patient_conf_of_all, servfail, zone};
use crate::support::cmd::{Cmd, Dir, ctl};
use crate::support::responder::*;
use serde_json::{Value, json};
use std::path::Path;

const SIX: [&str; 6] = [
    "a@mx.one.example",
    "a@mx.two.example",
    "a@mx.three.example",
    "a@mx.four.example",
    "a@mx.five.example",
    "a@mx.six.example",
];

/// A host with six sender domains that are all good: a nominee.
fn nominee<'a>(address: &'a str, helo: &'a str) -> Vec<(&'a str, &'a str, &'a str)> {
    SIX.iter().map(|from| (address, helo, *from)).collect()
}

fn simulate(before: &[&str], conf: &Path, file: &Path) -> Cmd {
    let mut command = ctl(before);
    command.0.args(["simulate", "-t", &NOW.to_string(), "-f"]).arg(conf).arg(file);
    command
}

fn lines(out: &[u8]) -> Vec<String> {
    let mut lines: Vec<_> = str::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// All verdicts on these tuples, sorted, what was said, and how many questions the server got.
fn verdicts(
    zone: fn(&Query) -> Vec<Act>,
    rules: &str,
    tuples: &[(&str, &str, &str)],
) -> (Vec<String>, String, usize) {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let (conf, file) = (conf(&dir, server.address, rules), database(&dir, tuples));
    let ran = simulate(&["-v"], &conf, &file).run();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    (lines(&ran.out), ran.err, server.asked())
}

/// One host a row, and good ones so that the unknown are fewer than a third.
#[test]
fn every_row_of_the_table() {
    let rows: Vec<_> = (10..)
        .zip(ROWS)
        .map(|(n, (label, verdict))| {
            (format!("192.0.2.{n}"), format!("<a@{label}.example>"), verdict)
        })
        .collect();
    let good: Vec<_> = (0..10).map(|n| format!("<a@mx.d{n}.example>")).collect();
    let mut tuples: Vec<_> = rows.iter().map(|(host, from, _)| (&**host, "h", &**from)).collect();
    tuples.extend(good.iter().map(|from| ("192.0.2.99", "h", from.as_str())));
    let rules = "suspect tuples 100";
    let wanted: Vec<_> = rows
        .iter()
        .map(|(host, from, verdict)| {
            let domain = &from[3..from.len() - 1];
            match verdict.split_once('\t').unwrap() {
                ("bad", "null MX") => {
                    format!("{host}\tdns\tMailed from sender {domain} with no MX or A (null MX)")
                }
                ("bad", _) => format!("{host}\tdns\tMailed from sender {domain} with no MX or A"),
                ("unknown", _) => format!("{host}\tpass\tsender domain not known"),
                _ => format!("{host}\tpass\tnothing against it"),
            }
        })
        .chain(["192.0.2.99\tpass\tnothing against it".into()])
        .collect();
    assert_eq!(verdicts(zone, rules, &tuples).0, wanted);
}

#[test]
fn a_bad_domain_among_others_traps_and_is_asked_once() {
    let tuples = [
        ("192.0.2.2", "h", "<a@mx.example>"),
        ("192.0.2.2", "h", "<a@silent.example>"),
        ("192.0.2.2", "h", "<a@Gone.example>"),
        ("192.0.2.3", "h", "<b@gone.EXAMPLE>"),
        ("192.0.2.4", "h", "<b@mx.example>"),
        ("192.0.2.5", "h", "<>"),
        ("192.0.2.6", "h", "<a@[192.0.2.6]>"),
        ("192.0.2.7", "h", "<nobody>"),
        ("192.0.2.7", "h", "<a@mx.never.example>"),
        ("192.0.2.8", "h", "<a@mx.other.example>"),
    ];
    let (found, _, asked) = verdicts(zone, "", &tuples);
    assert_eq!(
        found,
        [
            "192.0.2.2\tdns\tMailed from sender Gone.example with no MX or A",
            "192.0.2.3\tdns\tMailed from sender gone.EXAMPLE with no MX or A",
            "192.0.2.4\tpass\tnothing against it",
            "192.0.2.5\tpass\tnothing against it",
            "192.0.2.6\tpass\tnothing against it",
            "192.0.2.7\tsyntax\tInvalid source address nobody (no @)",
            "192.0.2.8\tpass\tnothing against it",
        ]
    );
    // Control, two good domains, three questions about the bad one, one in vain twice, and perhaps once more
    // to see that the server lives.
    assert!((8..=9).contains(&asked), "{asked}");
}

#[test]
fn json_has_the_tuples_and_the_answer() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let tuples = [
        ("192.0.2.2", "h", "<a@mx.example>"),
        ("192.0.2.2", "h", "<a@gone.example>"),
        ("192.0.2.2", "h", "<b@GONE.example>"),
    ];
    let (conf, file) = (conf(&dir, server.address, ""), database(&dir, &tuples));
    let out = simulate(&["-j"], &conf, &file).sums_up();
    let mut object: Value = serde_json::from_slice(&out).unwrap();
    let mut evidence = object["tuples"].take();
    evidence.as_array_mut().unwrap().sort_by_key(|tuple| tuple["from"].to_string());
    let tuple = |from, to| json!({"helo": "h", "from": from, "to": to});
    assert_eq!(
        evidence,
        json!([
            tuple("<a@gone.example>", "<u1@ours.example>"),
            tuple("<b@GONE.example>", "<u2@ours.example>")
        ])
    );
    object["answers"].as_array_mut().unwrap().sort_by_key(|answer| answer["domain"].to_string());
    let reason = object["reason"].take();
    assert!(
        reason
            .as_str()
            .unwrap()
            .eq_ignore_ascii_case("Mailed from sender gone.example with no MX or A")
    );
    assert_eq!(
        object,
        json!({"address": "192.0.2.2", "state": "waiting", "verdict": "trap", "rule": "dns",
            "reason": null, "not_checked": [], "tuple_count": 3, "statements": [],
            "limits": [
                {"setting": "suspect tuples", "value": 3.0, "limit": 5.0},
                {"setting": "max sender domains", "value": 2.0, "limit": 3.0},
                {"setting": "max helo names", "value": 1.0, "limit": 1.0},
            ],
            "answers": [
                {"domain": "gone.example", "verdict": "bad", "reason": "no such domain"},
                {"domain": "mx.example", "verdict": "good", "reason": "MX"},
            ],
            "tuples": null})
    );
}

#[test]
fn identity_by_address_by_pointer_not_at_all_and_unknown() {
    let trapped = "192.0.2.1\tdomains\tHost sending from 6 domains (> 3)";
    let confirmed = "192.0.2.1\tpass\tidentity confirmed: Host sending from 6 domains (> 3)";
    let unknown = "192.0.2.1\tpass\tidentity not known: Host sending from 6 domains (> 3)";
    for (helo, wanted) in [
        ("out.host.example", confirmed),
        // No address of its own; the PTR name has, and shares the registrable domain.
        ("none.ptr.host.example", confirmed),
        ("gone.other.example", trapped),
        ("localhost", trapped),
        ("servfail.other.example", unknown),
    ] {
        let (found, said, _) = verdicts(zone, "", &nominee("192.0.2.1", helo));
        assert_eq!(found, [wanted], "{helo}: {said}");
    }
}

#[test]
fn helo_counts_names_that_are_not_confirmed() {
    let calls = |names: &[&str]| {
        let tuples: Vec<_> =
            names.iter().map(|name| ("192.0.2.1", *name, "<a@mx.example>")).collect();
        verdicts(zone, "", &tuples).0.remove(0)
    };
    let passes = |why| format!("192.0.2.1\tpass\t{why}");
    let trapped = "192.0.2.1\thelo\tHost calls itself 2 names (> 1)";
    assert_eq!(calls(&["x.gone1.example", "x.gone2.example"]), trapped);
    assert_eq!(calls(&["x.host.example", "x.gone2.example"]), passes("nothing against it"));
    assert_eq!(
        calls(&["servfail.b.example", "x.gone2.example"]),
        passes("identity not known: Host calls itself 2 names (> 1)")
    );
    // The names beyond those that are asked neither trap a host nor hide its others.
    let many: Vec<_> = (0..20).map(|n| format!("a{n}.gone1.example")).collect();
    let mut many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(calls(&many), passes("nothing against it"));
    many.push("z.gone2.example");
    assert_eq!(calls(&many), trapped);
}

#[test]
fn nothing_is_asked_that_is_switched_off() {
    let mut tuples = nominee("192.0.2.1", "x.gone.example");
    tuples.push(("192.0.2.2", "h", "<a@gone.example>"));
    let trapped = "192.0.2.1\tdomains\tHost sending from 6 domains (> 3)";
    let passes = "192.0.2.2\tpass\tnothing against it";
    let both = verdicts(zone, "check sender dns no\ncheck identity no", &tuples);
    assert_eq!((both.0, both.2), (vec![trapped.into(), passes.into()], 0));
    // Control, PTR, A, the registrable domain; of each sender domain MX, A and SPF, and A of its MX.
    let identity = verdicts(zone, "check sender dns no", &tuples);
    assert_eq!(identity.0, [trapped, passes]);
    assert!((4 + 3 * 6..=6 + 4 * 6).contains(&identity.2), "{}", identity.2);
    // Control, and MX, A and AAAA of one domain: the nominee is trapped without being asked about.
    let dns = verdicts(zone, "check identity no", &tuples);
    let gone = "192.0.2.2\tdns\tMailed from sender gone.example with no MX or A";
    assert_eq!((dns.0, dns.2), (vec![trapped.into(), gone.into()], 4));
}

/// Nobody is trapped by DNS, or for want of it; the rules that need none go on.
#[test]
fn without_dns_the_other_rules_judge() {
    let mut tuples = nominee("192.0.2.1", "x.gone.example");
    tuples.extend(nominee("192.0.2.2", "localhost"));
    tuples.push(("192.0.2.3", "h", "<a@gone.example>"));
    tuples.push(("192.0.2.4", "h", "<nobody>"));
    let wanted = [
        "192.0.2.1\tpass\tidentity not known: Host sending from 6 domains (> 3)",
        "192.0.2.2\tpass\tidentity not known: Host sending from 6 domains (> 3)",
        "192.0.2.3\tpass\tsender domain not known",
        "192.0.2.4\tsyntax\tInvalid source address nobody (no @)",
    ];
    let silent = verdicts(|_| Vec::new(), "", &tuples);
    let refuses = verdicts(|query| query.reply().rcode(REFUSED).send(), "", &tuples);
    let refused = " answers, but not for the root: REFUSED; ";
    for ((found, said, _), why) in [(silent, " not in use: no answer; "), (refuses, refused)] {
        assert_eq!(found, wanted, "{why}");
        let warning = said.lines().find(|line| line.ends_with("judging without it")).unwrap();
        assert!(warning.contains(why), "{said}");
    }
}

#[test]
fn one_warning_and_no_more() {
    let dir = Dir::new();
    let dead = Responder::start(|_| Vec::new());
    let conf = conf(&dir, dead.address, "");
    let file = database(&dir, &[("192.0.2.3", "h", "<a@gone.example>")]);
    let ran = simulate(&[], &conf, &file).run();
    let said =
        format!("greytrapctl: DNS: {} not in use: no answer; judging without it\n", dead.address);
    let none = format!("greytrapctl: {}: 0 hosts would be trapped\n", file.display());
    assert_eq!((ran.status, ran.out, ran.err), (Some(0), Vec::new(), said + &none));
}

/// More than a third unknown: what is bad is not believed, nor that names are not the host's.
#[test]
fn trouble_makes_bad_unknown() {
    let mut tuples = nominee("192.0.2.1", "x.gone.example");
    tuples.truncate(6);
    let distrusted = |bad: &'static str, others: &[&'static str]| {
        let mut tuples = vec![("192.0.2.2", "h", bad)];
        tuples.extend(others.iter().map(|from| ("192.0.2.3", "h", *from)));
        verdicts(zone, "", &tuples)
    };
    let (found, said, _) =
        distrusted("<a@gone.example>", &["<a@mx.example>", "<a@servfail.one.example>"]);
    assert_eq!(found[0], "192.0.2.2\tdns\tMailed from sender gone.example with no MX or A");
    assert!(!said.contains("not believed"), "{said}");
    let (found, said, _) = distrusted("<a@gone.example>", &["<a@servfail.one.example>"]);
    assert_eq!(found[0], "192.0.2.2\tpass\tsender domain not known");
    let warning = "greytrapctl: DNS: no definite answer for 1 of 2 domains, \
        negative answers are not believed\n";
    assert!(said.contains(warning), "{said}");
    let unlucky = SIX.map(|from| from.replace("mx.", "servfail."));
    let tuples: Vec<_> =
        unlucky.iter().map(|from| ("192.0.2.1", "x.gone.example", &**from)).collect();
    let unknown = "192.0.2.1\tpass\tidentity not known: Host sending from 6 domains (> 3)";
    assert_eq!(verdicts(zone, "", &tuples).0, [unknown]);
    let (found, ..) = verdicts(servfail, "", &[("192.0.2.3", "h", "<a@gone.example>")]);
    assert_eq!(found, ["192.0.2.3\tpass\tsender domain not known"]);
}

/// As many hosts with senders in zones of their own that nobody serves as with dead ones would be doubt; one
/// host with all of them is none, nor is one zone.
#[test]
fn one_host_or_one_zone_does_not_spoil_a_scan() {
    let gone: Vec<_> =
        (0..12).map(|n| (format!("192.0.2.{n}"), format!("<a@gone{n}.example>"))).collect();
    let traps = |senders: &[String], host: &dyn Fn(usize) -> String| {
        let mut hosts = gone.clone();
        hosts.extend(senders.iter().enumerate().map(|(n, from)| (host(n), from.clone())));
        let tuples: Vec<_> = hosts.iter().map(|(host, from)| (&**host, "h", &**from)).collect();
        let (found, said, _) = verdicts(zone, "suspect tuples 100", &tuples);
        (found.iter().filter(|line| line.contains("\tdns\t")).count(), said)
    };
    let zone: Vec<_> = (0..24).map(|n| format!("<a@servfail.r{n}.broken.example>")).collect();
    let zones: Vec<_> = (0..24).map(|n| format!("<a@servfail.r{n}.example>")).collect();
    let one = |_| "198.51.100.1".to_owned();
    let many = |n| format!("198.51.100.{n}");
    assert_eq!(traps(&zone, &one).0, 12, "one zone of one host");
    assert_eq!(traps(&zones, &one).0, 12, "many zones of one host");
    assert_eq!(traps(&zone, &many).0, 12, "one zone of many hosts");
    let (count, said) = traps(&zones, &many);
    assert_eq!(count, 0, "many zones of many hosts");
    assert!(said.contains("no definite answer for 24 of 36 domains"), "{said}");
}

/// A name server that knew only its own root had every host trapped.
#[test]
fn a_server_that_knows_nobody_traps_nobody() {
    let rootless =
        |query: &Query| query.control().unwrap_or_else(|| query.reply().rcode(NXDOMAIN).send());
    let mut tuples = nominee("192.0.2.200", "mail.liar.example");
    let hosts: Vec<_> =
        (0..30).map(|n| (format!("192.0.2.{n}"), format!("<u@g{n}.example>"))).collect();
    tuples.extend(hosts.iter().map(|(host, from)| (&**host, "h", &**from)));
    for count in [7, tuples.len()] {
        let (found, said, _) = verdicts(rootless, "", &tuples[..count]);
        assert!(found.iter().all(|line| line.contains("\tpass\t")), "{found:?}");
        assert!(said.contains("no name server has found any domain"), "{said}");
    }
}

/// More than half of the hosts would fall: that is more likely the name server's fault.
#[test]
fn nobody_is_trapped_where_most_would_be() {
    let good: Vec<_> =
        (0..12).map(|n| (format!("192.0.2.{n}"), format!("<a@mx.g{n}.example>"))).collect();
    let bad = (0..13).map(|n| (format!("198.51.100.{n}"), format!("<a@gone{n}.example>")));
    let hosts: Vec<_> = good.into_iter().chain(bad).collect();
    let tuples: Vec<_> = hosts.iter().map(|(host, from)| (&**host, "h", &**from)).collect();
    let (found, said, _) = verdicts(zone, "", &tuples);
    assert!(found.iter().all(|line| line.contains("\tpass\t")), "{found:?}");
    let warning = "DNS: 13 of 25 hosts (52 %) would be trapped by rule dns, none is trapped";
    assert!(said.contains(warning), "{said}");
    let (found, ..) = verdicts(zone, "", &tuples[..24]);
    assert_eq!(found.iter().filter(|line| line.contains("\tdns\t")).count(), 12);
}

/// The name server of the hosts below: only some have a name of their own, and one domain has a policy.
fn strangers_zone(query: &Query) -> Vec<Act> {
    let (owner, reply) = (query.name.as_str(), query.reply());
    let policy = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    if let Some(control) = query.control() {
        return control;
    }
    match (owner, query.rtype) {
        ("1.113.0.203.in-addr.arpa", PTR) => {
            reply.answer(owner, PTR, 60, &name("203-0-113-1.dsl.example"))
        }
        ("203-0-113-1.dsl.example", A) => reply.answer(owner, A, 60, &[203, 0, 113, 1]),
        ("2.113.0.203.in-addr.arpa", PTR) => reply.answer(owner, PTR, 60, &name("mx.own.example")),
        ("mx.own.example", A) => reply.answer(owner, A, 60, &[203, 0, 113, 2]),
        ("3.113.0.203.in-addr.arpa", _) => reply.rcode(SERVFAIL),
        ("policy.example", TXT) => {
            reply.answer(owner, TXT, 60, &policy("v=spf1 ip4:203.0.113.4 -all"))
        }
        (_, MX) => reply.answer(owner, MX, 300, &mx(10, "mail.example")),
        _ => reply.rcode(NXDOMAIN).soa(60),
    }
    .send()
}

/// The rules of one letter, with all that is asked about their hosts.
#[test]
fn strangers_are_known_by_dns() {
    let (server, dir) = (Responder::start(strangers_zone), Dir::new());
    let conf = conf_of_all(&dir, server.address, "");
    let line = |n: u8| format!("203-0-113-{n}.dsl.example");
    let lines_of: Vec<_> = (0..10).map(line).collect();
    let tuples = [
        // Lines that call themselves so: without, and with a name of their own; unknown; exempt.
        ("203.0.113.1", &*lines_of[1], "<a@x.example>"),
        ("203.0.113.2", &lines_of[2], "<a@x.example>"),
        ("203.0.113.3", &lines_of[3], "<a@x.example>"),
        ("203.0.113.4", &lines_of[4], "<a@policy.example>"),
        ("203.0.113.5", &lines_of[5], "<a@policy.example>"),
        // Addresses.
        ("203.0.113.6", "[192.0.2.1]", "<a@x.example>"),
        // Two signs.
        ("203.0.113.7", "friend", "<a@policy.example>"),
        ("203.0.113.8", "friend", "<a@x.example>"),
        ("203.0.113.9", "no.such.example", "<a@policy.example>"),
    ];
    let file = database(&dir, &tuples);
    let ran = simulate(&["-v"], &conf, &file).run();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let by_address = |n: u8| format!("Host calls itself by its address ({})", line(n));
    assert_eq!(
        lines(&ran.out),
        [
            format!("203.0.113.1\tdynamic\t{}", by_address(1)),
            "203.0.113.2\tpass\tnothing against it".into(),
            format!("203.0.113.3\tpass\tidentity not known: {}", by_address(3)),
            format!("203.0.113.4\tpass\tsender's domain vouches for it: {}", by_address(4)),
            format!("203.0.113.5\tdynamic\t{}", by_address(5)),
            "203.0.113.6\taddress\tHost calls itself [192.0.2.1]".into(),
            "203.0.113.7\tstranger\tStranger: one-label HELO, SPF fail".into(),
            "203.0.113.8\tpass\tnothing against it".into(),
            "203.0.113.9\tstranger\tStranger: HELO in a domain that does not exist, SPF fail"
                .into(),
        ]
    );
}

/// A reverse zone with more names than anybody needs, and names that are none.
#[test]
fn hostile_ptr_records_trap_nobody_and_cost_little() {
    let zone = |query: &Query| {
        let (owner, reply) = (query.name.as_str(), query.reply());
        match (owner, query.rtype) {
            ("", _) => query.control().unwrap(),
            ("1.113.0.203.in-addr.arpa", PTR) => {
                let names = (0..18).map(|n| format!("p{n}.x.example"));
                names.fold(reply, |reply, one| reply.answer(owner, PTR, 60, &name(&one))).send()
            }
            (_, MX) => reply.answer(owner, MX, 300, &mx(10, "mail.example")).send(),
            _ => reply.rcode(NXDOMAIN).soa(60).send(),
        }
    };
    let (server, dir) = (Responder::start(zone), Dir::new());
    let conf = patient_conf_of_all(&dir, server.address, "");
    let file = database(&dir, &[("203.0.113.1", "203-0-113-1.dsl.example", "<a@x.example>")]);
    let ran = simulate(&["-v"], &conf, &file).run();
    assert!(str::from_utf8(&ran.out).unwrap().starts_with("203.0.113.1\tpass\t"), "{ran:?}");
    assert!(server.asked() < 40, "{}", server.asked());
}

/// The most that fits into a message: 4,000 names of one label.
#[test]
fn thousands_of_ptr_records_over_tcp_trap_nobody_and_cost_little() {
    let zone = |query: &Query| {
        let (owner, reply) = (query.name.as_str(), query.reply());
        match (owner, query.rtype, query.tcp) {
            ("", _, _) => query.control().unwrap(),
            ("1.113.0.203.in-addr.arpa", PTR, false) => reply.truncated().send(),
            ("1.113.0.203.in-addr.arpa", PTR, true) => {
                let label = |n: u16| [b'a' + (n / 100) as u8, b'a' + (n % 26) as u8];
                let record = |n: u16| {
                    // The owner is that of the question (RFC 1035, 4.1.4).
                    let fixed = [0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, 4, 2];
                    [&fixed[..], &label(n % 2600), &[0]].concat()
                };
                let records: Vec<u8> = (0..4000).flat_map(record).collect();
                reply.raw_answers(4000, &records).send()
            }
            (_, MX, _) => reply.answer(owner, MX, 300, &mx(10, "mail.example")).send(),
            _ => reply.rcode(NXDOMAIN).soa(60).send(),
        }
    };
    for helo in ["203-0-113-1.dsl.example", "friend", "mail.x.example"] {
        let (server, dir) = (Responder::start(zone), Dir::new());
        let conf = patient_conf_of_all(&dir, server.address, "");
        let file = database(&dir, &[("203.0.113.1", helo, "<a@x.example>")]);
        let ran = simulate(&["-v"], &conf, &file).run();
        assert!(str::from_utf8(&ran.out).unwrap().starts_with("203.0.113.1\tpass\t"), "{ran:?}");
        assert!(server.asked() < 40, "{}", server.asked());
    }
}

/// Everything is good, but no host has a name, and no policy passes.
fn plain_zone(query: &Query) -> Vec<Act> {
    let (owner, reply) = (query.name.as_str(), query.reply());
    let text = b"v=spf1 mx a:out.x.example include:_spf.x.example -all";
    let policy = [&[u8::try_from(text.len()).unwrap()], &text[..]].concat();
    if let Some(control) = query.control() {
        return control;
    }
    match (owner, query.rtype) {
        (_, MX) => reply.answer(owner, MX, 300, &mx(10, "mx.x.example")),
        ("mx.x.example" | "out.x.example", A) => reply.answer(owner, A, 60, &[192, 0, 2, 250]),
        ("_spf.x.example", TXT) => {
            reply.answer(owner, TXT, 60, &[&[18], &b"v=spf1 ip4:1.2.3.4"[..]].concat())
        }
        ("x.example", TXT) => reply.answer(owner, TXT, 60, &policy),
        _ => reply.rcode(NXDOMAIN).soa(60),
    }
    .send()
}

/// What one host costs with one rule alone, with the control that all hosts share.
#[test]
fn a_host_costs_few_questions_whatever_the_rule() {
    const OFF: &str = "suspect tuples 1\nmax sender domains off\nmax sender ratio off\n\
        max helo names off\ncheck helo address no\ncheck helo dynamic no\ncheck stranger no\n\
        check crowd no\ncheck sender dns no\ntrap rcpt \"^nobody@never\"\n";
    let from = "<a@x.example>";
    let two = ["<a@x.example>", "<b@y.example>"];
    // The statement, the host's tuples, and the most questions.
    let rows: [(_, _, Vec<(_, &str)>, usize); 6] = [
        ("none", "", vec![("liar.example", from)], 0),
        ("domains", "max sender domains 1", two.map(|from| ("liar.example", from)).into(), 13),
        ("address", "check helo address yes", vec![("203.0.113.9", from)], 8),
        ("dynamic", "check helo dynamic yes", vec![("203-0-113-9.x.example", from)], 8),
        ("stranger", "check stranger yes", vec![("friend", from)], 8),
        ("dns", "check sender dns yes", vec![("liar.example", from)], 2),
    ];
    for (rule, on, tuples, most) in rows {
        let setting: Vec<_> = on.split_whitespace().collect();
        let start = setting[..setting.len().saturating_sub(1)].join(" ");
        let rest = OFF.lines().filter(|line| start.is_empty() || !line.starts_with(&start));
        let rules = rest.chain([on]).collect::<Vec<_>>().join("\n");
        let (server, dir) = (Responder::start(plain_zone), Dir::new());
        let conf = patient_conf_of_all(&dir, server.address, &rules);
        let tuples: Vec<_> =
            tuples.iter().map(|(helo, from)| ("203.0.113.9", *helo, *from)).collect();
        let file = database(&dir, &tuples);
        let ran = simulate(&["-v"], &conf, &file).run();
        let said = String::from_utf8_lossy(&ran.out);
        let is_trapped = !["none", "dns"].contains(&rule);
        assert_eq!(said.starts_with(&format!("203.0.113.9\t{rule}\t")), is_trapped, "{said}");
        assert!(server.asked() <= most, "{rule}: {}", server.asked());
    }
}
