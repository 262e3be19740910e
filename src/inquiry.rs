//! One scan's questions put to the resolver: `scan` and `dns` know nothing of each other's work, this
//! knows both.
//!
//! [`Questions`] come in, plain data that can cross a socket; an [`Inquiry`] keeps the resolver busy with
//! them, turn by turn, so that its owner can watch other descriptors meanwhile; [`Findings`] go out, which a
//! scan takes as its [`Answers`](scan::Answers). Domains and HELO names are strangers' choice.
#![forbid(unsafe_code)]

use crate::dns::Notice;
use crate::dns::identity::Confirmation;
use crate::dns::resolver::{Found, Resolver};
use crate::dns::verdict::{DomainVerdict, Tally};
use crate::scan::identity::Question;
use crate::scan::{self, Domains, Scan};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

/// What a scan wants to know.
#[derive(Debug, Default)]
pub struct Questions {
    /// Hosts whose identity is in question.
    pub hosts: Vec<Question>,
    /// Sender domains.
    pub domains: Domains,
}

/// Questions being asked.
#[derive(Debug)]
pub struct Inquiry {
    questions: Questions,
    /// How many are asked, hosts first.
    asked: usize,
    answered: usize,
    hosts: Vec<Vec<Confirmation>>,
    domains: Vec<Option<DomainVerdict>>,
}

/// The answers to a scan's questions, in their order: plain data that can cross a socket.
#[derive(Debug, Default)]
pub struct Answered {
    /// For each host one for each of its names.
    pub hosts: Vec<Vec<Confirmation>>,
    /// For each domain one, if it was asked for.
    pub domains: Vec<Option<DomainVerdict>>,
    /// How the lookups of sender domains ended.
    pub tally: Tally,
}

/// What came of a scan's questions.
#[derive(Debug)]
pub struct Findings {
    questions: Questions,
    /// The numbers of the hosts.
    by_address: HashMap<IpAddr, usize>,
    answered: Answered,
}

impl Questions {
    /// Those of a scan that has begun; none if its rules need no DNS.
    pub fn of(scan: &Scan<'_>) -> Questions {
        Questions { hosts: scan.questions(), domains: scan.domains() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hosts.len() + self.domains.len()
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inquiry {
    /// Begins the resolver's part of a scan. Until [`Self::end`] nobody else may ask this resolver.
    pub fn begin(questions: Questions, resolver: &mut Resolver) -> Inquiry {
        resolver.begin_scan();
        let hosts = vec![Vec::new(); questions.hosts.len()];
        let domains = vec![None; questions.domains.len()];
        Inquiry { questions, asked: 0, answered: 0, hosts, domains }
    }

    /// Takes the answers that have come and asks as much as there is room for; true once all is
    /// answered, until then the resolver wants its next turn.
    pub fn advance(&mut self, resolver: &mut Resolver) -> bool {
        self.take(resolver);
        while self.asked < self.questions.len() && resolver.room() > 0 {
            self.ask(resolver);
            self.take(resolver);
        }
        self.answered == self.questions.len()
    }

    /// How many questions are answered, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.answered, self.questions.len())
    }

    /// Ends the scan. What is not answered stays unknown.
    pub fn end(self, resolver: &mut Resolver) -> (Questions, Answered) {
        let Inquiry { questions, hosts, domains, .. } = self;
        let tally = resolver.end_scan();
        (questions, Answered { hosts, domains, tally })
    }

    fn ask(&mut self, resolver: &mut Resolver) {
        let number = self.asked;
        self.asked += 1;
        if let Some(host) = self.questions.hosts.get(number) {
            let names = host.names.iter().map(String::as_bytes);
            return resolver.identify(number as u64, host.address, names);
        }
        let number = number - self.questions.hosts.len();
        resolver.lookup(number as u64, self.questions.domains.get(number).unwrap_or_default());
    }

    fn take(&mut self, resolver: &mut Resolver) {
        while let Some((ticket, found)) = resolver.next_answer() {
            let Ok(number) = usize::try_from(ticket) else { continue };
            self.answered += 1;
            match found {
                Found::Identity(identity) => {
                    if let Some(names) = self.hosts.get_mut(number) {
                        *names = identity.names;
                    }
                }
                Found::Domain(verdict) => {
                    if let Some(place) = self.domains.get_mut(number) {
                        *place = Some(verdict);
                    }
                }
            }
        }
    }
}

impl Findings {
    /// These answers to those questions.
    pub fn new(questions: Questions, answered: Answered) -> Findings {
        let numbered = questions.hosts.iter().enumerate();
        let by_address = numbered.map(|(number, host)| (host.address, number)).collect();
        Findings { questions, by_address, answered }
    }

    /// How the lookups of sender domains ended.
    pub fn tally(&self) -> Tally {
        self.answered.tally
    }
}

/// What is wrong if no server was fit to be asked, by the resolver's notices.
pub fn unfit(notices: &[Notice], servers: usize) -> Option<io::Error> {
    if servers == 0 {
        return Some(io::Error::other("no name server"));
    }
    let mut last = None;
    for notice in notices {
        match notice {
            Notice::Fit(_) => return None,
            Notice::Unfit(..) => last = Some(notice),
            Notice::Lowered(_) => {}
        }
    }
    last.map(|notice| io::Error::other(notice.to_string()))
}

impl scan::Answers for Findings {
    /// If the scan's negative answers are not believed, no name is known not to be confirmed.
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
        let found = self.by_address.get(&address).and_then(|&number| {
            let names = &self.questions.hosts.get(number)?.names;
            let place = names.iter().position(|asked| asked == name)?;
            self.answered.hosts.get(number)?.get(place).copied()
        });
        match found {
            Some(Confirmation::NotConfirmed) if !self.answered.tally.trusted() => {
                Confirmation::Unknown
            }
            found => found.unwrap_or(Confirmation::Unknown),
        }
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        let number = self.questions.domains.number(domain)?;
        let verdict = self.answered.domains.get(number).copied().flatten()?;
        Some(self.answered.tally.settle(verdict))
    }
}
