//! The control socket in a process that has no descriptor left: OpenBSD's login class gives a daemon 64
//! (login.conf(5)).

use crate::support::alone;
use crate::support::patience::patience;
use crate::support::process;
use greytrapper::control::client::{Answer, Error};
use greytrapper::control::protocol::{Reply, Request};
use greytrapper::control::server::Server;
use greytrapper::control::socket;
use mio::{Events, Poll, Token};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

const FIRST: Token = Token(0);

/// Owns the loop until so many requests are answered.
fn serve(poll: &mut Poll, server: &mut Server, mut requests: usize) {
    let mut events = Events::with_capacity(16);
    while requests > 0 {
        let deadline = server.next_deadline();
        let wait = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // No event and no deadline would be for ever: a connection that nobody will look at again.
        let wait = wait.unwrap_or(patience());
        process::poll(poll, &mut events, Some(wait));
        assert!(!events.is_empty() || deadline.is_some(), "nobody is awaited any more");
        let mut asked = server.tick(Instant::now());
        for event in &events {
            asked.extend(server.ready(event.token(), Instant::now()));
        }
        for (id, request) in asked {
            assert_eq!(request, Request::Scan);
            server.finish(id);
            requests -= 1;
        }
    }
}

fn ask(path: &std::path::Path) -> Result<Option<Reply>, Error> {
    Answer::to(&Request::Scan, path)?.part()
}

#[test]
fn without_descriptors_the_silent_give_way_and_the_rest_waits() {
    if !alone::is_alone() {
        let test = "descriptors::without_descriptors_the_silent_give_way_and_the_rest_waits";
        alone::run(test, &[], |_| ());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = socket::bind(&path, "no-such-group").unwrap();
    let mut poll = Poll::new().unwrap();
    let mut server = Server::new(listener, poll.registry().try_clone().unwrap(), FIRST).unwrap();
    let mut silent: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    assert!(server.ready(FIRST, Instant::now()).is_empty());

    // Asks, and is not accepted: all descriptors are taken.
    let mut answer = Answer::to(&Request::Scan, &path).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 40, hard).unwrap();
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let asked = server.ready(FIRST, Instant::now());
    assert_eq!(asked.len(), 1, "it has the place of one that was silent");
    server.finish(asked[0].0);
    assert!(matches!(answer.part(), Ok(None)));
    drop(answer);

    // Nobody is left to give way: it is tried again in time, and told once.
    silent.clear();
    (1..=64).for_each(|token| assert!(server.ready(Token(token), Instant::now()).is_empty()));
    server.take_notices();
    taken.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
    taken.pop();
    let mut waiting = Answer::to(&Request::Scan, &path).unwrap();
    let start = Instant::now();
    assert!(server.ready(FIRST, start).is_empty());
    let deadline = server.next_deadline().unwrap();
    assert!(deadline > start, "it must not be tried without a pause");
    assert!(server.tick(deadline).is_empty());
    let notices: Vec<_> = server.take_notices().iter().map(ToString::to_string).collect();
    assert_eq!(notices, ["control socket: accept: Too many open files"]);
    taken.truncate(5);
    let asked = server.tick(server.next_deadline().unwrap());
    server.finish(asked[0].0);
    assert!(matches!(waiting.part(), Ok(None)));
    drop(waiting);

    // And all is as before.
    let other = thread::spawn(move || ask(&path));
    serve(&mut poll, &mut server, 1);
    assert!(matches!(other.join().unwrap(), Ok(None)));
}
