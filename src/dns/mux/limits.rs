//! The limits of the multiplexer: the configuration's `dns` block and the options in resolv.conf, checked.
#![forbid(unsafe_code)]

use std::time::Duration;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of outstanding questions.
    pub in_flight: usize,
    /// The longest time to wait for an answer to one message.
    pub timeout: Duration,
    /// The number of messages sent for one question before it is given up.
    pub attempts: u32,
    /// The transport protocol.
    pub transport: Transport,
}

/// The transport protocol of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP, with TCP if the answer was truncated.
    Udp,
    /// Only TCP (`options tcp` in resolv.conf).
    Tcp,
}

impl Transport {
    /// The initial count of lost TCP connections of a question; `None` as long as it uses UDP.
    pub(super) fn losses(self) -> Option<u32> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some(0),
        }
    }
}
