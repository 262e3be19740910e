//! Identity: whether DNS confirms a host's HELO names. In: answers. Out: questions and confirmations. This
//! module does no input or output.
//!
//! A HELO name is confirmed if it has a dot, is not an address, and either its own A or AAAA records
//! contain the host's address, or those of the host's PTR name do (forward-confirmed) and both names are in
//! the same registrable domain. The enemy chooses HELO names, so at most [`MAX_NAMES`] are checked. Only
//! definite answers count, and every doubt favours the host. A name that any network may give to its hosts
//! ([`crate::name::is_local`]) confirms nothing, whatever a resolver says.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use domain::base::Rtype;

use super::answer::{Answer, Data, List};
use super::failure::Failure;
use super::name::Name;

/// The maximum number of HELO names of one host that are checked.
pub const MAX_NAMES: usize = 8;

/// What DNS says about a HELO name, or about all HELO names of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmation {
    /// The name belongs to the host.
    Confirmed,
    /// It definitely does not.
    NotConfirmed,
    /// It is unknown: no trap.
    Unknown,
}

/// The result for a host's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// One for each of the given names, in the same order.
    pub names: Vec<Confirmation>,
}

/// A question in an inquiry, with the number for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its number.
    pub number: usize,
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: Rtype,
}

/// An inquiry about one host.
#[derive(Debug)]
pub struct Inquiry {
    address: IpAddr,
    /// The HELO names, as given.
    given: Vec<Given>,
    /// The PTR question, then the different HELO names, then other PTR names.
    questions: Vec<Question>,
    /// The questions about PTR names that could confirm a HELO name.
    witnesses: Vec<usize>,
    /// The number of unanswered questions.
    open: usize,
}

#[derive(Clone, Copy, Debug)]
enum Given {
    /// It is not a host name, or one that any network may use.
    Garbage,
    /// It is one name too many.
    Beyond,
    /// The question about its addresses.
    Asked(usize),
}

/// A name and, once answered, whether it has the host's address; for the PTR question, whether there may be
/// PTR names that were not seen.
#[derive(Debug)]
struct Question {
    name: Name,
    found: Option<Confirmation>,
}

/// The PTR question's number.
const REVERSE: usize = 0;

impl Inquiry {
    /// Begins an inquiry; `helo` are the host's HELO names.
    pub fn new<'a>(address: IpAddr, helo: impl Iterator<Item = &'a [u8]>) -> (Self, Vec<Ask>) {
        let address = address.to_canonical();
        let questions = vec![Question { name: Name::reverse(address), found: None }];
        let (given, witnesses) = (Vec::new(), Vec::new());
        let mut inquiry = Self { address, given, questions, witnesses, open: 0 };
        for text in helo {
            let given = inquiry.note(text);
            inquiry.given.push(given);
        }
        if inquiry.questions.len() == 1 {
            return (inquiry, Vec::new());
        }
        let asks = (0..inquiry.questions.len()).map(|number| inquiry.ask(number)).collect();
        (inquiry, asks)
    }

    /// Takes the answer to question `number`; returns what to ask next.
    pub fn answered(&mut self, number: usize, answer: Result<&Answer, Failure>) -> Vec<Ask> {
        let address = self.address;
        let Some(question) = self.questions.get_mut(number).filter(|q| q.found.is_none()) else {
            return Vec::new();
        };
        self.open -= 1;
        if number == REVERSE {
            let (names, found) = reverse_names(answer);
            question.found = Some(found);
            return self.call_witnesses(names);
        }
        question.found = Some(holds(answer, address));
        Vec::new()
    }

    /// The name that a question is about.
    pub fn name(&self, number: usize) -> Option<&Name> {
        self.questions.get(number).map(|question| &question.name)
    }

    /// The result, once all questions are answered.
    pub fn end(&self) -> Option<Identity> {
        (self.open == 0).then(|| Identity {
            names: self.given.iter().map(|given| self.judge(*given)).collect(),
        })
    }

    fn note(&mut self, text: &[u8]) -> Given {
        let name = Name::from_helo(text).filter(|name| !crate::name::is_local(&name.text()));
        let Some(name) = name else { return Given::Garbage };
        match self.number(&name) {
            Some(number) => Given::Asked(number),
            None if self.questions.len() > MAX_NAMES => Given::Beyond,
            None => Given::Asked(self.add(name)),
        }
    }

    /// The question about this name's addresses.
    fn number(&self, name: &Name) -> Option<usize> {
        let mut asked = self.questions.iter().enumerate().skip(1);
        asked.find(|(_, question)| question.name == *name).map(|(number, _)| number)
    }

    fn add(&mut self, name: Name) -> usize {
        self.questions.push(Question { name, found: None });
        self.questions.len() - 1
    }

    fn ask(&mut self, number: usize) -> Ask {
        self.open += 1;
        let rtype = match (number, self.address) {
            (REVERSE, _) => Rtype::PTR,
            (_, IpAddr::V4(_)) => Rtype::A,
            (_, IpAddr::V6(_)) => Rtype::AAAA,
        };
        Ask { number, name: self.questions[number].name.clone(), rtype }
    }

    /// Asks about the PTR names that are in the registrable domain of a HELO name.
    fn call_witnesses(&mut self, names: &[Name]) -> Vec<Ask> {
        let helo: Vec<_> = self.questions[1..].iter().map(|q| registrable(&q.name)).collect();
        let mut asks = Vec::new();
        for name in names.iter().filter(|name| helo.contains(&registrable(name))) {
            let number = self.number(name).unwrap_or_else(|| {
                let number = self.add(name.clone());
                asks.push(self.ask(number));
                number
            });
            self.witnesses.push(number);
        }
        asks
    }

    fn judge(&self, given: Given) -> Confirmation {
        let name = match given {
            Given::Garbage => return Confirmation::NotConfirmed,
            Given::Beyond => return Confirmation::Unknown,
            Given::Asked(number) => number,
        };
        let domain = registrable(&self.questions[name].name);
        let related = |number: &&usize| registrable(&self.questions[**number].name) == domain;
        let witnesses = self.witnesses.iter().filter(related);
        let found = |number: &usize| self.questions[*number].found.unwrap_or(Confirmation::Unknown);
        witnesses.chain([&name, &REVERSE]).map(found).fold(Confirmation::NotConfirmed, better)
    }
}

