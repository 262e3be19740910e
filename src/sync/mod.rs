//! Sends each trap to spamd(8) on other hosts. In: the `sync` statements of the configuration. Out:
//! datagrams and notices.
//!
//! The process that sends is limited to `stdio` on OpenBSD, so [`Announcer::open`] does everything that
//! needs more: it reads the key ([`key`]), resolves hosts and interfaces, and connects a socket to each
//! ([`peer`]). A permanent failure is an [`Error`]. A peer that cannot be reached yet, for example because
//! its name does not resolve while the machine boots, is [kept](Announcer::unreached), so that its owner
//! can try again. After that, [`Announcer::announce`] only calls send(2), never waits, and never fails:
//! trapping does not depend on peers.
//!
//! [`crate::spamd::sync`] makes the messages. Nothing is ever received.
#![forbid(unsafe_code)]

pub mod error;
pub mod key;
pub mod peer;
pub mod services;

pub use error::{Error, Target};
pub use peer::{Notice, Peer, Unreached};
pub use services::port;

use crate::config;
use crate::spamd::sync::{Encoder, Key, Trap};
use key::Missing;
use std::path::Path;
use std::time::Instant;

/// Connections to all peers.
pub struct Announcer {
    encoder: Encoder,
    peers: Vec<Peer>,
    skipped: u64,
}

impl Announcer {
    /// Reads the key and connects to all peers of `sync` at `port`, which comes from [`port`] except in
    /// tests. The default key file may be missing, but not one that is configured. Without peers no file is
    /// read.
    ///
    /// # Errors
    /// The first one found: in the key file, an interface that does not exist, or a host without IPv4.
    pub fn open(sync: &config::Sync, port: u16) -> Result<Self, Error> {
        if sync.peers.is_empty() && sync.multicast.is_empty() {
            return Ok(Self { encoder: Encoder::new(&Key::none()), peers: Vec::new(), skipped: 0 });
        }
        let key = match &sync.key {
            None => key::read(Path::new(key::SPAMD_KEY), Missing::IsNone)?,
            Some(path) => key::read(path, Missing::IsError)?,
        };
        let hosts = sync.peers.iter().map(|name| Peer::host(name, port));
        let groups = sync.multicast.iter().map(|(name, ttl)| Peer::group(name, *ttl, port));
        let peers = hosts.chain(groups).collect::<Result<_, _>>()?;
        Ok(Self { encoder: Encoder::new(&key), peers, skipped: 0 })
    }

    /// Sends `traps` to every peer; returns which peers began to fail, or to work again.
    pub fn announce(&mut self, traps: &[Trap]) -> Vec<Notice> {
        self.announce_at(traps, Instant::now())
    }

    fn announce_at(&mut self, traps: &[Trap], now: Instant) -> Vec<Notice> {
        self.skipped += traps.iter().filter(|trap| trap.address.is_ipv6()).count() as u64;
        let datagrams = self.encoder.datagrams(traps);
        self.peers.iter_mut().filter_map(|peer| peer.tell(&datagrams, now)).collect()
    }

    /// All peers: the hosts, then the interfaces, as configured.
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// The peers that cannot be reached, and why.
    pub fn unreached(&self) -> impl Iterator<Item = Unreached<'_>> {
        self.peers.iter().filter_map(Peer::fault)
    }

    /// The number of traps of IPv6 hosts, which the protocol does not support.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::Duration;

    const TRAP: Trap = Trap {
        address: std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        start: 1_795_420_000,
        expire: 1_795_506_400,
    };

    /// Announces a trap after so many seconds; returns the notices.
    fn notices(announcer: &mut Announcer, start: Instant, seconds: u64) -> Vec<String> {
        let notices = announcer.announce_at(&[TRAP], start + Duration::from_secs(seconds));
        notices.iter().map(Notice::to_string).collect()
    }

    fn to_loopback(port: u16) -> Announcer {
        let peers = vec![Peer::host("127.0.0.1", port).unwrap()];
        Announcer { encoder: Encoder::new(&Key::none()), peers, skipped: 0 }
    }

    #[test]
    fn a_peer_works_again_when_it_has_been_quiet_for_a_minute() {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = receiver.local_addr().unwrap();
        let (mut announcer, start) = (to_loopback(address.port()), Instant::now());
        assert!(notices(&mut announcer, start, 0).is_empty());
        drop(receiver);
        assert!(notices(&mut announcer, start, 1).is_empty(), "nothing is known yet");
        let refused = ["sync to 127.0.0.1: Connection refused"];
        assert_eq!(notices(&mut announcer, start, 2), refused);
        assert!(notices(&mut announcer, start, 3).is_empty(), "told already");

        let _receiver = UdpSocket::bind(address).unwrap();
        assert!(notices(&mut announcer, start, 100).is_empty(), "what was sent before fails now");
        assert!(notices(&mut announcer, start, 159).is_empty(), "not a minute yet");
        assert!(announcer.announce_at(&[], start + Duration::from_secs(161)).is_empty());
        assert_eq!(notices(&mut announcer, start, 162), ["sync to 127.0.0.1: works again"]);
        assert!(notices(&mut announcer, start, 163).is_empty());

        let peer = &announcer.peers()[0];
        assert_eq!((peer.sent(), peer.failed()), (8, 3));
    }

    #[test]
    fn without_peers_nothing_is_read_and_nobody_told() {
        let sync = config::Sync { key: Some("/nonexistent".into()), ..config::Sync::default() };
        let mut announcer = Announcer::open(&sync, 8025).unwrap();
        assert!(announcer.announce(&[TRAP]).is_empty());
        assert!(announcer.peers().is_empty());
    }
}
