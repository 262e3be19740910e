//! What a scan finds about a host: the rule that hit and why, or why none did.
//!
//! `judge` makes an [`Outcome`] for every greylisted host, small and `Copy`. For those that are to be
//! shown, `report` makes a [`Verdict`], which does not borrow from the image: the daemon's processes, its
//! socket, the log and JSON all use it.

use super::given::Given;
use super::measure::Measure;
use super::rules::{Ground, Opinion, Rule};
use super::unasked::{Check, Unasked};
use crate::config::Written;
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
    /// The first rule that speaks against the host, also if it passes nevertheless; `None` if none does.
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

/// What the database says of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It is in a trap.
    Trapped,
    /// It is whitelisted.
    White,
    /// It is only greylisted.
    #[default]
    Waiting,
}

impl State {
    /// The word in listings and JSON.
    pub fn word(self) -> &'static str {
        match self {
            State::Trapped => "trapped",
            State::White => "white",
            State::Waiting => "waiting",
        }
    }
}

/// The form of [`Evidence::details`]: the order of the fields, and of the variants in them. Whoever changes
/// one of them changes this.
const FORM: u8 = 2;

/// The evidence for a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The number of live tuples of the host.
    pub count: u32,
    /// The checks that have no result.
    pub unasked: Unasked,
    /// The statements of the configuration that match the host or its recipients, as many as are included.
    pub statements: Vec<Written>,
    /// What was counted, beside the limits.
    pub measures: Vec<Measure>,
    /// The answers about the host, as many as are included.
    pub answers: Vec<Given>,
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

    /// The same verdict, but the host passes nevertheless, for this reason.
    pub fn passing(self, why: Why) -> Verdict {
        let reason = format!("{why}: {}", self.reason).into();
        Verdict { what: What::Pass(why), reason, ..self }
    }

    /// The same verdict without tuples and the other evidence that takes room.
    pub fn without_tuples(&self) -> Verdict {
        let Verdict { address, reason, evidence, .. } = self;
        let Evidence { count, unasked, .. } = *evidence;
        let evidence = Evidence { count, unasked, ..Evidence::default() };
        Verdict { address: address.clone(), reason: reason.clone(), evidence, ..*self }
    }

    /// The rule that traps the host; `None` if it passes, or is trapped by hand.
    pub fn trapping_rule(&self) -> Option<Rule> {
        self.rule.filter(|_| self.what == What::Trap)
    }

    /// Whether the host would be trapped if it were not left alone.
    pub fn is_spared_trap(&self) -> bool {
        let found = self.passes().and_then(|why| self.reason.strip_prefix(why.text()));
        self.rule.is_some() && found.is_some_and(|found| found.starts_with(": "))
    }

    /// Why the host passes; `None` if it is trapped.
    pub fn passes(&self) -> Option<Why> {
        match self.what {
            What::Pass(why) => Some(why),
            What::Trap => None,
        }
    }

    /// What the database said of the host when it was judged.
    pub fn state(&self) -> State {
        match self.what {
            What::Pass(Why::Whitelisted) => State::White,
            What::Pass(Why::Trapped) => State::Trapped,
            _ => State::Waiting,
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
    pub fn new<'t>(count: u32, tuples: impl Iterator<Item = Tuple<'t>>) -> Evidence {
        let keys = tuples.map(|tuple| tuple.encode()).collect();
        Evidence { count, keys, ..Evidence::default() }
    }

    /// Everything but the tuples as bytes, to be remembered.
    pub fn details(&self) -> Vec<u8> {
        let details = Evidence { keys: Vec::new(), ..self.clone() };
        let mut bytes = vec![FORM];
        bytes.extend(postcard::to_stdvec(&details).unwrap_or_default());
        bytes
    }

    /// Evidence of which this is remembered. Details of another form are left out.
    pub fn recall<'t>(
        count: u32,
        details: &[u8],
        tuples: impl Iterator<Item = Tuple<'t>>,
    ) -> Evidence {
        let known = match details.split_first() {
            Some((&FORM, bytes)) => postcard::from_bytes(bytes).unwrap_or_default(),
            _ => Evidence::default(),
        };
        let Evidence { keys, .. } = Evidence::new(count, tuples);
        Evidence { count, keys, ..known }
    }

    /// The tuples that the verdict rests on, in file order: the one that a rule hit, those with the sender
    /// domain that does not receive mail, or all tuples of the host.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple<'_>> {
        self.keys.iter().filter_map(|key| Tuple::decode(key)?.ok())
    }

    /// The keys of these tuples in the database.
    pub fn keys(&self) -> &[Vec<u8>] {
        &self.keys
    }
}

