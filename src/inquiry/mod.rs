//! One scan's questions put to the resolver: `scan` and `dns` know nothing of each other's work, this
//! knows both.
//!
//! [`Questions`] come in, plain data that can cross a socket; an [`Inquiry`] keeps the resolver busy with
//! them, turn by turn, so that its owner can watch other descriptors meanwhile; [`Findings`] go out, which a
//! scan takes as its [`Answers`](crate::scan::Answers). [`Patience`] remembers from scan to scan of whom
//! nothing could be found out. Domains and HELO names are strangers' choice.
#![forbid(unsafe_code)]

mod findings;
mod patience;
mod shares;

pub use findings::{Answered, Findings, Shown};
pub use patience::Patience;

use crate::dns::Notice;
use crate::dns::failure::Failure;
use crate::dns::identity::Confirmation;
use crate::dns::name::Name;
use crate::dns::proof::{Denial, Proof};
use crate::dns::resolver::{Finding, Found, Resolver};
use crate::dns::verdict::{DomainVerdict, Tally};
use crate::escape::escaped;
use crate::scan::identity::Question;
use crate::scan::{Domains, Scan};
use shares::{Freed, Shares};
use std::io;
use std::time::{Duration, Instant};

/// Domains with a definite answer below which nothing is said about how many of them are bad.
const FEW: u64 = 20;

/// What a scan wants to know.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// Hosts whose identity is in question.
    pub hosts: Vec<Question>,
    /// Sender domains.
    pub domains: Domains,
    /// Domains that must exist, by which name servers prove themselves.
    pub controls: Vec<Vec<u8>>,
}

/// Questions being asked.
#[derive(Debug)]
pub struct Inquiry {
    questions: Questions,
    /// How many have had their turn, hosts first.
    begun: usize,
    answered: usize,
    shares: Shares,
    /// Domains that may be asked for now, after others of theirs.
    ready: Vec<usize>,
    hosts: Vec<(Vec<Confirmation>, Denial)>,
    domains: Vec<Option<(DomainVerdict, Denial)>>,
    /// When it is to end, answered or not.
    until: Option<Instant>,
}

impl Questions {
    /// Those of a scan that has begun; none if its rules need no DNS.
    pub fn of(scan: &Scan<'_>) -> Questions {
        let (hosts, domains) = (scan.questions(), scan.domains());
        let is_empty = hosts.is_empty() && domains.is_empty();
        let controls = if is_empty { Vec::new() } else { scan.own_domains() };
        Questions { hosts, domains, controls }
    }

    /// Those about hosts that came up when the answers to the first ones were weighed.
    pub fn further(scan: &Scan<'_>) -> Questions {
        let hosts = scan.late_questions();
        let controls = if hosts.is_empty() { Vec::new() } else { scan.own_domains() };
        Questions { hosts, controls, domains: Domains::default() }
    }

