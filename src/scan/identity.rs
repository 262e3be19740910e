//! Whether a host is what it says it is: the questions to DNS, and what the answers mean for the host.
//!
//! A host has identity if every HELO name in its tuples is confirmed. There is a [`Question`] for each
//! nominee; the answers come through [`Answers`], one name at a time, since the rule `helo` counts names
//! that are not confirmed. HELO strings that are not host names can never be confirmed and are not asked
//! about.

use super::answers::{Answers, Confirmation};
use crate::dns::identity::MAX_NAMES;
use crate::name;
use crate::spamd::Tuple;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::IpAddr;

/// The question to DNS about a nominated host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The host's address.
    pub address: IpAddr,
    /// Its HELO names, each once, in lower case and with at least one dot; at most [`MAX_NAMES`], in as
    /// many registrable domains as possible.
    pub names: Vec<String>,
}

/// What DNS says about a HELO string.
pub(super) fn of_helo(answers: &dyn Answers, address: IpAddr, helo: &[u8]) -> Confirmation {
    match lower_name(helo) {
        Some(name) => answers.helo(address, &name),
        None => Confirmation::NotConfirmed,
    }
}

/// Whether the host has identity: a single name that is not confirmed denies it.
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

/// Whether DNS could confirm all HELO names of a host.
pub(super) fn can_be_confirmed<'t>(mut tuples: impl Iterator<Item = Tuple<'t>>) -> bool {
    tuples.all(|tuple| lower_name(tuple.helo).is_some())
}

impl Question {
    /// The question about a host.
    pub(super) fn new<'t>(address: IpAddr, tuples: impl Iterator<Item = Tuple<'t>>) -> Question {
        let mut names: Vec<_> = tuples.filter_map(|tuple| lower_name(tuple.helo)).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > MAX_NAMES {
            one_of_each_domain_first(&mut names);
            names.truncate(MAX_NAMES);
        }
        Question { address, names }
    }
}

/// Many names of one domain must not hide those of another.
fn one_of_each_domain_first(names: &mut Vec<String>) {
    let mut seen = HashSet::new();
    let is_first = |name: &String| {
        let mut domain = Vec::new();
        name::registrable(name.as_bytes(), &mut domain);
        seen.insert(domain)
    };
    let (mut firsts, others): (Vec<_>, Vec<_>) = names.drain(..).partition(is_first);
    firsts.extend(others);
    *names = firsts;
}

/// The name to ask about; `None` for a name that any network may give to its hosts, which confirms nothing.
pub fn lower_name(helo: &[u8]) -> Option<String> {
    let name = name::host_name(helo).filter(|name| !name::is_local(name))?;
    str::from_utf8(name).ok().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::tuple;
    use super::*;

    fn names(helo: &[&str]) -> Vec<String> {
        let tuples = helo.iter().map(|helo| Tuple { helo: helo.as_bytes(), ..tuple("", "") });
        Question::new(IpAddr::from([192, 0, 2, 1]), tuples).names
    }

    #[test]
    fn many_names_of_one_domain_do_not_hide_another() {
        let mut helo: Vec<_> = (0..20).map(|n| format!("a{n:02}.one.example")).collect();
        helo.extend(["z.two.example".into(), "Z.three.example".into(), "localhost".into()]);
        let helo: Vec<_> = helo.iter().map(String::as_str).collect();
        let asked = names(&helo);
        assert_eq!(asked[..3], ["a00.one.example", "z.three.example", "z.two.example"]);
        assert_eq!((asked.len(), asked[7].as_str()), (MAX_NAMES, "a05.one.example"));
    }
}
