//! Hosts that each rule traps, hosts that pass, and the name server that knows them.

use crate::support::records::{Record, grey, trapped, white};
use crate::support::responder::*;

/// What there is besides database and socket in a configuration, for that name server.
pub fn statements(server: &Responder) -> String {
    format!(
        "dns {{ nameserver 127.0.0.1 port {} }}\nallow {{ 192.0.2.74 }}\n\
         trap rcpt \"@closed\\.example\\.org$\"\nscan every 1h\n",
        server.address.port()
    )
}

/// Each with what the log says of it, in the order of the texts.
pub const TRAPPED: [(&str, &str); 8] = [
    ("192.0.2.10", "Invalid source address cheap pills@ (blank outside quotes)"),
    ("192.0.2.20", "Host sending from 7 domains (> 3)"),
    ("192.0.2.30", "Senders/Tuples ratio is 6/6 senders/tuples (> 0.75)"),
    ("192.0.2.40", "Host calls itself 2 names (> 1)"),
    ("192.0.2.50", "Mailed to trap address old@closed.example.org"),
    ("192.0.2.60", "Mailed from sender gone.example with no MX or A"),
    ("192.0.2.61", "Mailed from sender nomail.example with no MX or A (null MX)"),
    ("2001:db8::10", "Invalid source address nobody (no @)"),
];

const TO: &str = "user@example.org";
const GOOD: &str = "a@good.example";

pub fn records() -> Vec<Record> {
    let mut records = vec![
        grey("192.0.2.10", "h.example", "cheap pills@", TO),
        grey("192.0.2.40", "one.example", GOOD, TO),
        grey("192.0.2.40", "two.example", GOOD, TO),
        grey("192.0.2.50", "h.example", GOOD, "old@closed.example.org"),
        grey("192.0.2.60", "h.example", "a@gone.example", TO),
        grey("192.0.2.61", "h.example", "a@nomail.example", TO),
        grey("2001:db8::10", "h.example", "nobody", TO),
        grey("192.0.2.70", "h.example", GOOD, TO),
        grey("192.0.2.71", "h.example", "a@outage.example", TO),
        // Whitelisted, allowed, a bounce, in a trap already.
        grey("192.0.2.73", "h.example", "cheap pills@", TO),
        white("192.0.2.73"),
        grey("192.0.2.74", "h.example", "cheap pills@", TO),
        grey("192.0.2.75", "h.example", "", TO),
        grey("192.0.2.76", "h.example", "cheap pills@", TO),
        trapped("192.0.2.76"),
    ];
    for n in 0..7 {
        let from = format!("a@d{n}.example");
        records.push(grey("192.0.2.20", "liar.example", &from, TO));
        // The same, but its name is its own.
        records.push(grey("192.0.2.72", "out.provider.example", &from, TO));
    }
    let people = ["anna", "bert", "carl", "dora", "emil", "fritz"].into_iter();
    for (n, firm) in people.zip(["good", "better", "best"].into_iter().cycle()) {
        let (from, to) = (format!("{n}@{firm}.example"), format!("to.{n}@example.org"));
        records.push(grey("192.0.2.30", "liar.example", &from, &to));
    }
    records
}

/// Most domains take mail, some do not, one is down; one host's name is its own.
pub fn answer(query: &Query) -> Vec<Act> {
    if let Some(control) = query.control() {
        return control;
    }
    let reply = query.reply();
    match (query.name.as_str(), query.rtype) {
        ("outage.example", _) => reply.rcode(SERVFAIL),
        ("nomail.example", MX) => reply.answer("nomail.example", MX, 300, &mx(0, "")),
        ("out.provider.example", A) => reply.answer(&query.name, A, 300, &[192, 0, 2, 72]),
        ("gone.example" | "none.provider.example", _) => reply.rcode(NXDOMAIN).soa(300),
        (asked, MX) => reply.answer(asked, MX, 300, &mx(10, "mx.example")),
        _ => reply.rcode(NXDOMAIN).soa(300),
    }
    .send()
}
