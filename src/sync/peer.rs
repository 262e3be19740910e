//! One peer: a connected datagram socket, its counters, and whether it works.
//!
//! A peer is a host, for unicast, or an interface, for spamd's multicast group. The sockets differ from
//! spamd's (`sync_init()` in libexec/spamd/sync.c) where necessary:
//!
//! * They are connected, since under `stdio` OpenBSD kills a process that passes an address to sendto(2).
//!   Also, only a connected socket learns that a host refuses datagrams.
//! * They have any source port. spamd sends from the port that it listens on; on the same host we would
//!   take datagrams from it. Receivers do not check the port.
//! * IP_MULTICAST_IF selects the interface, as spamd.8 promises, while spamd leaves it to the routes; the
//!   source is then the interface's address, as with spamd.
//! * Multicast does not loop back. spamd recognizes its own messages by their source; spamd on this host
//!   already has the trap in its database.
#![forbid(unsafe_code)]

use super::error::{Error, Target, TargetFault};
use crate::errno::reason;
use nix::ifaddrs::getifaddrs;
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

/// The multicast group of spamd (SPAM_SYNC_MCASTADDR in sync.h).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 240);

/// How long a peer must have had no errors to count as working again. An ICMP message arrives later than
/// the datagram that caused it, and routers limit their number.
const QUIET: Duration = Duration::from_secs(60);

/// A peer and its state.
pub struct Peer {
    target: Target,
    /// The socket, or why there is none.
    socket: Result<UdpSocket, TargetFault>,
    sent: u64,
    failed: u64,
    last_failure: Option<Instant>,
}

/// A peer that cannot be reached, and why.
#[derive(Debug)]
pub struct Unreached<'p> {
    target: &'p Target,
    fault: &'p TargetFault,
}

impl fmt::Display for Unreached<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.fault)
    }
}

/// A change for the log.
#[derive(Debug)]
pub enum Notice {
    /// The peer did not get a datagram; further failures are not reported until it works again.
    Fails(Target, io::Error),
    /// It has not failed for some time.
    WorksAgain(Target),
}

impl Peer {
    /// The host `name`: its first IPv4 address, as in spamd (`sync_addhost()`).
    pub(super) fn host(name: &str, port: u16) -> Result<Self, Error> {
        let open = || connected(resolve(name)?, port, |_| Ok(()));
        Self::new(Target::Host(name.to_owned()), open)
    }

    /// The multicast group on the interface `name`.
    pub(super) fn group(name: &str, ttl: u8, port: u16) -> Result<Self, Error> {
        let open = || {
            let interface = interface_address(name)?;
            connected(GROUP, port, |socket| {
                SockRef::from(socket).set_multicast_if_v4(&interface)?;
                // std's function, since the BSDs expect a byte here, others an int.
                socket.set_multicast_ttl_v4(ttl.into())?;
                socket.set_multicast_loop_v4(false)
            })
        };
        Self::new(Target::Group(name.to_owned()), open)
    }

    fn new(
        target: Target,
        open: impl FnOnce() -> Result<UdpSocket, TargetFault>,
    ) -> Result<Self, Error> {
        match open() {
            Err(fault @ (TargetFault::NoInterface | TargetFault::HostWithoutIpv4)) => {
                Err(Error::Target(target, fault))
            }
            socket => Ok(Self { target, socket, sent: 0, failed: 0, last_failure: None }),
        }
    }

