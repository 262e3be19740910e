//! Non-blocking UDP and TCP sockets, each connected to one name server.
//!
//! The multiplexer owns them. connect(2) makes the kernel drop datagrams from elsewhere, chooses a random
//! source port (on both Linux and the BSDs) and lets us receive ICMP errors. One system call sends or
//! receives several datagrams where sendmmsg(2) and recvmmsg(2) are available.
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, getsockopt, recv, send,
    socket, sockopt,
};

/// The maximum number of datagrams in one call.
pub const BATCH: usize = 16;
/// The size of the buffer for a datagram: larger than the size we announce, so that longer ones are
/// noticed.
pub const DATAGRAM: usize = 2048;

/// The port of the Domain Name System, the only one that OpenBSD's `dns` promise allows.
const DOMAIN: u16 = 53;

/// The kind of sockets that the process may create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// OpenBSD's `dns`: sockets carry SOCK_DNS. All servers are on port 53.
    Dns,
    /// Plain sockets, in all other cases (SOCK_DNS with only `inet` would kill the process).
    Inet,
}

impl Promise {
    /// The promise that these servers need.
    pub fn for_servers<'a>(mut servers: impl Iterator<Item = &'a SocketAddr>) -> Self {
        let dns = cfg!(target_os = "openbsd") && servers.all(|server| server.port() == DOMAIN);
        if dns { Self::Dns } else { Self::Inet }
    }
}

/// A datagram socket connected to `server`.
///
/// # Errors
/// Those of socket(2) and connect(2).
pub fn udp(server: SocketAddr, promise: Promise) -> Result<OwnedFd, Errno> {
    let fd = open(server, SockType::Datagram, promise)?;
    connect(fd.as_raw_fd(), &SockaddrStorage::from(server))?;
    Ok(fd)
}

/// A stream socket that is being connected to `server`.
///
/// # Errors
/// Those of socket(2) and connect(2), except EINPROGRESS.
pub fn tcp(server: SocketAddr, promise: Promise) -> Result<OwnedFd, Errno> {
    let fd = open(server, SockType::Stream, promise)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(server)) {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(fd),
        Err(error) => Err(error),
    }
}

/// The pending error of a socket, such as that of a failed connection.
///
/// # Errors
/// Those of getsockopt(2).
pub fn pending_error(fd: &OwnedFd) -> io::Result<Option<Errno>> {
    let code = getsockopt(fd, sockopt::SocketError)?;
    Ok((code != 0).then(|| Errno::from_raw(code)))
}

/// Writes to a stream without raising SIGPIPE.
///
/// # Errors
/// Those of send(2).
pub fn write(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    send(fd.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)
}

/// Reads from a stream.
///
/// # Errors
/// Those of recv(2).
pub fn read(fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    recv(fd.as_raw_fd(), buffer, MsgFlags::empty())
}

fn open(server: SocketAddr, kind: SockType, promise: Promise) -> Result<OwnedFd, Errno> {
    let family = if server.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC | promise_flag(promise);
    socket(family, kind, flags, None)
}

#[cfg(target_os = "openbsd")]
fn promise_flag(promise: Promise) -> SockFlag {
    match promise {
        Promise::Dns => SockFlag::SOCK_DNS,
        Promise::Inet => SockFlag::empty(),
    }
}

#[cfg(not(target_os = "openbsd"))]
fn promise_flag(_: Promise) -> SockFlag {
    SockFlag::empty()
}

/// The buffers and headers for [`Datagrams::send`] and [`Datagrams::receive`], which are allocated once.
pub struct Datagrams {
    room: Vec<u8>,
    lengths: [usize; BATCH],
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
    headers: nix::sys::socket::MultiHeaders<()>,
}

impl Datagrams {
    /// Room for [`BATCH`] datagrams.
    pub fn new() -> Self {
        Self {
            room: vec![0; BATCH * DATAGRAM],
            lengths: [0; BATCH],
            #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
            headers: nix::sys::socket::MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// The datagram at `index` in the last batch received.
    pub fn datagram(&self, index: usize) -> &[u8] {
        let start = index * DATAGRAM;
        &self.room[start..start + self.lengths[index]]
    }

    /// Sends at most [`BATCH`] messages; returns how many were sent.
    ///
    /// # Errors
    /// Not even the first could be sent.
    pub fn send(&mut self, fd: &OwnedFd, messages: &[Vec<u8>]) -> Result<usize, Errno> {
        match messages {
            [] => Ok(0),
            [one] => send(fd.as_raw_fd(), one, MsgFlags::empty()).map(|_| 1),
            several => self.send_several(fd.as_raw_fd(), several),
        }
    }

    /// Receives at most [`BATCH`] datagrams; returns how many there were.
    ///
    /// # Errors
    /// Those of recv(2), including EAGAIN.
    pub fn receive(&mut self, fd: &OwnedFd) -> Result<usize, Errno> {
        self.receive_several(fd.as_raw_fd())
    }
}

#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
impl Datagrams {
    fn send_several(&mut self, fd: RawFd, messages: &[Vec<u8>]) -> Result<usize, Errno> {
        use std::io::IoSlice;
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|i| [IoSlice::new(messages.get(i).map_or(&[], Vec::as_slice))]);
        let slices = &slices[..messages.len().min(BATCH)];
        let (addresses, flags) = ([None; BATCH], MsgFlags::empty());
        let sent = nix::sys::socket::sendmmsg(fd, &mut self.headers, slices, addresses, [], flags)?;
        Ok(sent.count())
    }

    fn receive_several(&mut self, fd: RawFd) -> Result<usize, Errno> {
        use std::io::IoSliceMut;
        let mut rooms = self.room.chunks_exact_mut(DATAGRAM);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        let flags = MsgFlags::empty();
        let came = nix::sys::socket::recvmmsg(fd, &mut self.headers, &mut slices, flags, None)?;
        let lengths = self.lengths.iter_mut().zip(came);
        Ok(lengths.map(|(length, message)| *length = message.bytes).count())
    }
}

/// nix has no sendmmsg(2) for OpenBSD; a loop only costs more system calls.
#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
impl Datagrams {
    fn send_several(&mut self, fd: RawFd, messages: &[Vec<u8>]) -> Result<usize, Errno> {
        send_one_by_one(fd, messages)
    }

