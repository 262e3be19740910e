//! The image of the database where memory is a file, as on OpenBSD: it goes through a socket. Here a kernel that
//! has no memfd_create(2) is made of one that has.

use crate::support::alone;
use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::records::invalid_senders;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use std::fs;

/// More bytes than a socket holds.
const HOSTS: u32 = 5000;

fn without_memory_that_is_no_file() {
    let refused = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let calls = [(libc::SYS_memfd_create, vec![])].into();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, refused, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    apply_filter(&program).unwrap();
}

fn image_of(daemon: &Daemon, role: &str, slot: u32) -> String {
    let link = format!("/proc/{}/fd/{slot}", daemon.child(role));
    fs::read_link(link).unwrap().display().to_string()
}

/// A daemon whose image has to go through a socket, in its first scan.
fn started() -> (Place, Daemon) {
    without_memory_that_is_no_file();
    let place = Place::new();
    place.configure(&format!("{NO_DNS}scan every 1h\ntrap limit 100000 per 1h\n"));
    place.enter(&invalid_senders(HOSTS));
    let daemon = place.start();
    (place, daemon)
}

#[test]
fn scans_work_and_leave_nothing_behind() {
    if !alone::is_alone() {
        alone::run("by_socket::scans_work_and_leave_nothing_behind", &[], |_| ());
        return;
    }
    let (place, mut daemon) = started();
    daemon.scan_done();
    for (role, slot) in [("store", 9), ("engine", 10)] {
        let image = image_of(&daemon, role, slot);
        assert!(image.starts_with("socket:"), "{role}: {image}");
    }
    assert_eq!(place.trapped().len(), HOSTS as usize);
    // Clients' questions read it too, and so does the next generation.
    assert_eq!(daemon.says(&["show", "traps"]).lines().count(), HOSTS as usize);
    daemon.says(&["reload"]);
    daemon.scan_done();
    assert_eq!(daemon.says(&["show", "traps"]).lines().count(), HOSTS as usize);
    assert_eq!(daemon.stop().status.code(), Some(0));
    place.assert_sound();
}

/// An image that nobody wants any more does not keep a store that waits to send the rest of it.
#[test]
fn a_reload_or_an_end_in_the_middle_of_an_image() {
    if !alone::is_alone() {
        alone::run("by_socket::a_reload_or_an_end_in_the_middle_of_an_image", &[], |_| ());
        return;
    }
    let (place, mut daemon) = started();
    for _ in 0..10 {
        // The new generation's first scan is under way when the next reload is ordered.
        daemon.says(&["reload"]);
    }
    daemon.scan_done();
    daemon.says(&["reload"]);
    let ended = daemon.stop();
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    assert!(!ended.lines.iter().any(|line| line.contains("image")), "{:#?}", ended.lines);
    place.assert_sound();
}
