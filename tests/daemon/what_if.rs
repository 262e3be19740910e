//! `simulate -s`: the scans that the daemon remembers, judged again by other configurations.

use crate::support::daemon::{NO_DNS, Place};
use crate::support::dice::Dice;
use crate::support::patience::patience;
use crate::support::process::until;
use crate::support::records::{grey, host, now, white};
use greytrapper::memory::{Batch, Block, PACKED, Seen, Settings, Store, pack};
use nix::unistd::Uid;
use serde_json::Value;
use std::time::{Duration, Instant};

fn place() -> Place {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}scan every 1h\n"));
    place
}

/// Host `n` with so many tuples, each with a sender domain of its own.
fn many(n: u32, count: u32) -> Vec<(String, greytrapper::spamd::record::Gdata)> {
    let one = |m: u32| grey(&host(n), "h.example", &format!("a@d{m}.example"), "user@example.org");
    (0..count).map(one).collect()
}

#[test]
fn two_configurations_are_compared_over_the_past() {
    let place = place();
    place.enter(&many(1, 6));
    place.enter(&many(2, 4));
    place.enter(&many(3, 3));
    place.enter(&many(4, 2));
    let mut daemon = place.start();
    daemon.scan_done();
    // Scans of the same second are one.
    std::thread::sleep(Duration::from_millis(1100));
    place.enter(&many(3, 4));
    daemon.says(&["scan"]);
    daemon.scan_done();
    place.enter(&[white(&host(2))]);
    daemon.says(&["scan"]);
    daemon.scan_done();
    assert_eq!(place.trapped(), ["10.0.0.1"]);
    let conf = |name: &str, text: &str| {
        place.write(name, format!("{NO_DNS}{text}"), 0o600).display().to_string()
    };
    let old = conf("old.conf", "");
    let new = conf("new.conf", "suspect tuples 3\n");
    let socket = place.socket().display().to_string();
    let run = |arguments: &[&str]| {
        let all = [&["-s", &socket], arguments].concat();
        let ran = crate::support::daemon::greytrapctl(all);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        (ran.out, ran.err)
    };
    let reason = |n: u32| format!("domains\tHost sending from {n} domains (> 3)");
    let compared = ["simulate", "-s", "1h", "-c", &old, "-f", &new];
    until("it is written", || run(&compared).0.contains("passed later"));
    let (out, err) = run(&compared);
    assert_eq!(
        out,
        format!("+\t10.0.0.2\t{}\t(passed later)\n+\t10.0.0.3\t{}\n", reason(4), reason(4))
    );
    assert_eq!(
        err,
        "greytrapctl: 2 scans, 16 tuples: 3 hosts would be trapped: domains 3; 1 of them passed \
         later\ngreytrapctl: by the old configuration 1 host would be trapped: domains 1; 0 of them \
         passed later\ngreytrapctl: 2 more, 0 fewer\n"
    );
    let (out, _) = run(&["-v", "simulate", "-s", "1h", "-c", &new, "-f", &old]);
    let lines: Vec<_> = out.lines().map(|line| &line[..line.len().min(10)]).collect();
    assert_eq!(lines, ["=\t10.0.0.1", "-\t10.0.0.2", "-\t10.0.0.3"]);
    let (out, _) = run(&["-j", "simulate", "-s", "1h", "-f", &new]);
    let hosts: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(hosts.len(), 3);
    assert_eq!((&hosts[1]["address"], &hosts[1]["fate"]), (&"10.0.0.2".into(), &"trapped".into()));
    assert!(hosts[1]["passed"].is_i64() && hosts[0]["passed"].is_null());
}

/// 14 days of 100,000 tuples a day, by two configurations.
#[test]
#[ignore = "takes a minute"]
fn fourteen_days_at_length() {
    let place = place();
    place.enter(&[]);
    std::fs::create_dir_all(place.memory()).unwrap();
    let day = Duration::from_secs(86_400);
    let (directory, tuples) = (place.memory(), Some(14 * day));
    let settings = Settings { directory, verdicts: 90 * day, tuples, size: 1 << 30 };
    let store = Store::open(settings, now()).unwrap().store;
    let start = now() - 14 * 86_400 + 3600;
    let (mut number, mut dice) = (0u32, Dice(7));
    for scan in 0..14 * 144i64 - 8 {
        let time = start + 600 * scan;
        let mut seen = Vec::new();
        while seen.len() < 695 {
            // Most hosts send one message, some several at different times.
            number += 1;
            let n = u32::try_from(dice.roll(400_000)).unwrap();
            let address = std::net::Ipv4Addr::from(0x0b00_0000 + n).into();
            seen.push(Seen {
                address,
                helo: format!("host{}.example", n % 3000).into_bytes(),
                from: format!("<someone{n}@d{}.example>", number % 5000).into_bytes(),
                to: format!("<user{}@example.org>", number % 800).into_bytes(),
                first: time - 300,
                expire: time + 14_100,
            });
        }
        let block = |seen: &[Seen]| Block { time, until: time, bytes: pack(seen).unwrap() };
        let blocks = seen.chunks(PACKED).map(block).collect();
        store.write(Batch { now: time, blocks, ..Batch::default() }).unwrap();
    }
    drop(store);
    let size = place.memory().join("memory.redb").metadata().unwrap().len() >> 20;
    if Uid::effective().is_root() {
        place.give("memory/memory.redb");
        place.give("memory");
    }
    let mut daemon = place.start();
    daemon.scan_done();
    let new =
        place.write("new.conf", format!("{NO_DNS}suspect tuples 1\nmax sender domains 1\n"), 0o600);
    let new = new.display().to_string();
    let begun = Instant::now();
    let socket = place.socket().display().to_string();
    let ran = crate::support::daemon::greytrapctl([
        "-s", &socket, "simulate", "-s", "14d", "-c", &new, "-f", &new,
    ]);
    let took = begun.elapsed();
    eprintln!("file {size} MB, what if {took:?}: {}", ran.err);
    assert_eq!(ran.status, Some(0));
    assert!(ran.err.contains("2008 scans, 1395560 tuples"), "{}", ran.err);
    assert!(!ran.err.contains(": 0 hosts"), "{}", ran.err);
    assert!(took < patience(), "{took:?}");
}
