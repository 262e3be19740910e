//! Answers with all kinds of faults. None may lead to `bad`, and none may prevent other answers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{LIMITS, all_are_good, resolver, verdict, verdicts};
use crate::support::patience::stretched;
use crate::support::responder::*;
use greytrapper::dns::cache::Bounds;
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::{Limits, Transport};

/// A server that answers the control question, and all others with `acts`.
fn server(acts: impl Fn(&Query) -> Vec<Act> + Send + Sync + 'static) -> Responder {
    Responder::start(move |query| query.control().unwrap_or_else(|| acts(query)))
}

fn good(query: &Query) -> Reply {
    query.reply().answer(&query.name, MX, 300, &mx(10, "mail.example"))
}

fn gone(query: &Query) -> Reply {
    query.reply().rcode(NXDOMAIN).soa(60)
}

/// A forged denial of each kind before the right answer.
#[test]
fn a_wrong_answer_does_not_end_the_wait() {
    type Forgery = fn(&Query) -> Act;
    let forgeries: [(&str, Forgery); 9] = [
        ("id", |q| {
            let mut bytes = gone(q).bytes();
            bytes[0] ^= 0x55;
            Act::Send(bytes)
        }),
        ("question", |q| Act::Send(gone(q).question("other.example", MX).bytes())),
        ("type", |q| Act::Send(gone(q).question(&q.name, A).bytes())),
        ("no question", |q| Act::Send(gone(q).no_question().bytes())),
        ("port", |q| Act::Elsewhere(gone(q).bytes())),
        ("query", |q| {
            let mut bytes = gone(q).bytes();
            bytes[2] &= 0x7f;
            Act::Send(bytes)
        }),
        ("opcode", |q| {
            let mut bytes = gone(q).bytes();
            bytes[2] |= 0x20;
            Act::Send(bytes)
        }),
        ("short", |q| Act::Send(gone(q).bytes()[..11].to_vec())),
        ("two questions", |q| {
            let mut bytes = gone(q).bytes();
            bytes[5] = 2;
            Act::Send(bytes)
        }),
    ];
    for (kind, forge) in forgeries {
        let right =
            move |q: &Query| vec![forge(q), Act::After(Duration::from_millis(20), good(q).bytes())];
        let server = server(right);
        let mut resolver = resolver(&[server.address]);
        assert_eq!(verdicts(&mut resolver, &["victim.example"]), ["good MX"], "{kind}");
        let c = resolver.counters();
        let dropped = match kind {
            "id" => c.dropped_id,
            "query" | "opcode" => c.dropped_no_answer,
            "short" => c.dropped_short,
            "port" => 1,
            _ => c.dropped_question,
        };
        assert_eq!(dropped, 1, "{kind}: {c:?}");
        assert_eq!(c.sent, 2, "{kind}: {c:?}");
    }
}

/// With nothing but forgeries the domain stays unknown.
#[test]
fn forgeries_alone_prove_nothing() {
    let server = server(|q| vec![Act::Send(gone(q).question("other.example", MX).bytes())]);
    assert_eq!(verdict(server.address, "victim.example"), "unknown no answer");
}

#[test]
fn case_is_random_and_a_server_that_folds_it_is_understood() {
    let honest = server(|q| {
        let letters = &q.bytes[12..];
        let mixed = letters.iter().any(u8::is_ascii_uppercase);
        if mixed { good(q).send() } else { q.reply().rcode(SERVFAIL).send() }
    });
    assert_eq!(verdict(honest.address, "averylongnameindeed.example"), "good MX");
    let folding = server(|q| good(q).folded().send());
    let mut resolver = resolver(&[folding.address]);
    let names: Vec<_> = (0..40).map(|n| format!("averylongname{n}.example")).collect();
    for name in &names {
        assert_eq!(verdicts(&mut resolver, &[name]), ["good MX"]);
    }
    // After three such answers the server is known for it, and asked once.
    assert_eq!(resolver.counters().dropped_case, 3);
    assert_eq!(folding.asked(), 1 + 40 + 3);
}

#[test]
fn servers_without_edns_are_asked_without() {
    for (kind, reply) in [
        ("with question", (|q: &Query| q.reply().rcode(FORMERR)) as fn(&Query) -> Reply),
        ("without question", |q: &Query| q.reply().rcode(FORMERR).no_question()),
        ("not implemented", |q: &Query| q.reply().rcode(4)),
    ] {
        let old = Responder::start(move |q| {
            if q.edns { reply(q).send() } else { q.control().unwrap_or_else(|| good(q).send()) }
        });
        assert_eq!(verdict(old.address, "victim.example"), "good MX", "{kind}");
    }
    let never = server(|q| q.reply().rcode(FORMERR).send());
    assert_eq!(verdict(never.address, "victim.example"), "unknown FORMERR");
}

