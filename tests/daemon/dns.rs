//! How a daemon handles name servers that do not answer, or deny everything.

use crate::support::alone;
use crate::support::daemon::Place;
use crate::support::process::until;
use crate::support::records::grey;
use crate::support::responder::*;
use crate::world;
use std::fs;
use std::process::Command;

const TO: &str = "user@example.org";

/// A host that the rule `domains` nominates.
fn nominee(host: &str, helo: &str) -> Vec<crate::support::records::Record> {
    (0..7).map(|n| grey(host, helo, &format!("a@d{n}.example"), TO)).collect()
}

/// A host whose HELO name is in a zone without working servers went free for ever.
#[test]
fn a_host_of_which_nothing_is_found_out_is_trapped_in_the_third_scan() {
    let server = Responder::start(|query| match query.name.ends_with("lame.example") {
        true => query.reply().rcode(SERVFAIL).send(),
        false => world::answer(query),
    });
    let place = Place::new();
    place.configure(&world::statements(&server));
    place.enter(&nominee("192.0.2.20", "mail.lame.example"));
    place.enter(&nominee("192.0.2.72", "out.provider.example"));
    let mut daemon = place.start();
    for traps in [0, 0, 1] {
        let lines = daemon.scan_done();
        let trapped = lines.iter().filter(|line| line.starts_with("Trapped 192.0.2.20: "));
        assert_eq!(trapped.count(), traps, "{lines:?}");
        if traps == 0 {
            daemon.says(&["scan"]);
        }
    }
    assert_eq!(place.trapped(), ["192.0.2.20"]);
}

/// The same while DNS fails for all hosts: unknown answers trap nobody.
#[test]
fn nobody_is_trapped_for_want_of_answers_while_dns_fails_for_all() {
    let server = Responder::start(|query| {
        query.control().unwrap_or_else(|| query.reply().rcode(SERVFAIL).send())
    });
    let place = Place::new();
    place.configure(&world::statements(&server));
    place.enter(&nominee("192.0.2.20", "mail.lame.example"));
    let mut daemon = place.start();
    for scan in 0..4 {
        let lines = daemon.scan_done();
        assert!(!lines.iter().any(|line| line.starts_with("Trapped")), "{lines:?}");
        if scan < 3 {
            daemon.says(&["scan"]);
        }
    }
}

/// A name server that knew only its own root had every host trapped.
#[test]
fn a_server_that_finds_nobody_traps_nobody_and_the_log_says_so() {
    let server = Responder::start(|query| {
        query.control().unwrap_or_else(|| query.reply().rcode(NXDOMAIN).soa(60).send())
    });
    let place = Place::new();
    place.configure(&world::statements(&server));
    place.enter(&nominee("192.0.2.20", "liar.example"));
    place.enter(&[grey("192.0.2.60", "h", "a@gone.example", TO)]);
    place.enter(&[grey("192.0.2.10", "h", "nobody", TO)]);
    let mut daemon = place.start();
    let lines = daemon.scan_done();
    let warning = "DNS: no name server has found any domain, not even example.org, \
        negative answers are not believed";
    assert!(lines.iter().any(|line| line == warning), "{lines:?}");
    assert_eq!(place.trapped(), ["192.0.2.10"]);
}

/// The machine got another name server, but the daemon kept asking the old one.
#[test]
#[ignore = "needs root and a mount namespace of Linux"]
fn another_name_server_in_resolv_conf_is_asked_by_the_next_scan() {
    if !alone::is_alone() {
        let test = "dns::another_name_server_in_resolv_conf_is_asked_by_the_next_scan";
        alone::run(test, &["unshare", "-m"], |_| ());
        return;
    }
    let (old, new) = (Responder::start(world::answer), Responder::start(world::answer));
    let line = |server: &Responder| format!("nameserver [127.0.0.1]:{}\n", server.address.port());
    let place = Place::new();
    let file = place.write("resolv.conf", line(&old), 0o644);
    let mount = Command::new("mount").arg("--bind").arg(&file).arg("/etc/resolv.conf").status();
    assert!(mount.unwrap().success());
    place.configure("scan every 1h\n");
    place.enter(&[grey("192.0.2.70", "h.example", "a@good.example", TO)]);
    let mut daemon = place.start();
    daemon.exact_line("Scan completed");
    assert!(old.asked() > 0);
    fs::write(&file, line(&new)).unwrap();
    daemon.says(&["scan"]);
    daemon.exact_line("/etc/resolv.conf: has changed");
    // That scan or the one that follows: the first may be cut short by the new processes.
    until("the new one is asked", || new.asked() > 0);
    until("time for another scan", || daemon.ctl(&["scan"]).status == Some(0));
    daemon.exact_line("Scan started");
    daemon.exact_line("Scan completed");
    let lines = daemon.stop().lines;
    let changes = lines.iter().filter(|line| line.contains("has changed")).count();
    assert_eq!(changes, 1, "{lines:?}");
}

/// Whoever limits the descriptors of the daemon must learn that this slows down each scan.
#[test]
fn a_lack_of_descriptors_is_told_once() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if !alone::is_alone() {
        alone::run("dns::a_lack_of_descriptors_is_told_once", &[], |_| ());
        return;
    }
    let server = Responder::start(world::answer);
    let place = Place::new();
    place.configure(&world::statements(&server));
    place.enter(&nominee("192.0.2.20", "mail.good.example"));
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 34, hard).unwrap();
    let mut daemon = place.start();
    daemon.scan_done();
    daemon.says(&["scan"]);
    daemon.scan_done();
    let told = daemon.lines();
    let told = told.iter().filter(|line| line.contains("in flight"));
    assert_eq!(told.collect::<Vec<_>>(), ["DNS: in flight lowered to 2"]);
}
