//! What a scan finds about a host: the rule that hit and why, or why none did.
//!
//! `judge` makes an [`Outcome`] for every greylisted host, small and `Copy`. For those that are to be
//! shown, `report` makes a [`Verdict`], which does not borrow from the image: the daemon's processes, its
//! socket, the log and JSON all use it.

use super::rules::{Ground, Opinion, Rule};
use crate::spamd::{Address, Tuple};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The verdict on a host, with its reason and evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The host's address, as spamd wrote it.
    pub address: Address,
    /// Whether it is trapped or passes.
    pub what: What,
    /// The rule that hit; `None` if the host passes, or is trapped by hand.
    pub rule: Option<Rule>,
    /// The reason, in both cases, as it is logged; strangers' bytes are escaped.
    pub reason: Cow<'static, str>,
    /// The evidence for it.
    pub evidence: Evidence,
}

/// Whether a host is trapped or passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// It is trapped.
    Trap,
    /// It passes.
    Pass(Why),
}

/// The evidence for a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The number of live tuples of the host.
    pub count: u32,
    /// What DNS answered, if the verdict rests on that.
    pub answer: Option<String>,
    /// The keys of the tuples that the verdict rests on, as many as are included.
    keys: Vec<Vec<u8>>,
}

impl Verdict {
    /// The verdict on a host that an operator traps, with this user name.
    pub fn by_hand(address: Address, user: &str) -> Verdict {
        let (what, evidence) = (What::Trap, Evidence::default());
        let reason = format!("by hand ({user})").into();
        Verdict { address, what, rule: None, reason, evidence }
    }

    /// The same verdict, but the host passes for this reason.
    pub fn passing(self, why: Why) -> Verdict {
        Verdict { what: What::Pass(why), rule: None, reason: why.text().into(), ..self }
    }

    /// The same verdict without tuples.
    pub fn without_tuples(&self) -> Verdict {
        let Verdict { address, reason, evidence, .. } = self;
        let Evidence { count, answer, .. } = evidence;
        let evidence = Evidence { count: *count, answer: answer.clone(), keys: Vec::new() };
        Verdict { address: address.clone(), reason: reason.clone(), evidence, ..*self }
    }

    /// Why the host passes; `None` if it is trapped.
    pub fn passes(&self) -> Option<Why> {
        match self.what {
            What::Pass(why) => Some(why),
            What::Trap => None,
        }
    }

    /// `trap` or `pass`.
    pub fn word(&self) -> &'static str {
        match self.what {
            What::Trap => "trap",
            What::Pass(_) => "pass",
        }
    }
}

impl Evidence {
    /// Evidence with these tuples.
    pub fn new<'t>(
        count: u32,
        answer: Option<String>,
        tuples: impl Iterator<Item = Tuple<'t>>,
    ) -> Evidence {
        Evidence { count, answer, keys: tuples.map(|tuple| tuple.encode()).collect() }
    }

    /// The tuples that the verdict rests on, in file order: the one that a rule hit, those with the sender
    /// domain that does not receive mail, or all tuples of the host.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple<'_>> {
        self.keys.iter().filter_map(|key| Tuple::decode(key)?.ok())
    }
}

/// The result for a host, which is valid as long as the image is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    Trap(Ground),
    Pass(Why),
    /// It has one bad message, which its identity outweighs.
    Spared(Ground, Why),
    /// The host is not greylisted: there is nothing to judge.
    Absent,
}

impl Outcome {
    /// Whether a later rule may still hit it.
    pub fn is_open(&self) -> bool {
        use Why::{DomainUnknown, Identity, IdentityUnknown, Nothing};
        matches!(self, Outcome::Pass(Nothing | Identity | IdentityUnknown | DomainUnknown))
    }

    /// Applies a rule's opinion of the host.
    pub fn take(&mut self, opinion: Opinion<Ground>) {
        match opinion {
            Opinion::Against(ground) => *self = Outcome::Trap(ground),
            // What is known about the host itself says more than an unknown domain.
            Opinion::Spared(why)
                if matches!(self, Outcome::Pass(Why::Nothing))
                    || matches!(self, Outcome::Pass(Why::DomainUnknown)) =>
            {
                *self = Outcome::Pass(why);
            }
            Opinion::Spared(_) | Opinion::Nothing => {}
        }
    }
}

/// Why a host passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// It has a WHITE record.
    Whitelisted,
    /// It has a TRAPPED record.
    Trapped,
    /// `allow` contains its address.
    Allowed,
    /// It is the machine itself.
    Own,
    /// All its tuples are from the future.
    Ahead,
    /// A rule hit, but an operator has released the host, and it has live tuples from before that.
    Held,
    /// Nominated, but DNS confirms its HELO names.
    Identity,
    /// Nominated, but DNS was not asked or had no definite answer.
    IdentityUnknown,
    /// One message was bad, but DNS confirms its HELO names.
    OneMessage,
    /// The same, but DNS was not asked about them or had no definite answer.
    OneMessageUnknown,
    /// No rule hit, but DNS had no definite answer about one of its sender domains.
    DomainUnknown,
    /// No rule hit.
    Nothing,
}

impl Why {
    /// Whether the next scan that finds a bad message traps the host.
    pub fn is_warning(self) -> bool {
        matches!(self, Why::OneMessage | Why::OneMessageUnknown)
    }

    /// Whether no rule was applied.
    pub fn is_beforehand(self) -> bool {
        matches!(
            self,
            Why::Whitelisted | Why::Trapped | Why::Allowed | Why::Own | Why::Ahead | Why::Held
        )
    }

    /// The text in the log.
    pub fn text(self) -> &'static str {
        match self {
            Why::Whitelisted => "whitelisted",
            Why::Trapped => "already trapped",
            Why::Allowed => "in allow",
            Why::Own => "an address of this machine",
            Why::Ahead => "all tuples are from the future",
            Why::Held => "released, spared until its tuples from before that expire",
            Why::Identity => "identity confirmed",
            Why::IdentityUnknown => "identity not known",
            Why::OneMessage => "identity confirmed, one bad message is not enough",
            Why::OneMessageUnknown => "identity not known, one bad message is not enough this time",
            Why::DomainUnknown => "sender domain not known",
            Why::Nothing => "nothing against it",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_small() {
        assert!(size_of::<Outcome>() <= 16);
    }
}
