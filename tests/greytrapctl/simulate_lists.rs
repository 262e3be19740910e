//! `simulate` with DNS lists (RFC 5782), good ones and all kinds of bad ones.

use crate::dns::{NOW, conf_of_all, database};
use crate::support::cmd::{Dir, ctl};
use crate::support::responder::*;
use serde_json::{Value, json};

/// A HELO name that exists, but is no host's.
const HELO: &str = "host.other.example";
/// A sender that is a sign, since it is in the recipients' domain, and one that is none.
const OURS: &str = "<a@ours.example>";
const OTHER: &str = "<a@x.example>";

/// The name of an address below a list, as RFC 5782 has it in its sections 2.4 and 5.
const V6_NONE: &str = "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
const V6_ONE: &str = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
const V6_HOST: &str = "1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";

/// Lists by their first label; all of them below `list.example`.
fn zone(query: &Query) -> Vec<Act> {
    if let Some(control) = query.control() {
        return control;
    }
    let (owner, reply) = (query.name.as_str(), query.reply());
    let answer = |last: [u8; 4]| reply.clone().answer(owner, A, 60, &last).send();
    let nothing = || reply.clone().rcode(NXDOMAIN).soa(60).send();
    let Some(asked) = owner.strip_suffix(".list.example") else {
        return match (owner, query.rtype) {
            (HELO, A) => answer([192, 0, 2, 200]),
            (HELO, _) => reply.soa(60).send(),
            (_, MX) => reply.answer(owner, MX, 300, &mx(10, "mail.example")).send(),
            _ => nothing(),
        };
    };
    let (entry, list) = asked.rsplit_once('.').unwrap();
    match (list, entry) {
        ("all", _) => answer([127, 0, 0, 2]),
        ("parked", _) => answer([198, 51, 100, 1]),
        ("refuses", _) => answer([127, 255, 255, 254]),
        ("refuses-some", "11.113.0.203") => answer([127, 255, 255, 255]),
        ("silent", _) => Vec::new(),
        ("servfail", _) => reply.rcode(SERVFAIL).send(),
        ("mute-tests", "1.0.0.127" | "2.0.0.127") => reply.rcode(SERVFAIL).send(),
        ("lacks", "2.0.0.127") => nothing(),
        ("outside", "11.113.0.203") => answer([198, 51, 100, 1]),
        ("one", "11.113.0.203") => answer([127, 0, 0, 1]),
        (_, "2.0.0.127" | V6_ONE) => answer([127, 0, 0, 2]),
        (_, "1.0.0.127" | V6_NONE) => nothing(),
        ("none", _) => nothing(),
        (_, "11.113.0.203" | "13.113.0.203" | V6_HOST) => answer([127, 0, 0, 4]),
        _ => nothing(),
    }
}

/// The verdicts on these tuples with these statements, sorted, what was said, and how many questions came.
fn verdicts(statements: &str, tuples: &[(&str, &str, &str)]) -> (Vec<String>, String, usize) {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let (conf, file) = (conf_of_all(&dir, server.address, statements), database(&dir, tuples));
    let mut command = ctl(["-v"]);
    command.0.args(["simulate", "-t", &NOW.to_string(), "-f"]).arg(conf).arg(file);
    let ran = command.run();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let mut lines: Vec<_> =
        String::from_utf8(ran.out).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    (lines, ran.err, server.asked())
}

/// What becomes of 203.0.113.11, which has a sign in its sender; and what is said of lists.
fn stranger(list: &str) -> (String, Option<String>) {
    let (lines, said, _) = verdicts(list, &[("203.0.113.11", HELO, OURS)]);
    let warning = said.lines().filter(|line| line.contains("put aside")).collect::<Vec<_>>();
    assert!(warning.len() < 2, "{said}");
    let line = lines[0].strip_prefix("203.0.113.11\t").unwrap().to_owned();
    (line, warning.first().map(|line| line.strip_prefix("greytrapctl: DNS: ").unwrap().into()))
}

const TRAPPED: &str = "in the recipient's domain";

#[test]
fn hosts_in_a_list_have_one_sign() {
    let hosts = [
        ("203.0.113.11", HELO, OURS),
        // Not listed; listed, but without another sign; listed, with a name of its own.
        ("203.0.113.12", HELO, OURS),
        ("203.0.113.13", HELO, OTHER),
    ];
    let (lines, said, asked) = verdicts("ask list \"good.list.example\" as sign", &hosts);
    let trap = format!("stranger\tStranger: listed by good.list.example, sender {TRAPPED}");
    assert_eq!(
        lines,
        [
            format!("203.0.113.11\t{trap}"),
            "203.0.113.12\tpass\tnothing against it".into(),
            "203.0.113.13\tpass\tnothing against it".into(),
        ]
    );
    assert!(!said.contains("put aside"), "{said}");
    assert!(asked < 40, "{asked}");
    let hosts = [("2001:db8::11", HELO, OURS), ("2001:db8::12", HELO, OURS)];
    let (lines, ..) = verdicts("ask list \"good.list.example\" as sign", &hosts);
    let six = [format!("2001:db8::11\t{trap}"), "2001:db8::12\tpass\tnothing against it".into()];
    assert_eq!(lines, six);
}

