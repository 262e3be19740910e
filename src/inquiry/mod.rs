//! Passes the questions of a scan to the resolver. `scan` and `dns` know nothing about each other; this
//! module knows both.
//!
//! In: [`Questions`], plain data that can be sent over a socket. An [`Inquiry`] passes them to the resolver
//! turn by turn, so that its owner can watch other descriptors meanwhile. Out: [`Findings`], which a scan
//! uses as its [`Answers`](crate::scan::Answers). [`Patience`] remembers from scan to scan which hosts got
//! no answer. Strangers choose domains and HELO names.
#![forbid(unsafe_code)]

mod came_up;
mod findings;
mod lists;
mod patience;
mod shares;
mod warnings;

pub use came_up::CameUp;
pub use findings::{Answered, Findings, Rounds, Shown};
pub use patience::Patience;
pub use warnings::Warnings;

use crate::dns::Notice;
use crate::dns::exemption::{Claim, Endorsement, Exemption};
use crate::dns::failure::Failure;
use crate::dns::identity::{Confirmation, Identity};
use crate::dns::listing::{Listed, Listing};
use crate::dns::name::Name;
use crate::dns::proof::{Denial, Proof};
use crate::dns::resolver::{Finding, Found, Resolver};
use crate::dns::verdict::{DomainVerdict, Tally};
use crate::escape::escaped;
use crate::scan::identity::Question;
use crate::scan::{Domains, Scan};
use shares::{Freed, Shares};
use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

/// With fewer definite answers than this, the share of bad domains means nothing.
const FEW: u64 = 20;
/// Controls that the questions of several scans have together.
const CONTROLS: usize = 32;

/// The questions of a scan.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// Hosts whose identity is in question.
    pub hosts: Vec<Question>,
    /// Sender domains.
    pub domains: Domains,
    /// Hosts that may be exempt from a trap, each with a sender; the order is kept.
    pub exemptions: Vec<Claim>,
    /// Hosts that may be in a DNS list, and that list.
    pub listings: Vec<Listing>,
    /// Domains that must exist, with which name servers prove themselves.
    pub controls: Vec<Vec<u8>>,
}

/// Questions being asked.
#[derive(Debug)]
pub struct Inquiry {
    questions: Questions,
    /// How many have been asked, hosts first.
    begun: usize,
    answered: usize,
    shares: Shares,
    /// Domains that waited for others with the same registrable domain, and may be asked for now.
    ready: Vec<usize>,
    hosts: Vec<(Identity, Denial)>,
    domains: Vec<Option<(DomainVerdict, Denial)>>,
    endorsements: Vec<Option<(Endorsement, Denial)>>,
    listings: Vec<Option<(Listed, Denial)>>,
    /// When to end, answered or not.
    until: Option<Instant>,
}

impl Questions {
    /// The questions of a scan that has begun; none if its rules need no DNS.
    pub fn of(scan: &Scan<'_>) -> Questions {
        let (hosts, domains) = (scan.questions(), scan.domains());
        let is_empty = hosts.is_empty() && domains.is_empty();
        let controls = if is_empty { Vec::new() } else { scan.own_domains() };
        Questions { hosts, domains, controls, ..Questions::default() }
    }

    /// Also the questions on which no verdict depends, for a scan of few hosts whose answers are to be shown.
    pub fn of_all(scan: &Scan<'_>) -> Questions {
        let (hosts, domains) = (scan.every_question(), scan.every_domain());
        let is_empty = hosts.is_empty() && domains.is_empty();
        let controls = if is_empty { Vec::new() } else { scan.own_domains() };
        Questions { hosts, domains, controls, ..Questions::default() }
    }

    /// The questions that came up with the answers to the first questions: about hosts with a bad message,
    /// about hosts that are about to be trapped and may be exempt, and about hosts that may be in DNS lists.
    pub fn further(scan: &Scan<'_>) -> Questions {
        let (hosts, exemptions, listings) = (scan.late_questions(), scan.claims(), scan.listings());
        let is_empty = hosts.is_empty() && exemptions.is_empty() && listings.is_empty();
        let controls = if is_empty { Vec::new() } else { scan.own_domains() };
        Questions { hosts, exemptions, listings, controls, ..Questions::default() }
    }

    /// The same with the test entries of each list that is asked, which come first.
    pub fn with_tests(mut self) -> Questions {
        let mut seen = HashSet::new();
        let is_new = |test: &Listing| seen.insert(test.clone());
        let tests = self.listings.iter().flat_map(Listing::tests).filter(is_new);
        let tests: Vec<_> = tests.collect();
        self.listings.retain(|listing| !tests.contains(listing));
        self.listings.splice(0..0, tests);
        self
    }

    /// Adds the questions of another scan.
    pub fn add(&mut self, other: Questions) {
        self.hosts.extend(other.hosts);
        self.exemptions.extend(other.exemptions);
        self.listings.extend(other.listings);
        let domains = &other.domains;
        self.domains.extend((0..domains.len()).filter_map(|number| domains.get(number)));
        for control in other.controls.into_iter().take(CONTROLS) {
            if self.controls.len() < CONTROLS && !self.controls.contains(&control) {
                self.controls.push(control);
            }
        }
    }

