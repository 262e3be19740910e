//! What is wrong with a policy: the reasons for `permerror`.
#![forbid(unsafe_code)]

use std::fmt;

/// Why a policy cannot be interpreted (RFC 7208 4.6 and 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than [`MAX_TEXT`](crate::dns::text::MAX_TEXT).
    Long,
    /// It has a character that may not be there, or one that is not ASCII.
    Character,
    /// A mechanism that does not exist.
    Mechanism,
    /// A mechanism that has no argument and needs one, or has one that it does not take.
    Argument,
    /// A name that does not end in a top-level label or a macro.
    Name,
    /// A macro that does not exist.
    Macro,
    /// An address that is none.
    Address,
    /// The length of a prefix that is none.
    Prefix,
    /// `redirect` or `exp` stands there twice.
    Twice,
    /// The domain has more than one policy.
    Policies,
    /// `include` or `redirect` leads to a domain without a policy.
    NoPolicy,
    /// More than ten terms ask DNS.
    Terms,
    /// More than two terms ask DNS about something that does not exist.
    Voids,
    /// `mx` leads to a domain with more than ten MX records.
    Exchanges,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "policy too long",
            Self::Character => "character that is not allowed",
            Self::Mechanism => "unknown mechanism",
            Self::Argument => "argument missing or not allowed",
            Self::Name => "name without a top-level domain",
            Self::Macro => "wrong macro",
            Self::Address => "wrong address",
            Self::Prefix => "wrong prefix length",
            Self::Twice => "modifier given twice",
            Self::Policies => "more than one policy",
            Self::NoPolicy => "include or redirect of a domain without a policy",
            Self::Terms => "more than 10 terms ask DNS",
            Self::Voids => "more than 2 terms find nothing in DNS",
            Self::Exchanges => "more than 10 MX records",
        })
    }
}

impl std::error::Error for Fault {}
