//! The commands that only a running greytrapper(8) can answer: asked over its socket.
#![forbid(unsafe_code)]

use crate::control::console::{Console, Failure};
use crate::control::options::Request;
use crate::errno::reason;
use crate::escape::escaped_path;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Connects to the daemon at `socket` and asks it.
///
/// No daemon of this version listens: whatever accepts the connection is somebody else.
pub fn run(_: &mut Console<'_>, socket: &Path, _: &Request) -> Result<(), Failure> {
    let why = match UnixStream::connect(socket) {
        Ok(_) => "not the socket of a greytrapper".to_string(),
        Err(error) => reason(&error).to_string(),
    };
    Err(Failure::Because(format!("{}: {why}", escaped_path(socket))))
}