/// A firewall swallowed every question with an OPT record, the control question first, and so the server
/// counted as dead for good.
#[test]
fn a_firewall_that_swallows_edns_does_not_make_a_server_dead() {
    for attempts in [1, 2, 3] {
        let swallows = Responder::start(|q| match q.edns {
            true => Vec::new(),
            false => q.control().unwrap_or_else(|| good(q).send()),
        });
        let limits = Limits { attempts, ..LIMITS };
        let mut resolver =
            Resolver::with_servers(&[swallows.address], limits, Bounds::default()).unwrap();
        assert_eq!(verdicts(&mut resolver, &["a.example", "b.example"]), ["good MX"; 2]);
        // Once the control question has come through without, nothing else is asked with.
        assert_eq!(swallows.asked(), 2 + 2, "{attempts} attempts");
    }
}

/// The same if it lets the control question pass.
#[test]
fn a_firewall_that_swallows_edns_now_and_then_hides_nothing() {
    let swallows = server(|q| if q.edns { Vec::new() } else { good(q).send() });
    assert_eq!(verdict(swallows.address, "victim.example"), "good MX");
}

#[test]
fn truncated_answers_are_fetched_by_tcp() {
    let right = server(|q| if q.tcp { good(q).send() } else { q.reply().truncated().send() });
    let names: Vec<_> = (0..200).map(|n| format!("d{n}.example")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut resolver = resolver(&[right.address]);
    assert!(verdicts(&mut resolver, &names).iter().all(|found| found == "good MX"));
    assert_eq!(resolver.counters().sent_tcp, 200);
    // A negative answer that is truncated is no answer.
    let denied = server(|q| if q.tcp { good(q).send() } else { gone(q).truncated().send() });
    assert_eq!(verdict(denied.address, "victim.example"), "good MX");
}

#[test]
fn tcp_that_fails_leaves_the_domain_unknown() {
    let closes = server(|q| if q.tcp { vec![Act::Close] } else { gone(q).truncated().send() });
    assert_eq!(verdict(closes.address, "victim.example"), "unknown truncated, and no TCP");
    let start = Instant::now();
    let stalls =
        server(|q| if q.tcp { vec![Act::Raw(vec![1, 0])] } else { gone(q).truncated().send() });
    let found = verdict(stalls.address, "victim.example");
    assert!(found.starts_with("unknown "), "{found}");
    assert!(start.elapsed() < stretched(Duration::from_secs(10)));
    let half = server(|q| match q.tcp {
        true => vec![Act::Raw(vec![0, 40]), Act::Raw(gone(q).bytes()[..20].to_vec()), Act::Close],
        false => gone(q).truncated().send(),
    });
    assert_eq!(verdict(half.address, "victim.example"), "unknown truncated, and no TCP");
    let twice =
        server(|q| if q.tcp { gone(q).truncated().send() } else { q.reply().truncated().send() });
    assert!(verdict(twice.address, "victim.example").starts_with("unknown "));
}

/// A connection that brings megabytes of what nobody asked for neither ends nor delays other questions.
#[test]
fn a_flood_by_tcp_stops_nothing() {
    let server = server(|q| match (q.tcp, q.name.starts_with("flood")) {
        (_, false) => good(q).send(),
        (false, true) => gone(q).truncated().send(),
        (true, true) => vec![Act::Raw(vec![0; 8_000_000]), Act::Send(good(q).bytes())],
    });
    let names: Vec<_> = (0..100).map(|n| format!("d{n}.example")).collect();
    let mut domains: Vec<_> = names.iter().map(String::as_str).collect();
    domains.insert(0, "flood.example");
    let mut resolver = resolver(&[server.address]);
    let found = verdicts(&mut resolver, &domains);
    assert!(found[1..].iter().all(|f| f == "good MX"), "{found:?}");
    assert!(!found[0].starts_with("bad"), "{}", found[0]);
    assert!(resolver.counters().dropped_short > 100_000);
}

/// Nobody listens for TCP: the responder's TCP half is of another process's making.
#[test]
fn tcp_refused_leaves_the_domain_unknown() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let helper = Responder::start(|q| q.control().unwrap_or_else(|| gone(q).truncated().send()));
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let relay = std::thread::spawn(move || {
        let up = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        up.connect(helper.address).unwrap();
        let (mut buffer, start) = ([0; 2048], Instant::now());
        while start.elapsed() < Duration::from_millis(800) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            up.send(&buffer[..length]).unwrap();
            let length = up.recv(&mut buffer).unwrap();
            socket.send_to(&buffer[..length], from).unwrap();
        }
    });
    assert_eq!(verdict(address, "victim.example"), "unknown truncated, and no TCP");
    relay.join().unwrap();
}

