//! Decides whether a name server is believed when it denies something: only if it has proved that it can
//! say yes.
//!
//! A server that knows only its own root (a closed network, a filter, a broken forwarder) answers all
//! questions properly with no. So the resolver remembers for each scan which servers have found something,
//! and for each verdict which servers made the denials that it rests on.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Data};
use super::name::Name;

/// A bit for each server; [`super::mux::MAX_SERVERS`] keeps their numbers in range.
type Servers = u16;

/// The denials that a verdict rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// The servers that denied; none if an earlier scan has proved the denial.
    servers: Servers,
    /// Whether one of them did not name the zone: a denial without a SOA record, which RFC 2308, 3,
    /// requires, or with a TTL of 0.
    is_bare: bool,
}

/// What servers have proved since the scan began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Servers that found something.
    able: Servers,
    /// Servers that answered the control query `. NS` properly.
    fit: Servers,
    /// Whether domains that must exist are asked for.
    is_tried: bool,
}

impl Denial {
    /// Adds the denial in an answer of the server with this number, if there is one.
    pub fn add(&mut self, answer: &Answer, server: usize) {
        if answer.is_denial() {
            self.servers |= bit(server);
            self.is_bare |= answer.ttl == 0;
        }
    }
}

impl Proof {
    /// Nothing is proved yet; `is_tried` says whether domains that must exist are asked for.
    pub fn begin(is_tried: bool) -> Self {
        Self { is_tried, ..Self::default() }
    }

    /// Adds the numbers of the servers that answered the control query properly.
    pub fn with_fit(self, numbers: impl Iterator<Item = usize>) -> Self {
        Self { fit: numbers.fold(0, |servers, number| servers | bit(number)), ..self }
    }

    /// Notes an answer of the server with this number.
    ///
    /// Anything found counts, except what a server may make up by itself (RFC 6761, 6.3; RFC 6303): names
    /// that any network may give to its hosts, and names of addresses.
    pub fn note(&mut self, name: &Name, answer: &Answer, server: usize) {
        let is_there = matches!(answer.data, Data::Exchange(_) | Data::Addresses(_));
        if is_there && self.able & bit(server) == 0 && !crate::name::is_local(&name.text()) {
            self.able |= bit(server);
        }
    }

    /// Whether any server has found something.
    pub fn is_given(&self) -> bool {
        self.able != 0
    }

    /// Whether a denial counts. If no server has found anything, it does not count if domains that must
    /// exist were asked for. If no such domain is known (all recipients are in special-use domains, or this
    /// is a single lookup), the control query stands in, and the denial must name the zone.
    pub fn believes(&self, denial: Denial) -> bool {
        if self.is_given() {
            denial.servers & !self.able == 0
        } else {
            !self.is_tried && !denial.is_bare && denial.servers & !self.fit == 0
        }
    }
}

fn bit(server: usize) -> Servers {
    1_u16.checked_shl(u32::try_from(server).unwrap_or(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::answer::List;
    use super::*;

    fn denied(server: usize, ttl: u32) -> Denial {
        let mut denial = Denial::default();
        denial.add(&Answer { ttl, data: Data::NxDomain }, server);
        denial
    }

    fn found(proof: &mut Proof, name: &str, data: Data, server: usize) {
        let name = Name::from_domain(name.as_bytes()).unwrap();
        proof.note(&name, &Answer { ttl: 9, data }, server);
    }

    #[test]
    fn who_has_found_something_may_deny_and_nobody_else() {
        let mut proof = Proof { fit: 3, is_tried: true, ..Proof::default() };
        assert!(!proof.believes(denied(0, 60)));
        let data = Data::Exchange(List { items: vec![Name::root()], more: false });
        found(&mut proof, "good.example", data, 0);
        assert!(proof.believes(denied(0, 60)) && proof.believes(denied(0, 0)));
        assert!(!proof.believes(denied(1, 60)), "the other server has shown nothing");
        let mut both = denied(0, 60);
        both.add(&Answer { ttl: 60, data: Data::NoData }, 1);
        assert!(!proof.believes(both));
        assert!(proof.believes(Denial::default()), "of an earlier scan");
    }

    #[test]
    fn without_a_known_domain_a_denial_must_be_proper() {
        let proof = Proof { fit: 1, ..Proof::default() };
        assert!(proof.believes(denied(0, 60)));
        assert!(!proof.believes(denied(0, 0)), "no SOA record");
        assert!(!proof.believes(denied(1, 60)), "a server that denies the root");
        let tried = Proof { is_tried: true, ..proof };
        assert!(!tried.believes(denied(0, 60)) && !tried.believes(Denial::default()));
    }

    #[test]
    fn what_a_server_makes_up_by_itself_proves_nothing() {
        let mut proof = Proof::default();
        let one = List { items: vec![[127, 0, 0, 1].into()], more: false };
        found(&mut proof, "localhost.localdomain", Data::Addresses(one.clone()), 0);
        found(&mut proof, "nas.home.arpa", Data::Addresses(one.clone()), 0);
        let names = Data::Names(List { items: vec![], more: false });
        found(&mut proof, "1.0.0.10.in-addr.arpa", names, 0);
        found(&mut proof, "gone.example", Data::NoData, 0);
        found(&mut proof, "null.example", Data::NullExchange, 0);
        assert!(!proof.is_given());
        found(&mut proof, "mail.example", Data::Addresses(one), 0);
        assert!(proof.is_given());
    }
}
