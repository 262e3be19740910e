//! Why traps cannot be sent: one line for each fault, beginning with the `sync` statement or the file that
//! it concerns.
#![forbid(unsafe_code)]

use crate::errno::reason;
use crate::escape::{escaped, escaped_path};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// The target of traps, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `sync to HOST`.
    Host(String),
    /// `sync multicast on INTERFACE`.
    Group(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host(name) => write!(f, "sync to {}", escaped(name.as_bytes())),
            Target::Group(name) => write!(f, "sync multicast on {}", escaped(name.as_bytes())),
        }
    }
}

/// Why [`Announcer::open`](super::Announcer::open) failed.
#[derive(Debug)]
pub enum Error {
    /// The key file cannot be used.
    Key(PathBuf, KeyFault),
    /// Traps can never be sent to this host or interface.
    Target(Target, TargetFault),
}

/// What is wrong with a key file.
#[derive(Debug)]
pub enum KeyFault {
    /// open(2), fstat(2) or read(2) failed.
    Io(io::Error),
    /// It is a directory, a fifo or something else that cannot contain a key.
    NotAFile,
    /// Others may read or change the secret.
    Exposed,
}

/// What is wrong with a host or an interface.
#[derive(Debug)]
pub enum TargetFault {
    /// The host's name cannot be resolved.
    Unresolved(io::Error),
    /// The host has addresses, but the protocol supports only IPv4.
    HostWithoutIpv4,
    /// There is no such interface.
    NoInterface,
    /// The interface has no IPv4 address to send from.
    InterfaceWithoutIpv4,
    /// The socket could not be created, configured or connected.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Key(path, fault) => write!(f, "{}: {fault}", escaped_path(path)),
            Error::Target(target, fault) => write!(f, "{target}: {fault}"),
        }
    }
}

impl fmt::Display for KeyFault {
    /// The last message is that of OpenBSD's daemons about their own files (`check_file_secrecy()`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyFault::Io(error) => reason(error).fmt(f),
            KeyFault::NotAFile => f.write_str("not a regular file"),
            KeyFault::Exposed => f.write_str("group writable or world read/writable"),
        }
    }
}

impl fmt::Display for TargetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetFault::Unresolved(error) => write!(f, "host does not resolve: {}", lookup(error)),
            TargetFault::HostWithoutIpv4 => f.write_str("host has no IPv4 address"),
            TargetFault::NoInterface => f.write_str("no such interface"),
            TargetFault::InterfaceWithoutIpv4 => f.write_str("interface has no IPv4 address"),
            TargetFault::Io(error) => reason(error).fmt(f),
        }
    }
}

/// Only the text of gai_strerror(3), without what std puts before it.
fn lookup(error: &io::Error) -> String {
    let text = reason(error).to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

impl std::error::Error for Error {}

impl From<io::Error> for KeyFault {
    fn from(error: io::Error) -> Self {
        KeyFault::Io(error)
    }
}

impl From<io::Error> for TargetFault {
    fn from(error: io::Error) -> Self {
        TargetFault::Io(error)
    }
}
