//! A name server on loopback that gives prepared answers, right ones and all kinds of wrong ones, over UDP
//! and TCP on one port. It writes its messages octet by octet, so that they do not come from the library
//! that reads them.
#![allow(dead_code, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const PTR: u16 = 12;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;

pub const FORMERR: u8 = 1;
pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;
pub const REFUSED: u8 = 5;

const TICK: Duration = Duration::from_millis(20);

/// A question that came in.
#[derive(Clone, Debug)]
pub struct Query {
    /// The name in lower case, without the final dot; the root is empty.
    pub name: String,
    /// The type.
    pub rtype: u16,
    /// Whether it came by TCP.
    pub tcp: bool,
    /// Whether it has an additional record, which can only be OPT.
    pub edns: bool,
    /// The whole message.
    pub bytes: Vec<u8>,
    /// Where it came from.
    pub from: SocketAddr,
    question: usize,
}

/// What to do about it.
#[derive(Clone, Debug)]
pub enum Act {
    /// Send this message.
    Send(Vec<u8>),
    /// Send this message after a while.
    After(Duration, Vec<u8>),
    /// Send it from another port (UDP).
    Elsewhere(Vec<u8>),
    /// Send these octets without a length in front (TCP).
    Raw(Vec<u8>),
    /// Close the connection (TCP).
    Close,
}

/// A message that answers a query.
#[derive(Clone, Debug)]
pub struct Reply {
    header: [u8; 12],
    question: Vec<u8>,
    records: Vec<u8>,
}

/// The same acts with messages sent later.
pub fn late(delay: Duration, acts: Vec<Act>) -> Vec<Act> {
    let late = |act| match act {
        Act::Send(message) => Act::After(delay, message),
        act => act,
    };
    acts.into_iter().map(late).collect()
}

impl Query {
    fn parse(bytes: &[u8], from: SocketAddr, tcp: bool) -> Option<Self> {
        let (mut at, mut labels) = (12, Vec::new());
        loop {
            let length = usize::from(*bytes.get(at)?);
            let label = bytes.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_lowercase());
        }
        let rtype = u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]);
        let (question, name) = (at + 4, labels.join("."));
        Some(Self { name, rtype, tcp, edns: bytes[11] > 0, bytes: bytes.to_vec(), from, question })
    }

    /// An answer without records, from a server that offers recursion.
    pub fn reply(&self) -> Reply {
        let mut header = [0; 12];
        header[..2].copy_from_slice(&self.bytes[..2]);
        (header[2], header[3], header[5]) = (0x81, 0x80, 1);
        Reply { header, question: self.bytes[12..self.question].to_vec(), records: Vec::new() }
    }

    /// The answer to `. NS`, which a server must know.
    pub fn control(&self) -> Option<Vec<Act>> {
        let is_control = self.name.is_empty() && self.rtype == NS;
        is_control.then(|| self.reply().answer("", NS, 600, &name("a.root.example")).send())
    }
}

impl Reply {
    /// With this response code.
    pub fn rcode(mut self, rcode: u8) -> Self {
        self.header[3] = self.header[3] & 0xf0 | rcode;
        self
    }

    /// Truncated.
    pub fn truncated(mut self) -> Self {
        self.header[2] |= 2;
        self
    }

    /// From a server that is no authority and offers no recursion.
    pub fn lame(mut self) -> Self {
        self.header[3] &= 0x7f;
        self
    }

    /// From an authority that offers no recursion.
    pub fn authoritative(mut self) -> Self {
        self.header[2] |= 4;
        self.lame()
    }

    /// With another question.
    pub fn question(mut self, owner: &str, rtype: u16) -> Self {
        self.question = [name(owner), rtype.to_be_bytes().to_vec(), vec![0, 1]].concat();
        self
    }

    /// Without a question.
    pub fn no_question(mut self) -> Self {
        self.question.clear();
        self.header[5] = 0;
        self
    }

    /// With the question's letters in lower case.
    pub fn folded(mut self) -> Self {
        self.question.make_ascii_lowercase();
        self
    }

    /// With one more record in the answer section.
    pub fn answer(self, owner: &str, rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(7, owner, rtype, ttl, data)
    }

    /// With one more record in the authority section; to come after all answers.
    pub fn authority(self, owner: &str, rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(9, owner, rtype, ttl, data)
    }

    /// With the SOA record of a negative answer.
    pub fn soa(self, minimum: u32) -> Self {
        self.authority("", SOA, 86400, &soa(minimum))
    }

    /// With these octets where the records are, said to be so many answers.
    pub fn raw_answers(mut self, count: u16, bytes: &[u8]) -> Self {
        self.header[6..8].copy_from_slice(&count.to_be_bytes());
        self.records.extend_from_slice(bytes);
        self
    }

    fn record(mut self, counter: usize, owner: &str, rtype: u16, ttl: u32, data: &[u8]) -> Self {
        let count = u16::from_be_bytes([self.header[counter - 1], self.header[counter]]) + 1;
        self.header[counter - 1..=counter].copy_from_slice(&count.to_be_bytes());
        self.records.extend(name(owner));
        self.records.extend(rtype.to_be_bytes());
        self.records.extend([0, 1]);
        self.records.extend(ttl.to_be_bytes());
        self.records.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
        self.records.extend(data);
        self
    }

    /// The message.
    pub fn bytes(&self) -> Vec<u8> {
        [&self.header[..], &self.question, &self.records].concat()
    }

