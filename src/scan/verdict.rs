//! What a scan finds about a host: the rule that hit and its ground, or why nothing did.
//!
//! `judge` makes an [`Outcome`] for every waiting host, small and `Copy`. Of those that somebody wants to
//! see, `report` makes a [`Verdict`]: it has a life of its own, and is what the daemon's processes, its
//! socket, the log and JSON carry.

use super::rules::{Ground, Opinion, Rule};
use crate::spamd::{Address, Tuple};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// What was found about a host, why, and on what evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The host's address, as spamd wrote it.
    pub address: Address,
    /// What is to be done with it.
    pub what: What,
    /// The rule that hit; none if the host passes, or somebody traps it by hand.
    pub rule: Option<Rule>,
    /// The reason, either way, as it is logged: what came from outside is escaped in it.
    pub reason: Cow<'static, str>,
    /// On what that rests.
    pub evidence: Evidence,
}

/// What is to be done with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// It is trapped.
    Trap,
    /// It passes.
    Pass(Why),
}

/// What a verdict rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How many live tuples the host has.
    pub count: u32,
    /// What DNS answered, where that made the verdict.
    pub answer: Option<String>,
    /// The keys of the tuples that made the verdict, as many as were taken along.
    keys: Vec<Vec<u8>>,
}

impl Verdict {
    /// Somebody's own.
    pub fn by_hand(address: Address) -> Verdict {
        let (what, evidence) = (What::Trap, Evidence::default());
        Verdict { address, what, rule: None, reason: "by hand".into(), evidence }
    }

    /// The same host, which passes for another reason.
    pub fn passing(self, why: Why) -> Verdict {
        Verdict { what: What::Pass(why), rule: None, reason: why.text().into(), ..self }
    }

    /// The same for those who do not ask for tuples.
    pub fn without_tuples(&self) -> Verdict {
        let Verdict { address, reason, evidence, .. } = self;
        let Evidence { count, answer, .. } = evidence;
        let evidence = Evidence { count: *count, answer: answer.clone(), keys: Vec::new() };
        Verdict { address: address.clone(), reason: reason.clone(), evidence, ..*self }
    }

    /// Why the host passes; `None` if it is to be trapped.
    pub fn passes(&self) -> Option<Why> {
        match self.what {
            What::Pass(why) => Some(why),
            What::Trap => None,
        }
    }

    /// What is to be done with the host, in a word.
    pub fn word(&self) -> &'static str {
        match self.what {
            What::Trap => "trap",
            What::Pass(_) => "pass",
        }
    }
}

impl Evidence {
    /// Of these tuples.
    pub fn new<'t>(
        count: u32,
        answer: Option<String>,
        tuples: impl Iterator<Item = Tuple<'t>>,
    ) -> Evidence {
        Evidence { count, answer, keys: tuples.map(|tuple| tuple.encode()).collect() }
    }

    /// The tuples that made the verdict, in the file's order: the one that a rule stumbled on, those
    /// with the sender domain that takes no mail, or all that the host has.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple<'_>> {
        self.keys.iter().filter_map(|key| Tuple::decode(key)?.ok())
    }
}

/// What is to be done with a host, for as long as the image is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    Trap(Ground),
    Pass(Why),
    /// One letter is held against it, which its identity outweighs.
    Spared(Ground, Why),
    /// The host does not wait: nothing to judge.
    Absent,
}

impl Outcome {
    /// Whether a later rule may still hit.
    pub fn is_open(&self) -> bool {
        use Why::{DomainUnknown, Identity, IdentityUnknown, Nothing};
        matches!(self, Outcome::Pass(Nothing | Identity | IdentityUnknown | DomainUnknown))
    }

    /// What becomes of it by what a rule thinks of the host.
    pub fn take(&mut self, opinion: Opinion<Ground>) {
        match opinion {
            Opinion::Against(ground) => *self = Outcome::Trap(ground),
            // What is known of the host itself says more than what is not known of a domain.
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
    /// `allow` holds its address.
    Allowed,
    /// It is the machine itself.
    Own,
    /// All its tuples are from the future.
    Ahead,
    /// A rule hit, but somebody has released it, and it has live tuples from before that.
    Held,
    /// Nominated, but DNS confirms its HELO names.
    Identity,
    /// Nominated, but DNS was not asked or had no definite answer.
    IdentityUnknown,
    /// One letter was bad, but DNS confirms its HELO names.
    OneLetter,
    /// The same, but DNS was not asked about them or had no definite answer.
    OneLetterUnknown,
    /// No rule hit, but DNS had no definite answer about one of its sender domains.
    DomainUnknown,
    /// No rule hit.
    Nothing,
}

impl Why {
    /// Whether the next scan that finds a bad letter is to trap the host.
    pub fn is_warning(self) -> bool {
        matches!(self, Why::OneLetter | Why::OneLetterUnknown)
    }

    /// Whether no rule was asked.
    pub fn is_beforehand(self) -> bool {
        matches!(
            self,
            Why::Whitelisted | Why::Trapped | Why::Allowed | Why::Own | Why::Ahead | Why::Held
        )
    }

    /// In the words of the log.
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
            Why::OneLetter => "identity confirmed, one bad message is not enough",
            Why::OneLetterUnknown => "identity not known, one bad message is not enough this time",
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
