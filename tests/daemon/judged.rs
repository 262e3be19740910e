//! What one scan knows from another, when the address checker is believed, and which hosts are never
//! trapped.

use crate::support::daemon::{NO_DNS, Place, greytrapctl};
use crate::support::records::{grey, now};
use crate::support::responder::Responder;
use crate::world;

/// A forwarder with a confirmed name and one message to a recipient that does not exist.
#[test]
fn one_bad_letter_of_a_host_with_identity_traps_in_the_second_scan() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    place.configure(&world::statements(&server));
    let forwarder = ("192.0.2.72", "out.provider.example");
    place.enter(&[
        grey(forwarder.0, forwarder.1, "a@good.example", "old@closed.example.org"),
        grey("192.0.2.50", "h.example", "a@good.example", "old@closed.example.org"),
    ]);
    let mut daemon = place.start();
    let lines = daemon.scan_done();
    assert_eq!(count(&lines, "Trapped 192.0.2.50: Mailed to trap address"), 1, "{lines:#?}");
    assert_eq!(count(&lines, "Trapped "), 1, "{lines:#?}");
    daemon.says(&["scan"]);
    daemon.line("Trapped 192.0.2.72: Mailed to trap address old@closed.example.org");
}

/// Reloads as frequent as scans spared it for ever.
#[test]
fn a_reload_does_not_spare_it_again() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    place.configure(&world::statements(&server));
    let recipient = "old@closed.example.org";
    place.enter(&[grey("192.0.2.72", "out.provider.example", "a@good.example", recipient)]);
    let mut daemon = place.start();
    assert_eq!(count(&daemon.scan_done(), "Trapped "), 0);
    daemon.says(&["reload"]);
    daemon.line("Trapped 192.0.2.72: Mailed to trap address old@closed.example.org");
}

#[test]
fn a_restart_does_not_spare_it_again() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    place.configure(&world::statements(&server));
    let recipient = "old@closed.example.org";
    place.enter(&[grey("192.0.2.72", "out.provider.example", "a@good.example", recipient)]);
    let mut daemon = place.start();
    assert_eq!(count(&daemon.scan_done(), "Trapped "), 0);
    daemon.stop();
    let mut daemon = place.start();
    daemon.line("Trapped 192.0.2.72: Mailed to trap address old@closed.example.org");
}

/// Two networks that use a sender domain are a sign, also if they use it on different days.
#[test]
fn a_stranger_is_known_by_what_an_earlier_scan_saw() {
    for has_memory in [true, false] {
        let (place, server) = (Place::new(), Responder::start(world::answer));
        place.configure(&world::statements(&server));
        let one = |host: &str| grey(host, "friend", "a@good.example", "user@example.org");
        place.enter(&[one("192.0.2.95")]);
        let mut daemon = place.start();
        assert_eq!(count(&daemon.scan_done(), "Trapped "), 0);
        daemon.stop();
        std::fs::remove_file(place.database()).unwrap();
        if !has_memory {
            std::fs::remove_dir_all(place.memory()).unwrap();
        }
        place.enter(&[one("198.51.100.95")]);
        let mut daemon = place.start();
        let lines = daemon.scan_done();
        let trapped =
            "Trapped 198.51.100.95: Stranger: one-label HELO, sender domain from 2 networks";
        assert_eq!(count(&lines, trapped), usize::from(has_memory), "{lines:#?}");
        assert_eq!(count(&lines, "Trapped "), usize::from(has_memory), "{lines:#?}");
    }
}

