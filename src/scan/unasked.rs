//! The checks of a host that have no result: nobody was asked, or there was no definite answer.
//!
//! A rule whose check has no result cannot speak against a host, so a host that passes may pass only for
//! that. Every verdict says which checks these are. The rules report them, `judge` collects them.

use serde::{Deserialize, Serialize};

/// Something that is checked about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The envelope senders: spamd has cut one short.
    Sender,
    /// The envelope recipients: the same.
    RecipientText,
    /// The sender domains, in DNS.
    SenderDomain,
    /// The recipients, by the external program.
    Recipient,
    /// The HELO and PTR names, in DNS.
    Identity,
    /// Whether the sender domains vouch for the host, in DNS: MX, address and SPF.
    Exemption,
    /// Whether the host is in a DNS list.
    List,
}

impl Check {
    /// Every check, in the order in which it is listed.
    pub const ALL: [Check; 7] = [
        Check::Sender,
        Check::RecipientText,
        Check::SenderDomain,
        Check::Recipient,
        Check::Identity,
        Check::Exemption,
        Check::List,
    ];

    /// That it has no result, as it is logged.
    pub fn text(self) -> &'static str {
        match self {
            Check::Sender => "sender cut short",
            Check::RecipientText => "recipient cut short",
            Check::SenderDomain => "sender domain not known",
            Check::Recipient => "recipient not checked",
            Check::Identity => "identity not known",
            Check::Exemption => "exemption not known",
            Check::List => "list not known",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Check::Sender => 1,
            Check::RecipientText => 2,
            Check::SenderDomain => 4,
            Check::Recipient => 8,
            Check::Identity => 16,
            Check::Exemption => 32,
            Check::List => 64,
        }
    }
}

/// The checks of a host without a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unasked(u8);

impl Unasked {
    /// None of them: everything was asked, and answered.
    pub const NONE: Unasked = Unasked(0);

    /// These, and `check`.
    #[must_use]
    pub fn and(self, check: Check) -> Unasked {
        Unasked(self.0 | check.bit())
    }

    /// Whether everything was asked and answered.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// The checks, in order.
    pub fn iter(self) -> impl Iterator<Item = Check> {
        Check::ALL.into_iter().filter(move |check| self.0 & check.bit() != 0)
    }

    /// Whether this is one of them.
    pub fn has(self, check: Check) -> bool {
        self.0 & check.bit() != 0
    }

    /// These and the others.
    #[must_use]
    pub fn or(self, others: Unasked) -> Unasked {
        Unasked(self.0 | others.0)
    }

    /// All of them, as they are logged.
    pub fn text(self) -> String {
        self.iter().map(Check::text).collect::<Vec<_>>().join(", ")
    }
}

impl From<Check> for Unasked {
    fn from(check: Check) -> Unasked {
        Unasked::NONE.and(check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_listed_once_in_order() {
        let some = Unasked::NONE.and(Check::Identity).and(Check::Sender).and(Check::Identity);
        assert_eq!(some.iter().collect::<Vec<_>>(), [Check::Sender, Check::Identity]);
        assert_eq!(some.text(), "sender cut short, identity not known");
        assert!(!some.is_empty() && Unasked::NONE.is_empty());
        let all = Check::ALL.into_iter().fold(Unasked::NONE, Unasked::and);
        assert_eq!(all.iter().collect::<Vec<_>>(), Check::ALL);
    }
}
