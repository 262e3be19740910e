//! When the denials of name servers are believed: whole inquiries with all kinds of servers.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::{LIMITS, resolver};
use crate::support::asking;
use crate::support::patience::stretched;
use crate::support::responder::*;
use greytrapper::dns::cache::Bounds;
use greytrapper::dns::identity::{Confirmation, Identity};
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::{Fitness, Limits};
use greytrapper::inquiry::{Answered, Findings, Inquiry, Questions};
use greytrapper::scan::Domains;
use greytrapper::scan::answers::Answers;
use greytrapper::scan::identity::Question;

const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Finds what begins with `mx`, fails for `servfail`, is silent about `silent`, and denies the rest.
fn honest(query: &Query) -> Vec<Act> {
    let (owner, reply) = (query.name.as_str(), query.reply());
    match (owner.split('.').next().unwrap(), query.rtype) {
        ("", NS) => query.control().unwrap(),
        ("mx", MX) => reply.answer(owner, MX, 300, &mx(10, "mail.example")).send(),
        ("host", A) => reply.answer(owner, A, 300, &[192, 0, 2, 1]).send(),
        ("servfail", _) => reply.rcode(SERVFAIL).send(),
        ("silent", _) => Vec::new(),
        _ => reply.rcode(NXDOMAIN).soa(60).send(),
    }
}

/// Knows nothing but its own root.
fn rootless(query: &Query) -> Vec<Act> {
    query.control().unwrap_or_else(|| query.reply().rcode(NXDOMAIN).soa(60).send())
}

/// The same without the record that says who denies.
fn bare(query: &Query) -> Vec<Act> {
    query.control().unwrap_or_else(|| query.reply().rcode(NXDOMAIN).send())
}

fn questions(domains: &[&str], names: &[&str], controls: &[&str]) -> Questions {
    let mut asked = Domains::default();
    asked.extend(domains);
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let hosts = if names.is_empty() { vec![] } else { vec![Question { address: HOST, names }] };
    let controls = controls.iter().map(|control| control.as_bytes().to_vec()).collect();
    Questions { hosts, domains: asked, controls, ..Questions::default() }
}

pub fn inquire(resolver: &mut Resolver, questions: Questions) -> (Questions, Answered) {
    inquire_within(resolver, questions, None)
}

fn inquire_within(
    resolver: &mut Resolver,
    questions: Questions,
    within: Option<Duration>,
) -> (Questions, Answered) {
    let mut inquiry = Inquiry::begin(questions, resolver, within);
    while !inquiry.advance(resolver) {
        asking::turn(resolver, inquiry.patience());
    }
    inquiry.end(resolver)
}

/// `word why` for each domain.
fn texts(answered: &Answered) -> Vec<String> {
    let text = |verdict: &greytrapper::dns::verdict::DomainVerdict| {
        format!("{} {verdict}", verdict.word())
    };
    answered.domains.iter().map(text).collect()
}

const UNPROVEN: &str = "unknown denied by a server that has not found any domain";

/// What `gone.example` is for servers of each kind, and whether a host is not what it says it is.
#[test]
fn a_server_must_show_that_it_can_say_yes_before_its_no_counts() {
    type Server = fn(&Query) -> Vec<Act>;
    let bad = "bad no such domain";
    for (what, server, others, controls, wanted) in [
        ("own domain found", honest as Server, &[][..], &["mx.ours.example"][..], bad),
        ("one of three found", honest, &[], &["a.example", "b.example", "mx.ours.example"], bad),
        ("own domain denied", honest, &[], &["ours.example"], UNPROVEN),
        ("own domain fails", honest, &[], &["servfail.example"], UNPROVEN),
        ("another sender found", honest, &["mx.other.example"], &["ours.example"], bad),
        ("own root, own domain denied", rootless, &[], &["ours.example"], UNPROVEN),
        ("own root, many denied", rootless, &["a.example", "b.example"], &["o.example"], UNPROVEN),
        ("no domain that must exist", rootless, &[], &[], bad),
        ("that, and nobody says who denies", bare, &[], &[], UNPROVEN),
    ] {
        let server = Responder::start(server);
        let mut resolver = resolver(&[server.address]);
        let domains = [&["gone.example"][..], others].concat();
        let asked = questions(&domains, &["wrong.example"], controls);
        let (asked, answered) = inquire(&mut resolver, asked);
        assert_eq!(texts(&answered)[0], wanted, "{what}");
        let findings = Findings::new(asked, answered, HashSet::new());
        let is_believed = wanted == bad;
        let helo = findings.helo(HOST, "wrong.example");
        assert_eq!(helo == Confirmation::NotConfirmed, is_believed, "{what}");
        assert_eq!(helo == Confirmation::Unknown, !is_believed, "{what}");
        assert_eq!(findings.doubt().is_none(), is_believed, "{what}");
    }
}

