//! Name servers that are dead, die, recover, or are unfit.

use super::verdicts::zone;
use super::{LIMITS, all_are_good, resolver, verdicts};
use crate::support::asking;
use crate::support::patience::stretched;
use crate::support::responder::*;
use greytrapper::dns::cache::Bounds;
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::{Fitness, Limits, Notice};
use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(900);
/// What a busy machine may add; far from a patience for each domain, which would be half an hour.
const SLACK: Duration = Duration::from_secs(10);

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("gone.d{n}.example")).collect()
}

/// A socket that takes questions and never answers.
fn silent() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    silent().local_addr().unwrap()
}

#[test]
fn a_dead_server_costs_one_control_question() {
    assert_eq!(LIMITS.timeout * LIMITS.attempts, PATIENCE);
    let dead = silent();
    let names = names(100_000);
    let start = Instant::now();
    let mut resolver = resolver(&[dead.local_addr().unwrap()]);
    let mut unknown = 0;
    asking::each(&mut resolver, &names, |_, verdict| {
        unknown += usize::from(verdict.to_string() == "no name server answers");
    });
    assert_eq!(unknown, names.len());
    assert!(start.elapsed() < PATIENCE + stretched(SLACK), "{:?}", start.elapsed());
    assert_eq!(resolver.counters().sent, u64::from(LIMITS.attempts));
    let notices = resolver.take_notices();
    assert!(matches!(notices[..], [Notice::Unfit(..)]), "{notices:?}");
}

#[test]
fn nobody_listening_is_seen_sooner() {
    // By timeouts alone it would take ten times as long.
    let patient = Limits { timeout: SLACK, ..LIMITS };
    let start = Instant::now();
    let mut resolver = Resolver::with_servers(&[nobody()], patient, Bounds::default()).unwrap();
    assert_eq!(verdicts(&mut resolver, &["gone.example"]), ["unknown no name server answers"]);
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
}

#[test]
fn the_next_server_is_asked_when_the_first_is_dead() {
    let server = Responder::start(zone);
    let dead = silent();
    for first in [dead.local_addr().unwrap(), nobody()] {
        let start = Instant::now();
        let mut resolver = resolver(&[first, server.address]);
        let found = verdicts(&mut resolver, &["mx.example", "gone.example"]);
        assert_eq!(found, ["good MX", "bad no such domain"]);
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }
}

/// Half of the domains are answered, then there is silence: the rest is unknown, and soon.
#[test]
fn a_server_that_dies_in_a_scan_stops_nothing() {
    // A question that is asked again, since the answer was late, counts once.
    let answered = Mutex::new(HashSet::new());
    let server = Responder::start(move |q| {
        let mut answered = answered.lock().unwrap();
        if answered.len() == 5000 {
            return Vec::new();
        }
        answered.insert((q.name.clone(), q.rtype));
        zone(q)
    });
    let names = names(10_000);
    let mut resolver = resolver(&[server.address]);
    let start = Instant::now();
    resolver.begin_scan(&[]);
    let (mut bad, mut unknown) = (0, 0);
    asking::each(&mut resolver, &names, |_, verdict| match verdict.word() {
        "bad" => bad += 1,
        word => unknown += usize::from(word == "unknown"),
    });
    assert_eq!(bad + unknown, names.len());
    assert!(start.elapsed() < 3 * PATIENCE + stretched(SLACK), "{:?}", start.elapsed());
    // Three questions each.
    assert!((1600..1667).contains(&bad), "{bad}");
    resolver.end_scan(false);
    let found = verdicts(&mut resolver, &[&names[0]]);
    assert_eq!(found, ["unknown no name server answers"]);
}

