//! Whether a host is who it says it is: what is asked of DNS, and what the answers mean for the host.
//!
//! A host has identity when every HELO name it waits with is confirmed. The questions go out with
//! [`Question`], one a nominee; whoever can ask DNS answers through [`Answers`], one name at a time,
//! since the rule `helo` counts the names that are not confirmed. HELO strings that are no host names
//! can never be confirmed and are not asked about.

use super::name;
use crate::spamd::Tuple;
use std::net::IpAddr;

/// What DNS is to be asked about a nominated host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The host's address.
    pub address: IpAddr,
    /// The names it gave in HELO, each once, in lower case, sorted; at least one dot in each.
    pub names: Vec<String>,
}

/// What DNS says about a HELO name of a host.
///
/// A name is confirmed when its own addresses hold the host's, or when those of the host's PTR name do
/// and both names share a registrable domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// It is.
    Confirmed,
    /// It is not; every answer needed was definite.
    NotConfirmed,
    /// No definite answer, or never asked.
    Unknown,
}

/// The answers to a scan's [`Question`]s.
pub trait Answers {
    /// What is known of `name`, given by the host with this address.
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation;
}

/// What DNS says about the HELO string of a tuple.
pub(super) fn of_helo(answers: &dyn Answers, address: IpAddr, helo: &[u8]) -> Confirmation {
    match lower_name(helo) {
        Some(name) => answers.helo(address, &name),
        None => Confirmation::NotConfirmed,
    }
}

/// Whether the host has identity: one name that is not confirmed denies it, whatever the others are.
pub(super) fn of_host<'t>(
    answers: &dyn Answers,
    address: IpAddr,
    tuples: impl Iterator<Item = Tuple<'t>>,
) -> Confirmation {
    let mut identity = Confirmation::Confirmed;
    for tuple in tuples {
        match of_helo(answers, address, tuple.helo) {
            Confirmation::NotConfirmed => return Confirmation::NotConfirmed,
            Confirmation::Unknown => identity = Confirmation::Unknown,
            Confirmation::Confirmed => {}
        }
    }
    identity
}

impl Question {
    /// What to ask about a host.
    pub(super) fn new<'t>(address: IpAddr, tuples: impl Iterator<Item = Tuple<'t>>) -> Question {
        let mut names: Vec<_> = tuples.filter_map(|tuple| lower_name(tuple.helo)).collect();
        names.sort_unstable();
        names.dedup();
        Question { address, names }
    }
}

fn lower_name(helo: &[u8]) -> Option<String> {
    let name = name::host_name(helo)?;
    str::from_utf8(name).ok().map(str::to_ascii_lowercase)
}
