//! The rules, one file each, in the order in which they are asked; the first that hits decides.
//!
//! A host's tuples come in, what a rule found goes out. `syntax` and `rcpt` judge one tuple by
//! itself, so `hosts` asks them while it has the tuple at hand. `domains`, `senders` and `helo`
//! count over all tuples of a host, and only nominate: identity may set the host free. `checker` and
//! `dns` go by the answers about recipients and sender domains. The rules read nothing but their arguments and trust nothing in a tuple.

pub(super) mod checker;
pub(super) mod dns;
pub(super) mod domains;
pub(super) mod helo;
pub(super) mod rcpt;
pub(super) mod senders;
pub(super) mod syntax;

use super::sender::{Mailbox, Sender};
use crate::spamd::Tuple;
use std::fmt;

/// The name of a rule, in the rules' order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The envelope sender is no mailbox.
    Syntax,
    /// Senders of many domains.
    Domains,
    /// A sender of its own for nearly every tuple.
    Senders,
    /// HELO names of several domains.
    Helo,
    /// A recipient nobody writes to.
    Rcpt,
    /// A recipient that the external program does not know.
    Checker,
    /// A sender domain without a mail server.
    Dns,
}

impl Rule {
    /// Every rule, in order.
    pub const ALL: [Rule; 7] = [
        Rule::Syntax,
        Rule::Domains,
        Rule::Senders,
        Rule::Helo,
        Rule::Rcpt,
        Rule::Checker,
        Rule::Dns,
    ];

    /// The name in listings and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Syntax => "syntax",
            Rule::Domains => "domains",
            Rule::Senders => "senders",
            Rule::Helo => "helo",
            Rule::Rcpt => "rcpt",
            Rule::Checker => "checker",
            Rule::Dns => "dns",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A tuple that has a sender: what `domains` and `senders` count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'t> {
    pub from: Mailbox<'t>,
    pub to: &'t [u8],
}

impl<'t> Sent<'t> {
    /// `None` for null senders, which are never counted, and for what is no mailbox.
    pub fn new(tuple: &Tuple<'t>) -> Option<Sent<'t>> {
        match Sender::parse(tuple.from) {
            Sender::Mailbox(from) => Some(Sent { from, to: tuple.to }),
            Sender::Null | Sender::Cut | Sender::Invalid(_) => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A tuple with these sender and recipient.
    pub fn tuple<'t>(from: &'t str, to: &'t str) -> Tuple<'t> {
        Tuple { address: b"192.0.2.1", helo: b"", from: from.as_bytes(), to: to.as_bytes() }
    }

    /// Tuples with these senders, each to a recipient of `to` in turn.
    pub fn sent<'t>(from: &[&'t str], to: &[&'t str]) -> Vec<Sent<'t>> {
        let tuples = from.iter().zip(to.iter().cycle());
        tuples.filter_map(|(from, to)| Sent::new(&tuple(from, to))).collect()
    }
}
