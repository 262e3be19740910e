//! Identity: whether DNS confirms a host's HELO names, and whether the host has a name of its own. In:
//! answers. Out: questions and confirmations. This module does no input or output.
//!
//! A HELO name is confirmed if it has a dot, is not an address, and either its own A or AAAA records
//! contain the host's address, or those of the host's PTR name do (forward-confirmed) and both names are in
//! the same registrable domain. Two kinds of names confirm nothing, whatever a resolver says: those that
//! any network may give to its hosts ([`crate::name::is_local`]), and those of an access network's line
//! ([`crate::name::is_of_line`]), which confirm themselves.
//!
//! A host has a name of its own if one of its PTR names is forward-confirmed and does not hold three octets
//! of its address ([`crate::name::holds_address`]).
//!
//! The enemy chooses HELO names and, with a reverse zone, PTR names, so at most [`MAX_NAMES`] of the former
//! and a few of the latter are asked about. Only definite answers count, and every doubt favours the host.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use domain::base::Rtype;

use super::answer::{Answer, Data, List};
use super::failure::Failure;
use super::name::Name;
use crate::name::{Held, holds_address};

/// The maximum number of HELO names of one host that are checked.
pub const MAX_NAMES: usize = 8;

/// The maximum number of PTR names of one host that are asked about, not counting those in a registrable
/// domain of its HELO names. Hosts that are known by several names seldom have more than two.
pub const MAX_PTR_NAMES: usize = 4;

/// What DNS says about a HELO name, or about all HELO names of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmation {
    /// The name belongs to the host.
    Confirmed,
    /// It definitely does not.
    NotConfirmed,
    /// It is unknown: no trap.
    #[default]
    Unknown,
}

/// What DNS says about the names that a host's address leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverse {
    /// Whether the host has a name of its own: confirmed if it has, not confirmed if it has no PTR name, or
    /// none that leads back to it and is not made of its address.
    pub own: Confirmation,
    /// That name, or the first PTR name: strangers' bytes, in lower case.
    pub name: Option<Vec<u8>>,
}

/// The result for a host's names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// One for each of the given names, in the same order.
    pub names: Vec<Confirmation>,
    /// Whether the registrable domain of each of them definitely does not exist.
    pub gone: Vec<bool>,
    /// What the address leads to.
    pub reverse: Reverse,
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
    /// The PTR question, then the different HELO names, then PTR names and registrable domains.
    questions: Vec<Question>,
    /// The PTR names in an answer, as many as are used, and whether there may be others.
    reverse: Vec<Name>,
    /// The questions about PTR names that could confirm a HELO name.
    witnesses: Vec<usize>,
    /// The questions about PTR names that could be the host's own.
    owners: Vec<usize>,
    /// Whether there may be PTR names that are not asked about.
    has_more: bool,
    /// For a question about a HELO name that does not exist, those about its registrable domain: by A and by
    /// AAAA, since some servers deny a name that has no records of the type.
    above: Vec<(usize, [usize; 2])>,
    /// The number of unanswered questions.
    open: usize,
}

#[derive(Clone, Copy, Debug)]
enum Given {
    /// It is not a host name, or one that confirms nobody.
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
    kind: Kind,
    found: Option<Confirmation>,
    /// Whether the answer was that there is no such name.
    is_gone: bool,
}

/// What a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ptr,
    /// An address of the host's kind.
    Address,
    /// One of the other kind.
    OtherAddress,
}

impl Question {
    fn new(name: Name, kind: Kind) -> Question {
        Question { name, kind, found: None, is_gone: false }
    }
}

/// The PTR question's number.
const REVERSE: usize = 0;