/// With a memory of its own, `simulate` does what the daemon does in its second scan.
#[test]
fn one_scan_of_simulate_after_the_other_remembers() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    place.configure(&world::statements(&server));
    let recipient = "old@closed.example.org";
    place.enter(&[grey("192.0.2.72", "out.provider.example", "a@good.example", recipient)]);
    let (conf, file) = (place.path("conf"), place.database());
    let run = |memory: Option<&str>, ago: i64| {
        let time = (now() - ago).to_string();
        let mut arguments = ["simulate", "-t", &time, "-f"].map(std::ffi::OsString::from).to_vec();
        arguments.push(conf.clone().into());
        if let Some(memory) = memory {
            arguments.extend(["-M".into(), place.path(memory).into()]);
        }
        arguments.push(file.clone().into());
        greytrapctl(arguments)
    };
    let trapped = format!("192.0.2.72\trcpt\tMailed to trap address {recipient}\n");
    for (memory, ago, out) in [
        (None, 50, ""),
        (None, 40, ""),
        (Some("one"), 50, ""),
        (Some("one"), 40, trapped.as_str()),
        (Some("two"), 40, ""),
    ] {
        let ran = run(memory, ago);
        assert_eq!((ran.status, ran.out.as_str()), (Some(0), out), "{memory:?} {ago} {}", ran.err);
    }
    // Evidence too: the second network that uses a sender domain.
    let one = |host: &str| grey(host, "friend", "a@good.example", "user@example.org");
    for (host, out) in [
        ("192.0.2.95", ""),
        (
            "198.51.100.95",
            "198.51.100.95\tstranger\tStranger: one-label HELO, sender domain from 2 networks\n",
        ),
    ] {
        std::fs::remove_file(&file).unwrap();
        place.enter(&[one(host)]);
        let ran = run(Some("three"), 0);
        assert_eq!((ran.status, ran.out.as_str()), (Some(0), out), "{}", ran.err);
    }
    let other = place.write("other", "something else", 0o600);
    let ran = run(Some("other"), 40);
    let said = format!("greytrapctl: {}: truncated or not a database\n", other.display());
    assert_eq!((ran.status, ran.err), (Some(1), said));
    assert_eq!(std::fs::read(other).unwrap(), b"something else");
}

#[test]
fn explain_says_that_one_bad_letter_is_not_enough() {
    let (place, server) = (Place::new(), Responder::start(world::answer));
    place.configure(&world::statements(&server));
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    place.enter(&[grey(
        "192.0.2.72",
        "out.provider.example",
        "a@none.provider.example",
        "u@example.org",
    )]);
    let said = daemon.says(&["explain", "192.0.2.72"]);
    let wanted = "verdict\tpass\nrule\tdns\nreason\tidentity confirmed, one bad message is not enough: \
                  Mailed from sender none.provider.example with no MX or A\n";
    assert!(said.contains(wanted), "{said}");
}

/// Twenty hosts with seven tuples each, and a script that ends so.
fn with_checker(script: &str, control: &str) -> Vec<String> {
    let place = Place::new();
    let checker = place.write("checker", format!("#!/bin/sh\n{script}\n"), 0o755);
    let off = "max sender ratio off\nmax sender domains off\n";
    place.configure(&format!("{NO_DNS}{off}check rcpt with {checker:?} timeout 5s{control}\n"));
    let hosts = (1..=20).map(|n| format!("203.0.113.{n}"));
    let tuples = hosts.flat_map(|host| {
        (0..7).map(move |n| {
            let to = format!("u{n}@ours.example");
            grey(&host, "mx.example.net", &format!("a{n}@example.com"), &to)
        })
    });
    place.enter(&tuples.collect::<Vec<_>>());
    let mut daemon = place.start();
    daemon.scan_done();
    daemon.lines()
}

fn count(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

/// After an upgrade, the program that the script runs was missing.
#[test]
fn a_checker_that_could_not_find_out_traps_nobody() {
    let lines = with_checker("exec ldapsearch_that_is_gone \"$1\"", "");
    assert_eq!(count(&lines, "Trapped "), 0, "{lines:#?}");
    assert_eq!(count(&lines, "checker: status 127, a program that it runs is missing"), 1);
}

/// Its directory was emptied.
#[test]
fn a_checker_that_knows_nobody_traps_nobody() {
    assert_eq!(count(&with_checker("exit 1", ""), "Trapped "), 0);
}

#[test]
fn a_checker_that_knows_its_control_but_too_few_traps_nobody() {
    let knows = "case $1 in root@*) exit 0;; esac; exit 1";
    let lines = with_checker(knows, " control \"root@ours.example\"");
    assert_eq!(count(&lines, "Trapped "), 0, "{lines:#?}");
    let told =
        "check rcpt: 20 of 20 hosts (100 %) would be trapped by rule checker, none is trapped";
    assert_eq!(count(&lines, told), 1, "{lines:#?}");
}