/// The PTR names in an answer, and whether there may be others.
fn reverse_names(answer: Result<&Answer, Failure>) -> (&[Name], Confirmation) {
    match answer.map(|answer| &answer.data) {
        Ok(Data::Names(List { items, more: true })) => (items, Confirmation::Unknown),
        Ok(Data::Names(List { items, more: false })) => (items, Confirmation::NotConfirmed),
        Ok(Data::NoData | Data::NxDomain) => (&[], Confirmation::NotConfirmed),
        _ => (&[], Confirmation::Unknown),
    }
}

/// Whether the answer contains the address.
fn holds(answer: Result<&Answer, Failure>, address: IpAddr) -> Confirmation {
    match answer.map(|answer| &answer.data) {
        Ok(Data::Addresses(list)) if list.items.contains(&address) => Confirmation::Confirmed,
        Ok(Data::Addresses(List { more: false, .. })) => Confirmation::NotConfirmed,
        Ok(Data::NoData | Data::NxDomain) => Confirmation::NotConfirmed,
        _ => Confirmation::Unknown,
    }
}

/// One confirmation is enough, and a possible one is enough for doubt.
fn better(one: Confirmation, other: Confirmation) -> Confirmation {
    use Confirmation::{Confirmed, NotConfirmed, Unknown};
    match (one, other) {
        (Confirmed, _) | (_, Confirmed) => Confirmed,
        (Unknown, _) | (_, Unknown) => Unknown,
        (NotConfirmed, NotConfirmed) => NotConfirmed,
    }
}

