//! Name servers in all kinds of trouble at once, as it comes: each inquiry ends, and no domain is bad.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::proof::inquire;
use super::verdicts::zone;
use crate::support::dice::Dice;
use crate::support::nsd::free_port;
use crate::support::responder::*;
use greytrapper::dns::cache::Bounds;
use greytrapper::dns::exemption::Claim;
use greytrapper::dns::listing::Listing;
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::verdict::Tally;
use greytrapper::dns::{Limits, Transport};
use greytrapper::inquiry::Questions;
use greytrapper::scan::Domains;
use greytrapper::scan::identity::Question;

/// How long a server says nothing before its port is closed.
const SILENCE: Duration = Duration::from_millis(80);

/// Dice that several servers throw.
#[derive(Clone)]
struct Shared(Arc<Mutex<Dice>>);

impl Shared {
    fn roll(&self, sides: usize) -> usize {
        self.0.lock().unwrap().roll(sides)
    }
}

/// Domains that exist, whose SPF policies lead to each other and to hosts, and hosts with names.
fn world(query: &Query) -> Vec<Act> {
    let (owner, reply) = (query.name.as_str(), query.reply());
    let (first, rest) = owner.split_once('.').unwrap_or((owner, ""));
    let text = |text: String| [&[text.len() as u8], text.as_bytes()].concat();
    match (first, query.rtype) {
        ("", NS) => return query.control().unwrap(),
        ("mx", MX) => return zone(query),
        ("mx", TXT) => {
            let policy =
                format!("v=spf1 a mx include:spf.{rest} exists:%{{l}}.%{{ir}}.{rest} ptr ?all");
            reply.answer(owner, TXT, 300, &text(policy))
        }
        ("spf", TXT) => {
            let policy = format!("v=spf1 a:host.{rest} a:other.{rest} redirect=mx.{rest}");
            reply.answer(owner, TXT, 300, &text(policy))
        }
        ("host", A) => reply.answer(owner, A, 300, &[192, 0, 2, 1]),
        (_, PTR) => reply.answer(owner, PTR, 300, &name("host.d1.example")),
        (_, A) if owner.ends_with("list.example") => reply.answer(owner, A, 300, &[127, 0, 0, 2]),
        _ => reply.rcode(NXDOMAIN).soa(60),
    }
    .send()
}

/// A server that is silent for a while now and then, and otherwise answers as the dice fall.
fn moody(dice: &Shared) -> Responder {
    let (dice, begun) = (dice.clone(), Instant::now());
    let late = |query: &Query| late(Duration::from_millis(60), world(query));
    Responder::start(move |query| {
        if begun.elapsed().as_millis() % 400 > 250 {
            return if dice.roll(3) == 0 { late(query) } else { Vec::new() };
        }
        match dice.roll(24) {
            0 | 1 => Vec::new(),
            2 | 3 => late(query),
            4 => query.reply().rcode(SERVFAIL).send(),
            5 => query.reply().rcode(REFUSED).send(),
            6 => query.reply().rcode(FORMERR).send(),
            7 => query.reply().truncated().send(),
            8 => query.reply().rcode(SERVFAIL).folded().send(),
            9 => query.reply().no_question().send(),
            10 => vec![Act::Close],
            11 => vec![Act::Raw(vec![0, 200, 1])],
            12 => vec![Act::Send(query.bytes[..dice.roll(12)].to_vec())],
            13 => [world(query), world(query)].concat(),
            _ => world(query),
        }
    })
}

/// A server that falls silent and whose port is closed, again and again.
struct Restarting {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Restarting {
    fn start(dice: &Shared) -> Self {
        let address = (Ipv4Addr::LOCALHOST, free_port()).into();
        let mut socket = Some(UdpSocket::bind(address).unwrap());
        let (dice, is_over) = (dice.clone(), Arc::new(AtomicBool::new(false)));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let until = Instant::now() + Duration::from_millis(50 + dice.roll(200) as u64);
                let open = socket.take().or_else(|| UdpSocket::bind(address).ok());
                open.into_iter().for_each(|socket| serve(&socket, &dice, until));
                std::thread::sleep(Duration::from_millis(dice.roll(100) as u64));
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }
}

/// Answers three of four questions with a failure, and towards the end none.
fn serve(socket: &UdpSocket, dice: &Shared, until: Instant) {
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut message = [0; 512];
    while Instant::now() < until {
        let Ok((length, from)) = socket.recv_from(&mut message) else { continue };
        if dice.roll(4) > 0 && Instant::now() + SILENCE < until {
            message[2] |= 0x80;
            message[3] = SERVFAIL;
            let _ = socket.send_to(&message[..length], from);
        }
    }
}

impl Drop for Restarting {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn each_inquiry_ends(seed: u64) {
    println!("seed {seed}");
    let dice = Shared(Arc::new(Mutex::new(Dice(seed))));
    let (first, second) = (moody(&dice), moody(&dice));
    let third = Restarting::start(&dice);
    let all = [first.address, second.address, third.address];
    let begin = dice.roll(3);
    let count = 1 + dice.roll(3);
    let servers: Vec<_> = (begin..begin + count).map(|number| all[number % 3]).collect();
    let transport = if dice.roll(5) == 0 { Transport::Tcp } else { Transport::Udp };
    let (in_flight, attempts) = (1 + dice.roll(40), 1 + dice.roll(4) as u32);
    let timeout = Duration::from_millis(40 + dice.roll(100) as u64);
    let limits = Limits { in_flight, timeout, attempts, transport };
    let mut resolver = Resolver::with_servers(&servers, limits, Bounds::default()).unwrap();
    // Twice: what a first scan leaves behind is met by the second.
    for _ in 0..2 {
        let asked = questions(&dice);
        let count = asked.domains.len();
        let (_, answered) = inquire(&mut resolver, asked);
        let Tally { good, unknown, .. } = answered.tally;
        assert_eq!(good + unknown, count as u64, "seed {seed}");
        assert_eq!(resolver.room(), in_flight, "seed {seed}");
    }
}

/// Questions of each kind.
fn questions(dice: &Shared) -> Questions {
    let address = || IpAddr::from([192, 0, 2, dice.roll(9) as u8]);
    let domain = || format!("mx.d{}.example", dice.roll(99));
    let hosts = (0..dice.roll(15)).map(|_| Question {
        address: address(),
        names: vec![format!("host.d{}.example", dice.roll(9)), format!("d{}.test", dice.roll(9))],
    });
    let claims = (0..dice.roll(15)).map(|_| {
        let sender = format!("<user{}@{}>", dice.roll(9), domain());
        Claim::new(address(), b"host.d2.example", sender.as_bytes())
    });
    let listings =
        (0..dice.roll(15)).map(|_| Listing { address: address(), zone: "list.example".into() });
    let (hosts, exemptions, listings) = (hosts.collect(), claims.collect(), listings.collect());
    let mut domains = Domains::default();
    domains.extend((0..dice.roll(60)).map(|_| domain()));
    let controls = (0..dice.roll(3)).map(|n| format!("mx.ours{n}.example").into_bytes()).collect();
    Questions { hosts, domains, exemptions, listings, controls }
}

/// Two at a time, which takes no more descriptors than a daemon has on OpenBSD.
#[test]
fn each_inquiry_ends_whatever_servers_do() {
    let seed = AtomicU64::new(0);
    let seeds = || iter::repeat_with(|| seed.fetch_add(1, Ordering::Relaxed));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| seeds().take_while(|seed| *seed < 12).for_each(each_inquiry_ends));
        }
    });
}
