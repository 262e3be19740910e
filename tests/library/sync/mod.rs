//! spamd's sync: our datagrams compared with those of spamd's own code (`tests/data/sync`) and with a
//! decoder made from the description of the protocol, and sent over real sockets.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod faults;

use crate::support::sync_decoder::{Entry, Message, decode, key_text};
use greytrapper::config;
use greytrapper::spamd::sync::{Encoder, Key, MAX_DATAGRAM, Trap};
use greytrapper::sync::Announcer;
use proptest::prelude::*;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// When spamd made the golden datagrams.
const NOW: u32 = 1_795_420_000;
const DAY: u32 = 86_400;

fn golden(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sync");
    fs::read(Path::new(folder).join(name)).unwrap()
}

fn golden_key() -> String {
    key_text(&golden("spamd.key"))
}

fn trap(address: impl Into<IpAddr>) -> Trap {
    let start = i64::from(NOW);
    Trap { address: address.into(), start, expire: start + i64::from(DAY) }
}

/// So many hosts of 10/8.
fn traps(count: u32) -> Vec<Trap> {
    (1..=count).map(|n| trap(Ipv4Addr::from_bits(0x0a00_0000 + n))).collect()
}

/// What receivers must read of these hosts' traps.
fn told(traps: &[Trap]) -> Vec<Entry> {
    let ipv4 = traps.iter().filter_map(|trap| match trap.address {
        IpAddr::V4(address) => Some((trap, address)),
        IpAddr::V6(_) => None,
    });
    ipv4.map(|(trap, address)| Entry::Trapped {
        timestamp: trap.start.try_into().unwrap(),
        expire: trap.expire.try_into().unwrap(),
        address,
    })
    .collect()
}

