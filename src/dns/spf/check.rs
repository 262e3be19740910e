//! One `check_host()`. In: answers. Out: questions, and a [`Report`]. This module does no input or output.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::SpfResult;
use super::evaluate::{Outcome, evaluate};
use super::facts::Facts;
use super::report::{Problem, Report};
use crate::dns::answer::Answer;
use crate::dns::exemption::Claim;
use crate::dns::failure::Failure;
use crate::dns::identity::Ask;
use crate::dns::name::Name;
use domain::base::Rtype;

/// The number of questions that one check may ask. Ten terms with ten names each stay below it.
const MAX_QUESTIONS: usize = 150;

/// Whether the domain's explanation of a fail is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explain {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What `check_host()` is about (RFC 7208 4.1).
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The host.
    pub address: IpAddr,
    /// Its HELO string.
    pub helo: Vec<u8>,
    /// The sender's local part.
    pub local: Vec<u8>,
    /// The sender's domain.
    pub domain: Name,
    /// Whether a fail is to be explained.
    pub explain: Explain,
}

/// See the module.
#[derive(Debug)]
pub struct Check {
    subject: Option<Subject>,
    facts: Facts,
    /// The number of unanswered questions.
    open: usize,
    report: Option<Box<Report>>,
}

impl Check {
    /// Begins a check. The result is `none` at once if the sender's domain is not a name (RFC 7208 4.3).
    pub fn new(claim: &Claim, explain: Explain) -> (Self, Vec<Ask>) {
        let subject = Subject::new(claim, explain);
        let mut check = Self { subject, facts: Facts::default(), open: 0, report: None };
        let asks = check.go_on();
        (check, asks)
    }

    /// Takes the answer to question `number`; returns what to ask next.
    pub fn answered(&mut self, number: usize, answer: Result<&Answer, Failure>) -> Vec<Ask> {
        if !self.facts.note(number, answer) {
            return Vec::new();
        }
        self.open = self.open.saturating_sub(1);
        if self.open == 0 { self.go_on() } else { Vec::new() }
    }

    /// The question with this number.
    pub fn question(&self, number: usize) -> Option<(&Name, Rtype)> {
        self.facts.question(number)
    }

    /// The result, once there is one.
    pub fn end(&self) -> Option<&Report> {
        self.report.as_deref()
    }

    fn go_on(&mut self) -> Vec<Ask> {
        let Some(subject) = &self.subject else {
            self.report = Some(Box::new(Report::unasked(SpfResult::None)));
            return Vec::new();
        };
        match evaluate(subject, &self.facts) {
            Outcome::Done(report) => {
                self.report = Some(report);
                Vec::new()
            }
            Outcome::Ask(missing) if self.facts.len() + missing.len() > MAX_QUESTIONS => {
                let problem = Some(Problem::Dns(Failure::Share));
                let report = Report::unasked(SpfResult::TempError);
                self.report = Some(Box::new(Report { problem, ..report }));
                Vec::new()
            }
            Outcome::Ask(missing) => {
                missing.into_iter().map(|question| self.ask(question)).collect()
            }
        }
    }

    fn ask(&mut self, (name, rtype): (Name, Rtype)) -> Ask {
        self.open += 1;
        let number = self.facts.add(name.clone(), rtype);
        Ask { number, name, rtype }
    }
}

impl Subject {
    fn new(claim: &Claim, explain: Explain) -> Option<Self> {
        let local = if claim.local.is_empty() { b"postmaster" } else { &claim.local[..] };
        Some(Self {
            address: claim.address.to_canonical(),
            helo: claim.helo.clone(),
            local: local.to_vec(),
            domain: Name::from_domain(&claim.domain).ok()?,
            explain,
        })
    }
}
