//! Why a question has no definite answer: what every `unknown` verdict is made of.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::fmt;

use domain::base::iana::OptRcode;

use super::name::NameError;

/// The reason why nothing is known. None of these may ever trap a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The text is no name to be asked for.
    Name(NameError),
    /// No answer within all attempts.
    Timeout,
    /// A response code that is neither NOERROR nor NXDOMAIN: SERVFAIL, REFUSED and the like.
    Rcode(#[serde(with = "rcode")] OptRcode),
    /// The answer does not keep to RFC 1035, or contradicts itself.
    Malformed,
    /// Its CNAME records go round in a circle.
    CnameLoop,
    /// More CNAME records than anybody follows.
    LongChain,
    /// The server neither is an authority nor offers recursion.
    Lame,
    /// A pointer to other servers in place of an answer, or a CNAME that leads out of the answer.
    Referral,
    /// `MX .` in a way that RFC 7505 does not know.
    OddNullMx,
    /// Truncated, and TCP refused or closed.
    Tcp,
    /// No name server answers.
    NoServer,
    /// The root is denied: by a server that has no root zone, or does not want to talk about it.
    NoRoot,
    /// So many other names of the same registrable domain were asked for that this one was not.
    Share,
    /// The scan's time was over.
    Deadline,
    /// Denied by a server that has not shown that it can say anything else.
    Unproven,
    /// Denied in a scan in which too many questions had no definite answer.
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

/// A response code among processes: its number.
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
