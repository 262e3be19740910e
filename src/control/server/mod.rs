//! The daemon's side of the control socket: accepts clients, passes their requests to its owner, and sends
//! the owner's replies.
//!
//! It has no loop and no thread. The owner polls with mio, passes every event whose token it
//! [`owns`](Server::owns) to [`ready`](Server::ready), and calls [`tick`](Server::tick) at the
//! [`next_deadline`](Server::next_deadline); both return the requests that have arrived. The owner answers
//! each when it can: any number of [`reply`](Server::reply), then [`finish`](Server::finish) or
//! [`fail`](Server::fail); or [`stream`](Server::stream) for a table; or [`monitor`](Server::monitor).
//! Answers to clients that have gone are dropped.
//!
//! Clients are not trusted, and never waited for. A client is dropped if it sends anything but one request,
//! sends none within [`SILENCE`], or leaves more than [`OUTPUT_MAX`] bytes unread. If all [`CLIENTS_MAX`]
//! places are taken, a new client replaces the oldest one that has sent no request, or has not read its
//! answer for that long; if there is none, it is refused. Without clients there are no deadlines.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

mod connection;

pub use connection::OUTPUT_MAX;

use super::protocol::{EXITING, Event, REPLY_MAX, Reply, Request};
use crate::errno::reason;
use crate::frame::{self, FrameError};
use connection::{Connection, Input, Output, Stage};
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use nix::unistd::Uid;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::net;
use std::time::{Duration, Instant};

/// Clients at once.
pub const CLIENTS_MAX: usize = 64;
/// Tokens that a server takes from its first one on: one for the listener, one for each client.
pub const TOKENS: usize = 1 + CLIENTS_MAX;
/// How long a client may take to ask.
pub const SILENCE: Duration = Duration::from_secs(10);

/// Connections accepted in one turn.
const ACCEPTS: usize = 256;
/// How long to wait before accepting again when descriptors are short.
const SHORTAGE: Duration = Duration::from_secs(1);
/// Notices kept until they are taken.
const NOTICES_MAX: usize = 64;

/// A client, for as long as it is there; never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId {
    place: usize,
    number: u64,
}

/// Something for the log, when it tells everything.
#[derive(Debug)]
pub enum Notice {
    /// A client was dropped: it sent no request.
    Broken(FrameError),
    /// A client was dropped: it was silent for too long, or its place was needed.
    Silent,
    /// A client was dropped: it did not read.
    Slow,
    /// A client was refused: all places are taken.
    Full,
    /// Nobody can be accepted.
    Accept(io::Error),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Broken(error) => write!(f, "control client dropped: {error}"),
            Notice::Silent => f.write_str("control client dropped: no request"),
            Notice::Slow => f.write_str("control client dropped: does not read"),
            Notice::Full => write!(f, "control client refused: {CLIENTS_MAX} are connected"),
            Notice::Accept(error) => write!(f, "control socket: accept: {}", reason(error)),
        }
    }
}

/// Why a server closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The daemon ends.
    Ends,
    /// Another server continues with the same socket: clients that monitor, or have sent no request yet, go
    /// there.
    HandsOver,
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Farewell::Ends => EXITING,
            Farewell::HandsOver => "interrupted by a reload, try again",
        })
    }
}

/// Requests that have arrived, and from whom.
pub type Asked = Vec<(ClientId, Request)>;

/// The clients of one control socket.
pub struct Server {
    /// Nothing once newcomers are another's.
    listener: Option<UnixListener>,
    registry: Registry,
    first: usize,
    places: Vec<Option<Connection>>,
    /// The number of the next connection.
    number: u64,
    /// When there is something to do of which no event will tell.
    again: Option<Instant>,
    /// Whether the last accept failed for want of something.
    is_short: bool,
    notices: Vec<Notice>,
}