/// Three hundred hosts were trapped because a name server of a closed network knew nobody.
#[test]
fn a_server_with_a_root_of_its_own_denies_nobody() {
    let server = Responder::start(rootless);
    let mut resolver = resolver(&[server.address]);
    let names: Vec<_> = (0..300).map(|n| format!("g{n}.good.example")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (asked, answered) = inquire(&mut resolver, questions(&names, &[], &["ours.example.net"]));
    assert_eq!((answered.tally.bad, answered.tally.unknown), (0, 300));
    let doubt = Findings::new(asked, answered, HashSet::new()).doubt().unwrap().to_string();
    let wanted = "no name server has found any domain, not even ours.example.net, \
        negative answers are not believed";
    assert_eq!(doubt, wanted);
}

/// A resolver that answers for names of RFC 6761 by itself has shown nothing by it.
#[test]
fn names_that_servers_make_up_prove_nothing() {
    let server = Responder::start(|query| match (query.name.as_str(), query.rtype) {
        ("", NS) => query.control().unwrap(),
        (name, A) if name.ends_with("localdomain") => {
            query.reply().answer(name, A, 60, &[127, 0, 0, 1]).send()
        }
        (owner, PTR) => query.reply().answer(owner, PTR, 60, &name("host.lan")).send(),
        _ => query.reply().rcode(NXDOMAIN).soa(60).send(),
    });
    let mut resolver = resolver(&[server.address]);
    let domains = ["gone.example", "web.localdomain"];
    let asked = questions(&domains, &["wrong.example"], &["ours.example"]);
    let (_, answered) = inquire(&mut resolver, asked);
    assert_eq!(texts(&answered), [UNPROVEN, "good no MX, address"]);
    assert_eq!(answered.hosts, [Identity::default()]);
}

/// Each server is believed for what it has shown itself.
#[test]
fn a_second_server_that_knows_nothing_is_not_believed_for_the_first() {
    let good = Responder::start(|query| match query.name.starts_with("silent") {
        // The first server fails, the second one is asked.
        true => query.reply().rcode(SERVFAIL).send(),
        false => honest(query),
    });
    let (bad, domains) = (Responder::start(rootless), ["silent.example", "gone.example"]);
    let ask = |servers: &[SocketAddr]| {
        let mut resolver = resolver(servers);
        // So that the first one is known to be fit before there is anything else to ask.
        let mut numbers = 0..100;
        while resolver.health().any(|health| health.fitness != Fitness::Fit) {
            let name = format!("mx.d{}.example", numbers.next().unwrap());
            inquire(&mut resolver, questions(&[&name], &[], &[]));
        }
        let (asked, answered) =
            inquire(&mut resolver, questions(&domains, &[], &["mx.ours.example"]));
        let texts = texts(&answered);
        (texts, Findings::new(asked, answered, HashSet::new()).doubt())
    };
    let (texts, doubt) = ask(&[good.address, bad.address]);
    assert_eq!(texts, [UNPROVEN, "bad no such domain"]);
    let text = "negative answers of a name server that has found no domain are not believed: 1";
    assert_eq!(doubt.unwrap().to_string(), text);
    let (texts, doubt) = ask(&[good.address]);
    assert_eq!((&*texts[0], doubt), ("unknown SERVFAIL", None));
}

/// Domains that were found good are asked for in later scans, where no other is known.
#[test]
fn what_was_good_before_is_a_control_later() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let knows = Arc::new(AtomicBool::new(true));
    let switch = knows.clone();
    let server = Responder::start(move |query| match switch.load(Ordering::Relaxed) {
        true => honest(query),
        false => rootless(query),
    });
    let mut resolver = resolver(&[server.address]);
    let scan = |resolver: &mut Resolver, domain: &str| {
        let (_, answered) = inquire(resolver, questions(&[domain], &[], &[]));
        (texts(&answered).remove(0), answered.shown.controls)
    };
    assert_eq!(scan(&mut resolver, "mx.sender.example"), ("good MX".into(), vec![]));
    let controls = vec!["mx.sender.example".to_owned()];
    let (text, asked) = scan(&mut resolver, "gone1.example");
    assert_eq!((&*text, &asked), ("bad no such domain", &controls));
    knows.store(false, Ordering::Relaxed);
    assert_eq!(scan(&mut resolver, "gone2.example"), (UNPROVEN.into(), controls));
}

/// A scan whose every answer comes from the cache has to be proved like any other.
#[test]
fn a_scan_ends_when_it_is_proved_though_all_is_known() {
    let server = Responder::start(honest);
    let mut resolver = resolver(&[server.address]);
    for _ in 0..3 {
        let asked = questions(&["gone.example"], &[], &["mx.ours.example"]);
        let (_, answered) = inquire(&mut resolver, asked);
        assert_eq!(texts(&answered), ["bad no such domain"]);
    }
    // The control question, MX, A and AAAA of the domain, and each time the control.
    assert_eq!(server.asked(), 1 + 3 + 3);
}

