//! Which hosts in the trap of a real daemon are exported.

use crate::support::daemon::{Daemon, Place};
use crate::support::records::grey;
use crate::support::responder::*;
use crate::world;

/// The domain of one sender vouches for a network by SPF.
fn answer(query: &Query) -> Vec<Act> {
    match (query.name.as_str(), query.rtype) {
        ("cloud.example", TXT) => {
            let text = b"\x1dv=spf1 ip4:192.0.2.88/30 -all";
            query.reply().answer(&query.name, TXT, 300, text).send()
        }
        _ => world::answer(query),
    }
}

fn exported(daemon: &Daemon) -> (String, String) {
    let ran = daemon.ctl(&["-v", "export", "-f", "plain"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    // Without the line that names this machine.
    let (_, hosts) = ran.out.split_once('\n').unwrap();
    (hosts.to_owned(), ran.err)
}

/// A trapped address of a cloud would have been blocked by everybody who believes the list.
#[test]
fn a_host_for_which_a_domain_vouched_is_not_exported_for_a_week() {
    let server = Responder::start(answer);
    let place = Place::new();
    place.configure(&world::statements(&server));
    for (host, last) in [("192.0.2.90", "cloud.example"), ("192.0.2.92", "d7.example")] {
        let others = (0..7).map(|n| format!("d{n}.example"));
        for domain in others.chain([last.into()]) {
            place.enter(&[grey(host, "liar.example", &format!("a@{domain}"), "u@example.org")]);
        }
    }
    let mut daemon = place.start();
    daemon.scan_done();
    assert_eq!(place.trapped(), ["192.0.2.90", "192.0.2.92"], "for the other senders");
    let wanted = (
        "192.0.2.92\n".to_owned(),
        "greytrapctl: 1 host left out, for which a sender's domain vouched\n\
         greytrapctl: 1 host exported\n"
            .to_owned(),
    );
    assert_eq!(exported(&daemon), wanted);
    // The next generation knows, and the next daemon.
    daemon.says(&["reload"]);
    assert_eq!(exported(&daemon), wanted);
    daemon.stop();
    let mut daemon = place.start();
    daemon.scan_done();
    assert_eq!(exported(&daemon), wanted);
}
