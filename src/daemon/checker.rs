//! The process that runs `check rcpt with`.
//!
//! It has access to that program, which it executes, and to its socketpair. Recipients are strangers'
//! bytes: each is passed as one argument or not at all ([`crate::checker`]). Threads, which exist only
//! while there is something to ask, run the programs, and wake this loop with a byte on a socketpair.
#![forbid(unsafe_code)]

use super::life::Life;
use super::messages::{FromChecker, ToChecker};
use super::peer::Peer;
use super::roles::Variant;
use super::slot::Slot;
use crate::checker::{Pool, Verdict, Why};
use crate::errno::reason;
use crate::escape::escaped_path;
use crate::log;
use crate::process::wake::drain;
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const ENGINE: Token = Token(1);
const WAKE: Token = Token(2);

/// How long a verdict is valid, so that a scan every few minutes does not ask again.
const LASTING: Duration = Duration::from_secs(3600);
/// The maximum number of verdicts remembered, since strangers choose the addresses.
const KNOWN: usize = 10_000;

/// The checker's part, until its parent is gone.
pub fn run(life: &mut Life) -> Result<(), String> {
    let said = |error: std::io::Error| reason(&error).to_string();
    let checker = life.config()?.checker.ok_or("nothing to run")?;
    let mut poll = Poll::new().map_err(said)?;
    let mut engine = Peer::new((Slot::Asker, "engine"), poll.registry(), ENGINE)?;
    let (mut wake, waker) = UnixStream::pair().map_err(said)?;
    poll.registry().register(&mut wake, WAKE, Interest::READABLE).map_err(said)?;
    let (to_loop, verdicts) = channel();
    let done = move |number, verdict| {
        let _ = to_loop.send((number, verdict));
        // If it does not fit, there is already a byte.
        let _ = (&waker).write(&[0]);
    };
    let pool = Pool::new(&checker.program, checker.timeout, done).map_err(said)?;
    life.lock_in(Variant::Usual, |_| checker.program.clone())?;
    life.ready(poll.registry())?;
    let mut log = Told { program: &checker.program, told: HashSet::new() };
    let (mut known, mut asked) = (Known::default(), HashMap::new());
    let mut events = Events::with_capacity(8);
    while !life.is_over() {
        while let Some(ToChecker::Check { first, is_new, recipients }) = engine.receive()? {
            if is_new {
                log.told.clear();
                pool.forget_waiting();
                asked.clear();
            }
            for (number, recipient) in (first..).zip(recipients) {
                match known.get(&recipient) {
                    Some(is_good) => engine.send(&FromChecker { number, is_good: Some(is_good) }),
                    None => {
                        asked.insert(number, recipient.clone());
                        pool.submit(number, &recipient);
                    }
                }
            }
        }
        drain(&wake);
        while let Ok((number, verdict)) = verdicts.try_recv() {
            let is_good = match verdict {
                Verdict::Good => Some(true),
                Verdict::Bad => Some(false),
                Verdict::Unknown(why) => {
                    log.tell(why);
                    None
                }
            };
            if let (Some(recipient), Some(is_good)) = (asked.remove(&number), is_good) {
                known.insert(recipient, is_good);
            }
            engine.send(&FromChecker { number, is_good });
        }
        life.wait(&mut poll, &mut events, None)?;
        while let Ok(Some(_)) = life.orders() {}
    }
    pool.stop();
    Ok(())
}

/// The verdicts on recipients in the last hour.
#[derive(Default)]
struct Known(HashMap<Vec<u8>, (Instant, bool)>);

impl Known {
    fn get(&self, recipient: &[u8]) -> Option<bool> {
        let (at, is_good) = self.0.get(recipient)?;
        (at.elapsed() < LASTING).then_some(*is_good)
    }

    fn insert(&mut self, recipient: Vec<u8>, is_good: bool) {
        if self.0.len() >= KNOWN {
            self.0.retain(|_, (at, _)| at.elapsed() < LASTING);
        }
        if self.0.len() < KNOWN {
            self.0.insert(recipient, (Instant::now(), is_good));
        }
    }
}

/// The reasons why there is no verdict, each reported once per scan.
struct Told<'a> {
    program: &'a Path,
    told: HashSet<Why>,
}

impl Told<'_> {
    fn tell(&mut self, why: Why) {
        if self.told.insert(why) {
            log::warning(format_args!("{}: {why}", escaped_path(self.program)));
        }
    }
}