/// The result for a host, which is valid as long as the image is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    Trap(Ground),
    /// It passes, and no rule speaks against it.
    Pass(Why, Unasked),
    /// It passes although a rule speaks against it.
    Spared(Ground, Why, Unasked),
    /// The host is not greylisted: there is nothing to judge.
    Absent,
}

impl Outcome {
    /// Whether a later rule may still hit it.
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            Outcome::Pass(Why::Nothing, _)
                | Outcome::Spared(
                    _,
                    Why::Identity
                        | Why::IdentityUnknown
                        | Why::Exempt
                        | Why::ExemptionUnknown
                        | Why::Listed
                        | Why::ListUnknown,
                    _
                )
        )
    }

    /// The checks without a result so far.
    pub fn unasked(&self) -> Unasked {
        match self {
            Outcome::Pass(_, unasked) | Outcome::Spared(.., unasked) => *unasked,
            Outcome::Trap(_) | Outcome::Absent => Unasked::NONE,
        }
    }

    /// Applies a rule's opinion of the host.
    pub fn take(&mut self, opinion: Opinion<Ground>) {
        match opinion {
            Opinion::Against(ground) => *self = Outcome::Trap(ground),
            Opinion::Spared(..) if !self.is_open() => {}
            Opinion::Spared(ground, why) => {
                let unasked = match why {
                    Why::IdentityUnknown => self.unasked().and(Check::Identity),
                    Why::ExemptionUnknown => self.unasked().and(Check::Exemption),
                    Why::ListUnknown => self.unasked().and(Check::List),
                    _ => self.unasked(),
                };
                *self = Outcome::Spared(ground, why, unasked);
            }
            Opinion::Unasked(checks) => match self {
                Outcome::Pass(_, unasked) | Outcome::Spared(.., unasked) => {
                    *unasked = unasked.or(checks);
                }
                Outcome::Trap(_) | Outcome::Absent => {}
            },
            Opinion::Nothing => {}
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
    /// A rule hit, but `allow helo` covers its HELO name, which DNS confirms.
    AllowedName,
    /// The same, but DNS was not asked about it or had no definite answer.
    AllowedNameUnknown,
    /// It is the machine itself.
    Own,
    /// All its tuples are from the future.
    Ahead,
    /// A rule hit, but an operator has released the host, and it has live tuples from before that.
    Held,
    /// A rule hit that is only observed.
    Observed,
    /// Nominated, but DNS confirms its HELO names.
    Identity,
    /// Nominated, but DNS was not asked or had no definite answer.
    IdentityUnknown,
    /// Nominated, but the domain of its sender says that it may send its mail.
    Exempt,
    /// Nominated, but it is not known whether that domain says so.
    ExemptionUnknown,
    /// Senders in domains without a mail server, but DNS confirms its HELO names, which are in other
    /// domains: it passes on the mail of others.
    Relay,
    /// One message was bad, but DNS confirms its HELO names.
    OneMessage,
    /// The same, but DNS was not asked about them or had no definite answer.
    OneMessageUnknown,
    /// No rule hit, but checks have no result, which [`Evidence::unasked`] names.
    Unasked,
    /// No rule hit, and everything was asked and answered.
    Nothing,
    /// A rule hit, but the host is in a DNS list that spares it.
    Listed,
    /// A rule hit, but it is not known whether the host is in such a list.
    ListUnknown,
}

impl Why {
    /// Whether the next scan that finds a bad message traps the host.
    pub fn is_warning(self) -> bool {
        matches!(self, Why::OneMessage | Why::OneMessageUnknown)
    }

    /// Whether DNS has confirmed the host's identity, which outweighs what speaks against it.
    pub fn is_identity(self) -> bool {
        matches!(self, Why::Identity | Why::OneMessage)
    }

    /// Whether an exception spares the host.
    pub fn is_exception(self) -> bool {
        matches!(self, Why::Allowed | Why::AllowedName | Why::AllowedNameUnknown)
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
            Why::AllowedName => "in allow helo",
            Why::AllowedNameUnknown => "in allow helo, name not known",
            Why::Own => "an address of this machine",
            Why::Ahead => "all tuples are from the future",
            Why::Held => "released, spared until its old tuples or its time expire",
            Why::Observed => "only observed",
            Why::Identity => "identity confirmed",
            Why::IdentityUnknown => "identity not known",
            Why::Exempt => "sender's domain vouches for it",
            Why::ExemptionUnknown => "not known whether the sender's domain vouches for it",
            Why::Relay => "identity confirmed, in another domain than the sender's",
            Why::OneMessage => "identity confirmed, one bad message is not enough",
            Why::OneMessageUnknown => "identity not known, one bad message is not enough this time",
            Why::Unasked => "not everything could be checked",
            Why::Nothing => "nothing against it",
            Why::Listed => "in a list that spares it",
            Why::ListUnknown => "not known whether a list spares it",
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
