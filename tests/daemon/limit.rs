//! `trap limit`: no more traps than that, and the others follow later.

use crate::support::daemon::{NO_DNS, Place};
use crate::support::records::{host, invalid_senders};

fn trapped(lines: &[String]) -> usize {
    lines.iter().filter(|line| line.starts_with("Trapped ")).count()
}

#[test]
fn more_hosts_than_the_limit_wait_for_a_later_scan() {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}scan every 1s\ntrap limit 5 per 1s\n"));
    place.enter(&invalid_senders(12));
    let mut daemon = place.start();
    let lines = daemon.scan_done();
    assert_eq!(trapped(&lines), 5, "{lines:#?}");
    let told = "trap limit reached, 7 hosts not trapped this time";
    assert!(lines.contains(&told.into()), "{lines:#?}");
    assert_eq!(place.trapped().len(), 5);
    let mut all = 5;
    while all < 12 {
        let count = trapped(&daemon.scan_done());
        assert!(count <= 5, "{:#?}", daemon.lines());
        all += count;
    }
    assert_eq!(all, 12);
    let mut hosts: Vec<_> = (1..=12).map(host).collect();
    hosts.sort();
    assert_eq!(place.trapped(), hosts);
}

#[test]
fn it_holds_for_traps_by_hand_too() {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}trap limit 2 per 1h\n"));
    place.enter(&[]);
    let daemon = place.start();
    let ran = daemon.ctl(&["trap", "192.0.2.1", "192.0.2.202", "192.0.2.3"]);
    assert_eq!(ran.failed(), "greytrapctl: 192.0.2.3: trap limit reached\n");
    assert_eq!(place.trapped(), ["192.0.2.1", "192.0.2.202"]);
}
