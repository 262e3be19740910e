//! Whether a host is what it says it is: the questions to DNS, and what the answers mean for the host.
//!
//! A host has identity if every HELO name in its tuples is confirmed. It is anonymous if none is, and it has
//! no name of its own either ([`Answers::reverse`]). There is a [`Question`] for each host that a rule could
//! hit; the answers come through [`Answers`], one name at a time, since the rule `helo` counts names that
//! are not confirmed. HELO strings that are not host names, and names of access networks' lines, can never
//! be confirmed and are not asked about.

use super::answers::{Answers, Confirmation};
use crate::dns::identity::MAX_NAMES;
use crate::name;
use crate::spamd::Tuple;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::IpAddr;

/// Whether nothing is known of who a host is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Anonymity {
    /// DNS confirms none of its HELO names, and it has no name of its own.
    Anonymous,
    /// DNS confirms a HELO name, or the host has a name of its own.
    Named,
    /// Neither is known.
    #[default]
    Unknown,
}

/// What one name of a host says about it, if nothing else is known.
impl From<Confirmation> for Anonymity {
    fn from(confirmation: Confirmation) -> Anonymity {
        match confirmation {
            Confirmation::Confirmed => Anonymity::Named,
            Confirmation::NotConfirmed => Anonymity::Anonymous,
            Confirmation::Unknown => Anonymity::Unknown,
        }
    }
}

/// The question to DNS about a host.
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
    match lower_name(helo, address) {
        Some(name) => answers.helo(address, &name),
        None => Confirmation::NotConfirmed,
    }
}

/// Whether the host is anonymous. What has no answer in this scan is unknown, and unknown is not anonymous.
pub(super) fn anonymity<'t>(
    answers: &dyn Answers,
    address: IpAddr,
    tuples: impl Iterator<Item = Tuple<'t>>,
) -> Anonymity {
    let mut anonymity = Anonymity::from(answers.reverse(address).0);
    for name in tuples.filter_map(|tuple| lower_name(tuple.helo, address)) {
        match (anonymity, answers.helo_now(address, &name).into()) {
            (Anonymity::Named, _) => return Anonymity::Named,
            (_, Anonymity::Anonymous) => {}
            (_, other) => anonymity = other,
        }
    }
    anonymity
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
pub(super) fn can_be_confirmed<'t>(
    address: IpAddr,
    mut tuples: impl Iterator<Item = Tuple<'t>>,
) -> bool {
    tuples.all(|tuple| lower_name(tuple.helo, address).is_some())
}

impl Question {
    /// The question about a host.
    pub(super) fn new<'t>(address: IpAddr, tuples: impl Iterator<Item = Tuple<'t>>) -> Question {
        let name = |tuple: Tuple<'t>| lower_name(tuple.helo, address);
        let mut names: Vec<_> = tuples.filter_map(name).collect();
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

/// The name to ask about; `None` for a name that confirms nobody, since any network may give it to its
/// hosts, or an access network has made it of the host's address.
pub fn lower_name(helo: &[u8], address: IpAddr) -> Option<String> {
    let name = name::host_name(helo).filter(|name| !name::is_local(name))?;
    if name::is_of_line(name, address) {
        return None;
    }
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
        helo.push("192-0-2-1.four.example".into());
        let helo: Vec<_> = helo.iter().map(String::as_str).collect();
        let asked = names(&helo);
        assert_eq!(asked[..3], ["a00.one.example", "z.three.example", "z.two.example"]);
        assert_eq!((asked.len(), asked[7].as_str()), (MAX_NAMES, "a05.one.example"));
    }

    /// Names that begin with `yes.` are confirmed, those with `no.` are not; the PTR name is as given.
    struct Zone(Confirmation);

    impl Answers for Zone {
        fn helo(&self, _: IpAddr, name: &str) -> Confirmation {
            match name.split('.').next() {
                Some("yes") => Confirmation::Confirmed,
                Some("no") => Confirmation::NotConfirmed,
                _ => Confirmation::Unknown,
            }
        }

        fn domain(&self, _: &[u8]) -> Option<super::super::answers::DomainVerdict> {
            None
        }

        fn reverse(&self, _: IpAddr) -> (Confirmation, Option<&[u8]>) {
            (self.0, None)
        }
    }

    #[test]
    fn a_host_is_anonymous_if_all_answers_say_so() {
        use Anonymity::{Anonymous, Named, Unknown};
        use Confirmation::{Confirmed, NotConfirmed};
        for (own, helo, wanted, what) in [
            (NotConfirmed, &["no.a.example"][..], Anonymous, "neither name"),
            (NotConfirmed, &["localhost"], Anonymous, "no host name"),
            (NotConfirmed, &["192-0-2-1.a.example"], Anonymous, "its line's name"),
            (NotConfirmed, &["a.lan", "[192.0.2.1]", "no.a.example"], Anonymous, "several"),
            (NotConfirmed, &["yes.a.example"], Named, "HELO"),
            (NotConfirmed, &["localhost", "yes.a.example"], Named, "one of its HELO names"),
            (NotConfirmed, &["dunno.a.example", "yes.a.example"], Named, "one of them is enough"),
            (Confirmed, &["localhost"], Named, "PTR"),
            (Confirmed, &["dunno.a.example"], Named, "PTR, whatever HELO is"),
            (NotConfirmed, &["dunno.a.example"], Unknown, "silence about HELO"),
            (NotConfirmed, &["dunno.a.example", "no.a.example"], Unknown, "about one of two"),
            (Confirmation::Unknown, &["localhost"], Unknown, "silence about PTR"),
            (Confirmation::Unknown, &["no.a.example"], Unknown, "the same"),
            (Confirmation::Unknown, &["yes.a.example"], Named, "HELO, whatever PTR is"),
        ] {
            let tuples = helo.iter().map(|helo| Tuple { helo: helo.as_bytes(), ..tuple("", "") });
            let found = anonymity(&Zone(own), IpAddr::from([192, 0, 2, 1]), tuples);
            assert_eq!(found, wanted, "{what}: {helo:?}");
        }
    }
}
