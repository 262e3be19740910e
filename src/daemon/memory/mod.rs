//! The process that remembers: verdicts, holds and counters, over restarts.
//!
//! It has access to one directory and to its socketpairs. Without it the daemon traps the same hosts, and
//! those that an operator released, which is why no scan begins before it has answered, or has had a minute
//! for it. An attacker who compromises it can make the daemon forget, show operators things that never
//! happened, and have hosts spared; it can make names look more common than they are to the rules that ask for
//! evidence, and so trap anonymous hosts at the store's rate.
//!
//! The file is opened when the last process that had it has gone. The parent's end is no reason to lose
//! what the engine has still to say: this process ends after the engine.
#![forbid(unsafe_code)]

pub mod directory;
mod keeper;

use super::life::Life;
use super::messages::{FromMemory, FromParent, ToMemory};
use super::peer::Peer;
use super::roles::Variant;
use super::slot::Slot;
use crate::config::Config;
use crate::errno::reason;
use crate::log;
use crate::memory::Settings;
use crate::process::user::{EMPTY, GREYTRAPPER};
use keeper::Keeper;
use mio::{Events, Poll, Token};
use std::time::{Duration, Instant};

const ENGINE: Token = Token(1);
/// How long the engine's end is waited for: less than the parent waits for this process.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Does memory's work until its parent and the engine have gone.
pub fn run(life: &mut Life) -> Result<(), String> {
    let config = life.config()?;
    let made = directory::make(&config.memory.directory, GREYTRAPPER);
    let mut poll = Poll::new().map_err(|error| reason(&error).to_string())?;
    let mut engine = Peer::new((Slot::Asker, "engine"), poll.registry(), ENGINE)?;
    life.lock_in(Variant::Usual, |_| match &made {
        Ok(()) => config.memory.directory.clone(),
        Err(_) => EMPTY.into(),
    })?;
    if let Err(failure) = &made {
        log::warning(format_args!("memory: {failure}; going on without"));
    }
    life.ready(poll.registry())?;
    let longest = config.longest_trap();
    let mut keeper = made.is_ok().then(|| Keeper::new(settings(config), longest));
    let mut events = Events::with_capacity(8);
    let mut has_begun = false;
    let mut until = None;
    loop {
        while let Ok(Some(order)) = life.orders() {
            // The process before has gone, and the file is free.
            has_begun |= matches!(order, FromParent::Go);
        }
        while let Some(message) = if has_begun { engine.receive()? } else { None } {
            let answer = answer(keeper.as_mut(), message);
            engine.send(&answer);
            life.hand_on_log();
        }
        if !life.is_over() {
            life.wait(&mut poll, &mut events, None)?;
            continue;
        }
        let until = *until.get_or_insert_with(|| Instant::now() + LAST_WORDS);
        let left = until.saturating_duration_since(Instant::now());
        if !has_begun || engine.has_gone() || left.is_zero() {
            return Ok(());
        }
        match poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(reason(&error).to_string());
            }
            _ => {}
        }
    }
}

fn answer(keeper: Option<&mut Keeper>, message: ToMemory) -> FromMemory {
    match (message, keeper) {
        (ToMemory::Recall, Some(keeper)) => FromMemory::Recalled(Box::new(keeper.recall())),
        (ToMemory::Recall, None) => FromMemory::Recalled(Default::default()),
        (ToMemory::Write(batch), keeper) => {
            let unusable = || Some("its directory cannot be used".into());
            FromMemory::Written(keeper.map_or_else(unusable, |keeper| keeper.write(batch)))
        }
        (ToMemory::Known { ticket, keys }, keeper) => {
            let known = keeper.map(|keeper| keeper.known(&keys));
            FromMemory::Known(ticket, known.unwrap_or_else(|| Err("nothing is remembered".into())))
        }
        (ToMemory::Suggest { ticket, from }, keeper) => {
            let found = keeper.map(|keeper| keeper.suggest(from.as_deref()));
            let found = found.unwrap_or_else(|| Err("nothing is remembered".into()));
            FromMemory::Suggested(ticket, found)
        }
        (ToMemory::Tuples { ticket, since, from }, Some(keeper)) => {
            FromMemory::Tuples(ticket, keeper.tuples(since, from))
        }
        (ToMemory::Tuples { ticket, .. }, None) => {
            FromMemory::Tuples(ticket, Err("nothing is remembered".into()))
        }
        (ToMemory::Find { ticket, query, from, most }, Some(keeper)) => {
            FromMemory::Found(ticket, keeper.find(&query, from, most))
        }
        (ToMemory::Find { ticket, .. }, None) => {
            FromMemory::Found(ticket, Err("nothing is remembered".into()))
        }
    }
}

fn settings(config: Config) -> Settings {
    let crate::config::Memory { directory, size, verdicts, tuples } = config.memory;
    Settings { directory, verdicts, tuples, size }
}