/// The registrable part of this name, or the whole name if there is none.
fn registrable(name: &Name) -> Vec<u8> {
    let mut domain = Vec::new();
    crate::name::registrable(&name.text(), &mut domain);
    domain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const HOST: &str = "192.0.2.1";

    /// The answers in a small artificial world.
    struct World(HashMap<(Vec<u8>, Rtype), Result<Answer, Failure>>);

    impl World {
        /// `PTR name` for the host's reverse name, `name address …`, `name ?` for a failure.
        fn new(zone: &[&str]) -> Self {
            let mut world = Self(HashMap::new());
            for line in zone {
                let (name, rest) = line.split_once(' ').unwrap();
                if name == "PTR" {
                    let reverse = Name::reverse(HOST.parse().unwrap()).text();
                    let names = rest.split(' ').map(|n| Name::from_domain(n.as_bytes()).unwrap());
                    let list = List { items: names.collect(), more: false };
                    world.add(reverse, Rtype::PTR, Ok(Data::Names(list)));
                } else if rest == "?" {
                    let rtype = if name.ends_with("arpa") { Rtype::PTR } else { Rtype::A };
                    world.add(name.into(), rtype, Err(Failure::Timeout));
                } else {
                    let items = rest.split(' ').filter_map(|a| a.parse().ok()).collect();
                    let list = List { items, more: rest.ends_with('+') };
                    world.add(name.into(), Rtype::A, Ok(Data::Addresses(list)));
                }
            }
            world
        }

        fn add(&mut self, name: Vec<u8>, rtype: Rtype, data: Result<Data, Failure>) {
            self.0.insert((name, rtype), data.map(|data| Answer { ttl: 1, data }));
        }

        fn inquire(&self, helo: &[&str]) -> (Identity, usize) {
            let texts = helo.iter().map(|h| h.as_bytes());
            let (mut inquiry, mut asks) = Inquiry::new(HOST.parse().unwrap(), texts);
            let mut asked = 0;
            while let Some(ask) = asks.pop() {
                assert_eq!(inquiry.end(), None);
                asked += 1;
                let nothing = Ok(Answer { ttl: 0, data: Data::NxDomain });
                let answer = self.0.get(&(ask.name.text(), ask.rtype)).unwrap_or(&nothing);
                asks.extend(inquiry.answered(ask.number, answer.as_ref().map_err(|e| *e)));
            }
            (inquiry.end().unwrap(), asked)
        }
    }

    #[track_caller]
    fn check(zone: &[&str], helo: &[&str], verdict: Confirmation) {
        let (identity, _) = World::new(zone).inquire(helo);
        assert_eq!(identity.names.last(), Some(&verdict), "{zone:?} {helo:?}");
    }

    use Confirmation::{Confirmed, NotConfirmed, Unknown};

    #[test]
    fn a_name_with_the_address_is_confirmed() {
        check(&["mx.a.example 192.0.2.9 192.0.2.1"], &["mx.a.example"], Confirmed);
        check(&["mx.a.example 192.0.2.9"], &["mx.a.example"], NotConfirmed);
        check(&[], &["mx.a.example"], NotConfirmed);
    }

    #[test]
    fn the_ptr_name_speaks_for_its_registrable_domain_if_it_leads_back() {
        let forward = ["PTR out1.a.co.uk", "out1.a.co.uk 192.0.2.1"];
        check(&forward, &["mx.a.co.uk"], Confirmed);
        check(&forward, &["mx.b.co.uk"], NotConfirmed);
        check(&["PTR out1.a.co.uk", "out1.a.co.uk 192.0.2.9"], &["mx.a.co.uk"], NotConfirmed);
        check(&forward, &["out1.a.co.uk", "mx.a.co.uk"], Confirmed);
    }

    #[test]
    fn each_name_is_confirmed_for_itself() {
        let zone = ["mx.a.example 192.0.2.1", "mx.b.example 192.0.2.1"];
        check(&zone, &["mx.a.example", "MX.b.example"], Confirmed);
        check(&zone, &["mx.a.example", "mx.c.example"], NotConfirmed);
        check(&zone, &["mx.a.example", "[192.0.2.1]"], NotConfirmed);
        let (identity, _) = World::new(&zone).inquire(&["x", "mx.b.example", "mx.c.example"]);
        assert_eq!(identity.names, [NotConfirmed, Confirmed, NotConfirmed]);
    }

    #[test]
    fn no_definite_answer_is_unknown() {
        check(&["mx.a.example ?"], &["mx.a.example"], Unknown);
        check(&["1.2.0.192.in-addr.arpa ?"], &["mx.a.example"], Unknown);
        check(
            &["mx.a.example ?", "PTR p.a.example", "p.a.example 192.0.2.1"],
            &["mx.a.example"],
            Confirmed,
        );
        check(&["PTR p.a.example", "p.a.example ?"], &["mx.a.example"], Unknown);
        check(&["PTR p.b.example", "p.b.example ?"], &["mx.a.example"], NotConfirmed);
        check(&["mx.a.example 192.0.2.9 +"], &["mx.a.example"], Unknown);
    }

    /// A resolver that knows the names of its own network, or makes up those in RFC 6761, confirms nothing.
    #[test]
    fn names_that_any_network_gives_itself_confirm_nobody() {
        for helo in
            ["localhost.localdomain", "srv1.local", "nas.home.arpa", "app.internal", "a.lan"]
        {
            let zone = [format!("{helo} {HOST}"), format!("PTR {helo}")];
            let zone: Vec<_> = zone.iter().map(String::as_str).collect();
            check(&zone, &[helo], NotConfirmed);
            assert_eq!(World::new(&zone).inquire(&[helo]).1, 0, "{helo}");
        }
    }

    #[test]
    fn the_enemy_cannot_make_us_ask_much() {
        let names: Vec<_> = (0..1000).map(|n| format!("mx{n}.a.example")).collect();
        let helo: Vec<_> = names.iter().map(String::as_str).collect();
        let (identity, asked) = World::new(&[]).inquire(&helo);
        let (asked_about, beyond) = identity.names.split_at(MAX_NAMES);
        assert!(asked_about.iter().all(|name| *name == NotConfirmed));
        assert!(beyond.iter().all(|name| *name == Unknown));
        assert_eq!(asked, MAX_NAMES + 1);
        let (_, asked) = World::new(&[]).inquire(&["localhost", "[192.0.2.1]", "192.0.2.1", ""]);
        assert_eq!(asked, 0);
        let many = (0..100).map(|n| format!(" p{n}.a.example")).collect::<String>();
        let (_, asked) = World::new(&[&format!("PTR{many}")]).inquire(&["mx.a.example"; 50]);
        // The parser of answers allows no more than this.
        assert!(asked <= 2 + 100);
    }

    #[test]
    fn ipv6_hosts_are_asked_for_aaaa() {
        let address = "2001:db8::1".parse().unwrap();
        let (_, asks) = Inquiry::new(address, [&b"mx.a.example"[..]].into_iter());
        assert_eq!(asks.iter().map(|a| a.rtype).collect::<Vec<_>>(), [Rtype::PTR, Rtype::AAAA]);
    }
}