    /// How many there are, without the controls.
    pub fn len(&self) -> usize {
        self.hosts.len() + self.domains.len()
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inquiry {
    /// Begins the resolver's part of a scan. Until [`Self::end`] nobody else may ask this resolver. `within`
    /// is how long it may take.
    pub fn begin(
        questions: Questions,
        resolver: &mut Resolver,
        within: Option<Duration>,
    ) -> Inquiry {
        resolver.begin_scan(&questions.controls);
        Inquiry {
            begun: 0,
            answered: 0,
            shares: Shares::default(),
            ready: Vec::new(),
            hosts: vec![(Vec::new(), Denial::default()); questions.hosts.len()],
            domains: vec![None; questions.domains.len()],
            until: within.and_then(|within| Instant::now().checked_add(within)),
            questions,
        }
    }

    /// Takes the answers that have come and asks as much as there is room for; true once all is
    /// answered, or the time is over. Until then the resolver wants its next turn, no longer than
    /// [`Self::patience`].
    pub fn advance(&mut self, resolver: &mut Resolver) -> bool {
        self.take(resolver);
        while resolver.room() > 0 && self.ask(resolver) {
            self.take(resolver);
        }
        let is_answered = self.answered == self.questions.len() && !resolver.is_proving();
        is_answered || self.patience() == Some(Duration::ZERO)
    }

    /// How much time is left, if it is limited.
    pub fn patience(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// How many questions are answered, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.answered, self.questions.len())
    }

    /// Ends the scan. What is not answered is unknown, and so is what was denied by servers that have not
    /// shown that they can say anything else.
    pub fn end(self, resolver: &mut Resolver) -> (Questions, Answered) {
        let proof = resolver.proof();
        let controls = resolver.controls().iter().map(Name::text);
        let mut shown = Shown {
            is_given: proof.is_given(),
            controls: controls.map(|text| escaped(&text).to_string()).collect(),
            dropped: 0,
        };
        let hosts = self.hosts.into_iter().map(|host| believed_names(host, &proof, &mut shown));
        let hosts = hosts.collect();
        let domains = self.domains.into_iter().map(|domain| believed(domain, &proof, &mut shown));
        let domains: Vec<_> = domains.collect();
        let mut tally = Tally::default();
        domains.iter().for_each(|verdict| tally.count(verdict));
        resolver.end_scan(is_likely(&tally));
        (self.questions, Answered { hosts, domains, tally, shown })
    }

    /// Asks for what is next; false if there is nothing more to ask just now.
    fn ask(&mut self, resolver: &mut Resolver) -> bool {
        if let Some(place) = self.ready.pop() {
            self.look_up(place, resolver);
            return true;
        }
        let number = self.begun;
        if number == self.questions.len() {
            return false;
        }
        self.begun += 1;
        if let Some(host) = self.questions.hosts.get(number) {
            let names = host.names.iter().map(String::as_bytes);
            resolver.identify(number as u64, host.address, names);
            return true;
        }
        let place = number - self.hosts.len();
        let domain = self.questions.domains.get(place).unwrap_or_default();
        if self.shares.may_ask(domain, place) {
            self.look_up(place, resolver);
        }
        true
    }

    fn look_up(&self, place: usize, resolver: &mut Resolver) {
        let ticket = (self.hosts.len() + place) as u64;
        resolver.lookup(ticket, self.questions.domains.get(place).unwrap_or_default());
    }

    fn take(&mut self, resolver: &mut Resolver) {
        while let Some(Finding { ticket, found, denial }) = resolver.next_finding() {
            let Ok(number) = usize::try_from(ticket) else { continue };
            self.answered += 1;
            match found {
                Found::Identity(identity) => {
                    if let Some(host) = self.hosts.get_mut(number) {
                        *host = (identity.names, denial);
                    }
                }
                Found::Domain(verdict) => {
                    self.judged(number.saturating_sub(self.hosts.len()), verdict, denial)
                }
            }
        }
    }

    /// A domain has its verdict, which may be good for others of the same registrable domain.
    fn judged(&mut self, place: usize, verdict: DomainVerdict, denial: Denial) {
        let domain = self.questions.domains.get(place).unwrap_or_default();
        let Freed { ready, given_up } = self.shares.answered(domain, !verdict.is_lacking());
        self.ready.extend(ready);
        self.answered += given_up.len();
        let given_up = given_up
            .into_iter()
            .map(|place| (place, DomainVerdict::Unknown(Failure::Share), Denial::default()));
        for (place, verdict, denial) in given_up.chain([(place, verdict, denial)]) {
            if let Some(domain) = self.domains.get_mut(place) {
                *domain = Some((verdict, denial));
            }
        }
    }
}

/// What is left of a verdict.
fn believed(
    domain: Option<(DomainVerdict, Denial)>,
    proof: &Proof,
    shown: &mut Shown,
) -> DomainVerdict {
    match domain {
        None => DomainVerdict::Unknown(Failure::Deadline),
        Some((DomainVerdict::Bad(_), denial)) if !proof.believes(denial) => {
            shown.dropped += 1;
            DomainVerdict::Unknown(Failure::Unproven)
        }
        Some((verdict, _)) => verdict,
    }
}

/// The same for a host's names: none is known if one of them is not to be believed.
fn believed_names(
    (names, denial): (Vec<Confirmation>, Denial),
    proof: &Proof,
    shown: &mut Shown,
) -> Vec<Confirmation> {
    if !names.contains(&Confirmation::NotConfirmed) || proof.believes(denial) {
        return names;
    }
    shown.dropped += 1;
    Vec::new()
}

/// Whether denials of a scan that ended so are worth remembering for the next one.
fn is_likely(tally: &Tally) -> bool {
    let known = tally.good + tally.bad;
    tally.unknown.saturating_mul(2) <= known && (known <= FEW || tally.bad <= tally.good)
}

/// What is wrong if no name server is of any use, by the resolver's notices and what was found.
pub fn unfit(notices: &[Notice], servers: usize, shown: &Shown) -> Option<io::Error> {
    if servers == 0 {
        return Some(io::Error::other("no name server"));
    }
    let mut last = None;
    for notice in notices {
        match notice {
            Notice::Fit(_) => return None,
            Notice::Unfit(..) | Notice::Odd(..) => last = Some(notice),
            Notice::Lowered(_) => {}
        }
    }
    last.filter(|_| !shown.is_given).map(|notice| io::Error::other(notice.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_of_a_doubtful_scan_are_not_kept() {
        for (good, bad, unknown, is_kept) in [
            (0, 3, 0, true),
            (2, 1, 1, true),
            (1, 1, 2, false),
            (10, 11, 0, false),
            (11, 11, 0, true),
        ] {
            let tally = Tally { good, bad, unknown, not_asked: 0 };
            assert_eq!(is_likely(&tally), is_kept, "{tally:?}");
        }
    }
}
