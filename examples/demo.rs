//! Shows the main job on a sample: the hosts in a spamd database, the verdicts on them, and the result.
//!
//! ```text
//! cargo run --release --example demo
//! ```
//!
//! A database with hosts of every kind (made by `generate`) is copied to a temporary file and judged with
//! the code of greytrapctl(8), and the hosts it finds are trapped: by every rule but `checker`, which only the
//! daemon can apply. Some hours later, when other hosts wait, it is judged again, with what was remembered of
//! the first time. A small name server on loopback answers about sender domains and HELO names. Nothing else
//! on this machine is touched.

#[path = "../tests/support/responder.rs"]
mod responder;
#[path = "support/sample.rs"]
#[allow(dead_code, reason = "the generator makes the records, this shows them")]
mod sample;

use greytrapper::db::Engine;
use greytrapper::db::database::Database;
use greytrapper::db::lock::{Creation, Wait};
use greytrapper::greytrapctl::commands;
use greytrapper::greytrapctl::console::{Console, Failure};
use greytrapper::greytrapctl::options::Options;
use greytrapper::spamd::Gdata;
use responder::{A, MX, NXDOMAIN, Query, Responder, SERVFAIL, mx, name};
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

const SAMPLE: &[u8] = include_bytes!("sample.db");

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let (database, conf) = (directory.path().join("spamd"), directory.path().join("demo.conf"));
    std::fs::write(&database, SAMPLE)?;
    let server = Responder::start(answer);
    std::fs::write(&conf, configuration(&server))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "Before, spamd's database holds   {}", counts(&database)?)?;

    let verdicts = judge(&database, &conf, sample::NOW)?;
    let (trapped, passed): (Vec<_>, Vec<_>) = verdicts.iter().partition(|v| v.rule != "pass");
    writeln!(out, "\nTo be trapped:")?;
    for (verdict, others) in by_rule(&trapped) {
        let Verdict { address, rule, reason } = verdict;
        let others = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        writeln!(out, "  {address:<19} {rule:<8} {reason}{others}")?;
    }
    writeln!(out, "\nFree to go, though a rule looked twice:")?;
    let (ordinary, telling): (Vec<_>, Vec<_>) =
        passed.into_iter().partition(|verdict| verdict.reason == "nothing against it");
    for verdict in &telling {
        writeln!(out, "  {:<19} {:<8} {}", verdict.address, "", verdict.reason)?;
    }
    writeln!(out, "and {} more with nothing against them.", ordinary.len())?;

    let addresses: Vec<_> = trapped.iter().map(|verdict| verdict.address.as_str()).collect();
    trap(&database, &addresses)?;
    writeln!(out, "\nAfter, it holds                  {}", counts(&database)?)?;

    enter(&database, &sample::later_records())?;
    writeln!(out, "\nFive hours later:")?;
    for verdict in judge(&database, &conf, sample::LATER)? {
        let Verdict { address, rule, reason } = &verdict;
        writeln!(out, "  {address:<19} {rule:<8} {reason}")?;
    }
    let faults = greytrapctl(&["check", text(&database)?])?;
    writeln!(
        out,
        "It knows that domain from the first time. The file's structure is {}.",
        match faults.as_str() {
            "" => "sound",
            faults => faults,
        }
    )?;
    Ok(())
}

/// The configuration: defaults, and the settings of a site.
fn configuration(server: &Responder) -> String {
    format!(
        "# hosts that spamd should leave alone\n\
         allow {{ 192.0.2.0/24 }}\n\
         check crowd yes\n\
         trap rcpt \"@closed\\.example\\.org$\"\n\
         dns {{ nameserver 127.0.0.1 port {} }}\n",
        server.address.port()
    )
}

