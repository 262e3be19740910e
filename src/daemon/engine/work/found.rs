//! What a scan has found, besides hosts to trap: for the log, memory, and the scans to come.
#![forbid(unsafe_code)]

use crate::control::protocol::What;
use crate::control::status::Phase;
use crate::daemon::engine::judging::{Found, Overview};
use crate::daemon::engine::{Engine, now, recorded};
use crate::log;
use crate::memory::{Deed, Record};
use crate::scan::{Rule, Verdict, Why};
use std::net::IpAddr;
use std::sync::Arc;

/// Hosts of which it is known which exception has spared them.
const EXEMPTED: usize = 10_000;

impl Engine {
    /// Handles what a scan has read in the records.
    pub(super) fn read(&mut self, Overview { counts, unknown, let_go, passed }: Overview) {
        log::debug(&counts);
        unknown.iter().for_each(log::verbose);
        self.memory.let_go(&let_go);
        self.note_passed(&passed);
        if let Some(at_work) = &mut self.at_work {
            at_work.scan.records = counts;
        }
    }

    /// Handles the result of a scan.
    pub(super) fn found(&mut self, found: Found) {
        let Some(at_work) = &mut self.at_work else { return };
        at_work.scan.took.judge = found.worked.into();
        at_work.enter(Phase::Writing);
        at_work.scan.waiting = found.waiting;
        at_work.scan.judged = found.judged;
        found.doubts.iter().for_each(log::warning);
        self.memory.doubts = found.doubts;
        found.unanswered.into_iter().for_each(|hosts| self.patience.note(hosts));
        self.warnings.note(found.spared, now());
        self.ledger.note_vouched(self.vouched.note(found.vouched.into_iter(), now()));
        self.warnings.changed().into_iter().for_each(|warned| self.ledger.note_warned(warned));
        Arc::make_mut(&mut self.heard).note(found.heard, now());
        let mut news = found.news;
        self.known = Arc::new(std::mem::take(&mut news.known));
        self.ledger.note_news(news);
        self.ledger.note_evidence(found.evidence);
        if let Some(failure) = at_work.failure.take() {
            return self.fail(failure, None);
        }
        self.note_passes(&found.hosts);
        self.note_confirmed(&found.hosts);
        self.note_revived(&found.revived);
        self.free(found.freed);
        if self.is_monitored() {
            // What exceptions are good for is in the history.
            let is_news = |verdict: &Verdict| verdict.passes() != Some(Why::Allowed);
            for verdict in found.hosts.into_iter().filter(is_news) {
                self.publish(What::Verdict(verdict.without_tuples()));
            }
        }
        if self.at_work.as_ref().is_some_and(|at_work| at_work.wanted.is_none()) {
            self.write();
        }
    }

    /// Hosts that rules had trapped are whitelisted now.
    fn note_passed(&mut self, passed: &[IpAddr]) {
        self.trust.age(now());
        for address in passed {
            let rules: Vec<_> = self.trust.book().unpassed(*address).map(String::from).collect();
            self.note_good(Deed::Passed, *address, rules, "whitelisted after its trap");
        }
    }

    /// DNS has confirmed the identity of hosts; rules may have trapped some of them before.
    fn note_confirmed(&mut self, hosts: &[Verdict]) {
        let is_confirmed = |verdict: &&Verdict| verdict.passes().is_some_and(Why::is_identity);
        for address in hosts.iter().filter(is_confirmed).map(|verdict| verdict.address.ip()) {
            let rules: Vec<_> = self.trust.book().unproven(address).map(String::from).collect();
            self.note_good(Deed::Confirmed, address, rules, "identity confirmed after its trap");
        }
    }

    /// DNS has found sender domains good for which hosts were trapped before.
    fn note_revived(&mut self, domains: &[Vec<u8>]) {
        let hosts = domains.iter().flat_map(|domain| self.trust.take_trapped_for(domain));
        for address in hosts.collect::<Vec<_>>() {
            let is_open = self.trust.book().unproven(address).any(|rule| rule == Rule::Dns.name());
            let rules = is_open.then(|| Rule::Dns.name().to_owned());
            let reason = "sender domain good after its trap";
            self.note_good(Deed::Confirmed, address, rules.into_iter().collect(), reason);
        }
    }

    fn note_good(&mut self, deed: Deed, address: IpAddr, rules: Vec<String>, reason: &str) {
        for rule in rules {
            let record = recorded::event(deed, Some(address), reason, now());
            self.remember(Record { rule: Some(rule), ..record });
        }
    }

    /// Sends to memory which hosts were spared and why, unless that is as in the last scan.
    fn note_passes(&mut self, hosts: &[Verdict]) {
        let now = now();
        let last = std::mem::take(&mut self.passed);
        for verdict in hosts {
            let (address, Some(why)) = (verdict.address.ip(), verdict.passes()) else { continue };
            if why.is_exception() {
                self.note_exempt(verdict, why);
            } else if last.get(&address) != Some(&why) {
                self.remember(recorded::record(Deed::Spared, verdict, now, None));
            }
            self.passed.insert(address, why);
        }
    }

    /// Has remembered which exception spares a host, once.
    fn note_exempt(&mut self, verdict: &Verdict, why: Why) {
        let address = verdict.address.ip();
        let mut verdict = verdict.clone();
        if why == Why::Allowed {
            verdict.evidence.statements.extend(self.config.rules.allowing(address));
        }
        let statement = verdict.evidence.statements.first();
        let statement = statement.map_or(String::new(), |written| written.statement.clone());
        if self.exempted.get(&address) == Some(&statement) {
            return;
        }
        if self.exempted.len() >= EXEMPTED {
            self.exempted.clear();
        }
        self.exempted.insert(address, statement);
        self.remember(recorded::record(Deed::Spared, &verdict, now(), None));
    }
}