/// That the scan's own questions have ended is no finding: whoever waits for them is told all the same.
#[test]
fn a_scan_ends_when_nobody_answers_though_all_is_known() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut resolver = resolver(&[silent.local_addr().unwrap()]);
    let asked = questions(&["no name.example"], &[], &["mx.ours.example"]);
    let far = Duration::from_secs(100);
    let start = Instant::now();
    let (_, answered) = inquire_within(&mut resolver, asked, Some(far));
    assert_eq!(answered.tally.not_asked, 1);
    assert!(start.elapsed() < far / 2, "{:?}", start.elapsed());
}

/// Thousands of names in one zone that nobody serves took minutes, and everybody's answers with them.
#[test]
fn one_silent_zone_gets_a_share_of_the_questions() {
    let server = Responder::start(|query| match query.name.ends_with("tarpit.example") {
        true => Vec::new(),
        false => honest(query),
    });
    let names: Vec<_> = (0..5000).map(|n| format!("r{n}.tarpit.example")).collect();
    let mut domains: Vec<_> = names.iter().map(String::as_str).collect();
    domains.extend(["gone.example", "mx.example"]);
    let start = Instant::now();
    let mut resolver = resolver(&[server.address]);
    let (_, answered) = inquire(&mut resolver, questions(&domains, &[], &[]));
    assert!(start.elapsed() < stretched(Duration::from_secs(10)), "{:?}", start.elapsed());
    let texts = texts(&answered);
    assert_eq!(texts[5000..], ["bad no such domain", "good MX"]);
    let count = |wanted: &str| texts.iter().filter(|text| *text == wanted).count();
    assert_eq!(count("unknown no answer"), 20);
    assert_eq!(count("unknown too many names of one domain"), 4980);
}

#[test]
fn what_is_open_when_the_time_is_over_is_unknown() {
    let server = Responder::start(honest);
    let limits = Limits { timeout: Duration::from_secs(60), ..LIMITS };
    let mut resolver =
        Resolver::with_servers(&[server.address], limits, Bounds::default()).unwrap();
    let silent: Vec<_> = (0..200).map(|n| format!("silent.d{n}.example")).collect();
    let mut domains = vec!["gone.example", "mx.example"];
    domains.extend(silent.iter().map(String::as_str));
    let start = Instant::now();
    let asked = questions(&domains, &["silent.example", "host.example"], &["mx.ours.example"]);
    let (asked, answered) = inquire_within(&mut resolver, asked, Some(Duration::from_millis(1500)));
    assert!(start.elapsed() < stretched(Duration::from_secs(10)), "{:?}", start.elapsed());
    let texts = texts(&answered);
    assert_eq!(texts[..2], ["bad no such domain", "good MX"]);
    assert!(texts[2..].iter().all(|text| text == "unknown no time left"), "{texts:?}");
    // A host that was not answered in time is not one that nobody answers for.
    let findings = Findings::new(asked, answered, HashSet::from([HOST]));
    assert_eq!(findings.unanswered(), Some(vec![]));
    assert_eq!(findings.helo(HOST, "silent.example"), Confirmation::Unknown);
    // Nothing is left over, and the next scan has its own answers.
    assert!(resolver.health().all(|health| health.fitness == Fitness::Fit));
    let (_, answered) = inquire(&mut resolver, questions(&["mx.later.example"], &[], &[]));
    assert_eq!(answered.tally.good, 1);
}

/// A reverse zone or a HELO zone that nobody serves kept a host safe for ever.
#[test]
fn what_is_never_answered_is_not_confirmed_in_the_third_scan() {
    let server = Responder::start(honest);
    let mut resolver = resolver(&[server.address]);
    let mut patience = greytrapper::inquiry::Patience::default();
    let mut found = Vec::new();
    for _ in 0..3 {
        let asked = questions(&[], &["servfail.example"], &["mx.ours.example"]);
        let (asked, answered) = inquire(&mut resolver, asked);
        let findings = Findings::new(asked, answered, patience.overdue());
        found.push(findings.helo(HOST, "servfail.example"));
        patience.note(findings.unanswered().unwrap());
    }
    use Confirmation::{NotConfirmed, Unknown};
    assert_eq!(found, [Unknown, Unknown, NotConfirmed]);
}

/// The same while no name server finds anything: that is no fault of the host's.
#[test]
fn nobody_is_judged_for_want_of_answers_while_dns_is_in_trouble() {
    let server =
        Responder::start(|q| q.control().unwrap_or_else(|| q.reply().rcode(SERVFAIL).send()));
    let mut resolver = resolver(&[server.address]);
    let asked = questions(&[], &["host.example"], &["mx.ours.example"]);
    let (asked, answered) = inquire(&mut resolver, asked);
    let findings = Findings::new(asked, answered, HashSet::from([HOST]));
    assert_eq!(findings.unanswered(), None);
    assert_eq!(findings.helo(HOST, "host.example"), Confirmation::Unknown);
}