/// The answers of the name server: most domains receive mail, some do not, and one is down.
fn answer(query: &Query) -> Vec<responder::Act> {
    if let Some(control) = query.control() {
        return control;
    }
    let reply = query.reply();
    let address = |octets: [u8; 4]| reply.clone().answer(&query.name, A, 300, &octets);
    match (query.name.as_str(), query.rtype) {
        (name, _) if name.ends_with("outage.example") => reply.rcode(SERVFAIL),
        ("nomail.example", MX) => reply.answer("nomail.example", MX, 300, &mx(0, "")),
        ("out20.provider.example", A) => address([198, 51, 100, 20]),
        (asked, MX) if asked != "gone.example" && asked.ends_with(".example") => {
            let exchange = [vec![0, 10], [vec![2], b"mx".to_vec(), name(asked)].concat()].concat();
            reply.answer(asked, MX, 300, &exchange)
        }
        _ => reply.rcode(NXDOMAIN).soa(300),
    }
    .send()
}

struct Verdict {
    address: String,
    rule: String,
    reason: String,
}

/// The first host that each rule traps, in the order in which they came, and how many others.
fn by_rule<'v>(trapped: &[&'v Verdict]) -> Vec<(&'v Verdict, usize)> {
    let mut left = trapped.to_vec();
    let mut found: Vec<(&Verdict, usize)> = Vec::new();
    for (key, _) in sample::records() {
        let address = key.split(|byte| *byte == b'\n').next();
        let place = left.iter().position(|it| address == Some(it.address.as_bytes()));
        let Some(verdict) = place.map(|place| left.swap_remove(place)) else { continue };
        match found.iter_mut().find(|(first, _)| first.rule == verdict.rule) {
            Some((_, others)) => *others += 1,
            None => found.push((verdict, 0)),
        }
    }
    found
}

/// The verdicts at a time; what they need later is remembered beside the database.
fn judge(database: &Path, conf: &Path, now: i64) -> Result<Vec<Verdict>, Box<dyn Error>> {
    let (memory, now) = (database.with_extension("memory"), now.to_string());
    let (conf, memory) = (text(conf)?, text(&memory)?);
    let arguments = ["-v", "simulate", "-f", conf, "-M", memory, "-t", &now, text(database)?];
    let verdicts = greytrapctl(&arguments)?;
    let verdicts = verdicts.lines().map(|line| {
        let mut fields = line.splitn(3, '\t').map(String::from);
        let mut field = || fields.next().unwrap_or_default();
        Verdict { address: field(), rule: field(), reason: field() }
    });
    Ok(verdicts.collect())
}

fn trap(database: &Path, addresses: &[&str]) -> Result<(), Box<dyn Error>> {
    let now = sample::NOW.to_string();
    let arguments = ["-F", text(database)?, "-t", &now, "trap"];
    greytrapctl(&[&arguments, addresses].concat()).map(drop)
}

/// Enters records, as spamd does.
fn enter(database: &Path, records: &[(Vec<u8>, Gdata)]) -> Result<(), Box<dyn Error>> {
    let mut ignored = || ();
    let mut put = |engine: &mut dyn Engine, (key, data): &(Vec<u8>, Gdata)| {
        let order = engine.byte_order();
        engine.put(key, &data.encode(order))
    };
    let mut database = Database::new(database, Creation::IfMissing);
    database.in_batches(records, &mut Wait::usual(&mut ignored), &mut put).whole()?;
    Ok(())
}

/// The number of records of each kind, from the listing.
fn counts(database: &Path) -> Result<String, Box<dyn Error>> {
    let mut counts = BTreeMap::new();
    for line in greytrapctl(&["list", text(database)?])?.lines() {
        let kind = line.split('|').next().unwrap_or_default();
        *counts.entry(kind.to_owned()).or_insert(0u32) += 1;
    }
    let counts: Vec<_> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    Ok(counts.join(", "))
}

/// greytrapctl(8) with these arguments: what it prints.
fn greytrapctl(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let options = Options::parse(arguments.iter().map(OsString::from))?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console::new(&options, &mut out, &mut err);
    let outcome = commands::run(&mut console, &options.command);
    let flushed = console.flush();
    match outcome.and(flushed) {
        Ok(()) => Ok(String::from_utf8(out)?),
        Err(Failure::Because(why)) => Err(why.into()),
        Err(_) => Err(String::from_utf8_lossy(&err).into_owned().into()),
    }
}

fn text(path: &Path) -> Result<&str, Box<dyn Error>> {
    path.to_str().ok_or_else(|| "the temporary directory's name is no text".into())
}
