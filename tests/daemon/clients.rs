//! Hostile and misbehaving clients at the control socket of a running daemon: others do not notice.

use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::dice::Dice;
use crate::support::patience::{patience, stretched};
#[cfg(target_os = "linux")]
use crate::support::process::until;
use crate::support::records::invalid_senders;
use greytrapper::control::protocol::Request;
use greytrapper::frame;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

fn idle() -> (Place, Daemon) {
    let place = Place::new();
    place.configure(NO_DNS);
    place.enter(&invalid_senders(1));
    let mut daemon = place.start();
    daemon.scan_done();
    (place, daemon)
}

fn connect(place: &Place) -> UnixStream {
    let stream = UnixStream::connect(place.socket()).unwrap();
    stream.set_read_timeout(Some(patience())).unwrap();
    stream
}

fn bytes(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(request, 1 << 20, &mut bytes).unwrap();
    bytes
}

/// Everything until the daemon closes.
fn hears(mut stream: UnixStream) -> Vec<u8> {
    let mut heard = Vec::new();
    // A reset is an end.
    let _ = stream.read_to_end(&mut heard);
    heard
}

/// Memory in use, in KiB.
#[cfg(target_os = "linux")]
fn memory(daemon: &Daemon) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.child("engine"))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_socket_is_its_owners_and_the_groups() {
    let (place, _daemon) = idle();
    let found = fs::metadata(place.socket()).unwrap();
    assert!(found.file_type().is_socket());
    let mode = found.mode() & 0o7777;
    // The group where there is a wheel that this user may give it to.
    assert!(mode == 0o600 || mode == 0o660, "{mode:o}");
}

#[test]
fn garbage_ends_nothing_but_its_own_connection() {
    let (place, daemon) = idle();
    let children = daemon.children();
    let mut dice = Dice(11);
    let mut sent: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        (1u32 << 30).to_le_bytes().to_vec(),
        u32::MAX.to_le_bytes().to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        [bytes(&Request::Show), bytes(&Request::Show)].concat(),
    ];
    for _ in 0..300 {
        let length = dice.roll(64);
        let mut garbage: Vec<u8> = (0..length).map(|_| dice.roll(256) as u8).collect();
        if dice.roll(2) == 0 {
            let claimed = u32::try_from(length).unwrap().to_le_bytes();
            garbage.splice(0..0, claimed);
        }
        sent.push(garbage);
    }
    for garbage in &sent {
        let mut stream = connect(&place);
        // It may have been dropped in the middle.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        hears(stream);
    }
    daemon.says(&["show"]);
    assert_eq!(daemon.children(), children);
    assert_eq!(place.trapped(), ["10.0.0.1"]);
}

#[test]
fn requests_cut_anywhere_are_none() {
    let (place, daemon) = idle();
    let addresses = vec!["192.0.2.1".to_owned(); 3];
    let request = bytes(&Request::Trap { addresses, over_white: true, time: None, because: None });
    for length in 0..request.len() {
        connect(&place).write_all(&request[..length]).unwrap();
    }
    daemon.says(&["show"]);
    assert_eq!(place.trapped(), ["10.0.0.1"]);
}

#[test]
fn two_hundred_that_say_nothing() {
    let (place, daemon) = idle();
    let silent: Vec<_> = (0..200).map(|_| connect(&place)).collect();
    for _ in 0..20 {
        let start = Instant::now();
        daemon.says(&["show"]);
        assert!(start.elapsed() < stretched(Duration::from_secs(2)), "{:?}", start.elapsed());
    }
    daemon.says(&["trap", "192.0.2.1"]);
    drop(silent);
    daemon.says(&["show", "traps"]);
}

/// Tables that nobody reads: their cost is limited, and others are served.
#[test]
#[cfg(target_os = "linux")]
fn readers_that_sleep() {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}trap limit 1 per 1h\nscan every 1h\n"));
    place.enter(&invalid_senders(20_000));
    let mut daemon = place.start();
    daemon.scan_done();
    let before = memory(&daemon);
    let mut asleep = Vec::new();
    for _ in 0..40 {
        let mut stream = connect(&place);
        stream.write_all(&bytes(&Request::ShowHosts)).unwrap();
        asleep.push(stream);
        daemon.says(&["show"]);
    }
    let after = memory(&daemon);
    // 20,000 rows of a hundred bytes for each would be 80 MB.
    assert!(after < before + 200_000, "{before} KiB, {after} KiB");
    drop(asleep);
    daemon.says(&["show"]);
}

/// Clients that ask for changes and go, while the store waits for the lock.
#[test]
#[cfg(target_os = "linux")]
fn a_flood_of_changes_is_not_kept() {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}trap limit 1000000 per 1m\n"));
    place.enter(&[]);
    let mut daemon = place.start();
    daemon.scan_done();
    let lock = fs::File::open(place.database()).unwrap();
    lock.lock().unwrap();
    // Few, so that those that are accepted are soon done, and long.
    let address = |n| format!("2001:db8:1111:2222:3333:4444:5555:{n:04x}");
    let addresses: Vec<_> = (0x1000..0x1100).map(address).collect();
    let request = bytes(&Request::Trap { addresses, over_white: false, time: None, because: None });
    let before = memory(&daemon);
    for _ in 0..20 {
        let ask = || {
            let mut stream = connect(&place);
            stream.write_all(&request).unwrap();
            stream
        };
        let asking: Vec<_> = (0..50).map(|_| ask()).collect();
        // Once the last round's have been seen to go, there is room; by then these were heard.
        until("room", || daemon.ctl(&["show"]).status == Some(0));
        drop(asking);
    }
    let after = memory(&daemon);
    // All of them would be 10 MB of text, in pieces.
    assert!(after < before + 8_000, "{before} KiB, {after} KiB");
    let told = daemon.ctl(&["trap", "203.0.113.1"]).failed();
    assert_eq!(told, "greytrapctl: too many questions, try again\n");
    drop(lock);
    daemon.line("Trapped 2001:db8:1111:");
    until("room", || daemon.ctl(&["trap", "203.0.113.1"]).status == Some(0));
    place.assert_sound();
}
