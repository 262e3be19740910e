//! What the tests of `simulate` and `lookup` share: a zone with a name for each row in the table of
//! verdicts, a configuration that names the server, and databases.

use crate::support::cmd::Dir;
use crate::support::responder::*;
use greytrapper::db::database::{Batch, Database};
use greytrapper::db::lock::{Creation, Wait};
use greytrapper::spamd::Gdata;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// When the tests happen.
pub const NOW: i64 = 1_795_420_000;

/// Every row of the table by the first label of a name, and the verdict on it.
pub const ROWS: [(&str, &str); 12] = [
    ("mx", "good\tMX"),
    ("a", "good\tno MX, address"),
    ("aaaa", "good\tno MX, address"),
    ("null", "bad\tnull MX"),
    ("none", "bad\tno MX or A"),
    ("gone", "bad\tno such domain"),
    ("dangling", "bad\tno such domain"),
    ("servfail", "unknown\tSERVFAIL"),
    ("refused", "unknown\tREFUSED"),
    ("malformed", "unknown\tmalformed answer"),
    ("truncated", "unknown\ttruncated, and no TCP"),
    ("loop", "unknown\tCNAME loop"),
];

/// Answers so that [`ROWS`] come true; names below `host.example` have the address 192.0.2.1.
pub fn zone(query: &Query) -> Vec<Act> {
    if let Some(control) = query.control() {
        return control;
    }
    let (owner, reply) = (query.name.as_str(), query.reply());
    let first = owner.split('.').next().unwrap();
    match (first, query.rtype) {
        _ if owner == "1.2.0.192.in-addr.arpa" => {
            reply.answer(owner, PTR, 60, &name("ptr.host.example"))
        }
        (_, A) if owner.ends_with("host.example") => reply.answer(owner, A, 60, &[192, 0, 2, 1]),
        ("mx", MX) => reply.answer(owner, MX, 300, &mx(10, "mail.example")),
        ("null", MX) => reply.answer(owner, MX, 300, &mx(0, "")),
        ("a", A) => reply.answer(owner, A, 300, &[192, 0, 2, 9]),
        ("aaaa", AAAA) => reply.answer(owner, AAAA, 300, &[1; 16]),
        ("a" | "aaaa" | "none", _) => reply.soa(60),
        ("dangling", _) => {
            reply.answer(owner, CNAME, 300, &name("gone.example")).rcode(NXDOMAIN).soa(60)
        }
        ("servfail", _) => reply.rcode(SERVFAIL),
        ("refused", _) => reply.rcode(REFUSED),
        ("malformed", MX) => reply.answer(owner, MX, 300, &[0]),
        ("truncated", _) if query.tcp => return vec![Act::Close],
        ("truncated", _) => reply.truncated(),
        ("loop", _) => reply.answer(owner, CNAME, 300, &name("pool.example")).answer(
            "pool.example",
            CNAME,
            300,
            &name(owner),
        ),
        ("silent", _) => return Vec::new(),
        _ => reply.rcode(NXDOMAIN).soa(60),
    }
    .send()
}

/// SERVFAIL for everything except the control query.
pub fn servfail(query: &Query) -> Vec<Act> {
    query.control().unwrap_or_else(|| query.reply().rcode(SERVFAIL).send())
}

/// A configuration by which `server` is asked, with more lines, and without the rules that ask about every
/// host.
pub fn conf(dir: &Dir, server: SocketAddr, lines: &str) -> PathBuf {
    let off = "check helo address no\ncheck helo dynamic no\ncheck stranger no\n";
    conf_of_all(dir, server, &format!("{off}{lines}"))
}

/// The same with all rules.
pub fn conf_of_all(dir: &Dir, server: SocketAddr, lines: &str) -> PathBuf {
    conf_with(dir, server, "timeout 1s, attempts 2", lines)
}

/// The same for counting questions: none is asked again because the machine is busy.
pub fn patient_conf_of_all(dir: &Dir, server: SocketAddr, lines: &str) -> PathBuf {
    conf_with(dir, server, "timeout 20s", lines)
}

fn conf_with(dir: &Dir, server: SocketAddr, options: &str, lines: &str) -> PathBuf {
    let path = dir.path("greytrapper.conf");
    let (address, port) = (server.ip(), server.port());
    let dns = format!("dns {{ nameserver {address} port {port}, {options} }}\n");
    fs::write(&path, format!("{dns}{lines}\n")).unwrap();
    path
}

/// A database of live tuples: address, HELO, sender; the recipients all differ.
pub fn database(dir: &Dir, tuples: &[(&str, &str, &str)]) -> PathBuf {
    let path = dir.path("spamd.db");
    let mut notice = || ();
    let mut database = Database::new(&path, Creation::IfMissing);
    let Batch { mut engine, .. } = database.open(&mut Wait::usual(&mut notice)).unwrap();
    let data = Gdata { first: NOW, pass: NOW, expire: NOW + 3600, bcount: 1, pcount: 0 };
    let value = data.encode(engine.byte_order());
    for (number, (address, helo, from)) in tuples.iter().enumerate() {
        let key = format!("{address}\n{helo}\n{from}\n<u{number}@ours.example>");
        engine.put(key.as_bytes(), &value).unwrap();
    }
    engine.close().unwrap();
    path
}
