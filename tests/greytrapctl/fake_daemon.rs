//! A fake daemon with the real control socket and answers that the test chooses, in a loop like the
//! engine's, in a thread.

use crate::support::cmd::{Cmd, Dir, ctl};
use crate::support::process;
use greytrapper::control::protocol::{Reply, Request};
use greytrapper::control::server::{ClientId, Farewell, Server};
use greytrapper::control::socket;
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

type Job = Box<dyn FnOnce(Server) -> Option<Server> + Send>;

/// Bytes that wake the loop: not every system has what mio's Waker is made of.
const WAKE: Token = Token(0);
/// Where the server's tokens begin.
const FIRST: Token = Token(1);

pub struct Daemon {
    dir: Dir,
    jobs: Sender<Job>,
    waker: UnixStream,
    asked: Arc<Mutex<Vec<Request>>>,
    turns: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// What the test answers.
pub trait Answers: FnMut(&mut Server, ClientId, &Request) + Send + 'static {}
impl<F: FnMut(&mut Server, ClientId, &Request) + Send + 'static> Answers for F {}

impl Daemon {
    pub fn start(mut answers: impl Answers) -> Daemon {
        let dir = Dir::new();
        let listener = socket::bind(&dir.path("socket"), "no-such-group").unwrap();
        let poll = Poll::new().unwrap();
        let (mut wake, waker) = UnixStream::pair().unwrap();
        poll.registry().register(&mut wake, WAKE, Interest::READABLE).unwrap();
        let (jobs, received) = channel();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let turns = Arc::new(AtomicU64::new(0));
        let (log, count) = (Arc::clone(&asked), Arc::clone(&turns));
        let answer = move |server: &mut Server, id, request: Request| {
            answers(server, id, &request);
            log.lock().unwrap().push(request);
        };
        let thread = thread::spawn(move || {
            let registry = poll.registry().try_clone().unwrap();
            let server = Server::new(listener, registry, FIRST).unwrap();
            serve((poll, wake), server, &received, &count, answer);
        });
        Daemon { dir, jobs, waker, asked, turns, thread: Some(thread) }
    }

    /// A daemon that gives the same replies to any request.
    pub fn that_says(replies: Vec<Reply>) -> Daemon {
        Daemon::start(move |server, id, _| {
            replies.iter().for_each(|reply| server.reply(id, reply));
            server.finish(id);
        })
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path("socket")
    }

    /// greytrapctl, asking this daemon.
    pub fn ctl(&self, arguments: &[&str]) -> Cmd {
        let mut command = ctl(["-s"]);
        command.0.arg(self.socket()).args(arguments);
        command
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// How often its loop has turned.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Has the loop do something.
    pub fn with(&self, job: impl FnOnce(&mut Server) + Send + 'static) {
        self.send(Box::new(|mut server| {
            job(&mut server);
            Some(server)
        }));
    }

    /// Has the loop do something, and waits for what comes of it.
    pub fn ask<T: Send + 'static>(&self, job: impl FnOnce(&mut Server) -> T + Send + 'static) -> T {
        let (sender, receiver) = channel();
        self.with(move |server| sender.send(job(server)).unwrap());
        receiver.recv().unwrap()
    }

    /// Ends it as a daemon ends on SIGTERM.
    pub fn end(self) {
        self.send(Box::new(|server| {
            server.close(Farewell::Ends);
            None
        }));
    }

    /// Ends it as SIGKILL does.
    pub fn die(self) {}

    fn send(&self, job: Job) {
        self.jobs.send(job).unwrap();
        (&self.waker).write_all(&[0]).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.jobs.send(Box::new(|_| None));
        let _ = (&self.waker).write_all(&[0]);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking());
        }
    }
}

fn serve(
    (mut poll, wake): (Poll, UnixStream),
    mut server: Server,
    jobs: &Receiver<Job>,
    turns: &AtomicU64,
    mut answer: impl FnMut(&mut Server, ClientId, Request),
) {
    let mut events = Events::with_capacity(32);
    loop {
        let deadline = server.next_deadline();
        let wait = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        process::poll(&mut poll, &mut events, wait);
        turns.fetch_add(1, Ordering::Relaxed);
        let (now, mut asked) = (Instant::now(), Vec::new());
        for event in &events {
            if event.token() == WAKE {
                while (&wake).read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
            } else if server.owns(event.token()) {
                asked.extend(server.ready(event.token(), now));
            }
        }
        if server.next_deadline().is_some_and(|deadline| deadline <= now) {
            asked.extend(server.tick(now));
        }
        asked.into_iter().for_each(|(id, request)| answer(&mut server, id, request));
        for job in jobs.try_iter() {
            match job(server) {
                Some(kept) => server = kept,
                None => return,
            }
        }
    }
}

/// A listener that is not greytrapper, and sends this to one client.
pub fn stranger(says: &'static [u8]) -> (Dir, PathBuf, JoinHandle<()>) {
    let dir = Dir::new();
    let path = dir.path("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let thread = thread::spawn(move || listener.accept().unwrap().0.write_all(says).unwrap());
    (dir, path, thread)
}