/// A server is silent until all questions wait for it to prove itself, and then answers them after all: the rest
/// is asked too.
#[test]
fn answers_that_come_while_the_server_is_tested_make_room() {
    let tests = AtomicUsize::new(0);
    let server = Responder::start(move |q| {
        let is_first = q.control().is_some() && tests.fetch_add(1, Ordering::Relaxed) == 0;
        // The first wait for an answer is some 50 ms, the second 200.
        if is_first { zone(q) } else { late(Duration::from_millis(400), zone(q)) }
    });
    let limits = Limits { timeout: Duration::from_secs(5), attempts: 4, ..LIMITS };
    let names: Vec<_> = (0..2 * limits.in_flight).map(|n| format!("mx.d{n}.example")).collect();
    let counters = all_are_good(server.address, limits, &names);
    assert!(counters.timeouts >= 50, "{counters:?}");
}

/// A process that had no CPU for longer than it waits for answers finds them when it runs again.
#[test]
fn what_has_arrived_meanwhile_is_not_late() {
    let server = Responder::start(|q| late(Duration::from_millis(200), zone(q)));
    let names: Vec<_> = (0..LIMITS.in_flight).map(|n| format!("mx.d{n}.example")).collect();
    // By RFC 6298 2.2, the first wait is 200 + 4 * 100 ms.
    let limits = Limits { timeout: Duration::from_secs(2), ..LIMITS };
    let mut resolver =
        Resolver::with_servers(&[server.address], limits, Bounds::default()).unwrap();
    for (ticket, name) in (0..).zip(&names) {
        resolver.lookup(ticket, name.as_bytes());
    }
    // The control question, and all others.
    while server.asked() < 1 + names.len() {
        resolver.turn(Some(Duration::from_millis(1)), |_| {}).unwrap();
    }
    std::thread::sleep(Duration::from_millis(1500));
    let mut found = 0;
    while found < names.len() {
        asking::turn(&mut resolver, None);
        found += std::iter::from_fn(|| resolver.next_finding()).count();
    }
    let counters = resolver.counters();
    assert_eq!((counters.sent, counters.timeouts), (1 + names.len() as u64, 0));
}

/// Questions that wait for a silent server to prove itself end once, when its port is closed.
#[test]
fn a_server_that_ends_while_it_is_tested_ends_all_questions() {
    let socket = silent();
    let address = socket.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut message, mut is_tested) = ([0; 512], false);
        loop {
            let (length, from) = socket.recv_from(&mut message).unwrap();
            // The root's name is one octet.
            if message[12] != 0 {
                continue;
            } else if is_tested {
                return;
            }
            is_tested = true;
            message[2] |= 0x80;
            message[3] = REFUSED;
            socket.send_to(&message[..length], from).unwrap();
        }
    });
    let names = names(LIMITS.in_flight);
    let mut resolver = resolver(&[address]);
    let mut unknown = 0;
    asking::each(&mut resolver, &names, |_, verdict| {
        unknown += usize::from(verdict.word() == "unknown");
    });
    assert_eq!(unknown, names.len());
    server.join().unwrap();
    assert_eq!(resolver.room(), LIMITS.in_flight);
}

#[test]
fn a_server_that_recovers_is_used_by_the_next_scan() {
    let alive = Arc::new(AtomicBool::new(false));
    let switch = alive.clone();
    let server =
        Responder::start(
            move |q| if switch.load(Ordering::Relaxed) { zone(q) } else { Vec::new() },
        );
    let mut resolver = resolver(&[server.address]);
    resolver.begin_scan(&[]);
    assert_eq!(verdicts(&mut resolver, &["mx.example"]), ["unknown no name server answers"]);
    alive.store(true, Ordering::Relaxed);
    // Within the same scan it is left alone.
    assert_eq!(verdicts(&mut resolver, &["mx.example"]), ["unknown no name server answers"]);
    resolver.begin_scan(&[]);
    assert_eq!(verdicts(&mut resolver, &["mx.example"]), ["good MX"]);
    let health: Vec<_> = resolver.health().collect();
    assert_eq!(health[0].fitness, Fitness::Fit);
    assert!(health[0].round_trip.is_some());
}

