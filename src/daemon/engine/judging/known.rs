//! All that is known while an image is judged: the answers of DNS and of the external program so far.
#![forbid(unsafe_code)]

use super::Work;
use crate::checker::heard::Heard;
use crate::inquiry::{Findings, Rounds};
use crate::scan::answers::{Confirmation, DomainVerdict, Exemption, Listed, Oddity, SpfResult};
use crate::scan::{Answers, Doubt};
use std::net::IpAddr;

/// All questions and answers so far.
pub(super) struct Known<'w> {
    /// The task.
    pub work: &'w Work,
    /// What DNS says: first about what was asked at the beginning, then about what came up later.
    pub rounds: Rounds,
    /// The external program's answers.
    pub heard: Heard,
}

/// What was not answered is unknown.
impl Answers for Known<'_> {
    fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
        self.rounds.helo(address, name)
    }

    fn helo_now(&self, address: IpAddr, name: &str) -> Confirmation {
        self.rounds.helo_now(address, name)
    }

    fn is_gone(&self, address: IpAddr, name: &str) -> bool {
        self.rounds.is_gone(address, name)
    }

    fn reverse(&self, address: IpAddr) -> (Confirmation, Option<&[u8]>) {
        self.rounds.reverse(address)
    }

    fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
        self.rounds.domain(domain)
    }

    fn exemption(&self, address: IpAddr, domain: &[u8]) -> Exemption {
        self.rounds.exemption(address, domain)
    }

    fn spf(&self, address: IpAddr, domain: &[u8]) -> Option<SpfResult> {
        self.rounds.spf(address, domain)
    }

    fn listed(&self, address: IpAddr, zone: &str) -> Option<Listed> {
        self.rounds.listed(address, zone)
    }

    fn aside(&self) -> Vec<(String, Oddity)> {
        self.rounds.aside()
    }

    fn is_heard(&self, address: IpAddr) -> Option<bool> {
        self.rounds.is_heard(address)
    }

    fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        self.heard.is_recipient(address)
    }

    fn is_awaited(&self, address: &[u8]) -> bool {
        self.heard.is_awaited(address)
    }

    fn was_spared(&self, address: IpAddr) -> bool {
        self.work.spared.contains(&address)
    }

    fn doubt(&self) -> Option<Doubt> {
        self.rounds.doubt()
    }
}

impl Known<'_> {
    /// The hosts with a name that has no answer, if DNS was usable or there was nothing to ask.
    pub fn unanswered(&self, is_settled: bool) -> Option<Vec<IpAddr>> {
        let mut rounds = self.rounds.findings.iter();
        let mut hosts = match rounds.next() {
            Some(findings) => findings.unanswered()?,
            None => is_settled.then(Vec::new)?,
        };
        hosts.extend(rounds.filter_map(Findings::unanswered).flatten());
        Some(hosts)
    }
}