#[test]
fn only_answers_that_count_are_signs() {
    let nothing = ("pass\tnothing against it".to_owned(), None);
    let trap = |list: &str| {
        (format!("stranger\tStranger: listed by {list}.list.example, sender {TRAPPED}"), None)
    };
    for (list, answers, wanted) in [
        ("good", " { 127.0.0.4 }", trap("good")),
        ("good", " { 127.0.0.0/24 }", trap("good")),
        ("good", " { 127.0.0.2, 127.0.0.5 }", nothing.clone()),
        ("one", "", nothing.clone()),
        ("one", " { 127.0.0.1 }", trap("one")),
        ("outside", "", nothing.clone()),
        ("outside", " { 127.0.0.0/8 }", nothing.clone()),
    ] {
        let statement = format!("ask list \"{list}.list.example\"{answers} as sign");
        assert_eq!(stranger(&statement), wanted, "{statement}");
    }
}

#[test]
fn bad_lists_are_put_aside_with_one_warning() {
    let spared = "stranger\tStranger: one-label HELO, sender";
    for (list, why) in [
        ("all", "it lists 127.0.0.1, which no list may have"),
        ("parked", "it lists 127.0.0.1, which no list may have"),
        ("lacks", "it does not list 127.0.0.2, which every list has"),
        ("refuses", "it refuses to answer (127.255.255.254)"),
        ("refuses-some", "it refuses to answer (127.255.255.255)"),
    ] {
        let statement = |meaning| format!("ask list \"{list}.list.example\" as {meaning}");
        let warning = format!("list {list}.list.example is put aside in this scan: {why}");
        let wanted = ("pass\tnothing against it".into(), Some(warning.clone()));
        assert_eq!(stranger(&statement("sign")), wanted, "{list}");
        // It spares nobody either.
        let hosts = [("203.0.113.11", "friend", OURS)];
        let (lines, said, _) = verdicts(&statement("spare"), &hosts);
        assert!(lines[0].contains(spared), "{lines:?}");
        assert_eq!(said.matches(&warning).count(), 1, "{said}");
    }
    // Another one is still heard.
    let two = "ask list \"all.list.example\" as sign\nask list \"good.list.example\" as sign";
    assert!(stranger(two).0.contains("listed by good.list.example"));
}

/// No sign, and whatever is unknown spares.
#[test]
fn lists_without_an_answer_never_trap() {
    for list in ["silent", "servfail", "mute-tests"] {
        let statement = |meaning| format!("ask list \"{list}.list.example\" as {meaning}");
        assert_eq!(stranger(&statement("sign")), ("pass\tlist not known".into(), None), "{list}");
        let (lines, ..) = verdicts(&statement("spare"), &[("203.0.113.11", "friend", OURS)]);
        let wanted = "203.0.113.11\tpass\tnot known whether a list spares it: \
                      Stranger: one-label HELO, sender in the recipient's domain";
        assert_eq!(lines, [wanted], "{list}");
    }
}

#[test]
fn a_list_that_spares_is_asked_about_hosts_about_to_be_trapped() {
    let hosts = [
        ("203.0.113.11", "friend", OURS),
        ("203.0.113.12", "friend", OURS),
        ("203.0.113.13", "[203.0.113.13]", OTHER),
        ("203.0.113.14", HELO, OTHER),
        ("203.0.113.15", HELO, "<nobody>"),
    ];
    let (lines, said, _) = verdicts("ask list \"good.list.example\" as spare", &hosts);
    let stranger = format!("Stranger: one-label HELO, sender {TRAPPED}");
    assert_eq!(
        lines,
        [
            format!("203.0.113.11\tpass\tin a list that spares it: {stranger}"),
            format!("203.0.113.12\tstranger\t{stranger}"),
            "203.0.113.13\tpass\tin a list that spares it: \
                Host calls itself [203.0.113.13]"
                .into(),
            "203.0.113.14\tpass\tnothing against it".into(),
            "203.0.113.15\tsyntax\tInvalid source address nobody (no @)".into(),
        ]
    );
    assert!(!said.contains("put aside"), "{said}");
}

/// A list that does not answer costs no more than twenty questions, and tips no scales: other hosts are
/// trapped as before.
#[test]
fn a_silent_list_costs_little() {
    let hosts: Vec<_> = (0..200).map(|n| format!("203.0.113.{n}")).collect();
    let tuples: Vec<_> = hosts.iter().map(|host| (&**host, HELO, OTHER)).collect();
    let mut all = tuples.clone();
    all.push(("198.51.100.1", "198.51.100.1", OTHER));
    let (_, _, before) = verdicts("", &all);
    let (lines, said, asked) = verdicts("ask list \"servfail.list.example\" as sign", &all);
    assert!(asked < before + 200, "{before} {asked}");
    assert!(lines[0].starts_with("198.51.100.1\taddress\t"), "{lines:?}");
    assert!(!said.contains("no definite answer"), "{said}");
}

#[test]
fn json_has_the_answers_of_lists() {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let lists = "ask list \"good.list.example\" as sign\nask list \"none.list.example\" as spare\n\
                 ask list \"all.list.example\" as spare";
    let conf = conf_of_all(&dir, server.address, lists);
    let file = database(&dir, &[("203.0.113.11", HELO, OURS)]);
    let mut command = ctl(["-j"]);
    command.0.args(["simulate", "-t", &NOW.to_string(), "-f"]).arg(conf).arg(file);
    let ran = command.run();
    let object: Value = serde_json::from_slice(&ran.out).unwrap();
    let answers = object["answers"].as_array().unwrap();
    let of_lists: Vec<_> = answers.iter().filter(|answer| !answer["list"].is_null()).collect();
    assert_eq!(object["rule"], "stranger");
    assert_eq!(
        of_lists,
        [
            &json!({"list": "good.list.example", "verdict": "listed", "reason": "127.0.0.4"}),
            &json!({"list": "none.list.example", "verdict": "not listed"}),
            &json!({"list": "all.list.example", "verdict": "put aside"}),
        ]
    );
}
