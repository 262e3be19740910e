//! `check rcpt with`: an external program says whether a recipient exists.
//!
//! Recipients come in, without their angle brackets; a [`Verdict`] for each goes out through a callback.
//! [`Pool`] runs a few programs at a time, `run` one of them. The checker process calls. Addresses are
//! chosen by strangers and trusted in nothing; the program is the administrator's, but may be missing,
//! slow, or die.
//!
//! The program gets the address as its only argument, `PATH` as its only variable, /dev/null as its
//! standard streams, a process group of its own and no other descriptor. It stands where the caller
//! stands, and inherits the signals that the caller blocks or ignores. Exit status 0 means that the
//! address is good; one by which programs say that they could not find out (`run`) means nothing, and so
//! does whatever else happens; any other means that the address is bad, as far as the program is believed
//! ([`heard`]).
#![forbid(unsafe_code)]

pub mod heard;
mod pool;
pub mod remembered;
mod run;

pub use pool::Pool;

use crate::errno;
use nix::sys::signal::Signal;
use std::fmt;
use std::io;

/// What the program said of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Exit status 0.
    Good,
    /// An exit status that says so.
    Bad,
    /// Nothing. This must never trap a host.
    Unknown(Why),
}

/// Why nothing is known of an address. All of a scan's reasons are few: whoever logs each of them once
/// has said everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The address is not one to be passed on: empty, over 1024 bytes, with a leading `-` or control
    /// bytes.
    Address,
    /// The system did not run the program, or lost it; the number is that of errno(2).
    System(i32),
    /// It could not find out, by this exit status.
    Status(i32),
    /// A signal of this number ended it.
    Signal(i32),
    /// It took too long, and was killed.
    Timeout,
    /// It took too long so often that it was not asked about this one.
    GivenUp,
}

impl fmt::Display for Why {
    /// To be put behind the program's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address => f.write_str("address not passed to the program"),
            Self::System(number) => errno::reason(&io::Error::from_raw_os_error(number)).fmt(f),
            Self::Status(127) => f.write_str("status 127, a program that it runs is missing"),
            Self::Status(number) => write!(f, "status {number}, could not find out"),
            Self::Signal(number) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
            Self::Timeout => f.write_str("timed out"),
            Self::GivenUp => f.write_str("not asked, too many timeouts"),
        }
    }
}

impl std::error::Error for Why {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_well_behind_a_name() {
        for (why, text) in [
            (Why::Address, "address not passed to the program"),
            (Why::System(2), "No such file or directory"),
            (Why::System(13), "Permission denied"),
            (Why::Status(75), "status 75, could not find out"),
            (Why::Status(127), "status 127, a program that it runs is missing"),
            (Why::Signal(9), "killed by SIGKILL"),
            (Why::Signal(99), "killed by signal 99"),
            (Why::Timeout, "timed out"),
            (Why::GivenUp, "not asked, too many timeouts"),
        ] {
            assert_eq!(why.to_string(), text);
        }
    }
}
