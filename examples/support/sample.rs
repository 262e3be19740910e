//! A small database with hosts of every kind, for the demonstration.
//!
//! It has a host for each rule, a similar one that must go free, and some dozens of ordinary ones. All
//! names and addresses are reserved for documentation (RFC 2606, RFC 5737, RFC 3849). Times are near
//! [`NOW`].

use greytrapper::spamd::record::{Gdata, PCOUNT_SPAMTRAP, PCOUNT_TRAPPED};

/// The time at which the sample is to be judged, seconds since 1970.
pub const NOW: i64 = 1_795_420_000;

/// The time at which it is judged again, with what has come until then: all earlier tuples have expired.
pub const LATER: i64 = NOW + 5 * 60 * 60;

/// spamd's default lifetimes (libexec/spamd/grey.h).
const GREYEXP: i64 = 4 * 60 * 60;
const WHITEEXP: i64 = 36 * 24 * 60 * 60;
const TRAPEXP: i64 = 24 * 60 * 60;

/// How many ordinary hosts wait beside the telling ones.
const ORDINARY: i64 = 80;

/// The records of the sample, keys and values.
pub fn records() -> Vec<(Vec<u8>, Gdata)> {
    let mut sample = Sample(Vec::new());
    sample.known();
    sample.spammers();
    sample.bystanders();
    (0..ORDINARY).for_each(|number| sample.ordinary(number));
    sample.0
}

/// What comes before [`LATER`], keys and values.
pub fn later_records() -> Vec<(Vec<u8>, Gdata)> {
    let mut sample = Sample(Vec::new());
    // stranger, since hosts elsewhere had sent from that domain
    sample.grey("198.51.100.174", "desktop", "offer@work.example", "ida@example.org");
    // One sign is not enough.
    sample.grey("198.51.100.175", "scanner", "copy@office.example", "ida@example.org");
    for (_, data) in &mut sample.0 {
        let hours = LATER - NOW;
        (data.first, data.pass, data.expire) =
            (data.first + hours, data.pass + hours, data.expire + hours);
    }
    sample.0
}

struct Sample(Vec<(Vec<u8>, Gdata)>);

impl Sample {
    fn grey(&mut self, address: &str, helo: &str, from: &str, to: &str) {
        // In the order of the records, all within three hours.
        let first = NOW - 3 * 60 * 60 + self.0.len() as i64 * 37;
        let expire = first + GREYEXP;
        let data = Gdata { first, pass: expire, expire, bcount: 1, pcount: 0 };
        self.0.push((format!("{address}\n{helo}\n<{from}>\n<{to}>").into_bytes(), data));
    }

    fn known(&mut self) {
        for number in 1..=12 {
            let first = NOW - number * 86_400;
            let (pass, expire) = (first + 1_800, first + WHITEEXP);
            let data = Gdata { first, pass, expire, bcount: 2, pcount: number as i32 * 3 };
            self.0.push((format!("198.51.100.{}", 200 + number).into_bytes(), data));
        }
        for number in 1..=3 {
            let first = NOW - number * 3_600;
            let expire = first + TRAPEXP;
            let data = Gdata { first, pass: 0, expire, bcount: 1, pcount: PCOUNT_TRAPPED };
            self.0.push((format!("203.0.113.{}", 200 + number).into_bytes(), data));
        }
        for user in ["webmaster", "sales", "info"] {
            let data = Gdata { pcount: PCOUNT_SPAMTRAP, ..Gdata::default() };
            self.0.push((format!("{user}@closed.example.org").into_bytes(), data));
        }
    }

    /// Caught, each by the rule that its comment names.
    fn spammers(&mut self) {
        // syntax
        self.grey("203.0.113.10", "localhost", "cheap pills@", "anna@example.org");
        for number in 0..7 {
            // domains
            let from = format!("win{number}@prize{number}.example");
            self.grey("203.0.113.20", "dsl-20.pool.example", &from, "bert@example.org");
            // senders
            let user = ["abby", "carl", "dora", "emil", "fay", "gus", "ida"][number];
            let from = format!("{user}@bulk{}.example", number % 3);
            let to = format!("user{number}@example.org");
            self.grey("2001:db8:bad::30", "dsl-30.pool.example", &from, &to);
        }
        // helo
        for name in ["mx.bank.example", "smtp.shop.example", "mail.post.example"] {
            self.grey("203.0.113.40", name, "service@post.example", "carla@example.org");
        }
        // address
        self.grey("203.0.113.70", "203.0.113.70", "rich@bank.example", "anna@example.org");
        // dynamic
        let line = "203-0-113-71.dsl.example";
        self.grey("203.0.113.71", line, "rich@prize.example", "bert@example.org");
        // stranger
        self.grey("203.0.113.72", "winbox", "job@work.example", "carla@example.org");
        self.grey("2001:db8:bad::72", "office-pc", "offer@work.example", "dirk@example.org");
        // crowd
        let crowd = ["203.0.113.73", "198.51.100.173", "2001:db8:bad::73"];
        for (address, domain) in crowd.iter().zip(["watch", "pill", "loan"]) {
            let from = format!("deal@{domain}.example");
            self.grey(address, "box.cheap.example", &from, "eve@example.org");
        }
        // rcpt
        self.grey(
            "203.0.113.50",
            "mail.list.example",
            "ads@list.example",
            "old@closed.example.org",
        );
        // dns
        self.grey("203.0.113.60", "mail.here.example", "me@gone.example", "dirk@example.org");
        self.grey("203.0.113.61", "mail.here.example", "me@nomail.example", "dirk@example.org");
    }

    /// Alike, and free to go.
    fn bystanders(&mut self) {
        for number in 0..8 {
            // A provider's pool: many domains, but it is who it says it is.
            let from = format!("staff@firm{number}.example");
            self.grey("198.51.100.20", "out20.provider.example", &from, "eve@example.org");
            // The same, while the name server of its domain is down.
            self.grey("198.51.100.21", "out21.outage.example", &from, "eve@example.org");
            // A newsletter: a sender for each recipient, all of them the same one.
            let from = format!("news-user{number}=example.org@letter.example");
            let to = format!("user{number}@example.org");
            self.grey("198.51.100.30", "mail.letter.example", &from, &to);
        }
        // Bounces have no sender.
        self.grey("198.51.100.40", "mail.bounce.example", "", "frank@example.org");
        // A long local part, and a domain that nobody can be asked about just now.
        let long = format!("bounces+{}@alerts.outage.example", "a1b2c3d4".repeat(12));
        self.grey("198.51.100.50", "mail.alerts.example", &long, "gerd@example.org");
        // A customer's own mailer, named in the configuration.
        self.grey("192.0.2.25", "localhost", "broken@@customer", "hans@example.org");
    }

    fn ordinary(&mut self, number: i64) {
        let address = if number % 9 == 0 {
            format!("2001:db8:{number:x}::25")
        } else {
            format!("198.51.100.{}", 60 + number)
        };
        for mail in 0..1 + number % 4 {
            let from = format!("user{mail}@m{number}.example");
            let to = format!("user{}@example.org", (number + mail) % 40);
            self.grey(&address, &format!("mail.m{number}.example"), &from, &to);
        }
    }
}