impl Server {
    /// Serves the clients of `listener`, using [`TOKENS`] tokens from `first` on.
    ///
    /// # Errors
    /// The listener cannot be registered.
    pub fn new(
        listener: net::UnixListener,
        registry: Registry,
        first: Token,
    ) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let mut listener = UnixListener::from_std(listener);
        registry.register(&mut listener, first, Interest::READABLE)?;
        let places = std::iter::repeat_with(|| None).take(CLIENTS_MAX).collect();
        Ok(Server {
            listener: Some(listener),
            registry,
            first: first.0,
            places,
            number: 0,
            again: None,
            is_short: false,
            notices: Vec::new(),
        })
    }

    /// Whether an event with this token is for this server.
    pub fn owns(&self, token: Token) -> bool {
        token.0.checked_sub(self.first).is_some_and(|offset| offset < TOKENS)
    }

    /// Does what an event calls for; the requests that have arrived.
    pub fn ready(&mut self, token: Token, now: Instant) -> Asked {
        let mut asked = Asked::new();
        match token.0.checked_sub(self.first) {
            Some(0) => self.accept(now, &mut asked),
            Some(offset) if offset < TOKENS => {
                let place = offset.saturating_sub(1);
                self.read(place, &mut asked);
                self.flush(place, now);
            }
            _ => {}
        }
        asked
    }

    /// When [`tick`](Self::tick) wants to be called; never while no client is there.
    pub fn next_deadline(&self) -> Option<Instant> {
        let silent = self.places.iter().flatten().filter(|client| client.is_silent());
        silent.filter_map(|client| client.moved.checked_add(SILENCE)).chain(self.again).min()
    }

    /// Does what is due by now; the requests that have arrived.
    pub fn tick(&mut self, now: Instant) -> Asked {
        let mut asked = Asked::new();
        if self.again.is_some_and(|again| again <= now) {
            self.again = None;
            self.accept(now, &mut asked);
            (0..CLIENTS_MAX).for_each(|place| self.flush(place, now));
        }
        for place in &mut self.places {
            if place.as_ref().is_some_and(|client| client.is_silent() && is_late(client, now)) {
                *place = None;
                note(&mut self.notices, Notice::Silent);
            }
        }
        asked
    }

    /// Sends a part of an answer.
    pub fn reply(&mut self, id: ClientId, reply: &Reply) {
        self.send(id, |client| client.push(reply).is_ok());
    }

    /// Whether a client has not gone.
    pub fn is_there(&mut self, id: ClientId) -> bool {
        self.client(id).is_some()
    }

    /// Whether there is something for a client that it has not taken.
    pub fn is_behind(&mut self, id: ClientId) -> bool {
        self.client(id).is_some_and(|client| client.is_behind())
    }

    /// Ends an answer.
    pub fn finish(&mut self, id: ClientId) {
        self.end_with(id, &Reply::Done);
    }

    /// Ends an answer that is not what was asked for.
    pub fn fail(&mut self, id: ClientId, why: impl fmt::Display) {
        self.end_with(id, &Reply::Failed(why.to_string()));
    }

    /// Sends a table whose rows are made only as the client takes them, and ends the answer.
    pub fn stream(&mut self, id: ClientId, rows: impl Iterator<Item = Reply> + 'static) {
        self.send(id, |client| {
            client.push_rows(Box::new(rows));
            true
        });
    }

    /// The user who asks, if the client is still there and the system knows.
    pub fn user(&self, id: ClientId) -> Option<Uid> {
        let client = self.places.get(id.place)?.as_ref()?;
        client.user.filter(|_| client.number == id.number)
    }

    /// Whether somebody has not taken all of a table.
    pub fn is_streaming(&self) -> bool {
        self.places.iter().flatten().any(Connection::has_rows)
    }

    /// Sends events to this client from now on.
    pub fn monitor(&mut self, id: ClientId) {
        if let Some(client) = self.client(id) {
            client.stage = Stage::Monitoring;
        }
    }

    /// Whether any client wants events.
    pub fn is_monitored(&self) -> bool {
        self.places.iter().flatten().any(|client| matches!(client.stage, Stage::Monitoring))
    }

    /// Sends an event to all clients that want it.
    pub fn publish(&mut self, event: &Event) {
        if !self.is_monitored() {
            return;
        }
        let mut frame = Vec::new();
        if frame::encode(&Reply::Event(event.clone()), REPLY_MAX, &mut frame).is_err() {
            return;
        }
        for id in self.ids(|client| matches!(client.stage, Stage::Monitoring)) {
            self.send(id, |client| client.push_frame(&frame).is_ok());
        }
    }

    /// Accepts no more clients: new ones wait for another server of the same socket.
    pub fn leave_newcomers(&mut self) {
        if let Some(mut listener) = self.listener.take() {
            // Closing is not enough: the socket is others' as well.
            let _ = self.registry.deregister(&mut listener);
        }
    }

    /// Closes all connections with a reason, without waiting.
    pub fn close(mut self, why: Farewell) {
        let moves = |stage: &Stage| matches!(stage, Stage::Monitoring | Stage::Asking(_));
        if why == Farewell::HandsOver {
            for id in self.ids(|client| moves(&client.stage)) {
                self.end_with(id, &Reply::AskAgain);
            }
        }
        for id in self.ids(|client| moves(&client.stage) || matches!(client.stage, Stage::Waiting))
        {
            self.fail(id, why);
        }
    }

    /// What is to be logged, at most once.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn ids(&self, is_wanted: impl Fn(&Connection) -> bool) -> Vec<ClientId> {
        let places = self.places.iter().enumerate();
        let clients = places.filter_map(|(place, client)| Some((place, client.as_ref()?)));
        let wanted = clients.filter(|(_, client)| is_wanted(client));
        wanted.map(|(place, client)| ClientId { place, number: client.number }).collect()
    }

    fn client(&mut self, id: ClientId) -> Option<&mut Connection> {
        let client = self.places.get_mut(id.place)?.as_mut();
        client.filter(|client| client.number == id.number)
    }

    fn end_with(&mut self, id: ClientId, last: &Reply) {
        self.send(id, |client| client.push_last(last).is_ok());
    }

    /// Lets `put` add something for a client, which is dropped if that was too much, and writes.
    fn send(&mut self, id: ClientId, put: impl FnOnce(&mut Connection) -> bool) {
        let Some(client) = self.client(id) else { return };
        if put(client) {
            self.flush(id.place, Instant::now());
        } else {
            self.drop_client(id.place, Notice::Slow);
        }
    }

    fn accept(&mut self, now: Instant, asked: &mut Asked) {
        for _ in 0..ACCEPTS {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream, now, asked),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    // No descriptor or no memory: a place that becomes free helps, else time.
                    _ if self.make_room(now, asked).is_some() => {}
                    _ => return self.accept_later(error, now),
                },
            }
        }
        self.come_back(now);
    }

    fn accept_later(&mut self, error: io::Error, now: Instant) {
        if !std::mem::replace(&mut self.is_short, true) {
            note(&mut self.notices, Notice::Accept(error));
        }
        self.come_back(now.checked_add(SHORTAGE).unwrap_or(now));
    }

    /// Has the owner call again no later than `when`.
    fn come_back(&mut self, when: Instant) {
        self.again = Some(self.again.map_or(when, |again| again.min(when)));
    }

    fn admit(&mut self, mut stream: UnixStream, now: Instant, asked: &mut Asked) {
        self.is_short = false;
        let free = self.places.iter().position(Option::is_none);
        let Some(place) = free.or_else(|| self.make_room(now, asked)) else {
            note(&mut self.notices, Notice::Full);
            return refuse(&mut stream);
        };
        let mut client = Connection::new(self.number, stream, now);
        self.number = self.number.wrapping_add(1);
        let token = Token(self.first.saturating_add(place).saturating_add(1));
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.registry.register(client.stream(), token, both) {
            return note(&mut self.notices, Notice::Accept(error));
        }
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(client);
        }
        // What it has said already is heard before others come: they might need its place.
        self.read(place, asked);
    }

    /// Drops the oldest client that does nothing; its place.
    fn make_room(&mut self, now: Instant, asked: &mut Asked) -> Option<usize> {
        while let Some(place) = self.oldest(Connection::is_silent) {
            self.read(place, asked);
            if self.places.get(place)?.as_ref().is_none_or(Connection::is_silent) {
                self.drop_client(place, Notice::Silent);
                return Some(place);
            }
        }
        let place = self.oldest(|client| client.is_behind() && is_late(client, now))?;
        self.drop_client(place, Notice::Slow);
        Some(place)
    }

    fn oldest(&self, is_meant: impl Fn(&Connection) -> bool) -> Option<usize> {
        let places = self.places.iter().enumerate();
        let clients = places.filter_map(|(place, client)| Some((place, client.as_ref()?)));
        let meant = clients.filter(|(_, client)| is_meant(client));
        meant.min_by_key(|(_, client)| client.moved).map(|(place, _)| place)
    }

    fn read(&mut self, place: usize, asked: &mut Asked) {
        let Some(Some(client)) = self.places.get_mut(place) else { return };
        let id = ClientId { place, number: client.number };
        match client.read() {
            Input::Nothing => {}
            Input::Request(request) => asked.push((id, request)),
            Input::Gone => drop(self.vacate(place)),
            Input::Broken(error) => self.drop_client(place, Notice::Broken(error)),
        }
    }

    fn flush(&mut self, place: usize, now: Instant) {
        let Some(Some(client)) = self.places.get_mut(place) else { return };
        match client.flush(now) {
            Output::Paused => {}
            Output::Unfinished => self.come_back(now),
            Output::Over => drop(self.vacate(place)),
        }
    }

    /// Closes the connection with a client, if it is still there, and says why.
    fn drop_client(&mut self, place: usize, why: Notice) {
        if self.vacate(place).is_some() {
            note(&mut self.notices, why);
        }
    }

    fn vacate(&mut self, place: usize) -> Option<Connection> {
        self.places.get_mut(place)?.take()
    }
}

fn is_late(client: &Connection, now: Instant) -> bool {
    now.saturating_duration_since(client.moved) >= SILENCE
}

/// Tells a client that there is no place for it: a new socket takes the message at once, or not at all.
fn refuse(stream: &mut UnixStream) {
    let mut frame = Vec::new();
    let why = Reply::Failed("too many clients".to_string());
    if frame::encode(&why, REPLY_MAX, &mut frame).is_ok() {
        let _ = stream.write(&frame);
    }
}

fn note(notices: &mut Vec<Notice>, notice: Notice) {
    if notices.len() < NOTICES_MAX {
        notices.push(notice);
    }
}

#[cfg(test)]
mod tests;
