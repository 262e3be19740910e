//! The channel from one role to another: messages in both directions, over a socketpair in a slot.
//!
//! If the other process exits, a role only stops receiving from it: the parent knows which was the first,
//! and ends all.
#![forbid(unsafe_code)]

use super::life::Life;
use super::slot::{Slot, inherited};
use crate::errno::reason;
use crate::process::channel::{Broken, Channel};
use mio::{Registry, Token};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The channel to another process.
#[derive(Debug)]
pub struct Peer<Out, In> {
    channel: Channel<Out, In>,
    name: &'static str,
    has_gone: bool,
    /// What broke the way: the other has not gone, but cannot be understood.
    broken: Option<Broken>,
}

impl<Out: Serialize, In: DeserializeOwned> Peer<Out, In> {
    /// The channel in `slot`, registered with `token`.
    pub fn new(
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

    /// The channel over one end of a pair, which nobody watches.
    #[cfg(test)]
    pub fn unwatched(end: std::os::fd::OwnedFd) -> Self {
        let channel = Channel::new(end).expect("a socket");
        Peer { channel, name: "peer", has_gone: false, broken: None }
    }

    /// Whether the other has ended, and has nothing more to say.
    pub fn has_gone(&self) -> bool {
        self.has_gone
    }

    /// Sends a message as soon as there is room.
    pub fn send(&mut self, message: &Out) {
        let sent = self.channel.send(message);
        self.note(sent);
    }

    /// Sends a message, and waits until it has been sent, or until the parent has gone.
    pub fn deliver(&mut self, message: &Out, life: &mut Life) {
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
    pub fn receive(&mut self) -> Result<Option<In>, String> {
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