/// What comes of servers that answer the control question with something else than its answer: what they
/// find counts, and until they have found something nothing that they deny.
#[test]
fn a_server_that_denies_the_root_is_of_use_all_the_same() {
    for (kind, control) in [
        ("SERVFAIL", (|q: &Query| q.reply().rcode(SERVFAIL)) as fn(&Query) -> Reply),
        ("REFUSED", |q| q.reply().rcode(REFUSED)),
        ("NXDOMAIN", |q| q.reply().rcode(NXDOMAIN)),
        ("NODATA", |q| q.reply()),
        ("lame", |q| q.reply().lame()),
        ("referral", |q| q.reply().authority("", NS, 1, &name("a.example"))),
    ] {
        let server =
            Responder::start(move |q| if q.name.is_empty() { control(q).send() } else { zone(q) });
        let mut resolver = resolver(&[server.address]);
        let unproven = "unknown denied by a server that has not found any domain";
        assert_eq!(verdicts(&mut resolver, &["gone.example"]), [unproven], "{kind}");
        assert_eq!(verdicts(&mut resolver, &["a.example"]), ["good no MX, address"], "{kind}");
        let found = verdicts(&mut resolver, &["gone.example", "none.example"]);
        assert_eq!(found, ["bad no such domain", "bad no MX or A"], "{kind}");
        let notices = resolver.take_notices();
        assert!(matches!(notices[..], [Notice::Odd(..)]), "{kind}: {notices:?}");
    }
}

/// Another server may know what the first cannot say.
#[test]
fn a_failure_of_one_server_is_not_the_last_word() {
    for acts in [
        (|q: &Query| q.reply().rcode(SERVFAIL)) as fn(&Query) -> Reply,
        |q| q.reply().rcode(REFUSED),
        |q| q.reply().lame(),
        |q| q.reply().raw_answers(9, &[0xff; 40]),
    ] {
        let failing = Responder::start(move |q| q.control().unwrap_or_else(|| acts(q).send()));
        let server = Responder::start(zone);
        let mut resolver = resolver(&[failing.address, server.address]);
        let found = verdicts(&mut resolver, &["mx.example", "none.example", "servfail.example"]);
        assert_eq!(found[..2], ["good MX", "bad no MX or A"]);
        // Whoever proves itself first is asked first, so either's failure may be the last.
        assert!(found[2].starts_with("unknown "), "{}", found[2]);
    }
}

/// Nor while the other has yet to prove itself.
#[test]
fn a_failure_waits_for_the_server_that_is_being_tested() {
    let failing =
        Responder::start(|q| q.control().unwrap_or_else(|| q.reply().rcode(SERVFAIL).send()));
    let slow = Responder::start(|q| match q.control() {
        Some(_) => {
            let control = q.reply().answer("", NS, 600, &name("a.example")).bytes();
            vec![Act::After(Duration::from_millis(100), control)]
        }
        None => zone(q),
    });
    let mut resolver = resolver(&[failing.address, slow.address]);
    let found = verdicts(&mut resolver, &["mx.example", "gone.example", "servfail.example"]);
    assert_eq!(found, ["good MX", "bad no such domain", "unknown SERVFAIL"]);
}

/// Domains that nobody answers for do not make the server look dead.
#[test]
fn silence_about_some_domains_does_not_condemn_the_server() {
    let server = Responder::start(zone);
    let mut resolver = resolver(&[server.address]);
    let silent: Vec<_> = (0..200).map(|n| format!("silent{n}.example")).collect();
    let mut domains: Vec<_> = silent.iter().map(String::as_str).collect();
    domains.push("gone.example");
    let found = verdicts(&mut resolver, &domains);
    assert!(found[..200].iter().all(|f| f == "unknown no answer"), "{found:?}");
    assert_eq!(found[200], "bad no such domain");
}

#[test]
fn no_server_at_all() {
    let mut resolver = resolver(&[]);
    assert_eq!(verdicts(&mut resolver, &["gone.example"]), ["unknown no name server answers"]);
}
