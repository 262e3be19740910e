//! A new configuration is used as a whole or not at all.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::patience::stretched;
use crate::support::process::{is_alive, until};
use crate::support::records::{grey, invalid_senders};
use crate::support::responder::{Act, MX, Responder, mx};
use nix::sys::signal::Signal;
use std::time::Duration;

/// A client that connects after a reload is served by the new processes, never by an old one that is
/// exiting.
#[test]
fn nobody_meets_the_old_ones_after_a_reload() {
    let (place, daemon) = lenient();
    for hours in 2..22 {
        place.configure(&format!("{NO_DNS}scan every {hours}h\n"));
        daemon.says(&["reload"]);
        let shown = daemon.says(&["show"]);
        assert!(shown.contains(&format!("every {hours}h")), "{shown}");
    }
}

/// A daemon after its first scan, which found nothing since its rule is off.
fn lenient() -> (Place, Daemon) {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}check sender syntax no\nscan every 1h\n"));
    place.enter(&invalid_senders(1));
    let mut daemon = place.start();
    daemon.scan_done();
    assert_eq!(place.trapped(), [""; 0]);
    (place, daemon)
}

fn strict(place: &Place) {
    place.configure(&format!("{NO_DNS}scan every 2h\n"));
}

fn is_in_force(place: &Place, daemon: &mut Daemon) {
    daemon.line("Trapped 10.0.0.1: ");
    daemon.scan_done();
    assert_eq!(place.trapped(), ["10.0.0.1"]);
    assert!(daemon.says(&["show"]).contains("every 2h"));
}

