//! Policies that were made to do harm: to us, or by way of us to others.

use super::{check_host, claim, next, resolver};
use crate::support::responder::*;
use crate::support::zone::{TXT, Zone, text_data};
use greytrapper::dns::exemption::Exemption;
use greytrapper::dns::resolver::Found;
use greytrapper::dns::spf::fault::Fault;
use greytrapper::dns::spf::{Problem, Report, SpfResult};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn check(lines: &[String]) -> (Report, usize) {
    let (server, counts) = Zone::new(lines).serve_counting();
    let report = check_host(server.address, &claim("192.0.2.1", "helo.example", "u@a.example"));
    let asked = counts.lock().unwrap().values().sum();
    (report, asked)
}

fn fault(report: &Report) -> Option<Fault> {
    match (report.result, report.problem) {
        (SpfResult::PermError, Some(Problem::Policy(fault))) => Some(fault),
        _ => None,
    }
}

#[test]
fn loops_and_long_chains_end_after_ten_terms() {
    let chain: Vec<_> = (0..12)
        .map(|n| (if n == 0 { "a".into() } else { format!("i{n}") }, n + 1))
        .map(|(name, next)| format!("{name}.example TXT v=spf1 include:i{next}.example -all"))
        .collect();
    let looped = |terms: &str| vec![format!("a.example TXT v=spf1 {terms}")];
    for (lines, most) in [
        (chain, 11),
        (looped("include:a.example"), 1),
        (looped("redirect=a.example"), 1),
        (looped("include:%{d}"), 1),
        (looped(&"include:a.example ".repeat(50)), 1),
        (looped("a a a a a a a a a a a"), 2),
    ] {
        let (report, asked) = check(&lines);
        let voids_first = lines[0].contains(" a a ");
        let wanted = if voids_first { Fault::Voids } else { Fault::Terms };
        assert_eq!(fault(&report), Some(wanted), "{lines:?}");
        assert!(asked <= most, "{asked} questions: {lines:?}");
    }
}

#[test]
fn a_policy_of_64_kilobytes_is_refused() {
    let text = [b"v=spf1 ".to_vec(), b"ip4:192.0.2.1 ".repeat(4200)].concat();
    let data = text_data(&text);
    assert!(data.len() > 59_000);
    let server = Responder::start(move |query| match (query.control(), query.tcp) {
        (Some(control), _) => control,
        (None, false) => query.reply().truncated().send(),
        (None, true) => query.reply().answer(&query.name, TXT, 60, &data).send(),
    });
    let report = check_host(server.address, &claim("192.0.2.1", "x", "u@a.example"));
    assert_eq!(fault(&report), Some(Fault::Long), "{report:?}");
}

#[test]
fn macro_bombs_are_only_long_names() {
    for terms in [
        format!("exists:{}.a.example", "%{s}".repeat(2000)),
        format!("exists:{}", "%{d255r+-/=_,.}".repeat(500)),
        format!("a:{}.example", "%{L1r-}".repeat(1000)),
        format!("a:{}.example", "x.".repeat(4000)),
        format!("include:{}.a.example", "%{h}.".repeat(1500)),
    ] {
        let zone = Zone::new(&[format!("a.example TXT v=spf1 {terms} -all")]);
        let sender = format!("{}@a.example", "l.-+".repeat(250));
        let server = zone.serve();
        let report = check_host(server.address, &claim("192.0.2.1", &"h.".repeat(500), &sender));
        assert!(report.lookups <= 2, "{report:?}");
    }
}