/// The golden key as the file of a careful operator, whose folder must be kept.
fn key_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spamd.key");
    fs::write(&path, golden("spamd.key")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

/// An announcer with the golden key, its port that of `receiver`.
fn announcer(receiver: &UdpSocket, peers: &[&str], multicast: &[(&str, u8)]) -> Announcer {
    let (_folder, key) = key_file();
    let sync = config::Sync {
        peers: peers.iter().map(|name| name.to_string()).collect(),
        multicast: multicast.iter().map(|(name, ttl)| (name.to_string(), *ttl)).collect(),
        key: Some(key),
    };
    Announcer::open(&sync, receiver.local_addr().unwrap().port()).unwrap()
}

fn receiver(address: Ipv4Addr) -> UdpSocket {
    let receiver = UdpSocket::bind((address, 0)).unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    receiver
}

/// Everything that has come, decoded with the golden key.
fn received(receiver: &UdpSocket) -> Vec<Message> {
    let mut buffer = [0; 65_536];
    let datagrams = std::iter::from_fn(|| {
        let length = receiver.recv(&mut buffer).ok()?;
        Some(decode(&buffer[..length], &golden_key()).unwrap())
    });
    datagrams.collect()
}

#[test]
fn the_decoder_reads_what_spamd_sends() {
    let message = |entry| Ok(Message { counter: 0, entries: vec![entry] });
    let [one, seven, five] =
        ["192.0.2.1", "198.51.100.7", "203.0.113.5"].map(|a| a.parse().unwrap());
    let trapped = || Entry::Trapped { timestamp: NOW, expire: NOW + DAY, address: one };
    let white = Entry::White { timestamp: NOW, expire: NOW + 36 * DAY, address: seven };
    let grey = Entry::Grey {
        timestamp: NOW,
        address: five,
        from: "<a@b.example>".into(),
        to: "<c@d.example>".into(),
        helo: "mail.example".into(),
    };
    let key = golden_key();
    assert_eq!(decode(&golden("trapped.bin"), &key), message(trapped()));
    assert_eq!(decode(&golden("trapped-nokey.bin"), ""), message(trapped()));
    assert_eq!(decode(&golden("white.bin"), &key), message(white));
    assert_eq!(decode(&golden("grey.bin"), &key), message(grey));
    assert_eq!(decode(&golden("trapped.bin"), ""), Err("signature"));
}

#[test]
fn our_datagrams_are_spamds_byte_for_byte() {
    let signed = Key::read(&golden("spamd.key")[..]).unwrap();
    for (key, name) in [(signed, "trapped.bin"), (Key::none(), "trapped-nokey.bin")] {
        let datagrams = Encoder::new(&key).datagrams(&[trap([192, 0, 2, 1])]);
        assert_eq!(datagrams, [golden(name)], "{name}");
    }
}

proptest! {
    #[test]
    fn whatever_is_trapped_is_told_in_order(
        hosts in prop::collection::vec((any::<IpAddr>(), any::<u32>(), any::<u32>()), 0..400),
        file in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let traps: Vec<_> = hosts
            .into_iter()
            .map(|(address, start, end)| Trap { address, start: start.into(), expire: end.into() })
            .collect();
        let datagrams = Encoder::new(&Key::read(&file[..]).unwrap()).datagrams(&traps);
        let mut entries = Vec::new();
        for (counter, datagram) in (0..).zip(&datagrams) {
            let message = decode(datagram, &key_text(&file)).unwrap();
            prop_assert_eq!(message.counter, counter);
            entries.extend(message.entries);
        }
        prop_assert_eq!(&entries, &told(&traps));
        prop_assert_eq!(datagrams.len(), entries.len().div_ceil((MAX_DATAGRAM - 36) / 16));
    }
}

#[test]
fn a_host_is_told_by_name() {
    let receiver = receiver(Ipv4Addr::LOCALHOST);
    let mut announcer = announcer(&receiver, &["localhost"], &[]);
    let traps = traps(3);
    assert!(announcer.announce(&traps).is_empty());
    assert_eq!(received(&receiver), [Message { counter: 0, entries: told(&traps) }]);
    let peer = &announcer.peers()[0];
    assert_eq!(peer.target().to_string(), "sync to localhost");
    assert_eq!(peer.address().unwrap(), receiver.local_addr().unwrap());
}

#[test]
fn many_traps_go_in_several_datagrams() {
    let receiver = receiver(Ipv4Addr::LOCALHOST);
    let mut announcer = announcer(&receiver, &["127.0.0.1"], &[]);
    let traps = traps(1000);
    announcer.announce(&traps);
    let messages = received(&receiver);
    let counters: Vec<_> = messages.iter().map(|message| message.counter).collect();
    assert_eq!(counters, (0..12).collect::<Vec<_>>());
    let entries: Vec<_> = messages.into_iter().flat_map(|message| message.entries).collect();
    assert_eq!(entries, told(&traps));
    let peer = &announcer.peers()[0];
    assert_eq!((peer.sent(), peer.failed()), (12, 0));
    announcer.announce(&traps[..1]);
    assert_eq!(received(&receiver), [Message { counter: 12, entries: told(&traps[..1]) }]);
}

#[test]
fn ipv6_is_skipped_and_counted() {
    let receiver = receiver(Ipv4Addr::LOCALHOST);
    let mut announcer = announcer(&receiver, &["127.0.0.1"], &[]);
    let ipv6 = ["2001:db8::1", "2001:db8::2"].map(|a| trap(a.parse::<IpAddr>().unwrap()));
    assert!(announcer.announce(&ipv6).is_empty());
    announcer.announce(&[ipv6[0], trap([192, 0, 2, 1])]);
    let entries = told(&[trap([192, 0, 2, 1])]);
    assert_eq!(received(&receiver), [Message { counter: 0, entries }]);
    assert_eq!((announcer.skipped(), announcer.peers()[0].sent()), (3, 1));
}

/// On Linux all of 127/8 is this host; elsewhere 127.0.0.1 alone.
#[cfg(target_os = "linux")]
#[test]
fn all_peers_get_the_same_and_one_that_refuses_is_told_once() {
    let receiver = receiver(Ipv4Addr::LOCALHOST);
    // The same port of another loopback address, where nobody listens.
    let mut announcer = announcer(&receiver, &["127.0.0.2", "127.0.0.1"], &[]);
    let rounds = (0..5).map(|_| announcer.announce(&traps(100)));
    let notices: Vec<_> = rounds.flatten().map(|notice| notice.to_string()).collect();
    assert_eq!(notices, ["sync to 127.0.0.2: Connection refused"]);
    assert_eq!(received(&receiver).len(), 10);
    let [refusing, working] = announcer.peers() else { panic!("two peers") };
    assert_eq!((working.sent(), working.failed()), (10, 0));
    // What became of the last one it has not heard yet.
    assert_eq!((refusing.sent(), refusing.failed()), (10, 9));
}

/// The BSDs send nothing to a group on a loopback interface (`ip_output()` in netinet/ip_output.c).
#[cfg(target_os = "linux")]
#[test]
fn the_group_is_told_on_the_interface() {
    let receiver = receiver(Ipv4Addr::UNSPECIFIED);
    let group = Ipv4Addr::new(224, 0, 1, 240);
    receiver.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
    let mut announcer = announcer(&receiver, &[], &[("lo", 1)]);
    assert!(announcer.announce(&traps(2)).is_empty());
    assert_eq!(received(&receiver), [Message { counter: 0, entries: told(&traps(2)) }]);
}