#[test]
fn a_signal_brings_new_processes_with_the_new_configuration() {
    let (place, mut daemon) = lenient();
    let (parent, before) = (daemon.pid(), daemon.children());
    strict(&place);
    daemon.signal(Signal::SIGHUP);
    daemon.exact_line("configuration reloaded");
    is_in_force(&place, &mut daemon);
    let after = daemon.children();
    assert_eq!((daemon.pid(), after.len()), (parent, before.len()));
    for (role, pid) in &before {
        assert!(!after.iter().any(|(_, new)| new == pid) && !is_alive(*pid), "old {role} works");
    }
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn greytrapctl_returns_when_it_is_in_force() {
    let (place, mut daemon) = lenient();
    strict(&place);
    assert_eq!(daemon.says(&["reload"]), "");
    // At once: the new processes serve whoever comes.
    assert!(daemon.says(&["show"]).contains("every 2h"));
    is_in_force(&place, &mut daemon);
}

#[test]
fn a_wrong_one_is_told_and_changes_nothing() {
    let (place, mut daemon) = lenient();
    let before = daemon.children();
    place.configure("scan evry 1h\ntrap fo 1h\n");
    let conf = place.path("conf");
    let told = daemon.ctl(&["reload"]).failed();
    let first = format!("greytrapctl: {}:3: ", conf.display());
    assert!(told.starts_with(&first) && told.ends_with(" (and 1 more)\n"), "{told}");
    daemon.line(&format!("{}:3: ", conf.display()));
    daemon.line(&format!("{}:4: ", conf.display()));
    daemon.exact_line("reload failed, keeping the old configuration");
    daemon.signal(Signal::SIGHUP);
    daemon.exact_line("reload failed, keeping the old configuration");
    assert_eq!(daemon.children(), before);
    assert!(daemon.says(&["show"]).contains("every 1h"));
    daemon.says(&["scan"]);
    assert!(!daemon.scan_done().iter().any(|line| line.starts_with("Trapped")));
    // And the right one afterwards.
    strict(&place);
    daemon.says(&["reload"]);
    is_in_force(&place, &mut daemon);
}

#[test]
fn one_whose_processes_do_not_start_changes_nothing_either() {
    let (place, mut daemon) = lenient();
    let before = daemon.children();
    place.configure(&format!("{NO_DNS}sync to \"127.0.0.1\"\nsync key \"/no/such/key\"\n"));
    let told = daemon.ctl(&["reload"]).failed();
    assert!(told.contains("sync: /no/such/key: No such file or directory"), "{told}");
    daemon.exact_line("reload failed, keeping the old configuration");
    assert_eq!(daemon.children(), before);
    assert!(daemon.says(&["show"]).contains("every 1h"));
    strict(&place);
    daemon.says(&["reload"]);
    is_in_force(&place, &mut daemon);
}

#[test]
fn processes_come_and_go_with_what_needs_them() {
    let roles = |daemon: &Daemon| {
        let mut roles: Vec<_> = daemon.children().into_iter().map(|(role, _)| role).collect();
        roles.sort();
        roles
    };
    let (place, daemon) = lenient();
    assert_eq!(roles(&daemon), ["engine", "memory", "store"]);
    place.configure("check rcpt with \"/bin/true\"\ndns { nameserver 127.0.0.1 port 1 }\n");
    daemon.says(&["reload"]);
    until("more", || roles(&daemon) == ["checker", "engine", "memory", "resolver", "store"]);
    strict(&place);
    daemon.says(&["reload"]);
    until("fewer", || roles(&daemon) == ["engine", "memory", "store"]);
}

#[test]
fn in_the_middle_of_a_scan() {
    let place = Place::new();
    // Slow enough to be in the middle, quick enough to end by itself.
    let server = Responder::start(|query| match query.control() {
        Some(control) => control,
        None => {
            let reply = query.reply().answer(&query.name, MX, 300, &mx(10, "mx.example"));
            vec![Act::After(stretched(Duration::from_secs(1)), reply.bytes())]
        }
    });
    let port = server.address.port();
    let off = "check sender syntax no\n";
    place.configure(&format!("{off}dns {{ nameserver 127.0.0.1 port {port}, timeout 60s }}\n"));
    place.enter(&invalid_senders(1));
    place.enter(&[grey("192.0.2.1", "h.example", "a@d.example", "user@example.org")]);
    let mut daemon = place.start();
    daemon.exact_line("Scan started");
    until("a question", || server.asked() > 1);
    strict(&place);
    assert_eq!(daemon.says(&["reload"]), "");
    daemon.exact_line("configuration reloaded");
    daemon.exact_line("Scan started");
    is_in_force(&place, &mut daemon);
    let ended = daemon.stop();
    assert_eq!(ended.status.code(), Some(0));
    let completed = ended.lines.iter().filter(|line| *line == "Scan completed").count();
    assert_eq!(completed, 1, "{:#?}", ended.lines);
}

/// Engines end while the store writes: what was trapped is in the log all the same.
#[test]
fn no_trap_of_an_old_engine_is_forgotten() {
    let (place, mut daemon) = lenient();
    place.enter(&invalid_senders(4_000));
    place.configure(&format!("{NO_DNS}trap limit 100000 per 1m\n"));
    daemon.says(&["reload"]);
    for _ in 0..8 {
        daemon.line("Trapped ");
        daemon.says(&["reload"]);
    }
    until("all are trapped", || place.trapped().len() == 4_000);
    daemon.says(&["reload"]);
    let lines = daemon.stop().lines;
    let trapped = lines.iter().filter_map(|line| line.strip_prefix("Trapped ")?.split(':').next());
    let mut told: Vec<_> = trapped.collect();
    told.sort_unstable();
    assert!(place.trapped() == told, "{} of 4000 in the log", told.len());
}

#[test]
fn many_at_once_end_with_one_configuration() {
    let (place, mut daemon) = lenient();
    strict(&place);
    for _ in 0..10 {
        daemon.signal(Signal::SIGHUP);
    }
    daemon.exact_line("configuration reloaded");
    is_in_force(&place, &mut daemon);
    until("one generation", || daemon.children().len() == 3);
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn a_new_socket_needs_a_new_start() {
    let (place, mut daemon) = lenient();
    let (database, socket) = (place.database(), place.path("other"));
    let memory = place.memory();
    let text = format!(
        "database {database:?}\nsocket {socket:?}\nmemory {memory:?}\n{NO_DNS}scan every 2h\n"
    );
    place.write("conf", text, 0o644);
    daemon.says(&["reload"]);
    daemon
        .line(&format!("{}: a change of socket takes effect at the next start", socket.display()));
    is_in_force(&place, &mut daemon);
    assert!(!socket.exists());
}