impl Inquiry {
    /// Begins an inquiry; `helo` are the host's HELO names.
    pub fn new<'a>(address: IpAddr, helo: impl Iterator<Item = &'a [u8]>) -> (Self, Vec<Ask>) {
        let address = address.to_canonical();
        let mut inquiry = Self {
            address,
            given: Vec::new(),
            questions: vec![Question::new(Name::reverse(address), Kind::Ptr)],
            reverse: Vec::new(),
            witnesses: Vec::new(),
            owners: Vec::new(),
            has_more: false,
            above: Vec::new(),
            open: 0,
        };
        for text in helo {
            let given = inquiry.note(text);
            inquiry.given.push(given);
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
            self.reverse = names.to_vec();
            return self.call_witnesses();
        }
        question.found = Some(holds(answer, address));
        question.is_gone = answer.is_ok_and(|answer| answer.data == Data::NxDomain);
        if question.is_gone { self.ask_above(number) } else { Vec::new() }
    }

    /// The name that a question is about.
    pub fn name(&self, number: usize) -> Option<&Name> {
        self.questions.get(number).map(|question| &question.name)
    }

    /// The result, once all questions are answered.
    pub fn end(&self) -> Option<Identity> {
        (self.open == 0).then(|| Identity {
            names: self.given.iter().map(|given| self.judge(*given)).collect(),
            gone: self.given.iter().map(|given| self.is_gone(*given)).collect(),
            reverse: self.reverse(),
        })
    }

    fn note(&mut self, text: &[u8]) -> Given {
        let name = Name::from_helo(text).filter(|name| self.can_confirm(name));
        let Some(name) = name else { return Given::Garbage };
        match self.number(&name, Kind::Address) {
            Some(number) => Given::Asked(number),
            None if self.questions.len() > MAX_NAMES => Given::Beyond,
            None => Given::Asked(self.add(name, Kind::Address)),
        }
    }

    /// Whether a name can tell who the host is.
    fn can_confirm(&self, name: &Name) -> bool {
        let text = name.text();
        !crate::name::is_local(&text) && !crate::name::is_of_line(&text, self.address)
    }

    /// Whether a PTR name that leads back to the host would be a name of its own.
    fn can_be_own(&self, name: &Name) -> bool {
        let text = name.text();
        !crate::name::is_local(&text) && holds_address(&text, self.address) == Held::Little
    }

    /// The question of this kind about this name.
    fn number(&self, name: &Name, kind: Kind) -> Option<usize> {
        let is_it = |question: &Question| question.name == *name && question.kind == kind;
        self.questions.iter().position(is_it)
    }

    fn add(&mut self, name: Name, kind: Kind) -> usize {
        self.questions.push(Question::new(name, kind));
        self.questions.len() - 1
    }

    fn ask(&mut self, number: usize) -> Ask {
        self.open += 1;
        let rtype = match (self.questions[number].kind, self.address) {
            (Kind::Ptr, _) => Rtype::PTR,
            (Kind::Address, IpAddr::V4(_)) | (Kind::OtherAddress, IpAddr::V6(_)) => Rtype::A,
            (Kind::Address, IpAddr::V6(_)) | (Kind::OtherAddress, IpAddr::V4(_)) => Rtype::AAAA,
        };
        Ask { number, name: self.questions[number].name.clone(), rtype }
    }

    /// The question of this kind about this name, which is asked if it is a new one.
    fn find(&mut self, name: &Name, kind: Kind, asks: &mut Vec<Ask>) -> usize {
        self.number(name, kind).unwrap_or_else(|| {
            let number = self.add(name.clone(), kind);
            asks.push(self.ask(number));
            number
        })
    }

    /// Asks about the PTR names that are in the registrable domain of a HELO name, and about a few that may
    /// be the host's own.
    fn call_witnesses(&mut self) -> Vec<Ask> {
        let asked = self.questions[1..].iter();
        let helo: Vec<_> = asked.map(|question| registrable(&question.name)).collect();
        let mut asks = Vec::new();
        for name in self.reverse.clone() {
            let is_witness = self.can_confirm(&name) && helo.contains(&registrable(&name));
            let has_room = asks.len() < MAX_PTR_NAMES;
            let is_owner = self.can_be_own(&name);
            if is_witness {
                let number = self.find(&name, Kind::Address, &mut asks);
                self.witnesses.push(number);
            }
            if is_owner && (is_witness || has_room) {
                let number = self.find(&name, Kind::Address, &mut asks);
                self.owners.push(number);
            }
            self.has_more |= is_owner && !is_witness && !has_room;
        }
        asks
    }

    /// Asks whether the registrable domain of a HELO name that does not exist does.
    fn ask_above(&mut self, number: usize) -> Vec<Ask> {
        let is_helo = |given: &Given| matches!(given, Given::Asked(asked) if *asked == number);
        if !self.given.iter().any(is_helo) || self.above.iter().any(|(name, _)| *name == number) {
            return Vec::new();
        }
        let mut asks = Vec::new();
        if let Ok(domain) = Name::from_domain(&registrable(&self.questions[number].name)) {
            let kinds = [Kind::Address, Kind::OtherAddress];
            let both = kinds.map(|kind| self.find(&domain, kind, &mut asks));
            self.above.push((number, both));
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
        let found = |number: &usize| self.found(*number);
        witnesses.chain([&name, &REVERSE]).map(found).fold(Confirmation::NotConfirmed, better)
    }

    fn found(&self, number: usize) -> Confirmation {
        self.questions[number].found.unwrap_or(Confirmation::Unknown)
    }

    /// Whether there is no such name, and no such registrable domain.
    fn is_gone(&self, given: Given) -> bool {
        let Given::Asked(number) = given else { return false };
        let above = self.above.iter().find(|(name, _)| *name == number);
        above.is_some_and(|(_, both)| both.iter().all(|above| self.questions[*above].is_gone))
    }

    fn reverse(&self) -> Reverse {
        let owner =
            self.owners.iter().find(|number| self.found(**number) == Confirmation::Confirmed);
        let name = owner.map(|number| &self.questions[*number].name).or(self.reverse.first());
        let found = self.owners.iter().map(|number| self.found(*number));
        let own = match found.fold(self.found(REVERSE), better) {
            Confirmation::NotConfirmed if self.has_more => Confirmation::Unknown,
            own => own,
        };
        Reverse { own, name: name.map(Name::text) }
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
                } else if rest == "AAAA" {
                    world.add(name.into(), Rtype::AAAA, Ok(Data::NoData));
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
            assert_eq!(World::new(&zone).inquire(&[helo]).1, 1, "{helo}");
        }
    }

    /// The name of a line leads back to it, whoever uses the line.
    #[test]
    fn names_made_of_the_address_confirm_nobody() {
        let line = ["PTR 192-0-2-1.a.example", "192-0-2-1.a.example 192.0.2.1"];
        check(&line, &["192-0-2-1.a.example"], NotConfirmed);
        check(&line, &["mx.a.example"], NotConfirmed);
        assert_eq!(World::new(&line).inquire(&["192-0-2-1.a.example"]).1, 1, "nothing but PTR");
        check(&["c0000201.a.example 192.0.2.1"], &["c0000201.a.example"], NotConfirmed);
        let named = ["mx.a.example 192.0.2.1", "PTR 192-0-2-1.a.example"];
        check(&named, &["mx.a.example"], Confirmed);
        let service = ["PTR mail-192-0-2-1.a.example", "mail-192-0-2-1.a.example 192.0.2.1"];
        check(&service, &["mail-192-0-2-1.a.example"], Confirmed);
        check(&service, &["mx.a.example"], Confirmed);
        let three = ["PTR 0-2-1.a.example", "0-2-1.a.example 192.0.2.1"];
        check(&three, &["0-2-1.a.example"], Confirmed);
    }

    #[test]
    fn a_host_may_have_a_name_of_its_own() {
        let many = (0..=MAX_PTR_NAMES).map(|n| format!(" p{n}.x.example")).collect::<String>();
        let many = format!("PTR{many}");
        let last = format!("p{MAX_PTR_NAMES}.x.example 192.0.2.1");
        for (zone, own, name, what) in [
            (&["PTR p.x.example", "p.x.example 192.0.2.1"][..], Confirmed, "p.x.example", "it has"),
            (&[], NotConfirmed, "", "no PTR name"),
            (&["PTR p.x.example"], NotConfirmed, "p.x.example", "it leads nowhere"),
            (
                &["PTR p.x.example", "p.x.example 192.0.2.9"],
                NotConfirmed,
                "p.x.example",
                "it leads to another",
            ),
            (
                &["PTR 192-0-2-1.x.example", "192-0-2-1.x.example 192.0.2.1"],
                NotConfirmed,
                "192-0-2-1.x.example",
                "the line's name",
            ),
            (
                &["PTR 0-2-1.x.example", "0-2-1.x.example 192.0.2.1"],
                NotConfirmed,
                "0-2-1.x.example",
                "three octets",
            ),
            (
                &["PTR mail-192-0-2-1.x.example", "mail-192-0-2-1.x.example 192.0.2.1"],
                NotConfirmed,
                "mail-192-0-2-1.x.example",
                "a word of mail service does not make it the host's own",
            ),
            (
                &["PTR c0000201.x.example", "c0000201.x.example 192.0.2.1"],
                NotConfirmed,
                "c0000201.x.example",
                "hexadecimal",
            ),
            (
                &["PTR 2-1.x.example", "2-1.x.example 192.0.2.1"],
                Confirmed,
                "2-1.x.example",
                "two octets",
            ),
            (
                &["PTR 192-0-2-1.x.example p.x.example", "p.x.example 192.0.2.1"],
                Confirmed,
                "p.x.example",
                "one of two",
            ),
            (&["PTR p.x.example", "p.x.example ?"], Unknown, "p.x.example", "no answer"),
            (&["1.2.0.192.in-addr.arpa ?"], Unknown, "", "no answer about PTR"),
            (
                &["PTR p.x.example q.x.example", "p.x.example ?", "q.x.example 192.0.2.1"],
                Confirmed,
                "q.x.example",
                "one is enough",
            ),
            (&["PTR p.x.example", "p.x.example 192.0.2.9 +"], Unknown, "p.x.example", "more"),
            (&["PTR p.lan", "p.lan 192.0.2.1"], NotConfirmed, "p.lan", "any network's"),
            (&["PTR p"], NotConfirmed, "p", "one label"),
            (&[&many], Unknown, "p0.x.example", "too many to ask about"),
            (&[&many, &last], Unknown, "p0.x.example", "too many to ask about"),
            (&[&many, "p1.x.example 192.0.2.1"], Confirmed, "p1.x.example", "one of many"),
        ] {
            for helo in [&[][..], &["localhost"], &["mx.a.example"]] {
                let (Identity { reverse, .. }, asked) = World::new(zone).inquire(helo);
                let found = reverse.name.map(|name| String::from_utf8(name).unwrap());
                assert_eq!(
                    (reverse.own, found.unwrap_or_default().as_str()),
                    (own, name),
                    "{what}"
                );
                assert!(asked <= 1 + 3 + MAX_PTR_NAMES, "{what}: {asked}");
            }
        }
    }

    #[test]
    fn a_registrable_domain_may_not_exist() {
        let gone = |zone: &[&str], helo: &[&str]| World::new(zone).inquire(helo).0.gone;
        assert_eq!(gone(&[], &["mx.a.example"]), [true]);
        assert_eq!(gone(&[], &["a.example", "localhost", "x.a.example"]), [true, false, true]);
        assert_eq!(gone(&["a.example 192.0.2.9"], &["mx.a.example"]), [false]);
        assert_eq!(gone(&["a.example ?"], &["mx.a.example"]), [false]);
        assert_eq!(gone(&["mx.a.example ?"], &["mx.a.example"]), [false]);
        assert_eq!(gone(&["a.example AAAA"], &["mx.a.example"]), [false], "denied for one type");
        let (_, asked) = World::new(&[]).inquire(&["x.a.example", "y.a.example"]);
        assert_eq!(asked, 5, "PTR, both, and the domain once for each type");
    }

    #[test]
    fn the_enemy_cannot_make_us_ask_much() {
        let names: Vec<_> = (0..1000).map(|n| format!("mx{n}.a.example")).collect();
        let helo: Vec<_> = names.iter().map(String::as_str).collect();
        let (identity, asked) = World::new(&[]).inquire(&helo);
        let (asked_about, beyond) = identity.names.split_at(MAX_NAMES);
        assert!(asked_about.iter().all(|name| *name == NotConfirmed));
        assert!(beyond.iter().all(|name| *name == Unknown));
        assert_eq!(asked, 1 + MAX_NAMES + 2);
        let (_, asked) = World::new(&[]).inquire(&["localhost", "[192.0.2.1]", "192.0.2.1", ""]);
        assert_eq!(asked, 1, "PTR");
        let many = (0..100).map(|n| format!(" p{n}.a.example")).collect::<String>();
        let (_, asked) = World::new(&[&format!("PTR{many}")]).inquire(&["mx.a.example"; 50]);
        // The parser of answers allows no more than this.
        assert!(asked <= 4 + 100);
    }

    #[test]
    fn ipv6_hosts_are_asked_for_aaaa() {
        let address = "2001:db8::1".parse().unwrap();
        let (_, asks) = Inquiry::new(address, [&b"mx.a.example"[..]].into_iter());
        assert_eq!(asks.iter().map(|a| a.rtype).collect::<Vec<_>>(), [Rtype::PTR, Rtype::AAAA]);
    }
}
