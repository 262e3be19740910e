//! What others answered, as far as a scan wants to know it.
//!
//! A scan asks with [`Question`](super::identity::Question)s about nominees, with
//! [`Domains`](super::Domains) about senders, and has a list of recipients for the external program;
//! whoever can ask answers through [`Answers`]. The meaning of single answers is `dns`'s, the judgement
//! is the scan's.

pub use crate::dns::identity::Confirmation;
pub use crate::dns::verdict::{Bad, DomainVerdict};

use std::net::IpAddr;

/// The answers to a scan's questions.
pub trait Answers {
    /// What is known of `name`, in lower case, given in HELO by the host with this address.
    ///
    /// A name is confirmed when its own addresses hold the host's, or when those of the host's PTR name
    /// do and both names share a registrable domain.
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation;

    /// What is thought of a sender domain, in lower case; `None` if nobody asked.
    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict>;

    /// Whether the external program said that this recipient, without its brackets, is bad; no verdict
    /// is none.
    fn is_bad_recipient(&self, address: &[u8]) -> bool {
        let _ = address;
        false
    }
}