    /// The number of questions, without the controls.
    pub fn len(&self) -> usize {
        self.hosts.len() + self.domains.len() + self.exemptions.len() + self.listings.len()
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inquiry {
    /// Begins the resolver's part of a scan, which may take as long as `within`. Until [`Self::end`],
    /// nobody else may use this resolver.
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
            hosts: vec![(Identity::default(), Denial::default()); questions.hosts.len()],
            domains: vec![None; questions.domains.len()],
            endorsements: vec![None; questions.exemptions.len()],
            listings: vec![None; questions.listings.len()],
            until: within.and_then(|within| Instant::now().checked_add(within)),
            questions,
        }
    }

    /// Takes the answers that have arrived and asks as many questions as possible. Returns true once all
    /// are answered or the time is over; until then the resolver needs its next turn within
    /// [`Self::patience`].
    pub fn advance(&mut self, resolver: &mut Resolver) -> bool {
        self.take(resolver);
        while resolver.room() > 0 && self.ask(resolver) {
            self.take(resolver);
        }
        let is_answered = self.answered == self.questions.len() && !resolver.is_proving();
        is_answered || self.patience() == Some(Duration::ZERO)
    }

    /// The time that is left, if it is limited.
    pub fn patience(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// The number of questions that are answered, and of all questions.
    pub fn progress(&self) -> (usize, usize) {
        (self.answered, self.questions.len())
    }

    /// Ends the scan. A question without an answer is unknown, and so is a denial by a server that has not
    /// proved that it can find something.
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
        let endorsements = self.endorsements.into_iter();
        let endorsements =
            endorsements.map(|found| believed_endorsement(found, &proof, &mut shown)).collect();
        let listings = self.listings.into_iter().map(|found| believed_listing(found, &proof));
        let listings = listings.collect();
        resolver.end_scan(is_likely(&tally));
        (self.questions, Answered { hosts, domains, endorsements, listings, tally, shown })
    }

    /// Asks the next question; returns false if there is none at the moment.
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
        let Some(domain) = self.questions.domains.get(place) else {
            let place = place.saturating_sub(self.domains.len());
            if let Some(claim) = self.questions.exemptions.get(place) {
                resolver.endorse(number as u64, claim);
            } else {
                let place = place.saturating_sub(self.endorsements.len());
                let listing = self.questions.listings.get(place);
                listing.into_iter().for_each(|listing| resolver.ask_list(number as u64, listing));
            }
            return true;
        };
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
                        *host = (identity, denial);
                    }
                }
                Found::Domain(verdict) => {
                    self.judged(number.saturating_sub(self.hosts.len()), verdict, denial)
                }
                Found::Spf(_) => {}
                Found::Endorsement(endorsement) => {
                    let before = self.hosts.len() + self.domains.len();
                    if let Some(found) = self.endorsements.get_mut(number.saturating_sub(before)) {
                        *found = Some((endorsement, denial));
                    }
                }
                Found::Listed(listed) => {
                    let before = self.hosts.len() + self.domains.len() + self.endorsements.len();
                    if let Some(found) = self.listings.get_mut(number.saturating_sub(before)) {
                        *found = Some((listed, denial));
                    }
                }
            }
        }
    }

    /// Notes the verdict on a domain, which may allow others in the same registrable domain to be asked
    /// for.
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

/// The verdict, as far as it is believed.
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

/// The same for a host's names: all are unknown if one of them is not believed.
fn believed_names(
    (identity, denial): (Identity, Denial),
    proof: &Proof,
    shown: &mut Shown,
) -> Identity {
    let is_denied = identity.names.contains(&Confirmation::NotConfirmed)
        || identity.reverse.own == Confirmation::NotConfirmed;
    if !is_denied || proof.believes(denial) {
        return identity;
    }
    shown.dropped += 1;
    Identity::default()
}

/// The same for an exemption: what rests on a denial that is not believed is unknown.
fn believed_endorsement(
    found: Option<(Endorsement, Denial)>,
    proof: &Proof,
    shown: &mut Shown,
) -> Endorsement {
    let Some((endorsement, denial)) = found else { return Endorsement::UNKNOWN };
    let is_exempt = matches!(endorsement.exemption, Exemption::Exempt(_));
    if is_exempt || endorsement == Endorsement::UNKNOWN || proof.believes(denial) {
        return endorsement;
    }
    shown.dropped += 1;
    Endorsement::UNKNOWN
}

/// The same for the answer of a list. It is no doubt about other answers.
fn believed_listing(found: Option<(Listed, Denial)>, proof: &Proof) -> Listed {
    match found {
        Some((Listed::Nothing, denial)) if !proof.believes(denial) => Listed::Unknown,
        Some((listed, _)) => listed,
        None => Listed::Unknown,
    }
}

/// Whether the denials of a scan with this result are plausible enough to be remembered.
fn is_likely(tally: &Tally) -> bool {
    let known = tally.good + tally.bad;
    tally.unknown.saturating_mul(2) <= known && (known <= FEW || tally.bad <= tally.good)
}

/// What is wrong if no name server is usable, judging by the resolver's notices and what was found.
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