#[test]
fn tcp_alone_where_resolv_conf_says_so() {
    let server = server(|q| if q.tcp { good(q).send() } else { gone(q).send() });
    let limits = Limits { transport: Transport::Tcp, ..LIMITS };
    let mut resolver =
        Resolver::with_servers(&[server.address], limits, Bounds::default()).unwrap();
    assert_eq!(verdicts(&mut resolver, &["a.example", "b.example"]), ["good MX"; 2]);
    assert_eq!((resolver.counters().sent, resolver.counters().sent_tcp), (3, 3));
}

/// Each of these is the answer to the question by its header, and not to be understood.
#[test]
fn what_cannot_be_parsed_is_unknown() {
    let owner = [0xc0, 12];
    let record = |rtype: u16, data: &[u8]| {
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        [&owner[..], &rtype.to_be_bytes(), &[0, 1, 0, 0, 0, 9], &length, data].concat()
    };
    let bodies: Vec<(&str, u16, Vec<u8>)> = vec![
        ("a pointer to itself", 1, vec![0xc0, 32, 0, 15, 0, 1, 0, 0, 0, 9, 0, 0]),
        ("a pointer onwards", 1, vec![0xc0, 0xff, 0, 15, 0, 1, 0, 0, 0, 9, 0, 0]),
        ("two pointers in a circle", 1, vec![0xc0, 34, 0xc0, 32, 0, 15, 0, 1, 0, 0, 0, 9, 0, 0]),
        ("an exchange that points at itself", 1, record(MX, &[0, 1, 0xc0, 46])),
        ("a reserved label type", 1, vec![0x80, 0, 15, 0, 1]),
        ("fewer records than said", 2, record(MX, &[0, 1, 0xc0, 12])),
        ("no records where thousands are said", 0xffff, Vec::new()),
        ("a record without an end", 1, record(MX, &[0, 1, 0xc0, 12])[..14].to_vec()),
        ("an exchange cut short", 1, record(MX, &[0])),
        ("octets after the exchange", 1, record(MX, &[0, 1, 0xc0, 12, 7])),
        ("a name of 300 octets", 1, {
            let long = [&[0, 1][..], &[&[60][..], &[b'a'; 60]].concat().repeat(5), &[0]].concat();
            record(MX, &long)
        }),
    ];
    for (kind, count, body) in bodies {
        let server = server(move |q| q.reply().raw_answers(count, &body).send());
        assert_eq!(verdict(server.address, "v.example"), "unknown malformed answer", "{kind}");
    }
}

/// The header says NOERROR, the OPT record that the version is bad (RFC 6891 6.1.3): no NODATA.
#[test]
fn an_extended_error_is_no_denial() {
    let server = server(|q| {
        if !q.edns {
            return good(q).send();
        }
        let mut bytes = q.reply().bytes();
        bytes[11] = 1;
        bytes.extend([0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]);
        vec![Act::Send(bytes)]
    });
    assert_eq!(verdict(server.address, "victim.example"), "good MX");
}

fn chain(query: &Query, links: usize) -> Reply {
    let at = |n: usize| if n == 0 { query.name.clone() } else { format!("c{n}.example") };
    (0..links).fold(query.reply(), |r, n| r.answer(&at(n), CNAME, 300, &name(&at(n + 1))))
}

#[test]
fn cname_chains() {
    let end = |q: &Query, links: usize| {
        chain(q, links).answer(&format!("c{links}.example"), MX, 300, &mx(1, "mail.example"))
    };
    let long =
        server(move |q| if q.tcp { end(q, 20).send() } else { q.reply().truncated().send() });
    assert_eq!(verdict(long.address, "start.example"), "good MX");
    let endless =
        server(move |q| if q.tcp { end(q, 40).send() } else { q.reply().truncated().send() });
    assert_eq!(verdict(endless.address, "start.example"), "unknown CNAME chain too long");
    let nowhere = server(|q| chain(q, 20).rcode(NXDOMAIN).soa(60).send());
    assert_eq!(verdict(nowhere.address, "start.example"), "bad no such domain");
    let itself = server(|q| q.reply().answer(&q.name, CNAME, 300, &name(&q.name)).send());
    assert_eq!(verdict(itself.address, "start.example"), "unknown CNAME loop");
    let circle = server(|q| chain(q, 3).answer("c3.example", CNAME, 300, &name(&q.name)).send());
    assert_eq!(verdict(circle.address, "start.example"), "unknown CNAME loop");
}

