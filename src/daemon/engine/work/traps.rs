//! Has the store trap the hosts that a scan has found, and end the traps of those that an exception covers.
#![forbid(unsafe_code)]

use crate::control::protocol::{Span, What};
use crate::daemon::engine::{Engine, now, recorded};
use crate::daemon::messages::{By, Change, ToStore};
use crate::log;
use crate::memory::Deed;
use crate::scan::{Rule, Verdict, Why};
use crate::spamd::Address;
use crate::spamd::trap::{Outcome, Refusal};
use std::net::IpAddr;
use std::time::Duration;

/// The number of hosts in one request to the store: between two requests others get the lock, and clients
/// are served.
const CHUNK: usize = 500;

/// Traps that the store was asked for.
pub(super) struct Wanted {
    ticket: u64,
    verdicts: Vec<Verdict>,
}

impl Engine {
    /// Has the hosts trapped that a scan has found so far.
    pub(super) fn trap(&mut self, traps: Vec<Verdict>) {
        let rules = self.observed_rules();
        let is_observed = |rule| rules.contains(&rule);
        let (observed, traps): (Vec<_>, _) =
            traps.into_iter().partition(|verdict| verdict.rule.is_some_and(is_observed));
        self.observe(observed);
        for verdict in traps.iter().map(Verdict::without_tuples) {
            self.publish(What::Verdict(verdict));
        }
        let Some(at_work) = &mut self.at_work else { return };
        if at_work.failure.is_some() {
            return;
        }
        at_work.left.extend(traps);
        if at_work.wanted.is_none() {
            self.write();
        }
    }

    /// Rules that are only observed: by the configuration, because they were wrong too often, or because it is
    /// not known which hosts were released.
    pub(super) fn observed_rules(&self) -> Vec<Rule> {
        let names = &self.config.observe;
        let is_observed = |rule: &Rule| {
            let is_suspended = self.trust.is_suspended(*rule);
            names.contains(&rule.name()) || is_suspended || self.ledger.is_blind()
        };
        Rule::ALL.into_iter().filter(is_observed).collect()
    }

    /// Logs and remembers hosts that observed rules hit, each once for as long as it is hit.
    fn observe(&mut self, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            let (address, Some(rule)) = (verdict.address.ip(), verdict.rule) else { continue };
            self.observed.insert(address, rule);
            if self.observed_before.get(&address) == Some(&rule) {
                continue;
            }
            self.memory.totals.observed.add(rule, 1);
            log::info(format_args!("Would trap {}: {}", verdict.address, verdict.reason));
            self.publish(What::Observed(verdict.without_tuples()));
            self.remember(recorded::record(Deed::Observed, &verdict, now(), None));
        }
    }

    /// Asks the store for the next traps. If there are none, and no more can be found, the scan is complete.
    pub(super) fn write(&mut self) {
        let ticket = self.ticket();
        let Some(at_work) = self.at_work.as_mut().filter(|at_work| !at_work.is_stopped) else {
            return;
        };
        // These were released after the image was read.
        at_work.left.retain(|verdict| !self.memory.holds(verdict.address.ip()));
        let book = self.trust.book();
        let again = self.config.trap_again.is_some();
        let before = |verdict: &Verdict| if again { book.times(verdict.address.ip()) } else { 0 };
        let Some(count) = at_work.left.front().map(before) else {
            if at_work.judging.is_none() {
                self.finish();
            }
            return;
        };
        // Those whose traps last as long as the first one's.
        let (mut verdicts, others): (Vec<_>, Vec<_>) =
            at_work.left.drain(..).partition(|verdict| before(verdict) == count);
        at_work.left.extend(verdicts.split_off(verdicts.len().min(CHUNK)));
        at_work.left.extend(others);
        let addresses = verdicts.iter().map(|verdict| verdict.address.to_string()).collect();
        at_work.wanted = Some(Wanted { ticket, verdicts });
        let by = By::Scan { before: count };
        self.store.send(&ToStore::Trap(Change { ticket, addresses, by }));
    }

    /// Handles what became of the request with this ticket.
    pub(in crate::daemon::engine) fn changed(
        &mut self,
        ticket: u64,
        (outcomes, trap): (&[Option<Outcome>], Span),
        failure: Option<String>,
        longest: Duration,
    ) {
        let wanted = self.at_work.as_mut().and_then(|at_work| {
            let wanted = at_work.wanted.take_if(|wanted| wanted.ticket == ticket)?;
            at_work.scan.lock_held = at_work.scan.lock_held.max(longest.into());
            Some(wanted)
        });
        if let Some(addresses) = self.freeing.remove(&ticket) {
            return self.note_freed(addresses, outcomes);
        }
        let Some(Wanted { verdicts, .. }) = wanted else {
            return self.changed_for_client(ticket, (outcomes, trap), failure);
        };
        for (verdict, outcome) in verdicts.into_iter().zip(outcomes) {
            self.note_outcome(verdict, *outcome, trap);
        }
        match failure {
            // The rest would fail too, after waiting for the lock again.
            Some(failure) => self.give_up_writing(failure),
            None => self.write(),
        }
    }

    /// Traps nothing more in this scan, which ends when the image is no longer in use.
    fn give_up_writing(&mut self, failure: String) {
        let Some(at_work) = &mut self.at_work else { return };
        if at_work.judging.is_none() {
            return self.fail(failure, None);
        }
        at_work.left.clear();
        at_work.failure = Some(failure);
    }

    fn note_outcome(&mut self, verdict: Verdict, outcome: Option<Outcome>, trap: Span) {
        let Some(at_work) = &mut self.at_work else { return };
        match outcome {
            Some(outcome) if outcome.is_trapped() => {
                if let Some(rule) = verdict.rule {
                    at_work.scan.trapped.add(rule, 1);
                }
                log::info(format_args!("Trapped {}: {}", verdict.address, verdict.reason));
                self.publish(What::Trapped(verdict.without_tuples()));
                let Span { first, expire } = trap;
                self.remember(recorded::record(Deed::Trapped, &verdict, first, Some(expire)));
                self.memory.remember(verdict, trap);
            }
            Some(Outcome::Refused(Refusal::Limit)) => {
                at_work.over_limit += 1 + std::mem::take(&mut at_work.left).len();
            }
            Some(outcome) => {
                log::verbose(format_args!("{}: not trapped after all: {outcome}", verdict.address));
            }
            None => {}
        }
    }

    /// Stops asking the store for traps of the scan under way.
    pub(in crate::daemon::engine) fn stop_writing(&mut self) {
        if let Some(at_work) = &mut self.at_work {
            at_work.is_stopped = true;
        }
    }

    /// Ends the traps of hosts that an exception covers by name.
    pub(super) fn free(&mut self, hosts: Vec<IpAddr>) {
        if hosts.is_empty() {
            return;
        }
        let addresses: Vec<_> = hosts.into_iter().map(Address::from).collect();
        let (ticket, by) = (self.ticket(), By::Scan { before: 0 });
        let texts = addresses.iter().map(ToString::to_string).collect();
        self.freeing.insert(ticket, addresses);
        self.store.send(&ToStore::EndTraps(Change { ticket, addresses: texts, by }));
    }

    fn note_freed(&mut self, addresses: Vec<Address>, outcomes: &[Option<Outcome>]) {
        for (address, outcome) in addresses.iter().zip(outcomes) {
            match outcome {
                Some(outcome) if outcome.is_released() => {
                    self.released(address, Deed::Allowed, Why::AllowedName.text().into());
                }
                // It is in no trap any more.
                Some(_) => self.memory.forget(address.ip()),
                None => {}
            }
        }
    }
}