    fn receive_several(&mut self, fd: RawFd) -> Result<usize, Errno> {
        receive_one_by_one(fd, &mut self.room, &mut self.lengths)
    }
}

#[cfg(any(test, not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))))]
fn send_one_by_one(fd: RawFd, messages: &[Vec<u8>]) -> Result<usize, Errno> {
    for (sent, message) in messages.iter().enumerate() {
        match send(fd, message, MsgFlags::empty()) {
            Ok(_) => {}
            Err(error) if sent == 0 => return Err(error),
            Err(_) => return Ok(sent),
        }
    }
    Ok(messages.len())
}

#[cfg(any(test, not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))))]
fn receive_one_by_one(
    fd: RawFd,
    room: &mut [u8],
    lengths: &mut [usize; BATCH],
) -> Result<usize, Errno> {
    for (count, (room, length)) in room.chunks_exact_mut(DATAGRAM).zip(lengths).enumerate() {
        match recv(fd, room, MsgFlags::empty()) {
            Ok(came) => *length = came,
            Err(error) if count == 0 => return Err(error),
            Err(_) => return Ok(count),
        }
    }
    Ok(BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// A socket that echoes datagrams, and one connected to it.
    fn echo(bind: &str) -> Option<(UdpSocket, OwnedFd)> {
        let server = UdpSocket::bind(bind).ok()?;
        let fd = udp(server.local_addr().unwrap(), Promise::Inet).unwrap();
        Some((server, fd))
    }

    fn send_back(server: &UdpSocket, messages: &[Vec<u8>]) {
        let mut buffer = [0; 64];
        for message in messages {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[..length], **message);
            server.send_to(&buffer[..length], from).unwrap();
        }
    }

    #[test]
    fn several_datagrams_go_and_come_in_order() {
        for (server, fd) in ["127.0.0.1:0", "[::1]:0"].into_iter().filter_map(echo) {
            let mut datagrams = Datagrams::new();
            let messages: Vec<_> = (1..=BATCH).map(|n| vec![n as u8; n]).collect();
            assert_eq!(datagrams.send(&fd, &messages), Ok(BATCH));
            send_back(&server, &messages);
            assert_eq!(datagrams.receive(&fd), Ok(BATCH));
            for (index, message) in messages.iter().enumerate() {
                assert_eq!(datagrams.datagram(index), message);
            }
            assert_eq!(datagrams.receive(&fd), Err(Errno::EAGAIN));
        }
    }

    /// The code for systems without sendmmsg(2), tested on all.
    #[test]
    fn one_by_one_is_the_same() {
        let (server, fd) = echo("127.0.0.1:0").unwrap();
        let mut datagrams = Datagrams::new();
        let messages: Vec<_> = (1..=3).map(|n| vec![n as u8; n]).collect();
        assert_eq!(send_one_by_one(fd.as_raw_fd(), &messages), Ok(3));
        send_back(&server, &messages);
        let Datagrams { room, lengths, .. } = &mut datagrams;
        assert_eq!(receive_one_by_one(fd.as_raw_fd(), room, lengths), Ok(3));
        let came: Vec<_> = (0..3).map(|index| datagrams.datagram(index).to_vec()).collect();
        assert_eq!(came, messages);
        let Datagrams { room, lengths, .. } = &mut datagrams;
        let end = receive_one_by_one(fd.as_raw_fd(), room, lengths);
        assert_eq!(end, Err(Errno::EAGAIN));
    }

    #[test]
    fn a_port_where_nobody_listens_is_an_error_at_once() {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fd = udp(address, Promise::Inet).unwrap();
        let mut datagrams = Datagrams::new();
        datagrams.send(&fd, &[vec![0]]).unwrap();
        assert_eq!(datagrams.receive(&fd), Err(Errno::ECONNREFUSED));
    }

    #[test]
    fn answers_from_elsewhere_do_not_arrive() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let fd = udp(server.local_addr().unwrap(), Promise::Inet).unwrap();
        let mut datagrams = Datagrams::new();
        datagrams.send(&fd, &[vec![0]]).unwrap();
        let (_, client) = server.recv_from(&mut [0]).unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"forged", client).unwrap();
        server.send_to(b"right", client).unwrap();
        assert_eq!(datagrams.receive(&fd), Ok(1));
        assert_eq!(datagrams.datagram(0), b"right");
    }
}