#[test]
fn four_thousand_records_are_read_in_bounded_time() {
    let many = |q: &Query, record: &dyn Fn(u16) -> Vec<u8>| {
        let records: Vec<u8> =
            (0..4000).flat_map(|n| [&[0xc0, 12][..], &record(n)].concat()).collect();
        let reply = q.reply().raw_answers(4000, &records);
        if q.tcp { reply.send() } else { q.reply().truncated().send() }
    };
    let a = |n: u16| [&[0, 1, 0, 1, 0, 0, 0, 9, 0, 4][..], &[10, 0], &n.to_be_bytes()].concat();
    let mx = |_| [&[0, 15, 0, 1, 0, 0, 0, 9, 0, 3][..], &[0, 0, 0]].concat();
    let cname = |_| [&[0, 5, 0, 1, 0, 0, 0, 9, 0, 2][..], &[0xc0, 12]].concat();
    let start = Instant::now();
    let addresses =
        server(move |q| if q.rtype == A { many(q, &a) } else { q.reply().soa(60).send() });
    assert_eq!(verdict(addresses.address, "many.example"), "good no MX, address");
    let nulls = server(move |q| many(q, &mx));
    let odd = "unknown null MX with a preference or beside other MX records";
    assert_eq!(verdict(nulls.address, "many.example"), odd);
    let aliases = server(move |q| many(q, &cname));
    assert_eq!(verdict(aliases.address, "many.example"), "unknown CNAME chain too long");
    assert!(start.elapsed() < stretched(Duration::from_secs(10)));
}

/// Longer than what we say we take, without a sign of truncation.
#[test]
fn an_answer_too_long_for_the_buffer_is_fetched_by_tcp() {
    let server = server(|q| {
        if q.tcp {
            return good(q).send();
        }
        let filler = vec![7; 2000];
        vec![Act::Send(q.reply().answer(&q.name, 16, 300, &filler).bytes())]
    });
    assert_eq!(verdict(server.address, "victim.example"), "good MX");
}

/// A flood of forgeries on the port of a question neither ends it nor starves the others.
#[test]
fn a_flood_does_not_drown_the_answer() {
    let server = server(|q| {
        let mut acts: Vec<_> = (0..500_u16)
            .map(|n| {
                let mut bytes = gone(q).bytes();
                let wrong = u16::from_be_bytes([bytes[0], bytes[1]]).wrapping_add(n + 1);
                bytes[..2].copy_from_slice(&wrong.to_be_bytes());
                Act::Send(bytes)
            })
            .collect();
        acts.insert(100, Act::Send(good(q).bytes()));
        acts
    });
    let mut resolver = resolver(&[server.address]);
    assert_eq!(verdicts(&mut resolver, &["a.example", "b.example"]), ["good MX"; 2]);
}

/// What a forger would have to guess: no port carries many questions, no id comes more often than chance
/// has it, and the letters' case differs.
#[test]
fn ports_ids_and_case_are_spread() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let server = server(move |q| {
        let id = u16::from_be_bytes([q.bytes[0], q.bytes[1]]);
        let capitals = q.bytes[12..].iter().filter(|b| b.is_ascii_uppercase()).count();
        notes.lock().unwrap().push((q.from.port(), id, capitals));
        good(q).send()
    });
    let names: Vec<_> = (0..2000).map(|n| format!("abcdefghijklmnop{n}.example")).collect();
    let limits = Limits { timeout: Duration::from_secs(5), attempts: 4, ..LIMITS };
    all_are_good(server.address, limits, &names);
    let seen = seen.lock().unwrap();
    let mut ports = HashMap::new();
    seen.iter().for_each(|(port, ..)| *ports.entry(port).or_insert(0) += 1);
    // A port number may come back by chance: 125 of some 28,000.
    assert!(ports.len() > 110 && ports.values().all(|count| *count <= 48), "{ports:?}");
    let ids: HashSet<_> = seen.iter().map(|(_, id, _)| id).collect();
    // Of 2000 draws out of 65,536, about 30 repeat one.
    assert!(ids.len() > 1900, "{}", ids.len());
    let capitals: usize = seen.iter().map(|(.., capitals)| capitals).sum();
    // Half of 23 letters each.
    assert!((22_000..24_000).contains(&capitals), "{capitals}");
}
