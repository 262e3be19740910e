//! What DNS has said so far in one `check_host()`: questions with their answers, in the form that the
//! evaluation needs.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use domain::base::Rtype;

use super::fault::Fault;
use super::policy::Policy;
use crate::dns::answer::{Answer, Data, List};
use crate::dns::failure::Failure;
use crate::dns::name::Name;
use crate::dns::text::is_policy;

/// Questions and answers.
#[derive(Debug, Default)]
pub struct Facts(Vec<Fact>);

#[derive(Debug)]
struct Fact {
    name: Name,
    rtype: Rtype,
    found: Option<Found>,
    ttl: u32,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The name, or this type, does not exist.
    Nothing,
    /// A or AAAA.
    Addresses(List<IpAddr>),
    /// MX or PTR; the null MX is an empty list.
    Names(List<Name>),
    /// TXT.
    Text {
        /// The SPF policy, if there is one.
        policy: Result<Option<Policy>, Fault>,
        /// The only text.
        sole: Option<Vec<u8>>,
    },
    /// No definite answer.
    Failed(Failure),
}

impl Facts {
    /// The answer to a question, if it was asked and answered.
    pub fn find(&self, name: &Name, rtype: Rtype) -> Option<&Found> {
        let is_asked = |fact: &&Fact| fact.rtype == rtype && fact.name == *name;
        self.0.iter().find(is_asked)?.found.as_ref()
    }

    /// Adds a question; returns its number.
    pub fn add(&mut self, name: Name, rtype: Rtype) -> usize {
        self.0.push(Fact { name, rtype, found: None, ttl: u32::MAX });
        self.0.len() - 1
    }

    /// Notes the answer to a question; whether it had none.
    pub fn note(&mut self, number: usize, answer: Result<&Answer, Failure>) -> bool {
        let Some(fact) = self.0.get_mut(number).filter(|fact| fact.found.is_none()) else {
            return false;
        };
        fact.ttl = answer.map_or(0, |answer| answer.ttl);
        fact.found = Some(answer.map_or_else(Found::Failed, |answer| Found::new(&answer.data)));
        true
    }

    /// The question with this number.
    pub fn question(&self, number: usize) -> Option<(&Name, Rtype)> {
        self.0.get(number).map(|fact| (&fact.name, fact.rtype))
    }

    /// How many questions there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// For how many seconds all answers are valid.
    pub fn ttl(&self) -> u32 {
        self.0.iter().map(|fact| fact.ttl).min().unwrap_or(0)
    }
}

impl Found {
    fn new(data: &Data) -> Self {
        match data {
            Data::NoData | Data::NxDomain => Self::Nothing,
            Data::Addresses(list) => Self::Addresses(list.clone()),
            Data::Exchange(list) | Data::Names(list) => Self::Names(list.clone()),
            Data::NullExchange => Self::Names(List { items: Vec::new(), more: false }),
            Data::Texts(list) => Self::text(list),
            Data::Other => Self::Failed(Failure::Malformed),
        }
    }

    fn text(List { items, more }: &List<Vec<u8>>) -> Self {
        let mut policies = items.iter().filter(|text| is_policy(text));
        let policy = match (policies.next(), policies.next()) {
            (None, _) => Ok(None),
            (Some(text), None) => Policy::parse(text).map(Some),
            (Some(_), Some(_)) => Err(Fault::Policies),
        };
        let sole = items.first().filter(|_| items.len() == 1 && !more).cloned();
        Self::Text { policy, sole }
    }
}
