//! The answers that a scan needs from others.
//!
//! A scan has [`Question`](super::identity::Question)s about nominees, [`Domains`](super::Domains) of
//! senders, and a list of recipients for the external program. Whoever asks them gives the answers through
//! [`Answers`]. `dns` interprets single answers, the scan judges by them.

pub use crate::dns::exemption::{Exemption, Ground};
pub use crate::dns::identity::{Confirmation, Reverse};
pub use crate::dns::listing::{Listed, Oddity};
pub use crate::dns::spf::SpfResult;
pub use crate::dns::verdict::{Bad, DomainVerdict};

use super::rules::Rule;
use std::fmt;
use std::net::IpAddr;

/// The answers to a scan's questions.
pub trait Answers {
    /// What is known about `name`, in lower case, which the host with this address used in HELO.
    ///
    /// A name is confirmed if its addresses include the host's, or if the addresses of the host's PTR name
    /// do and both names are in the same registrable domain. A name that has had no answer for long counts
    /// as not confirmed.
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation;

    /// The same for this scan alone: what has no answer is unknown, however long that has been so.
    fn helo_now(&self, address: IpAddr, name: &str) -> Confirmation {
        self.helo(address, name)
    }

    /// Whether neither `name` nor its registrable domain exists.
    fn is_gone(&self, address: IpAddr, name: &str) -> bool {
        let _ = (address, name);
        false
    }

    /// Whether this host has a name of its own, judging by its PTR names; with that name, or the first one.
    fn reverse(&self, address: IpAddr) -> (Confirmation, Option<&[u8]>) {
        let _ = address;
        (Confirmation::Unknown, None)
    }

    /// The verdict on a sender domain, in lower case; `None` if it was not looked up.
    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict>;

    /// What a DNS list says of this host; `None` if it was not asked.
    fn listed(&self, address: IpAddr, zone: &str) -> Option<Listed> {
        let _ = (address, zone);
        None
    }

    /// Whether other sites have this host in the trap; `None` if they were not heard.
    fn is_heard(&self, address: IpAddr) -> Option<bool> {
        let _ = address;
        None
    }

    /// The DNS lists that are put aside, and why.
    fn aside(&self) -> Vec<(String, Oddity)> {
        Vec::new()
    }

    /// The reason why denials among these answers do not count, if there is one.
    fn doubt(&self) -> Option<Doubt> {
        None
    }

    /// Whether the external program knows this recipient; `None` if it gave no verdict or is not believed.
    fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        let _ = address;
        None
    }

    /// Whether the external program may still give a verdict on this recipient.
    fn is_awaited(&self, address: &[u8]) -> bool {
        let _ = address;
        false
    }

    /// Whether an earlier scan found a bad message from this host, and spared it because of its identity.
    fn was_spared(&self, address: IpAddr) -> bool {
        let _ = address;
        false
    }

    /// Whether this domain, in lower case, says that the host with this address may send its mail: by MX,
    /// by address, or by SPF.
    fn exemption(&self, address: IpAddr, domain: &[u8]) -> Exemption {
        let _ = (address, domain);
        Exemption::Unknown
    }

    /// What SPF says about a host that sends in the name of this domain, in lower case. `None` if it was
    /// not asked, since the host is exempt without it, or if the answers are not believed.
    fn spf(&self, address: IpAddr, domain: &[u8]) -> Option<SpfResult> {
        let _ = (address, domain);
        None
    }
}

/// No answers: nothing was asked.
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

/// Why a denial by DNS or by the external program is not believed, or a list is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// No name server has found any domain, not even these, which must exist.
    Unproven(Vec<String>),
    /// So many denials came from name servers that have found nothing, while others have.
    PartlyUnproven(u64),
    /// Too many sender domains had no definite answer.
    Failed {
        /// Registrable domains without a definite answer, each paired with a different host.
        failed: u64,
        /// All of them, including those with a definite answer.
        of: u64,
    },
    /// A DNS list is not usable.
    Aside {
        /// Its name.
        zone: String,
        /// Why.
        why: Oddity,
    },
    /// Too many hosts would be trapped by a rule.
    Outvoted {
        /// The rule.
        rule: Rule,
        /// The hosts that it would trap.
        bad: u64,
        /// The hosts with a definite answer.
        of: u64,
        /// More hosts that it might trap, whose answers did not come in time.
        open: u64,
    },
}

impl Doubt {
    /// What is doubted.
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
            Doubt::Aside { zone, why } => {
                return write!(f, "list {zone} is put aside in this scan: {why}");
            }
            Doubt::Outvoted { rule, bad, of, open } => {
                let percent = bad.saturating_mul(100).checked_div(*of).unwrap_or(0);
                write!(f, "{bad} of {of} hosts ({percent} %) would be trapped by rule {rule}, ")?;
                if *open > 0 {
                    write!(f, "and {open} have no answer, ")?;
                }
                return f.write_str("none is trapped");
            }
        }
        f.write_str("negative answers are not believed")
    }
}
