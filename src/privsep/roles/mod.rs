//! The processes that the parent starts, one file each: what it may touch, what it waits for.
//!
//! [`run`] brings a process into its role. A role opens what it needs, gives up root, locks itself in
//! ([`Life::lock_in`]), says that it is ready and works until its parent has gone. When one of the others
//! ends, a role only goes deaf on that side: the parent knows who was the first, and ends them all.
#![forbid(unsafe_code)]

mod checker;
mod engine;
mod reader;
mod resolver;
mod store;
mod sync;

pub use reader::Sources;

use super::Process;
use super::channel::{Broken, Channel};
use super::ipc::ToParent;
use super::life::Life;
use super::spawn::{Slot, inherited};
use crate::errno::reason;
use crate::heap;
use crate::log;
use mio::net::UnixStream;
use mio::{Events, Poll, Registry, Token};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;

/// Runs this process as `process` until its parent is gone; `sources` say where the configuration is.
pub fn run(process: Process, sources: &Sources) -> ExitCode {
    heap::keep_little();
    let mut life = match Life::begin(process) {
        Ok(life) => life,
        Err(error) => {
            log::error(format_args!("{}: {}", process.name(), reason(&error)));
            return ExitCode::FAILURE;
        }
    };
    let outcome = match process {
        Process::Reader => reader::run(&mut life, sources),
        Process::Store => store::run(&mut life),
        Process::Engine => engine::run(&mut life),
        Process::Resolver => resolver::run(&mut life),
        Process::Checker => checker::run(&mut life),
        Process::Sync => sync::run(&mut life),
        Process::Parent => Err("has no parent".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            life.tell(&ToParent::Failed(failure));
            ExitCode::FAILURE
        }
    }
}

/// Waits for readiness, at most so long.
fn wait(poll: &mut Poll, events: &mut Events, longest: Option<Duration>) -> Result<(), String> {
    match poll.poll(events, longest) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(reason(&error).to_string()),
        // An interrupted wait is one that found nothing.
        _ => Ok(()),
    }
}

/// Takes the bytes that woke the loop.
fn drain(mut wake: &UnixStream) {
    let mut bytes = [0; 64];
    loop {
        match wake.read(&mut bytes) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}

/// The way to another process.
#[derive(Debug)]
struct Peer<Out, In> {
    channel: Channel<Out, In>,
    name: &'static str,
    has_gone: bool,
    /// What broke the way: the other has not gone, but cannot be understood.
    broken: Option<Broken>,
}

impl<Out: Serialize, In: DeserializeOwned> Peer<Out, In> {
    /// That in `slot`, whose events come with `token`.
    fn new(
        (slot, name): (Slot, &'static str),
        registry: &Registry,
        token: Token,
    ) -> Result<Self, String> {
        let opened = inherited(slot).and_then(Channel::new).and_then(|mut channel| {
            channel.register(registry, token)?;
            Ok(Peer { channel, name, has_gone: false, broken: None })
        });
        opened.map_err(|error| format!("{name}: {}", reason(&error)))
    }

    /// Sends a message as soon as there is room.
    fn send(&mut self, message: &Out) {
        let sent = self.channel.send(message);
        self.note(sent);
    }

    /// Sends a message, and waits until it has gone, or until the parent has.
    fn deliver(&mut self, message: &Out, life: &mut Life) {
        self.send(message);
        while !self.has_gone && !self.channel.is_flushed() && !life.has_lost_parent() {
            let waited = life.wait_for_room(&self.channel).map_err(Broken::Io);
            let flushed = waited.and_then(|()| self.channel.flush());
            self.note(flushed);
        }
    }

    /// The next message. There is none from one who has gone.
    ///
    /// # Errors
    /// What comes is no message. The two will never understand each other again, and whoever waits
    /// for an answer waits for ever: this process is to end, and the daemon with it.
    fn receive(&mut self) -> Result<Option<In>, String> {
        if !self.has_gone {
            let flushed = self.channel.flush();
            self.note(flushed);
        }
        let received = if self.has_gone { Ok(None) } else { self.channel.receive() };
        let message = received.unwrap_or_else(|broken| {
            self.note::<()>(Err(broken));
            None
        });
        match self.broken.take() {
            Some(broken) => Err(format!("{}: {broken}", self.name)),
            None => Ok(message),
        }
    }

    fn note<T>(&mut self, outcome: Result<T, Broken>) {
        let Err(broken) = outcome else { return };
        self.has_gone = true;
        if !matches!(broken, Broken::Ended) {
            self.broken = Some(broken);
        }
    }
}
