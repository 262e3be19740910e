//! What DNS lists answer, if they are usable.
//!
//! In: questions, among them the test entries of each list, and the answers. Out: what a list says of a host,
//! and which lists are put aside. Each list has two test entries for each family of addresses (RFC 5782, 5).
#![forbid(unsafe_code)]

use crate::config::DnsList;
use crate::dns::listing::{Listed, Listing, Oddity};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// A zone, and whether it is about addresses of IPv6.
type Half = (String, bool);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lists {
    said: HashMap<Listing, Listed>,
    states: BTreeMap<Half, State>,
}

/// What the answers say of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Usable,
    Aside(Oddity),
    Unknown,
}

impl Lists {
    /// Combines questions and answers.
    pub fn new(questions: &[Listing], answers: Vec<Listed>) -> Lists {
        let said: HashMap<_, _> = questions.iter().cloned().zip(answers).collect();
        let mut states = BTreeMap::new();
        for listing in questions {
            let half = (listing.zone.clone(), listing.address.is_ipv6());
            states.entry(half).or_insert_with(|| state(&listing.tests(), &said));
        }
        for (listing, listed) in &said {
            let refusal = listed.answers().iter().find(|answer| DnsList::is_refusal(**answer));
            if let Some(answer) = refusal {
                let half = (listing.zone.clone(), listing.address.is_ipv6());
                states.insert(half, State::Aside(Oddity::Refuses(*answer)));
            }
        }
        Lists { said, states }
    }

    /// What a list says of a host, if it was asked.
    pub fn listed(&self, address: IpAddr, zone: &str) -> Option<Listed> {
        let said = self.said.get(&Listing { address, zone: zone.to_owned() })?;
        Some(match self.states.get(&(zone.to_owned(), address.is_ipv6()))? {
            State::Usable => said.clone(),
            State::Aside(_) => Listed::Aside,
            State::Unknown => Listed::Unknown,
        })
    }

    /// The lists that are put aside.
    pub fn aside(&self) -> Vec<(String, Oddity)> {
        let aside = self.states.iter().filter_map(|((zone, _), state)| match state {
            State::Aside(why) => Some((zone.clone(), *why)),
            State::Usable | State::Unknown => None,
        });
        aside.collect()
    }
}

/// The state of a list by its test entries: the one that it must not have, and the one that it must.
fn state([none, one]: &[Listing; 2], said: &HashMap<Listing, Listed>) -> State {
    let of = |test: &Listing| said.get(test).unwrap_or(&Listed::Unknown);
    let (of_none, of_one) = (of(none), of(one));
    let is_listed = of_one.answers().iter().any(|answer| answer.is_loopback());
    match (of_none, of_one) {
        (Listed::Answers(_), _) => State::Aside(Oddity::ListsAll(none.address)),
        (_, Listed::Answers(_)) if !is_listed => State::Aside(Oddity::LacksTest(one.address)),
        (_, Listed::Nothing) => State::Aside(Oddity::LacksTest(one.address)),
        (Listed::Nothing, Listed::Answers(_)) => State::Usable,
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "192.0.2.1";

    /// What a list says of a host, and why it is put aside, if it answers so about 127.0.0.1, 127.0.0.2 and
    /// the host: an address, `-` for nothing, `?` for no answer.
    fn ask(answers: [&str; 3]) -> (Listed, Vec<String>) {
        let listing = Listing { address: HOST.parse().unwrap(), zone: "list.example".into() };
        let questions: Vec<_> = listing.tests().into_iter().chain([listing.clone()]).collect();
        let listed = answers.map(|answer| match answer {
            "-" => Listed::Nothing,
            "?" => Listed::Unknown,
            answer => Listed::Answers(vec![answer.parse().unwrap()]),
        });
        let lists = Lists::new(&questions, listed.to_vec());
        let why = lists.aside().iter().map(|(zone, why)| format!("{zone}: {why}")).collect();
        (lists.listed(listing.address, "list.example").unwrap(), why)
    }

    #[test]
    fn a_list_is_used_only_with_its_test_entries() {
        let two = || Listed::Answers(vec!["127.0.0.2".parse().unwrap()]);
        let aside = |why: &str| (Listed::Aside, vec![format!("list.example: {why}")]);
        let all = "it lists 127.0.0.1, which no list may have";
        let lacks = "it does not list 127.0.0.2, which every list has";
        for (answers, wanted) in [
            (["-", "127.0.0.2", "127.0.0.2"], (two(), vec![])),
            (["-", "127.0.0.4", "-"], (Listed::Nothing, vec![])),
            (["-", "127.0.0.2", "?"], (Listed::Unknown, vec![])),
            (["127.0.0.2", "127.0.0.2", "127.0.0.2"], aside(all)),
            (["198.51.100.1", "198.51.100.1", "198.51.100.1"], aside(all)),
            (["127.0.0.2", "?", "-"], aside(all)),
            (["-", "-", "127.0.0.2"], aside(lacks)),
            (["?", "-", "127.0.0.2"], aside(lacks)),
            (["-", "198.51.100.1", "127.0.0.2"], aside(lacks)),
            (
                ["-", "127.0.0.2", "127.255.255.254"],
                aside("it refuses to answer (127.255.255.254)"),
            ),
            (["127.255.255.252"; 3], aside("it refuses to answer (127.255.255.252)")),
            (["?", "127.0.0.2", "127.0.0.2"], (Listed::Unknown, vec![])),
            (["-", "?", "-"], (Listed::Unknown, vec![])),
        ] {
            assert_eq!(ask(answers), wanted, "{answers:?}");
        }
    }
}
