//! The hosts of an invented, busy mail exchanger, as spamd would record them.
//!
//! Deterministic: the same mix and number of tuples give the same records everywhere. Every name is under
//! a domain that RFC 2606 or RFC 6761 reserves (each under `.example` a registrable domain of its own);
//! addresses are from 100.64.0.0/10 and 2001:db8::/32 (RFC 6598, RFC 3849).
//!
//! A [`Mix`] says which kinds of hosts there are, and how many of each. [`MEASURED`] has the shares in the
//! TREC 2007 public spam corpus (75,363 messages received by one site), replayed as spamd would have seen
//! it: 36,586 hosts sent spam and 150 sent other mail. Of the former, 84 % had one tuple, and 1.9 % (689)
//! had more than five at some time; 0.3 % (116) had that many from more than three domains, 1.6 % (600)
//! used HELO names in several domains, and 0.06 % (21) had a sender that is not a mailbox. The number of
//! tuples of the few busy hosts was not measured. [`CROWDED`] is a bad day: two thirds of the tuples belong
//! to hosts that have so many that the counting rules must look at them.

use greytrapper::spamd::record::{Gdata, PCOUNT_SPAMTRAP, PCOUNT_TRAPPED};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The time at which the records of a population were all alive, seconds since 1970.
pub const NOW: i64 = 1_795_420_000;
/// spamd's default lifetime of a GREY record (`GREYEXP`, libexec/spamd/grey.h).
const GREYEXP: i64 = 4 * 60 * 60;
/// spamd's default lifetime of a WHITE record (`WHITEEXP`).
const WHITEEXP: i64 = 36 * 24 * 60 * 60;
/// spamd's default lifetime of a TRAPPED record (`TRAPEXP`).
const TRAPEXP: i64 = 24 * 60 * 60;

/// One record: its key and what its value says.
pub type Record = (Vec<u8>, Gdata);

/// A kind of waiting host.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Sends once, as most of a botnet does.
    Once,
    /// Sends a few times in the name of one domain.
    Few,
    /// The same in ever other names.
    Names,
    /// Sends one thing to many recipients.
    Campaign,
    /// Sends often, in the name of many domains.
    Domains,
    /// Sends once, in the name of nobody.
    Nobody,
    /// Sends often, each time as somebody made for the recipient (VERP).
    Newsletter,
    /// Sends for the staff of many firms.
    Pool,
}

/// Kinds of hosts, and how many there are of each.
pub type Mix = &'static [(Kind, i64)];

/// As measured: of 10,000 hosts.
pub const MEASURED: Mix = &[
    (Kind::Once, 8_360),
    (Kind::Few, 1_240),
    (Kind::Names, 160),
    (Kind::Campaign, 160),
    (Kind::Domains, 30),
    (Kind::Nobody, 6),
    (Kind::Newsletter, 24),
    (Kind::Pool, 20),
];

/// Four tuples a host on average: of 100 hosts.
pub const CROWDED: Mix = &[
    (Kind::Once, 60),
    (Kind::Few, 20),
    (Kind::Domains, 6),
    (Kind::Newsletter, 6),
    (Kind::Pool, 4),
    (Kind::Names, 4),
];

/// Makes records until there are `tuples` GREY ones, and gives each of them to `enter`.
pub fn populate<E>(
    mix: Mix,
    tuples: u64,
    mut enter: impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    let mut random = Random(0x6772_6579);
    let mut made = 0;
    let mut host = 0;
    while made < tuples {
        for record in others(host, &mut random) {
            enter(record)?;
        }
        let kind = random.one_of(mix);
        for record in grey(kind, host, &mut random) {
            if made < tuples {
                enter(record)?;
                made += 1;
            }
        }
        host += 1;
    }
    Ok(())
}

