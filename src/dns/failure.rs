//! Why a question has no definite answer: the reasons for `unknown` verdicts.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::fmt;

use domain::base::iana::OptRcode;

use super::name::NameError;

/// Why a verdict is unknown. None of these may ever trap a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The text is not a name that can be looked up.
    Name(NameError),
    /// No answer after all attempts.
    Timeout,
    /// A response code that is neither NOERROR nor NXDOMAIN: SERVFAIL, REFUSED and the like.
    Rcode(#[serde(with = "rcode")] OptRcode),
    /// The answer violates RFC 1035, or contradicts itself.
    Malformed,
    /// Its CNAME records form a loop.
    CnameLoop,
    /// It has too many CNAME records.
    LongChain,
    /// The server is not authoritative and does not offer recursion.
    Lame,
    /// A referral to other servers instead of an answer, or a CNAME whose target is not in the answer.
    Referral,
    /// `MX .` in a form that RFC 7505 does not allow.
    OddNullMx,
    /// The answer was truncated, and TCP was refused or closed.
    Tcp,
    /// No name server answers.
    NoServer,
    /// The server denies the root: it has no root zone, or refuses to answer about it.
    NoRoot,
    /// It was not asked for, because too many other names in the same registrable domain were.
    Share,
    /// The time for the scan was over.
    Deadline,
    /// Denied by a server that has not proved that it can find something.
    Unproven,
    /// Denied in a scan with too many questions without a definite answer.
    Distrusted,
    /// Denied in a scan in which more than half of the hosts would be trapped by such denials.
    Outvoted,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Name(error) => return error.fmt(f),
            Self::Rcode(rcode) => return write!(f, "{rcode}"),
            Self::Timeout => "no answer",
            Self::Malformed => "malformed answer",
            Self::CnameLoop => "CNAME loop",
            Self::LongChain => "CNAME chain too long",
            Self::Lame => "lame server",
            Self::Referral => "referral",
            Self::OddNullMx => "null MX with a preference or beside other MX records",
            Self::Tcp => "truncated, and no TCP",
            Self::NoServer => "no name server answers",
            Self::NoRoot => "root denied",
            Self::Share => "too many names of one domain",
            Self::Deadline => "no time left",
            Self::Unproven => "denied by a server that has not found any domain",
            Self::Distrusted => "denied, but too many lookups failed",
            Self::Outvoted => "denied, but so are too many others",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Failure {}

/// A response code in messages between processes: its number.
mod rcode {
    use domain::base::iana::OptRcode;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(rcode: &OptRcode, serializer: S) -> Result<S::Ok, S::Error> {
        rcode.to_int().serialize(serializer)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<OptRcode, D::Error> {
        u16::deserialize(deserializer).map(OptRcode::masked_from_int)
    }
}
