//! The server driven by hand: real sockets, a real poller, and a clock that the test sets.

use super::*;
use crate::control::protocol::Changed;
use crate::control::protocol::{REQUEST_MAX, Verbosity, What};
use crate::control::socket;
use crate::frame::Decoder;
use crate::spamd::trap::Outcome;
use mio::{Events, Poll};
use std::cell::Cell;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as Plain;
use std::path::PathBuf;
use std::rc::Rc;
use tempfile::TempDir;

/// A server and its owner.
struct Owner {
    dir: TempDir,
    poll: Poll,
    server: Server,
    now: Instant,
}

impl Owner {
    fn new() -> Owner {
        let dir = tempfile::tempdir().unwrap();
        let listener = socket::bind(&dir.path().join("socket"), "no-such-group").unwrap();
        let poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let server = Server::new(listener, registry, Token(7)).unwrap();
        Owner { dir, poll, server, now: Instant::now() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn client(&self) -> Peer {
        let stream = Plain::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.set_nonblocking(false).unwrap();
        Peer { stream, decoder: Decoder::new(REPLY_MAX) }
    }

    /// As an owner does, until nothing is left to be done.
    fn turn(&mut self) -> Asked {
        let mut events = Events::with_capacity(16);
        let mut asked = Asked::new();
        loop {
            self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            for event in &events {
                assert!(self.server.owns(event.token()));
                asked.extend(self.server.ready(event.token(), self.now));
            }
            let is_due = self.server.next_deadline().is_some_and(|deadline| deadline <= self.now);
            if is_due {
                asked.extend(self.server.tick(self.now));
            }
            if events.is_empty() && !is_due {
                return asked;
            }
        }
    }

    fn clients(&self) -> usize {
        self.server.places.iter().flatten().count()
    }

    fn notices(&mut self) -> Vec<String> {
        self.server.take_notices().iter().map(ToString::to_string).collect()
    }

    fn asks(&mut self, request: &Request) -> (Peer, ClientId) {
        let mut peer = self.client();
        // It may be larger than what the socket holds: on OpenBSD that is less than on Linux.
        let mut asked = Asked::new();
        let peer = std::thread::scope(|scope| {
            let asking = scope.spawn(move || {
                peer.ask(request);
                peer
            });
            while !asking.is_finished() {
                asked.extend(self.turn());
            }
            asking.join().unwrap()
        });
        asked.extend(self.turn());
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].1, *request);
        (peer, asked[0].0)
    }

    fn monitors(&mut self) -> Peer {
        let (peer, id) = self.asks(&Request::Monitor);
        self.server.monitor(id);
        peer
    }
}

/// A client.
struct Peer {
    stream: Plain,
    decoder: Decoder,
}

impl Peer {
    fn ask(&mut self, request: &Request) {
        self.stream.write_all(&bytes(request)).unwrap();
    }