/// WHITE, TRAPPED and SPAMTRAP records that stand beside the waiting hosts.
fn others(host: u32, random: &mut Random) -> Vec<Record> {
    let first = NOW - random.below(20 * 86_400);
    let mut records = Vec::new();
    if host.is_multiple_of(10) {
        let data = Gdata {
            first,
            pass: first + 1_800,
            expire: first + WHITEEXP,
            bcount: 1,
            pcount: random.below(60) as i32,
        };
        records.push((address(host | 0x0020_0000).into_bytes(), data));
    }
    if host.is_multiple_of(30) {
        let expire = NOW + random.below(TRAPEXP);
        let data =
            Gdata { first: expire - TRAPEXP, pass: 0, expire, bcount: 1, pcount: PCOUNT_TRAPPED };
        records.push((address(host | 0x0030_0000).into_bytes(), data));
    }
    if host.is_multiple_of(3_000) {
        let key = format!("trap{}@mx{}.example.org", host / 3_000, host % 7);
        records.push((key.into_bytes(), Gdata { pcount: PCOUNT_SPAMTRAP, ..Gdata::default() }));
    }
    records
}

/// The tuples of one host.
fn grey(kind: Kind, host: u32, random: &mut Random) -> Vec<Record> {
    let count = match kind {
        Kind::Once | Kind::Nobody => 1,
        Kind::Few | Kind::Names => 2 + random.below(4),
        Kind::Campaign | Kind::Domains => 6 + random.below(15),
        Kind::Newsletter => 6 + random.below(20),
        Kind::Pool => 10 + random.below(21),
    };
    tuples(host, count, random, |n, random| envelope(kind, host, n, random))
}

/// The HELO name and the sender of a host's tuple `n`.
fn envelope(kind: Kind, host: u32, n: i64, random: &mut Random) -> (String, String) {
    match kind {
        Kind::Once | Kind::Domains => {
            let domain = random.below(50_000);
            (dynamic(host), format!("<{}@d{domain}.example>", random.word()))
        }
        Kind::Few => (mailer(host), format!("<user{}@m{host}.example>", random.below(3))),
        Kind::Names => {
            let helo = format!("{}.example", random.word());
            (helo, format!("<{}@d{}.example>", random.word(), random.below(50_000)))
        }
        Kind::Campaign => (dynamic(host), format!("<offer@d{}.example>", host % 50_000)),
        Kind::Nobody => (dynamic(host), format!("<{}>", random.word())),
        Kind::Newsletter => {
            let verp = random.below(1 << 30);
            (mailer(host), format!("<news-{verp}-user{n}=example.org@m{host}.example>"))
        }
        Kind::Pool => {
            let domain = random.below(400);
            (mailer(host), format!("<staff{}@firm{domain}.example>", random.below(40)))
        }
    }
}

fn tuples(
    host: u32,
    count: i64,
    random: &mut Random,
    envelope: impl Fn(i64, &mut Random) -> (String, String),
) -> Vec<Record> {
    let ip = address(host);
    let mut records = Vec::new();
    for n in 0..count {
        let (helo, from) = envelope(n, random);
        let to = random.below(2_000);
        let first = NOW - random.below(GREYEXP - 60);
        let expire = first + GREYEXP;
        let data = Gdata { first, pass: expire, expire, bcount: 1, pcount: 0 };
        let key = format!("{ip}\n{helo}\n{from}\n<u{to}@example.org>");
        records.push((key.into_bytes(), data));
    }
    records
}

/// One host in twenty speaks IPv6.
fn address(host: u32) -> String {
    let scattered = host.wrapping_mul(0x9e37_79b1) & 0x003f_ffff;
    if host.is_multiple_of(20) {
        let [_, b, c, d] = host.to_be_bytes().map(u16::from);
        Ipv6Addr::new(0x2001, 0xdb8, 0, b, 0, c, 0, d).to_string()
    } else {
        Ipv4Addr::from_bits(0x6440_0000 | scattered).to_string()
    }
}

fn mailer(host: u32) -> String {
    format!("mx.m{host}.example")
}

fn dynamic(host: u32) -> String {
    format!("dsl{host}.pool.example")
}

/// splitmix64 (Steele, Lea and Flood, 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, but without, `end`.
    fn below(&mut self, end: i64) -> i64 {
        (self.next() % end.cast_unsigned()).cast_signed()
    }

    /// A kind, as often as the mix has it.
    fn one_of(&mut self, mix: Mix) -> Kind {
        let mut left = self.below(mix.iter().map(|(_, count)| count).sum());
        let drawn = mix.iter().find(|(_, count)| {
            left -= count;
            left < 0
        });
        drawn.map_or(Kind::Once, |(kind, _)| *kind)
    }

    /// Five to seven letters.
    fn word(&mut self) -> String {
        let length = 5 + self.below(3);
        (0..length).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }
}
