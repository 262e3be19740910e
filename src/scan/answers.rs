//! What others answered, as far as a scan wants to know it.
//!
//! A scan asks with [`Question`](super::identity::Question)s about nominees, with
//! [`Domains`](super::Domains) about senders, and has a list of recipients for the external program;
//! whoever can ask answers through [`Answers`]. The meaning of single answers is `dns`'s, the judgement
//! is the scan's.

pub use crate::dns::identity::Confirmation;
pub use crate::dns::verdict::{Bad, DomainVerdict};

use super::rules::Rule;
use std::fmt;
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

    /// Why denials among these answers do not count, if so.
    fn doubt(&self) -> Option<Doubt> {
        None
    }

    /// Whether the external program knows this recipient; `None` if it did not say, or is not to be believed.
    fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        let _ = address;
        None
    }

    /// Whether the external program may still say whether it knows this recipient.
    fn is_awaited(&self, address: &[u8]) -> bool {
        let _ = address;
        false
    }

    /// Whether an earlier scan found a bad letter of this host already, and spared it for its identity.
    fn was_spared(&self, address: IpAddr) -> bool {
        let _ = address;
        false
    }
}

/// Nobody was asked anything.
#[derive(Clone, Copy, Debug)]
pub struct Silence;

impl Answers for Silence {
    fn helo(&self, _: IpAddr, _: &str) -> Confirmation {
        Confirmation::Unknown
    }

    fn domain(&self, _: &[u8]) -> Option<DomainVerdict> {
        None
    }
}

/// Why DNS, or the external program, is not believed when it denies something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// No name server has found any domain, not even these, which must exist.
    Unproven(Vec<String>),
    /// So many denials came from name servers that have found nothing, though others have.
    PartlyUnproven(u64),
    /// Too many sender domains had no definite answer.
    Failed {
        /// Registrable domains of which nothing is known, each with a host of its own.
        failed: u64,
        /// The same and those of which something is.
        of: u64,
    },
    /// Too many hosts would be trapped by a rule.
    Outvoted {
        /// The rule.
        rule: Rule,
        /// How many would be.
        bad: u64,
        /// How many have a definite answer.
        of: u64,
    },
}

impl Doubt {
    /// Who is doubted.
    pub fn about(&self) -> &'static str {
        match self {
            Doubt::Outvoted { rule: Rule::Checker, .. } => "check rcpt",
            _ => "DNS",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Unproven(asked) if asked.is_empty() => {
                f.write_str("no name server has found any domain, ")?;
            }
            Doubt::Unproven(asked) => {
                write!(f, "no name server has found any domain, not even {}, ", asked.join(", "))?;
            }
            Doubt::PartlyUnproven(count) => {
                return write!(
                    f,
                    "negative answers of a name server that has found no domain are not believed: {count}"
                );
            }
            Doubt::Failed { failed, of } => {
                write!(f, "no definite answer for {failed} of {of} domains, ")?;
            }
            Doubt::Outvoted { rule, bad, of } => {
                let percent = bad.saturating_mul(100).checked_div(*of).unwrap_or(0);
                return write!(
                    f,
                    "{bad} of {of} hosts ({percent} %) would be trapped by rule {rule}, none is trapped"
                );
            }
        }
        f.write_str("negative answers are not believed")
    }
}