/// What somebody else's name servers get because of one message.
#[test]
fn one_message_makes_few_questions_about_a_third_party() {
    let terms = |count: usize, term: &str| -> String {
        (0..count).map(|n| term.replace('#', &n.to_string())).collect::<Vec<_>>().join(" ")
    };
    let exchanges = (0..10).flat_map(|m| {
        (0..10).map(move |n| format!("m{m}.a.example MX 10 r{m}-{n}.victim.example"))
    });
    let exchanges: Vec<_> = exchanges.collect();
    let names = (0..4000).map(|n| format!("1.2.0.192.in-addr.arpa PTR r{n}.victim.example"));
    let names: Vec<_> = names.take(60).collect();
    for (policy, others, most) in [
        (terms(10, "a:r#.victim.example"), vec![], 3),
        (terms(10, "exists:r#.victim.example"), vec![], 3),
        (terms(10, "include:r#.victim.example"), vec![], 1),
        (terms(10, "mx:r#.victim.example"), vec![], 3),
        (terms(10, "mx:m#.a.example"), exchanges, 30),
        (terms(10, "ptr:victim.example"), names.clone(), 10),
        (terms(10, "exists:%{p}.r#.a.example"), names, 10),
    ] {
        let lines = [vec![format!("a.example TXT v=spf1 {policy} -all")], others].concat();
        let (server, counts) = Zone::new(&lines).serve_counting();
        check_host(server.address, &claim("192.0.2.1", "x", "u@a.example"));
        let counts = counts.lock().unwrap();
        let victims = counts.iter().filter(|(name, _)| name.ends_with("victim.example"));
        let asked: usize = victims.map(|(_, count)| count).sum();
        assert!(asked <= most, "{asked}: {policy}");
    }
}

/// 100 hosts, each with a policy of its own that leads to 100 names of one domain, which exist.
#[test]
fn many_messages_make_a_bounded_number_of_questions_about_a_third_party() {
    let at_victim = Arc::new(AtomicUsize::new(0));
    let counted = at_victim.clone();
    let server = Responder::start(move |query| {
        if let Some(control) = query.control() {
            return control;
        }
        let (owner, reply) = (query.name.as_str(), query.reply());
        let policy = || {
            let terms = (0..10).map(|m| format!("mx:m{m}.{owner}"));
            text_data(format!("v=spf1 {} -all", terms.collect::<Vec<_>>().join(" ")).as_bytes())
        };
        match query.rtype {
            TXT => reply.answer(owner, TXT, 60, &policy()),
            MX if owner.starts_with('m') => (0..10).fold(reply, |reply, n| {
                let exchange = format!("r{n}-{}.victim.example", owner.replace('.', "-"));
                reply.answer(owner, MX, 60, &mx(10, &exchange))
            }),
            A if owner.ends_with("victim.example") => {
                counted.fetch_add(1, Ordering::Relaxed);
                reply.answer(owner, A, 60, &[203, 0, 113, 9])
            }
            _ => reply.soa(60),
        }
        .send()
    });
    let mut resolver = resolver(server.address);
    resolver.begin_scan(&[]);
    for n in 0..100 {
        let claim = claim(&format!("192.0.2.{n}"), "x", &format!("u@h{n}.attacker.example"));
        resolver.endorse(n, &claim);
    }
    let mut unknown = 0;
    for _ in 0..100 {
        let Found::Endorsement(found) = next(&mut resolver) else { panic!() };
        unknown += usize::from(found.exemption == Exemption::Unknown);
        assert!(!matches!(found.exemption, Exemption::Exempt(_)));
    }
    let at_victim = at_victim.load(Ordering::Relaxed);
    // A question may be repeated if an answer is late.
    assert!((900..=1100).contains(&at_victim), "{at_victim}");
    assert!(unknown >= 89, "{unknown}");
}

/// A domain whose servers do not answer is asked about for some hosts, not for all.
#[test]
fn a_mute_domain_is_given_up_for_this_scan() {
    let asked = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let noted = asked.clone();
    let server = Responder::start(move |query| {
        if query.name.ends_with("mute.example") {
            noted.lock().unwrap().insert((query.name.clone(), query.rtype));
        }
        query.control().unwrap_or_default()
    });
    let mut resolver = resolver(server.address);
    resolver.begin_scan(&[]);
    for n in 0..200 {
        let claim = claim(&format!("192.0.2.{n}"), "x", &format!("u@h{n}.mute.example"));
        resolver.endorse(n, &claim);
    }
    for _ in 0..200 {
        let Found::Endorsement(found) = next(&mut resolver) else { panic!() };
        assert_eq!(found.exemption, Exemption::Unknown);
    }
    let first = asked.lock().unwrap().len();
    // Two questions for each host at once, and none of SPF for most.
    assert!(first <= 2 * 200 + 20, "{first}");
}
