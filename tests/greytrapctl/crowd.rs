//! Many clients at the control socket: proper requests are answered soon.

use crate::fake_daemon::Daemon;
use crate::sample::status;
use greytrapper::control::client::Answer;
use greytrapper::control::protocol::{Reply, Request};
use greytrapper::control::server::CLIENTS_MAX;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The least of several times that an answer takes: what the machine does besides comes on top.
fn answer_time(daemon: &Daemon) -> Duration {
    let ask = |_| {
        let start = Instant::now();
        let mut answer = Answer::to(&Request::Show, &daemon.socket()).unwrap();
        assert!(matches!(answer.part().unwrap(), Some(Reply::Status(_))));
        assert!(answer.part().unwrap().is_none());
        start.elapsed()
    };
    (0..5).map(ask).min().unwrap()
}

fn crowd(daemon: &Daemon, count: usize, says: &[u8]) -> Vec<UnixStream> {
    let connect = |_| {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        // Whoever was dropped meanwhile cannot say it.
        let _ = stream.write_all(says);
        stream
    };
    (0..count).map(connect).collect()
}

#[test]
fn two_hundred_clients_that_say_nothing_useful_keep_nobody_waiting() {
    let status = Reply::Status(Box::new(status()));
    let daemon = Daemon::that_says(vec![status]);
    let said: [&[u8]; 4] = [b"", &[5, 0, 0], &[0, 0, 0, 0x40], b"GET / HTTP/1.1\r\n\r\n"];
    for says in said {
        let _crowd = crowd(&daemon, 200, says);
        let took = answer_time(&daemon);
        assert!(took < Duration::from_millis(50), "{took:?} beside 200 that say {says:?}");
        daemon.ctl(&["show"]).succeeds();
    }
}

#[test]
fn clients_that_do_not_read_keep_nobody_waiting() {
    let daemon = Daemon::start(|server, id, request| match request {
        Request::ShowHosts => {
            server.stream(id, std::iter::repeat_with(|| Reply::Status(Box::new(status()))));
        }
        _ => {
            server.reply(id, &Reply::Status(Box::new(status())));
            server.finish(id);
        }
    });
    let ask = |_| Answer::to(&Request::ShowHosts, &daemon.socket()).unwrap();
    let _greedy: Vec<_> = (1..CLIENTS_MAX).map(ask).collect();
    let took = answer_time(&daemon);
    assert!(took < Duration::from_millis(50), "{took:?}");
}