    /// Why it cannot be reached: its name does not resolve yet, the interface has no address, or there is
    /// no route.
    pub fn fault(&self) -> Option<Unreached<'_>> {
        self.socket.as_ref().err().map(|fault| Unreached { target: &self.target, fault })
    }

    /// Its name in the configuration.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The address to which its datagrams go.
    ///
    /// # Errors
    /// Those of getpeername(2).
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Ok(socket) => socket.peer_addr(),
            Err(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The number of datagrams that the system accepted.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The number of datagrams that it did not accept, or that were refused later.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Sends `datagrams`, if there are any; returns what has changed.
    pub(super) fn tell(&mut self, datagrams: &[Vec<u8>], now: Instant) -> Option<Notice> {
        if self.socket.is_err() {
            self.failed += datagrams.len() as u64;
            return None;
        }
        let mut error = None;
        for datagram in datagrams {
            error = error.or(self.send(datagram).err());
        }
        match (error, self.last_failure) {
            (Some(error), before) => {
                self.last_failure = Some(now);
                before.is_none().then(|| Notice::Fails(self.target.clone(), error))
            }
            (None, Some(last)) if !datagrams.is_empty() && now.duration_since(last) >= QUIET => {
                self.last_failure = None;
                Some(Notice::WorksAgain(self.target.clone()))
            }
            _ => None,
        }
    }

    /// Sends one datagram. The failure of an earlier one is an error of this send(2), which then sends
    /// nothing, so it is tried again after an error.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let outcome = self.try_send(datagram);
        if outcome.is_err() {
            self.failed += 1;
            self.try_send(datagram).ok();
        }
        outcome
    }

    fn try_send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if let Ok(socket) = &self.socket {
            socket.send(datagram)?;
            self.sent += 1;
        }
        Ok(())
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Fails(target, error) => write!(f, "{target}: {}", reason(error)),
            Notice::WorksAgain(target) => write!(f, "{target}: works again"),
        }
    }
}

fn resolve(name: &str) -> Result<Ipv4Addr, TargetFault> {
    let mut addresses = (name, 0).to_socket_addrs().map_err(TargetFault::Unresolved)?;
    let ipv4 = addresses.find_map(|address| match address {
        SocketAddr::V4(address) => Some(*address.ip()),
        SocketAddr::V6(_) => None,
    });
    ipv4.ok_or(TargetFault::HostWithoutIpv4)
}

/// The first IPv4 address of the interface, which spamd gets from SIOCGIFADDR.
fn interface_address(name: &str) -> Result<Ipv4Addr, TargetFault> {
    let mut addresses = getifaddrs()
        .map_err(|errno| TargetFault::Io(errno.into()))?
        .filter(|entry| entry.interface_name == name)
        .map(|entry| Some(entry.address?.as_sockaddr_in()?.ip()))
        .peekable();
    addresses.peek().ok_or(TargetFault::NoInterface)?;
    addresses.flatten().next().ok_or(TargetFault::InterfaceWithoutIpv4)
}

/// A non-blocking socket, configured before it is connected, since the interface determines its source.
fn connected(
    address: Ipv4Addr,
    port: u16,
    set_up: impl FnOnce(&UdpSocket) -> io::Result<()>,
) -> Result<UdpSocket, TargetFault> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    set_up(&socket)?;
    socket.connect((address, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the options in the kernel, not the requests.
    #[test]
    fn the_groups_socket_is_set_up_as_configured() {
        let interfaces = getifaddrs().unwrap();
        let loopback = interfaces
            .filter(|entry| entry.address.is_some_and(|a| is_loopback(&a)))
            .map(|entry| entry.interface_name)
            .next()
            .unwrap();
        let peer = Peer::group(&loopback, 7, 8025).unwrap();
        let socket = peer.socket.as_ref().unwrap();
        assert_eq!(peer.address().unwrap().to_string(), "224.0.1.240:8025");
        assert_eq!(socket.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
        assert_eq!(SockRef::from(socket).multicast_if_v4().unwrap(), Ipv4Addr::LOCALHOST);
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
        assert!(!socket.multicast_loop_v4().unwrap());
        let nothing = socket.recv(&mut [0]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(peer.target().to_string(), format!("sync multicast on {loopback}"));
    }

    fn is_loopback(address: &nix::sys::socket::SockaddrStorage) -> bool {
        address.as_sockaddr_in().is_some_and(|address| address.ip() == Ipv4Addr::LOCALHOST)
    }
}
