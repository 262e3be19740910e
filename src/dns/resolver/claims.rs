//! The resolver's work on claims: whether a domain endorses a host, and SPF alone.
//!
//! Unlike other work, it uses answers that are known from other claims, and keeps to a quota.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::time::Instant;

use domain::base::Rtype;

use super::super::answer::Answer;
use super::super::exemption::{Claim, Endorsement, Exemption, Inquiry};
use super::super::failure::Failure;
use super::super::identity::Ask;
use super::super::memo::Told;
use super::super::mux::Asker;
use super::super::name::Name;
use super::super::proof::Denial;
use super::super::spf::{Check, Explain};
use super::super::table::Key;
use super::{AskedBy, Found, Job, Resolver, Work};

/// Work on a claim.
#[derive(Debug)]
pub(super) struct Claimed {
    claim: Claim,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Exemption(Inquiry),
    Spf(Check),
}

impl Claimed {
    /// The question with this number.
    pub fn question(&self, number: usize) -> Option<(&Name, Rtype)> {
        match &self.stage {
            Stage::Exemption(inquiry) => inquiry.question(number),
            Stage::Spf(check) => check.question(number),
        }
    }

    fn answered(&mut self, number: usize, answer: Result<&Answer, Failure>) -> Vec<Ask> {
        match &mut self.stage {
            Stage::Exemption(inquiry) => inquiry.answered(number, answer),
            Stage::Spf(check) => check.answered(number, answer),
        }
    }

    fn is_over(&self) -> bool {
        match &self.stage {
            Stage::Exemption(inquiry) => inquiry.end().is_some(),
            Stage::Spf(check) => check.end().is_some(),
        }
    }
}

impl Resolver {
    /// Asks whether the sender's domain says that the host may send its mail: by its mail hosts or, if they
    /// do not include the host, by SPF.
    pub fn endorse(&mut self, ticket: u64, claim: &Claim) {
        if let Some(known) = self.endorsed.find(claim, Instant::now()) {
            return self.tell(ticket, Found::Endorsement(known), Denial::default());
        }
        let (inquiry, asks) = Inquiry::new(claim);
        self.work_on(ticket, claim, Stage::Exemption(inquiry), asks);
    }

    /// Asks what SPF says about the host and the sender (RFC 7208 4).
    pub fn check_host(&mut self, ticket: u64, claim: &Claim, explain: Explain) {
        let (check, asks) = Check::new(claim, explain);
        self.work_on(ticket, claim, Stage::Spf(check), asks);
    }

    fn work_on(&mut self, ticket: u64, claim: &Claim, stage: Stage, asks: Vec<Ask>) {
        let work = Work::Claim(Box::new(Claimed { claim: claim.clone(), stage }));
        let (asked_by, denial) = (AskedBy::Ticket(ticket), Denial::default());
        let job = self.jobs.insert(Job { asked_by, work, denial });
        self.conclude(job);
        self.pursue(job, asks);
    }

    /// Handles the answer to a question about a claim.
    pub(super) fn claim_answered(&mut self, key: Key, number: usize, told: Told) {
        let Some(Work::Claim(claimed)) = self.jobs.get(key).map(|job| &job.work) else { return };
        if let Some((name, rtype)) = claimed.question(number) {
            if told.is_err() {
                self.quota.failed(name);
            }
            self.memo.note(name, rtype, told.clone(), Instant::now());
        }
        let asks = self.take(key, number, &told);
        self.pursue(key, asks);
    }

    /// Asks, unless the answer is known or too much was asked already.
    fn pursue(&mut self, key: Key, mut asks: Vec<Ask>) {
        let now = Instant::now();
        while let Some(Ask { number, name, rtype }) = asks.pop() {
            let Some(host) = self.host(key) else { return };
            if let Some(told) = self.memo.find(&name, rtype, now) {
                asks.extend(self.take(key, number, &told));
            } else if self.quota.may_ask(host, &name, rtype) {
                self.mux.ask(Asker { job: key, question: number }, &name, rtype);
            } else {
                asks.extend(self.take(key, number, &Err(Failure::Share)));
            }
        }
    }

    /// The host that a job is about, if it has not ended.
    fn host(&self, key: Key) -> Option<IpAddr> {
        match &self.jobs.get(key)?.work {
            Work::Claim(claimed) => Some(claimed.claim.address),
            _ => None,
        }
    }

    /// Gives an answer to a job; returns what to ask next.
    fn take(&mut self, key: Key, number: usize, told: &Told) -> Vec<Ask> {
        let Some(job) = self.jobs.get_mut(key) else { return Vec::new() };
        let Work::Claim(claimed) = &mut job.work else { return Vec::new() };
        if let Ok((answer, server)) = told {
            job.denial.add(answer, *server);
        }
        let answer = told.as_ref().map(|(answer, _)| answer).map_err(|failure| *failure);
        let asks = claimed.answered(number, answer);
        self.conclude(key);
        asks
    }

    /// Ends a job that has a result.
    fn conclude(&mut self, key: Key) {
        let is_over = |job: &Job| matches!(&job.work, Work::Claim(claimed) if claimed.is_over());
        if !self.jobs.get(key).is_some_and(is_over) {
            return;
        }
        let Some(Job { asked_by, work: Work::Claim(claimed), denial }) = self.jobs.remove(key)
        else {
            return;
        };
        let AskedBy::Ticket(ticket) = asked_by else { return };
        match claimed.stage {
            Stage::Exemption(inquiry) => self.endorsed(ticket, claimed.claim, &inquiry, denial),
            Stage::Spf(check) => {
                if let Some(report) = check.end() {
                    self.tell(ticket, Found::Spf(Box::new(report.clone())), denial);
                }
            }
        }
    }

    /// What rests on denials is kept at the end of the scan, if they are believed then.
    fn endorsed(&mut self, ticket: u64, claim: Claim, inquiry: &Inquiry, denial: Denial) {
        let Some(end) = inquiry.end() else { return };
        let Endorsement { exemption, .. } = &end.endorsement;
        let is_settled = matches!(exemption, Exemption::Exempt(_)) || denial == Denial::default();
        self.tell(ticket, Found::Endorsement(end.endorsement.clone()), denial);
        match &mut self.scan {
            Some(scan) if !is_settled => scan.endorsed.push((claim, end, denial)),
            _ if is_settled => self.endorsed.note(&claim, end, Instant::now()),
            _ => {}
        }
    }
}
