//! Lets a thread wake its process's loop, with a byte on a socketpair.
//!
//! mio's own Waker needs EVFILT_USER, which OpenBSD's kqueue(2) does not have.
#![forbid(unsafe_code)]

use mio::net::UnixStream;
use std::io::{self, Read};

/// Reads the bytes that woke the loop.
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