    /// The next reply; `None` if the server has closed.
    fn hears(&mut self) -> Option<Reply> {
        loop {
            if let Some(reply) = self.decoder.next().unwrap() {
                return Some(reply);
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.decoder.feed(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn bytes(request: &Request) -> Vec<u8> {
    let mut frame = Vec::new();
    frame::encode(request, REQUEST_MAX, &mut frame).unwrap();
    frame
}

fn event(text: &str) -> Event {
    Event { time: 0, what: What::Notice(text.into()) }
}

fn changed(number: usize) -> Reply {
    let address = number.to_string() + &"x".repeat(90);
    Reply::Changed(Changed { address, outcome: Outcome::Trapped })
}

#[test]
fn a_request_is_handed_out_and_its_answer_brought_back() {
    let mut owner = Owner::new();
    let (mut peer, id) = owner.asks(&Request::Log(Verbosity::Verbose));
    owner.server.reply(id, &changed(1));
    owner.server.reply(id, &changed(2));
    owner.server.finish(id);
    assert_eq!(peer.hears(), Some(changed(1)));
    assert_eq!(peer.hears(), Some(changed(2)));
    assert_eq!((peer.hears(), peer.hears()), (Some(Reply::Done), None));
    assert_eq!((owner.clients(), owner.notices()), (0, vec![]));
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let mut owner = Owner::new();
    let mut peer = owner.client();
    let request = Request::Release { addresses: vec!["192.0.2.1".into()], time: None };
    let bytes = bytes(&request);
    for byte in &bytes[..bytes.len() - 1] {
        peer.stream.write_all(&[*byte]).unwrap();
        assert!(owner.turn().is_empty());
    }
    peer.stream.write_all(&bytes[bytes.len() - 1..]).unwrap();
    assert_eq!(owner.turn()[0].1, request);
}

#[test]
fn whoever_sends_anything_but_one_request_is_dropped() {
    let show = bytes(&Request::Show);
    let rows: [(&[u8], &str); 6] = [
        (b"GET / HTTP/1.0\r\n\r\n", "message of 542393671 bytes (at most 65536)"),
        (&[0, 0, 0, 0x40], "message of 1073741824 bytes (at most 65536)"),
        (&[1, 0, 0, 0, 99], "malformed message"),
        (&[2, 0, 0, 0, 0, 0], "1 byte after the end of a message"),
        (&[&show[..], &show[..]].concat(), "malformed message"),
        (&[&show[..], &[0]].concat(), "malformed message"),
    ];
    let mut owner = Owner::new();
    for (sent, why) in rows {
        let mut peer = owner.client();
        peer.stream.write_all(sent).unwrap();
        assert!(owner.turn().is_empty(), "{why}");
        assert_eq!(peer.hears(), None, "{why}");
        assert_eq!(owner.notices(), [format!("control client dropped: {why}")]);
        assert_eq!(owner.clients(), 0);
    }
}

#[test]
fn a_second_request_ends_the_first() {
    let mut owner = Owner::new();
    let (mut peer, id) = owner.asks(&Request::Show);
    peer.ask(&Request::Show);
    assert!(owner.turn().is_empty());
    owner.server.finish(id);
    assert_eq!((peer.hears(), owner.clients()), (None, 0));
    assert_eq!(owner.notices(), ["control client dropped: 5 bytes after the end of a message"]);
}

#[test]
fn the_largest_request_fits_and_no_larger_one() {
    let mut owner = Owner::new();
    let address = "2001:0db8:0000:0000:0000:0000:255.255.255.255".to_string();
    let addresses = vec![address; crate::control::protocol::ADDRESSES_MAX];
    let (_peer, _) =
        owner.asks(&Request::Trap { addresses, over_white: true, time: None, because: None });
    let mut peer = owner.client();
    let too_long = u32::try_from(REQUEST_MAX).unwrap() + 1;
    peer.stream.write_all(&too_long.to_le_bytes()).unwrap();
    owner.turn();
    assert_eq!(peer.hears(), None);
}

#[test]
fn clients_that_go_leave_nothing_behind() {
    let mut owner = Owner::new();
    drop(owner.client());
    let mut half = owner.client();
    half.stream.write_all(&bytes(&Request::Show)[..3]).unwrap();
    drop(half);
    let (peer, id) = owner.asks(&Request::Show);
    drop(peer);
    let monitor = owner.monitors();
    drop(monitor);
    assert!(owner.turn().is_empty());
    assert_eq!((owner.clients(), owner.notices()), (0, vec![]));
    owner.server.reply(id, &changed(1));
    owner.server.finish(id);
    assert_eq!(owner.server.next_deadline(), None);
}

#[test]
fn an_answer_never_goes_to_the_next_client_in_the_same_place() {
    let mut owner = Owner::new();
    let (peer, old) = owner.asks(&Request::Show);
    drop(peer);
    owner.turn();
    let (mut peer, new) = owner.asks(&Request::Show);
    assert_eq!(old.place, new.place);
    owner.server.fail(old, "wrong");
    owner.server.finish(new);
    assert_eq!(peer.hears(), Some(Reply::Done));
}

#[test]
fn the_silent_are_dropped_in_time_and_nobody_else() {
    let mut owner = Owner::new();
    assert_eq!(owner.server.next_deadline(), None, "without clients there is nothing to wait for");
    let mut silent = owner.client();
    let (mut asking, id) = owner.asks(&Request::Show);
    let mut monitor = owner.monitors();
    silent.stream.write_all(&[1, 0]).unwrap();
    owner.turn();
    assert_eq!(owner.server.next_deadline(), Some(owner.now + SILENCE));
    owner.now += SILENCE - Duration::from_nanos(1);
    owner.turn();
    assert_eq!(owner.clients(), 3);
    owner.now += Duration::from_nanos(1);
    owner.turn();
    assert_eq!((silent.hears(), owner.clients()), (None, 2));
    assert_eq!(owner.notices(), ["control client dropped: no request"]);
    assert_eq!(owner.server.next_deadline(), None);
    owner.server.finish(id);
    owner.server.publish(&event("a"));
    assert_eq!(asking.hears(), Some(Reply::Done));
    assert_eq!(monitor.hears(), Some(Reply::Event(event("a"))));
}

#[test]
fn among_many_silent_clients_one_that_asks_is_heard() {
    let mut owner = Owner::new();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(owner.client());
        owner.turn();
    }
    assert_eq!(owner.clients(), CLIENTS_MAX);
    let (mut peer, id) = owner.asks(&Request::Show);
    for _ in 0..200 {
        silent.push(owner.client());
        owner.turn();
    }
    owner.server.finish(id);
    assert_eq!(peer.hears(), Some(Reply::Done));
    assert_eq!(owner.notices().len(), NOTICES_MAX);
}

/// Connections wait in the queue together, and what the first of them has said is not yet read when the
/// last one comes.
#[test]
fn a_client_is_heard_before_its_place_is_given_away() {
    let mut owner = Owner::new();
    let mut first = owner.client();
    owner.turn();
    first.ask(&Request::Show);
    let _silent: Vec<_> = (0..CLIENTS_MAX).map(|_| owner.client()).collect();
    let asked = owner.server.ready(Token(7), owner.now);
    assert_eq!(asked.len(), 1);
    owner.server.finish(asked[0].0);
    assert_eq!(first.hears(), Some(Reply::Done));
}

#[test]
fn a_client_is_complained_of_once() {
    let mut owner = Owner::new();
    let mut crowd: Vec<_> = (0..CLIENTS_MAX).map(|_| owner.client()).collect();
    owner.turn();
    crowd.iter_mut().for_each(|peer| peer.stream.write_all(&[0xff; 8]).unwrap());
    let _one_more = owner.client();
    owner.server.ready(Token(7), owner.now);
    assert_eq!(
        owner.notices(),
        ["control client dropped: message of 4294967295 bytes (at most 65536)"]
    );
    assert_eq!(owner.clients(), CLIENTS_MAX);
}

#[test]
fn when_all_are_busy_the_next_is_told() {
    let mut owner = Owner::new();
    let mut monitors: Vec<_> = (0..CLIENTS_MAX).map(|_| owner.monitors()).collect();
    let mut peer = owner.client();
    assert!(owner.turn().is_empty());
    assert_eq!(peer.hears(), Some(Reply::Failed("too many clients".into())));
    assert_eq!(peer.hears(), None);
    assert_eq!(owner.notices(), ["control client refused: 64 are connected"]);
    owner.server.publish(&event("a"));
    assert!(monitors.iter_mut().all(|peer| peer.hears() == Some(Reply::Event(event("a")))));
    monitors.pop();
    owner.turn();
    owner.asks(&Request::Show);
}

#[test]
fn a_monitor_that_does_not_read_is_dropped_at_the_bound_and_the_others_stay() {
    let mut owner = Owner::new();
    let mut slow = owner.monitors();
    let mut quick = owner.monitors();
    let text = "x".repeat(10_000);
    let mut told = 0;
    while owner.clients() == 2 {
        owner.server.publish(&event(&text));
        assert_eq!(quick.hears(), Some(Reply::Event(event(&text))));
        told += 1;
        assert!(told * text.len() < 4 * OUTPUT_MAX, "the bound does not hold");
    }
    assert!(told * text.len() > OUTPUT_MAX);
    assert_eq!(owner.notices(), ["control client dropped: does not read"]);
    owner.server.publish(&event("last"));
    assert_eq!(quick.hears(), Some(Reply::Event(event("last"))));
    let heard = std::iter::from_fn(|| slow.hears()).count();
    assert!(heard < told, "it got what the kernel had, and then the end");
}

#[test]
fn rows_are_made_as_they_are_taken() {
    let mut owner = Owner::new();
    let (mut peer, id) = owner.asks(&Request::ShowHosts);
    let made = Rc::new(Cell::new(0));
    let counter = Rc::clone(&made);
    owner.server.stream(id, (0..100_000).inspect(move |n| counter.set(n + 1)).map(changed));
    owner.turn();
    assert!(made.get() < 20_000, "{} rows of 100 bytes for a client that reads none", made.get());
    let (mut other, other_id) = owner.asks(&Request::Show);
    owner.server.finish(other_id);
    assert_eq!(other.hears(), Some(Reply::Done));
    peer.stream.set_nonblocking(true).unwrap();
    let mut heard = 0;
    while owner.clients() == 1 {
        let mut chunk = [0; 65536];
        while let Ok(length @ 1..) = peer.stream.read(&mut chunk) {
            peer.decoder.feed(&chunk[..length]);
            while let Some(reply) = peer.decoder.next::<Reply>().unwrap() {
                assert_eq!(reply, if heard < 100_000 { changed(heard) } else { Reply::Done });
                heard += 1;
            }
        }
        owner.turn();
    }
    peer.stream.set_nonblocking(false).unwrap();
    while let Some(reply) = peer.hears() {
        assert_eq!(reply, if heard < 100_000 { changed(heard) } else { Reply::Done });
        heard += 1;
    }
    assert_eq!((heard, made.get()), (100_001, 100_000));
}

/// A reader that takes as fast as it is written to must not keep the others waiting.
#[test]
fn a_long_table_is_written_in_turns() {
    let mut owner = Owner::new();
    let (mut peer, id) = owner.asks(&Request::ShowHosts);
    let reader = std::thread::spawn(move || std::iter::from_fn(|| peer.hears()).count());
    let made = Rc::new(Cell::new(0));
    let counter = Rc::clone(&made);
    let rows = (0..1_000_000).inspect(move |n| counter.set(n + 1)).map(changed);
    owner.server.stream(id, rows);
    assert!(made.get() < 10_000, "{} rows in one turn", made.get());
    while owner.clients() == 1 {
        owner.turn();
    }
    assert_eq!(reader.join().unwrap(), 1_000_001);
}

#[test]
fn a_reader_that_sleeps_gives_way_only_when_its_place_is_needed() {
    let mut owner = Owner::new();
    let (mut sleeper, id) = owner.asks(&Request::ShowHosts);
    owner.server.stream(id, (0..1_000_000).map(changed));
    let _monitors: Vec<_> = (1..CLIENTS_MAX).map(|_| owner.monitors()).collect();
    let mut early = owner.client();
    owner.turn();
    assert_eq!(early.hears(), Some(Reply::Failed("too many clients".into())));
    assert_eq!(owner.server.next_deadline(), None);
    owner.now += Duration::from_secs(3600);
    owner.turn();
    assert_eq!(owner.clients(), CLIENTS_MAX);
    owner.asks(&Request::Show);
    assert!(std::iter::from_fn(|| sleeper.hears()).all(|reply| reply != Reply::Done));
}

#[test]
fn an_answer_that_is_too_long_becomes_a_failure() {
    let mut owner = Owner::new();
    let (mut peer, id) = owner.asks(&Request::Show);
    owner.server.reply(id, &Reply::Event(event(&"x".repeat(REPLY_MAX))));
    let Some(Reply::Failed(why)) = peer.hears() else { panic!() };
    assert!(why.ends_with("bytes (at most 1048576)"), "{why}");
    assert_eq!((peer.hears(), owner.clients()), (None, 0));
}

#[test]
fn at_the_end_everybody_is_told() {
    let mut owner = Owner::new();
    let mut monitor = owner.monitors();
    let (mut asking, _) = owner.asks(&Request::Scan);
    let mut silent = owner.client();
    owner.turn();
    owner.server.close(Farewell::Ends);
    let ends = Some(Reply::Failed("greytrapper is exiting".into()));
    assert_eq!((monitor.hears(), monitor.hears()), (ends.clone(), None));
    assert_eq!((asking.hears(), asking.hears()), (ends.clone(), None));
    assert_eq!((silent.hears(), silent.hears()), (ends, None));
}

/// Clients that monitor continue with the next server; one that waits for an answer cannot know what was
/// done.
#[test]
fn when_another_server_goes_on_monitors_ask_again() {
    let mut owner = Owner::new();
    let mut monitor = owner.monitors();
    let (mut asking, _) = owner.asks(&Request::Scan);
    let mut silent = owner.client();
    owner.turn();
    owner.server.close(Farewell::HandsOver);
    assert_eq!((monitor.hears(), monitor.hears()), (Some(Reply::AskAgain), None));
    let interrupted = Some(Reply::Failed("interrupted by a reload, try again".into()));
    assert_eq!((asking.hears(), asking.hears()), (interrupted, None));
    assert_eq!((silent.hears(), silent.hears()), (Some(Reply::AskAgain), None));
}

#[test]
fn a_table_that_is_cut_short_does_not_end_well() {
    let mut owner = Owner::new();
    let (mut peer, id) = owner.asks(&Request::ShowHosts);
    owner.server.stream(id, std::iter::repeat_with(|| changed(1)));
    owner.server.close(Farewell::Ends);
    let heard: Vec<_> = std::iter::from_fn(|| peer.hears()).collect();
    assert!(heard.iter().all(|reply| *reply == changed(1)));
}

#[test]
fn newcomers_can_be_left_to_the_next_server_of_the_same_socket() {
    let mut owner = Owner::new();
    let listener = owner.server.listener.as_ref().unwrap();
    let shared = listener.as_fd().try_clone_to_owned().unwrap();
    let (mut early, id) = owner.asks(&Request::Show);
    owner.server.leave_newcomers();
    let mut late = owner.client();
    late.ask(&Request::Scan);
    assert!(owner.turn().is_empty());
    assert!(owner.server.ready(Token(7), owner.now).is_empty());
    owner.server.finish(id);
    assert_eq!(early.hears(), Some(Reply::Done));
    let registry = owner.poll.registry().try_clone().unwrap();
    owner.server = Server::new(shared.into(), registry, Token(7)).unwrap();
    let asked = owner.turn();
    assert!(matches!(asked.as_slice(), [(_, Request::Scan)]), "{asked:?}");
}

#[test]
fn tokens_of_others_are_left_to_them() {
    let mut owner = Owner::new();
    let owned: Vec<_> = (0..100).filter(|token| owner.server.owns(Token(*token))).collect();
    assert_eq!(owned, (7..7 + TOKENS).collect::<Vec<_>>());
    assert!(owner.server.ready(Token(6), owner.now).is_empty());
    assert!(owner.server.ready(Token(7 + TOKENS), owner.now).is_empty());
}
