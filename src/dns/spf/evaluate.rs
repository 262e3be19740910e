//! `check_host()` (RFC 7208 4), as far as the answers go.
//!
//! [`evaluate`] runs from the start with each new answer, and stops where one is missing. So it reads as
//! the RFC does, and keeps no state between answers; ten terms bound it. Strangers choose everything.
//!
//! The limits of RFC 7208 4.6.4: ten terms that ask DNS; ten MX records of a term; ten PTR records; two
//! terms that find nothing.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use domain::base::Rtype;

use super::facts::{Facts, Found};
use super::fault::Fault;
use super::macros::{Letter, Place, Spec};
use super::policy::{Directive, Mechanism, Network, Policy, Target};
use super::report::{Match, Problem, Report, Width};
use super::{Explain, SpfResult, Subject};
use crate::dns::failure::Failure;
use crate::dns::name::Name;

const MAX_TERMS: u32 = 10;
const MAX_VOIDS: u32 = 2;
/// The number of MX or PTR records that are used.
const MAX_NAMES: usize = 10;
/// RFC 7208 7.3: octets of an expanded name, without a final dot.
const MAX_NAME: usize = 253;
/// Octets of an explanation: a reply of SMTP has several lines of up to 512.
const MAX_EXPLANATION: usize = 2048;
/// The shortest prefixes of networks that belong to somebody.
const NARROW4: u8 = 16;
const NARROW6: u8 = 32;

/// How far `check_host()` came.
pub enum Outcome {
    /// These questions must be answered first.
    Ask(Vec<(Name, Rtype)>),
    /// To the end.
    Done(Box<Report>),
}

/// Evaluates the policy of the sender's domain.
pub fn evaluate(subject: &Subject, facts: &Facts) -> Outcome {
    let mut evaluation = Evaluation::new(subject, facts);
    let verdict = evaluation.check_host(&subject.domain);
    let explanation = match &verdict {
        Ok(verdict) => evaluation.explanation(verdict),
        Err(_) => Ok(None),
    };
    match (verdict, explanation) {
        (Err(Stop::Wait), _) | (_, Err(Stop::Wait)) => Outcome::Ask(evaluation.missing),
        (verdict, explanation) => {
            let explanation = explanation.unwrap_or_default();
            Outcome::Done(Box::new(evaluation.report(verdict, explanation)))
        }
    }
}

struct Evaluation<'f> {
    subject: &'f Subject,
    facts: &'f Facts,
    missing: Vec<(Name, Rtype)>,
    terms: u32,
    voids: u32,
    is_sure: bool,
    is_for_message: bool,
}

/// Why the evaluation goes no further.
enum Stop {
    /// An answer is missing.
    Wait,
    /// There is an error.
    Error(Problem),
}

/// The result for one domain.
struct Verdict<'f> {
    result: SpfResult,
    matched: Option<Match>,
    /// Where the explanation is, and the domain with the policy that says so.
    explanation: Option<(&'f Spec, Name)>,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Error(Problem::Policy(fault))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Error(Problem::Dns(failure))
    }
}

impl<'f> Evaluation<'f> {
    fn new(subject: &'f Subject, facts: &'f Facts) -> Self {
        let (missing, is_sure, is_for_message) = (Vec::new(), true, false);
        Self { subject, facts, missing, terms: 0, voids: 0, is_sure, is_for_message }
    }

