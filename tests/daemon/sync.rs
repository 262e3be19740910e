//! Traps are sent to the other MXes, in spamd's protocol.

use crate::support::daemon::{NO_DNS, Place};
use crate::support::patience::{patience, stretched};
use crate::support::process::until;
use crate::support::records::{grey, now};
use crate::support::sync_decoder::{Entry, decode, key_text};
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

const KEY: &[u8] = b"shared by all MXes\n";

/// A socket at spamd's port, of which there is only one. On Linux all of 127/8 is this machine, so that it has
/// an address of its own, and nobody else's datagrams arrive there; elsewhere others may use it for some
/// seconds.
fn receiver() -> (UdpSocket, Ipv4Addr) {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let address = if cfg!(target_os = "linux") {
        Ipv4Addr::new(127, a | 64, b, c)
    } else {
        Ipv4Addr::LOCALHOST
    };
    let start = Instant::now();
    loop {
        match UdpSocket::bind((address, greytrapper::sync::port())) {
            Ok(socket) => {
                socket.set_read_timeout(Some(patience())).unwrap();
                return (socket, address);
            }
            Err(error) => {
                assert!(start.elapsed() < stretched(Duration::from_secs(10)), "{address}: {error}")
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The hosts of the next datagram, each trapped for an hour from about now on.
fn told(receiver: &UdpSocket) -> (u32, Vec<Ipv4Addr>) {
    let mut buffer = [0; 2048];
    let length = receiver.recv(&mut buffer).unwrap();
    let message = decode(&buffer[..length], &key_text(KEY)).unwrap();
    let hosts = message.entries.into_iter().map(|entry| {
        let Entry::Trapped { timestamp, expire, address } = entry else { panic!("{entry:?}") };
        assert!((now() - i64::from(timestamp)).abs() < 60);
        assert_eq!(expire - timestamp, 3600);
        address
    });
    (message.counter, hosts.collect())
}

#[test]
fn traps_of_scans_and_by_hand_are_told() {
    let (receiver, peer) = receiver();
    let mut place = Place::new();
    place.options.push("-v".into());
    let key = place.write("key", KEY, 0o600);
    place.configure(&format!(
        "{NO_DNS}trap for 1h\nsync to \"{peer}\"\nsync key \"{}\"\n",
        key.display()
    ));
    let bad = |host| grey(host, "h.example", "nobody", "user@example.org");
    place.enter(&[bad("192.0.2.1"), bad("192.0.2.202"), bad("2001:db8::1")]);
    let mut daemon = place.start();
    daemon.scan_done();
    assert_eq!(place.trapped(), ["192.0.2.1", "192.0.2.202", "2001:db8::1"]);
    let (first, mut hosts) = told(&receiver);
    hosts.sort();
    assert_eq!(hosts, [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 202)]);
    // The second is already trapped: it gets a new expiry time, which is sent too.
    daemon.says(&["trap", "192.0.2.3", "192.0.2.202"]);
    let (second, hosts) = told(&receiver);
    assert_eq!(hosts, [Ipv4Addr::new(192, 0, 2, 3), Ipv4Addr::new(192, 0, 2, 202)]);
    assert_eq!(second, first + 1);
    // The protocol has no releases: nothing is sent for them, or for refused traps.
    daemon.says(&["release", "192.0.2.3"]);
    daemon.ctl(&["trap", "2001:db8::2"]).succeeded();
    daemon.exact_line("sync: 2 traps of IPv6 hosts not sent so far");
    daemon.says(&["trap", "192.0.2.4"]);
    assert_eq!(told(&receiver), (second + 1, vec![Ipv4Addr::new(192, 0, 2, 4)]));
    let peer = serde_json::json!({"peer": format!("sync to {peer}"), "sent": 3, "failed": 0});
    // The daemon counts a datagram a moment after it is sent.
    until("counted", || {
        let status: serde_json::Value =
            serde_json::from_str(&daemon.says(&["-j", "show"])).unwrap();
        status["peers"] == serde_json::json!([peer])
    });
}

/// The name server of the machine comes up later: the daemon starts, works, and sends to reachable peers.
#[test]
fn a_peer_without_an_address_is_no_reason_not_to_start() {
    let place = Place::new();
    let key = place.write("key", KEY, 0o600);
    place.configure(&format!(
        "{NO_DNS}scan every 1s\nsync to \"mx2.invalid\"\nsync key \"{}\"\n",
        key.display()
    ));
    place.enter(&[grey("192.0.2.1", "h.example", "nobody", "user@example.org")]);
    let mut daemon = place.start();
    let lines = daemon.lines();
    let unreached = "sync to mx2.invalid: host does not resolve: ";
    let is_it = |line: &&String| {
        line.starts_with(unreached) && line.ends_with("; not sending traps to it, will retry")
    };
    assert_eq!(lines.iter().filter(is_it).count(), 1, "{lines:#?}");
    daemon.line("Trapped 192.0.2.1: ");
    // Failed retries disturb nothing: the processes stay.
    let before = daemon.children();
    for _ in 0..4 {
        daemon.scan_done();
    }
    let mut after = daemon.children();
    after.retain(|child| before.contains(child));
    assert_eq!(after, before);
    let shown = daemon.says(&["-v", "show"]);
    assert!(shown.contains("sync to mx2.invalid"), "{shown}");
    assert_eq!(daemon.stop().status.code(), Some(0));
}
