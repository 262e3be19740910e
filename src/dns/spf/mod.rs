//! SPF: whether a domain allows a host to send its mail (RFC 7208).
//!
//! ```text
//! claim ──▶ check ──questions──▶ DNS ──answers──▶ facts ──▶ evaluate ──▶ report
//!                                                   policy, macros ──▲
//! ```
//! [`check`] is `check_host()` as a state machine, which the resolver drives. Strangers choose the policy,
//! the names that it leads to, and most of what macros stand for.
#![forbid(unsafe_code)]

pub mod check;
mod evaluate;
mod facts;
pub mod fault;
pub mod macros;
pub mod policy;
pub mod report;

use check::Subject;
pub use check::{Check, Explain};
pub use report::{Match, Problem, Report, Width};

use serde::{Deserialize, Serialize};
use std::fmt;

/// What `check_host()` returns (RFC 7208 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SpfResult {
    /// The domain has no policy, or there is no domain.
    None,
    /// The domain says nothing about the host.
    Neutral,
    /// The host may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// DNS gives no answer for now.
    TempError,
    /// The policy cannot be interpreted.
    PermError,
}

impl SpfResult {
    /// The word in RFC 7208 2.6.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
