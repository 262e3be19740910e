//! What every loop of the daemon does: it waits for readiness, and is woken by a byte on a socketpair.
//!
//! mio's own Waker needs EVFILT_USER, which OpenBSD's kqueue(2) does not have.
#![forbid(unsafe_code)]

use crate::errno::reason;
use mio::net::UnixStream;
use mio::{Events, Poll};
use std::io::{self, Read};
use std::time::Duration;

/// Waits for readiness, at most so long.
pub fn wait(poll: &mut Poll, events: &mut Events, longest: Option<Duration>) -> Result<(), String> {
    match poll.poll(events, longest) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(reason(&error).to_string()),
        // An interrupted wait is one that found nothing.
        _ => Ok(()),
    }
}

/// Takes the bytes that woke the loop.
pub fn drain(mut wake: &UnixStream) {
    let mut bytes = [0; 64];
    loop {
        match wake.read(&mut bytes) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}