    /// RFC 7208 4: the result for `domain`.
    fn check_host(&mut self, domain: &Name) -> Result<Verdict<'f>, Stop> {
        let Some(policy) = self.policy(domain)? else { return Ok(Verdict::of(SpfResult::None)) };
        for directive in &policy.directives {
            if let Some(matched) = self.matches(directive, domain)? {
                let explanation = policy.explanation.as_ref().map(|spec| (spec, domain.clone()));
                return Ok(Verdict {
                    result: directive.result,
                    matched: Some(matched),
                    explanation,
                });
            }
        }
        match &policy.redirect {
            Some(spec) => self.lead_to(spec, domain),
            None => Ok(Verdict::of(SpfResult::Neutral)),
        }
    }

    /// RFC 7208 4.3 to 4.5: the policy of a domain, which must have more than one label.
    fn policy(&mut self, domain: &Name) -> Result<Option<&'f Policy>, Stop> {
        if domain.labels().nth(1).is_none() {
            return Ok(None);
        }
        match self.fact(domain, Rtype::TXT)? {
            Found::Nothing => Ok(None),
            Found::Text { policy: Ok(policy), .. } => Ok(policy.as_ref()),
            Found::Text { policy: Err(fault), .. } => Err((*fault).into()),
            other => Err(failure(other).into()),
        }
    }

    /// RFC 7208 5.2 and 6.1: the result for the domain that `include` or `redirect` leads to.
    fn lead_to(&mut self, spec: &Spec, domain: &Name) -> Result<Verdict<'f>, Stop> {
        self.count_term()?;
        let target = self.name(spec, domain)?.ok_or(Fault::NoPolicy)?;
        let verdict = self.check_host(&target)?;
        match verdict.result {
            SpfResult::None => Err(Fault::NoPolicy.into()),
            _ => Ok(verdict),
        }
    }

    fn matches(&mut self, directive: &Directive, domain: &Name) -> Result<Option<Match>, Stop> {
        let address = self.subject.address;
        let width = match &directive.mechanism {
            Mechanism::All => Some(Width::Wide),
            Mechanism::Include(spec) => {
                let verdict = self.lead_to(spec, domain)?;
                return Ok(verdict.matched.filter(|_| verdict.result == SpfResult::Pass));
            }
            Mechanism::A(target) => self.a(target, domain)?,
            Mechanism::Mx(target) => self.mx(target, domain)?,
            Mechanism::Ptr(spec) => self.ptr(spec.as_ref(), domain)?,
            Mechanism::Ip(network) => {
                network.contains(address).then(|| width(network.prefix, address))
            }
            Mechanism::Exists(spec) => self.exists(spec, domain)?,
        };
        let mechanism = &directive.text;
        Ok(width.map(|width| Match { mechanism: mechanism.clone(), domain: domain.clone(), width }))
    }

    /// RFC 7208 5.3.
    fn a(&mut self, target: &Target, domain: &Name) -> Result<Option<Width>, Stop> {
        self.count_term()?;
        match self.name_or(target.name.as_ref(), domain)? {
            Some(name) => self.near(&[name], target),
            None => Ok(None),
        }
    }

    /// RFC 7208 5.4.
    fn mx(&mut self, target: &Target, domain: &Name) -> Result<Option<Width>, Stop> {
        self.count_term()?;
        let Some(name) = self.name_or(target.name.as_ref(), domain)? else { return Ok(None) };
        match self.fact(&name, Rtype::MX)? {
            Found::Nothing => self.count_void().map(|()| None),
            Found::Names(list) if list.more || list.items.len() > MAX_NAMES => {
                Err(Fault::Exchanges.into())
            }
            Found::Names(list) if list.items.is_empty() => Ok(None),
            Found::Names(list) => self.near(&list.items, target),
            other => Err(failure(other).into()),
        }
    }

    /// Whether the host is near an address of one of these names.
    fn near(&mut self, names: &[Name], target: &Target) -> Result<Option<Width>, Stop> {
        let address = self.subject.address;
        let prefix = target.prefix(address);
        let (mut stop, mut is_void) = (None, true);
        for name in names {
            match self.addresses(name) {
                Ok(addresses) => {
                    let is_near =
                        |near: &IpAddr| Network { address: *near, prefix }.contains(address);
                    if addresses.iter().any(is_near) {
                        return Ok(Some(width(prefix, address)));
                    }
                    is_void &= addresses.is_empty();
                }
                Err(Stop::Wait) => stop = Some(Stop::Wait),
                Err(error) => stop = stop.or(Some(error)),
            }
        }
        match stop {
            Some(stop) => Err(stop),
            None if is_void => self.count_void().map(|()| None),
            None => Ok(None),
        }
    }

    /// RFC 7208 5.5. Only names that could match are looked up.
    fn ptr(&mut self, spec: Option<&Spec>, domain: &Name) -> Result<Option<Width>, Stop> {
        self.count_term()?;
        let Some(target) = self.name_or(spec, domain)? else { return Ok(None) };
        let names = self.host_names()?;
        if names.is_empty() {
            return self.count_void().map(|()| None);
        }
        let names = names.iter().filter(|name| name.is_within(&target));
        let is_match = !self.confirmed(names)?.is_empty();
        let is_somebodys = crate::name::is_within_registrable(&target.text());
        let width = if is_somebodys { Width::Narrow } else { Width::Wide };
        Ok(is_match.then_some(width))
    }

    /// RFC 7208 5.7. A name that does not depend on the host's address exists for all hosts, or for none.
    fn exists(&mut self, spec: &Spec, domain: &Name) -> Result<Option<Width>, Stop> {
        self.count_term()?;
        let Some(name) = self.name(spec, domain)? else { return Ok(None) };
        let is_narrow = spec.has(&[Letter::Address, Letter::HostName]);
        match self.fact(&name, Rtype::A)? {
            Found::Nothing => self.count_void().map(|()| None),
            Found::Addresses(_) if is_narrow => Ok(Some(Width::Narrow)),
            Found::Addresses(_) => Ok(Some(Width::Wide)),
            other => Err(failure(other).into()),
        }
    }

    /// The name that a policy means, or the domain itself; `None` if it cannot be asked about.
    fn name_or(&mut self, spec: Option<&Spec>, domain: &Name) -> Result<Option<Name>, Stop> {
        match spec {
            Some(spec) => self.name(spec, domain),
            None => Ok(Some(domain.clone())),
        }
    }

    /// RFC 7208 7.3: a name that is too long loses labels on the left.
    fn name(&mut self, spec: &Spec, domain: &Name) -> Result<Option<Name>, Stop> {
        let text = spec.expand(MAX_NAME + 1, |letter| self.value(letter, domain))?;
        let mut text = text.strip_suffix(b".").unwrap_or(&text);
        while text.len() > MAX_NAME {
            let Some(dot) = text.iter().position(|byte| *byte == b'.') else { return Ok(None) };
            text = text.get(dot + 1..).unwrap_or_default();
        }
        Ok(Name::from_octets(text).ok())
    }

    /// RFC 7208 7.2: what a macro stands for.
    fn value(&mut self, letter: Letter, domain: &Name) -> Result<Vec<u8>, Stop> {
        let subject = self.subject;
        self.is_for_message |= matches!(letter, Letter::Sender | Letter::Local | Letter::Helo);
        Ok(match letter {
            Letter::Sender => [&subject.local[..], b"@", &subject.domain.text()].concat(),
            Letter::Local => subject.local.clone(),
            Letter::SenderDomain => subject.domain.text(),
            Letter::Domain => domain.text(),
            Letter::Address => dotted(subject.address),
            Letter::HostName => self.host_name(domain)?,
            Letter::Version if subject.address.is_ipv4() => b"in-addr".to_vec(),
            Letter::Version => b"ip6".to_vec(),
            Letter::Helo => subject.helo.clone(),
            Letter::ReadableAddress => subject.address.to_string().into_bytes(),
            Letter::Receiver => b"unknown".to_vec(),
            Letter::Time => seconds().to_string().into_bytes(),
        })
    }

    /// RFC 7208 7.3, `p`: a name of the host, preferably of this domain.
    fn host_name(&mut self, domain: &Name) -> Result<Vec<u8>, Stop> {
        let names = self.host_names()?;
        let names = self.confirmed(names.iter())?;
        let own = names.iter().find(|name| **name == domain);
        let below = names.iter().find(|name| name.is_within(domain));
        let name = own.or(below).or(names.first());
        Ok(name.map_or_else(|| b"unknown".to_vec(), |name| name.text()))
    }

    /// The host's PTR names. An error is not the domain's, so it means no names (RFC 7208 5.5).
    fn host_names(&mut self) -> Result<&'f [Name], Stop> {
        match self.fact(&Name::reverse(self.subject.address), Rtype::PTR)? {
            Found::Names(list) => {
                self.is_sure &= !list.more && list.items.len() <= MAX_NAMES;
                Ok(list.items.get(..MAX_NAMES).unwrap_or(&list.items))
            }
            Found::Nothing => Ok(&[]),
            _ => {
                self.is_sure = false;
                Ok(&[])
            }
        }
    }

    /// Those of the names that have the host's address. A name without an answer is passed over (RFC 7208
    /// 5.5).
    fn confirmed(&mut self, names: impl Iterator<Item = &'f Name>) -> Result<Vec<&'f Name>, Stop> {
        let (mut confirmed, mut is_waiting) = (Vec::new(), false);
        for name in names {
            match self.addresses(name) {
                Ok(addresses) if addresses.contains(&self.subject.address) => confirmed.push(name),
                Ok(_) => {}
                Err(Stop::Wait) => is_waiting = true,
                Err(Stop::Error(_)) => self.is_sure = false,
            }
        }
        if is_waiting { Err(Stop::Wait) } else { Ok(confirmed) }
    }

    /// The addresses of a name that are of the host's kind.
    fn addresses(&mut self, name: &Name) -> Result<&'f [IpAddr], Stop> {
        let rtype = if self.subject.address.is_ipv4() { Rtype::A } else { Rtype::AAAA };
        match self.fact(name, rtype)? {
            Found::Nothing => Ok(&[]),
            Found::Addresses(list) => {
                self.is_sure &= !list.more;
                Ok(&list.items)
            }
            other => Err(failure(other).into()),
        }
    }

    fn fact(&mut self, name: &Name, rtype: Rtype) -> Result<&'f Found, Stop> {
        if let Some(found) = self.facts.find(name, rtype) {
            return Ok(found);
        }
        if !self.missing.iter().any(|(other, another)| other == name && *another == rtype) {
            self.missing.push((name.clone(), rtype));
        }
        Err(Stop::Wait)
    }

    fn count_term(&mut self) -> Result<(), Stop> {
        self.terms += 1;
        if self.terms > MAX_TERMS { Err(Fault::Terms.into()) } else { Ok(()) }
    }

    fn count_void(&mut self) -> Result<(), Stop> {
        self.voids += 1;
        if self.voids > MAX_VOIDS { Err(Fault::Voids.into()) } else { Ok(()) }
    }

    /// RFC 7208 6.2: whatever goes wrong, there is no explanation.
    fn explanation(&mut self, verdict: &Verdict<'f>) -> Result<Option<Vec<u8>>, Stop> {
        let is_wanted = verdict.result == SpfResult::Fail && self.subject.explain == Explain::Yes;
        let Some((spec, domain)) = verdict.explanation.as_ref().filter(|_| is_wanted) else {
            return Ok(None);
        };
        let Some(name) = self.name(spec, domain)? else { return Ok(None) };
        let Found::Text { sole: Some(text), .. } = self.fact(&name, Rtype::TXT)? else {
            return Ok(None);
        };
        let Ok(spec) = Spec::parse(text, Place::Explanation) else { return Ok(None) };
        let text = spec.expand(MAX_EXPLANATION, |letter| self.value(letter, domain))?;
        Ok(Some(text).filter(|text| text.len() <= MAX_EXPLANATION))
    }

    fn report(&self, verdict: Result<Verdict<'f>, Stop>, explanation: Option<Vec<u8>>) -> Report {
        let (verdict, problem) = match verdict {
            Ok(verdict) => (verdict, None),
            Err(Stop::Error(problem @ Problem::Policy(_))) => {
                (Verdict::of(SpfResult::PermError), Some(problem))
            }
            Err(Stop::Error(problem)) => (Verdict::of(SpfResult::TempError), Some(problem)),
            Err(Stop::Wait) => (Verdict::of(SpfResult::TempError), None),
        };
        Report {
            result: verdict.result,
            matched: verdict.matched,
            problem,
            is_sure: self.is_sure,
            is_for_message: self.is_for_message,
            terms: self.terms.min(MAX_TERMS),
            lookups: self.facts.len(),
            voids: self.voids,
            ttl: self.facts.ttl(),
            explanation,
        }
    }
}

impl Verdict<'_> {
    fn of(result: SpfResult) -> Self {
        Self { result, matched: None, explanation: None }
    }
}

/// Why an answer is not of the type that was asked for.
fn failure(found: &Found) -> Failure {
    match found {
        Found::Failed(failure) => *failure,
        _ => Failure::Malformed,
    }
}

fn width(prefix: u8, address: IpAddr) -> Width {
    let narrow = if address.is_ipv4() { NARROW4 } else { NARROW6 };
    if prefix < narrow { Width::Wide } else { Width::Narrow }
}

/// RFC 7208 7.3, `i`: IPv6 addresses as nibbles.
fn dotted(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.to_string().into_bytes(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
            let nibbles: Vec<_> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            nibbles.join(".").into_bytes()
        }
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