    /// Sends it, as the only act.
    pub fn send(&self) -> Vec<Act> {
        vec![Act::Send(self.bytes())]
    }
}

/// A name in wire format.
pub fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut wire: Vec<u8> = labels
        .flat_map(|label| [&[u8::try_from(label.len()).expect("label")], label.as_bytes()].concat())
        .collect();
    wire.push(0);
    wire
}

/// An MX record's data.
pub fn mx(preference: u16, exchange: &str) -> Vec<u8> {
    [preference.to_be_bytes().to_vec(), name(exchange)].concat()
}

/// A SOA record's data.
pub fn soa(minimum: u32) -> Vec<u8> {
    let numbers = [1, 2, 3, 4, minimum].map(u32::to_be_bytes).concat();
    [name("a.example"), name("b.example"), numbers].concat()
}

/// The server; it ends when dropped.
pub struct Responder {
    /// Where it answers.
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

type Answers = Arc<dyn Fn(&Query) -> Vec<Act> + Send + Sync>;

impl Responder {
    /// Answers as `answers` says on a free port of 127.0.0.1.
    pub fn start(answers: impl Fn(&Query) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), answers)
    }

    /// The same at a given address.
    pub fn start_at(
        address: SocketAddr,
        answers: impl Fn(&Query) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let (listener, socket) = bind(address);
        let address = socket.local_addr().expect("address");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let answers: Answers = Arc::new(move |query| {
            counted.fetch_add(1, Ordering::Relaxed);
            answers(query)
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (stop1, stop2, answers1) = (stop.clone(), stop.clone(), answers.clone());
        // Now, since the test may take all descriptors later.
        let elsewhere = UdpSocket::bind((address.ip(), 0)).expect("socket");
        let sockets = [socket.try_clone().expect("socket"), socket, elsewhere];
        let threads = vec![
            std::thread::spawn(move || serve_udp(sockets, &answers1, &stop1)),
            std::thread::spawn(move || serve_tcp(&listener, &answers, &stop2)),
        ];
        Self { address, asked, stop, threads }
    }

    /// How many questions came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The same port number for both, which the system gives for TCP first.
fn bind(address: SocketAddr) -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let listener = TcpListener::bind(address).expect("listen");
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().expect("address")) {
            widen(&socket);
            return (listener, socket);
        }
    }
    panic!("no port");
}

/// Room for a burst of a thousand questions as real name servers make it; the system's usual room holds
/// some 270, and what it loses would be no loss that a test asked for.
fn widen(socket: &UdpSocket) {
    use nix::sys::socket::{setsockopt, sockopt};
    const ROOM: usize = 4 << 20;
    #[cfg(target_os = "linux")]
    if setsockopt(socket, sockopt::RcvBufForce, &ROOM).is_ok() {
        return;
    }
    let _ = setsockopt(socket, sockopt::RcvBuf, &ROOM);
}

fn serve_udp([late, socket, elsewhere]: [UdpSocket; 3], answers: &Answers, stop: &AtomicBool) {
    socket.set_read_timeout(Some(TICK)).expect("timeout");
    let (sender, later) = mpsc::channel();
    let delayed = std::thread::spawn(move || send_later(&late, &later));
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let Some(query) = Query::parse(&buffer[..length], from, false) else { continue };
        for act in answers(&query) {
            let _ = match act {
                Act::Send(message) => socket.send_to(&message, from).map(|_| ()),
                Act::Elsewhere(message) => elsewhere.send_to(&message, from).map(|_| ()),
                Act::After(delay, message) => {
                    let _ = sender.send((Instant::now() + delay, message, from));
                    Ok(())
                }
                Act::Raw(_) | Act::Close => Ok(()),
            };
        }
    }
    drop(sender);
    let _ = delayed.join();
}

/// All delays of one responder are taken to be alike.
fn send_later(socket: &UdpSocket, later: &mpsc::Receiver<(Instant, Vec<u8>, SocketAddr)>) {
    while let Ok((when, message, to)) = later.recv() {
        std::thread::sleep(when.saturating_duration_since(Instant::now()));
        let _ = socket.send_to(&message, to);
    }
}

fn serve_tcp(listener: &TcpListener, answers: &Answers, stop: &Arc<AtomicBool>) {
    listener.set_nonblocking(true).expect("non-blocking");
    let mut threads = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let (answers, stop) = (answers.clone(), stop.clone());
                threads.push(std::thread::spawn(move || serve_stream(stream, &answers, &stop)));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

fn serve_stream(mut stream: TcpStream, answers: &Answers, stop: &AtomicBool) {
    let Ok(from) = stream.peer_addr() else { return };
    stream.set_nonblocking(false).expect("blocking");
    stream.set_read_timeout(Some(TICK)).expect("timeout");
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => input.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            Err(_) => continue,
        }
        while let Some((length, rest)) = input.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else { break };
            input.drain(..2 + length);
            let Some(query) = Query::parse(&message, from, true) else { return };
            for act in answers(&query) {
                let octets = match act {
                    Act::Send(message) | Act::Elsewhere(message) => framed(&message),
                    Act::After(delay, message) => {
                        std::thread::sleep(delay);
                        framed(&message)
                    }
                    Act::Raw(octets) => octets,
                    Act::Close => return,
                };
                if stream.write_all(&octets).is_err() {
                    return;
                }
            }
        }
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("message of 64 KB at most");
    [&length.to_be_bytes(), message].concat()
}
