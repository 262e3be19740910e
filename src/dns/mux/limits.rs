//! How the multiplexer is to ask: the configuration's `dns` block and resolv.conf's options, checked.
#![forbid(unsafe_code)]

use std::time::Duration;

/// How much is asked, how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Questions under way at once.
    pub in_flight: usize,
    /// The longest wait for an answer to one message.
    pub timeout: Duration,
    /// Messages sent for one question before it is given up.
    pub attempts: u32,
    /// What questions go by.
    pub transport: Transport,
}

/// What questions go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP, and TCP where the answer was truncated.
    Udp,
    /// TCP alone (resolv.conf's `options tcp`).
    Tcp,
}

impl Transport {
    /// What a question's count of lost TCP connections begins with; none as long as it goes by UDP.
    pub(super) fn losses(self) -> Option<u32> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some(0),
        }
    }
}
