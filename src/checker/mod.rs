//! `check rcpt with`: an external program says whether a recipient exists.
//!
//! In: recipients, without angle brackets. Out: a [`Verdict`] for each, through a callback. [`Pool`] runs a
//! few programs at a time, `run` runs one. The checker process calls. Strangers choose the addresses, so
//! these are not trusted at all; the program is the administrator's, but may be missing, slow, or crash.
//!
//! The program gets the address as its only argument, `PATH` as its only variable, /dev/null as its
//! standard streams, its own process group and no other descriptor. It inherits the caller's working
//! directory, and the signals that the caller blocks or ignores. Exit status 0 means that the address is
//! good. A status that means that the program could not find out (see `run`) is no verdict, and neither is
//! any other end. Any other status means that the address is bad, if the program is believed ([`heard`]).
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

/// The program's verdict on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Exit status 0.
    Good,
    /// An exit status that means that the address is bad.
    Bad,
    /// No verdict. This must never trap a host.
    Unknown(Why),
}

/// Why there is no verdict on an address. A scan has only a few different reasons, so it is enough to log
/// each of them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The address cannot be passed to the program: it is empty or longer than 1024 bytes, begins with `-`,
    /// or contains control characters.
    Address,
    /// The system could not run the program, or could not wait for it; with the number in errno(2).
    System(i32),
    /// The program could not find out; with its exit status.
    Status(i32),
    /// The program was killed by the signal with this number.
    Signal(i32),
    /// The program took too long and was killed.
    Timeout,
    /// The program has taken too long so often that it was not asked.
    GivenUp,
}

impl fmt::Display for Why {
    /// The text follows the program's name.
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
