//! The process that runs `check rcpt with`.
//!
//! May touch: that program, which it executes; its socketpair. Recipients are strangers' bytes: each is one
//! argument, or is not passed on ([`crate::checker`]). The programs run on threads that exist only while
//! there is something to ask, and wake this loop by a byte on a socketpair.
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
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;

const ENGINE: Token = Token(1);
const WAKE: Token = Token(2);

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
        // If it does not fit, there is a byte already.
        let _ = (&waker).write(&[0]);
    };
    let pool = Pool::new(&checker.program, checker.timeout, done).map_err(said)?;
    life.lock_in(Variant::Usual, |_| checker.program.clone())?;
    life.ready(poll.registry())?;
    let mut log = Told { program: &checker.program, told: HashSet::new() };
    let mut events = Events::with_capacity(8);
    while !life.is_over() {
        while let Some(ToChecker::Check { first, recipients }) = engine.receive()? {
            if first == 0 {
                log.told.clear();
            }
            for (number, recipient) in (first..).zip(recipients) {
                pool.submit(number, &recipient);
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
            engine.send(&FromChecker { number, is_good });
        }
        life.wait(&mut poll, &mut events, None)?;
        while let Ok(Some(_)) = life.orders() {}
    }
    pool.stop();
    Ok(())
}

/// Why there is no verdict, each reason once a scan.
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
