//! `simulate -M` learns recipients: scans of fifteen days, one after the other.

use crate::dns::{NOW, conf_of_all, zone};
use crate::support::cmd::{Dir, ctl};
use crate::support::records::{Record, enter};
use crate::support::responder::Responder;
use greytrapper::spamd::record::Gdata;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

const DAY: i64 = 24 * 3600;
/// Greylisted at the beginning of the fourth day, whitelisted half an hour later.
const GOOD: &str = "192.0.2.9";

fn tuple(address: &str, helo: &str, from: &str, to: &str, first: i64) -> Record {
    let expire = first + 4 * 3600;
    let data = Gdata { first, pass: expire, expire, bcount: 1, pcount: 0 };
    (format!("{address}\n{helo}\n<{from}>\n<{to}>"), data)
}

/// Two strangers, from networks that were not there before, who write to two recipients.
fn strangers(day: i64, now: i64) -> Vec<Record> {
    let host = |n: i64| (format!("10.{}.0.1", 2 * day + n), format!("a@mx.d{day}n{n}.example"));
    [host(0), host(1)]
        .iter()
        .flat_map(|(address, from)| {
            ["bait@ours.example", "people@ours.example"]
                .map(|to| tuple(address, "friend", from, to, now - 60))
        })
        .collect()
}

/// Each scan of a day: its time and its records.
fn scans(day: i64) -> Vec<(i64, Vec<Record>)> {
    let now = NOW + day * DAY;
    let mut scans = vec![(now, strangers(day, now))];
    if day == 3 {
        let to = "<\"people\"@Ours.example>";
        let mut waiting = tuple(GOOD, "mail.host.example", "b@mx.good.example", "", now - 60);
        waiting.0 = waiting.0.replace("<>", to);
        scans[0].1.push(waiting);
        let (first, pass) = (now - 60, now + 1700);
        let white = Gdata { first, pass, expire: pass + 36 * DAY, bcount: 2, pcount: 1 };
        scans.push((now + 1800, vec![(GOOD.into(), white)]));
    }
    scans
}

/// The day of each trap, its host and its reason.
fn trapped(statements: &str, server: SocketAddr) -> Vec<(i64, String)> {
    let dir = Dir::new();
    let (conf, memory, file) =
        (conf_of_all(&dir, server, statements), dir.path("memory"), dir.path("spamd"));
    let simulate = |now: i64, records: &[Record], file: &Path| {
        let _ = fs::remove_file(file);
        enter(file, records);
        let mut command = ctl(["simulate", "-t", &now.to_string(), "-M"]);
        command.0.arg(&memory).arg("-f").arg(&conf).arg(file);
        let ran = command.run();
        assert_eq!(ran.status, Some(0), "{ran:?}");
        String::from_utf8(ran.out).unwrap()
    };
    let mut found = Vec::new();
    for (day, (now, records)) in
        (0..16).flat_map(|day| scans(day).into_iter().map(move |s| (day, s)))
    {
        let out = simulate(now, &records, &file);
        found.extend(out.lines().map(|line| (day, line.to_owned())));
    }
    found
}

#[test]
fn a_recipient_is_learnt_after_fourteen_days_and_not_if_a_host_that_passed_wrote_to_it() {
    let server = Responder::start(zone);
    let why = "stranger\tStranger: one-label HELO, recipient mailed from more than 10 networks";
    let wanted = [(14, 28), (14, 29), (15, 30), (15, 31)]
        .map(|(day, network)| (day, format!("10.{network}.0.1\t{why}")));
    assert_eq!(trapped("learn recipients yes", server.address), wanted);
    assert_eq!(trapped("", server.address), []);
    // Nobody is known to have passed.
    let without = "learn recipients yes\nremember tuples no";
    assert_eq!(trapped(without, server.address), []);
}

/// The recipient to whom the host wrote that passed is none, whoever else writes to him.
#[test]
fn a_host_that_passes_is_seen_by_simulate() {
    let server = Responder::start(zone);
    for is_there in [true, false] {
        let dir = Dir::new();
        let conf = conf_of_all(&dir, server.address, "learn recipients yes");
        let (memory, file) = (dir.path("memory"), dir.path("spamd"));
        let mut trapped = 0;
        for (now, mut records) in (0..16).flat_map(scans) {
            records.retain(|(key, _)| !key.contains("bait"));
            records.retain(|(key, _)| is_there || !key.starts_with(GOOD));
            let _ = fs::remove_file(&file);
            enter(&file, &records);
            let mut command = ctl(["simulate", "-t", &now.to_string(), "-M"]);
            command.0.arg(&memory).arg("-f").arg(&conf).arg(&file);
            let ran = command.run();
            assert_eq!(ran.status, Some(0), "{ran:?}");
            trapped += ran.out.iter().filter(|byte| **byte == b'\n').count();
        }
        assert_eq!(trapped, if is_there { 0 } else { 4 });
    }
}
