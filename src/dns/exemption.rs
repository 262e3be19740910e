//! Exemptions: whether a sender's domain says that a host may send its mail.
//!
//! The domain's own mail hosts are asked about first, and SPF (RFC 7208) only if they do not include the
//! host. Strangers choose all parts of a [`Claim`].
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use super::spf::SpfResult;

/// A host that sends mail in the name of a domain: what `check_host()` takes (RFC 7208 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The host's address.
    pub address: IpAddr,
    /// Its HELO string, as it was sent.
    pub helo: Vec<u8>,
    /// The sender's local part, as it was sent; empty stands for `postmaster` (RFC 7208 4.3).
    pub local: Vec<u8>,
    /// The sender's domain, in lower case and without a trailing dot.
    pub domain: Vec<u8>,
}

impl Claim {
    /// The claim of a message with this sender, with or without brackets. The null sender stands for the
    /// postmaster of the HELO name (RFC 7208 2.4), and so does a text without `@`.
    pub fn new(address: IpAddr, helo: &[u8], sender: &[u8]) -> Self {
        let sender = match sender {
            [b'<', inner @ .., b'>'] => inner,
            _ => sender,
        };
        let mut parts = sender.rsplitn(2, |byte| *byte == b'@');
        let (domain, local) = match (parts.next(), parts.next()) {
            (Some(domain), Some(local)) => (domain, local),
            _ => (helo, &[][..]),
        };
        let domain = domain.strip_suffix(b".").unwrap_or(domain).to_ascii_lowercase();
        Self { address, helo: helo.to_vec(), local: local.to_vec(), domain }
    }
}

/// What a domain says of a host that sends in its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exemption {
    /// The host may send for it, and is not trapped for a message from it.
    Exempt(Ground),
    /// It definitely does not say so.
    NotExempt,
    /// It is unknown: no trap this time.
    Unknown,
}

/// Why a host is exempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ground {
    /// An MX of the domain has its address.
    Mx,
    /// The domain itself has its address.
    Address,
    /// An SPF pass, and not by a mechanism that is as good as `+all`: the mechanism, escaped.
    Spf(String),
}

/// What was found out about a [`Claim`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endorsement {
    /// Whether the host is exempt.
    pub exemption: Exemption,
    /// What `check_host()` returned, if it was asked and is believed.
    pub spf: Option<SpfResult>,
}

impl Endorsement {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { exemption: Exemption::Unknown, spf: None };

    /// What several messages of one host with one sender domain, but different local parts or HELO names,
    /// say together: whatever is best for the host.
    pub fn or(self, other: Self) -> Self {
        let kinder = |endorsement: &Self| match (&endorsement.exemption, endorsement.spf) {
            (Exemption::Exempt(_), _) => 0,
            (Exemption::Unknown, _) => 1,
            (Exemption::NotExempt, Some(SpfResult::Fail)) => 4,
            (Exemption::NotExempt, Some(SpfResult::SoftFail)) => 3,
            (Exemption::NotExempt, _) => 2,
        };
        if kinder(&other) < kinder(&self) { other } else { self }
    }
}
