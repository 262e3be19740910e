//! The judging itself: the rules at work on the hosts of one share.
//!
//! Hosts with their tuples come in (`hosts`), an [`Outcome`] for each goes out; `stages` calls, once with
//! what the database says and once more with what DNS says. Most hosts are settled by what was noted
//! of their tuples; bytes decide about all that are trapped.

use super::answers::{Answers, Confirmation};
use super::distinct::Distinct;
use super::hosts::{Host, Waiting};
use super::identity;
use super::notes::{Marks, Note};
use super::rules::domains::Domain;
use super::rules::{Sent, checker, dns, domains, helo, rcpt, senders, syntax};
use super::verdict::{Ground, Outcome, Why};
use crate::config::Rules;
use crate::spamd::Tuple;

/// How many hosts are made ready to be judged at once: as many as have their keys in a CPU's cache.
pub(super) const AHEAD: usize = 256;

/// A host that a counting rule holds something against, by its number.
#[derive(Debug)]
pub(super) struct Nominee {
    pub host: usize,
    ground: Ground,
}

/// The rules at work on one host after the other, with what they need to work in.
pub(super) struct Judge<'w, 'a, 'r> {
    waiting: &'w Waiting<'a>,
    rules: &'r Rules,
    nominees: Vec<Nominee>,
    firsts: Vec<&'w Note<'a>>,
    scratch: Distinct,
}

impl<'w, 'a, 'r> Judge<'w, 'a, 'r> {
    pub fn new(waiting: &'w Waiting<'a>, rules: &'r Rules) -> Self {
        let (nominees, firsts) = (Vec::new(), Vec::new());
        Judge { waiting, rules, nominees, firsts, scratch: Distinct::new(waiting.seed()) }
    }

    /// What every host is, and the nominees among them.
    pub fn settle_all(mut self) -> (Vec<Outcome>, Vec<Nominee>) {
        let waiting = self.waiting;
        let mut outcomes = Vec::with_capacity(waiting.hosts().len());
        for hosts in waiting.hosts().chunks(AHEAD) {
            let glance = |host| self.at_a_glance(host).ok_or(host);
            let glances: Vec<_> = hosts.iter().map(glance).collect();
            waiting.expect(glances.iter().filter_map(|glance| glance.err()));
            for glance in glances {
                let outcome = glance.unwrap_or_else(|host| self.settle(outcomes.len(), host));
                outcomes.push(outcome);
            }
        }
        (outcomes, self.nominees)
    }

    /// Settles the nominees by the answers. Without, or with one that is not definite, they go free.
    pub fn settle_nominees(
        &mut self,
        nominees: &[Nominee],
        outcomes: &mut [Outcome],
        answers: Option<&dyn Answers>,
    ) {
        for nominee in nominees {
            let Some(outcome) = outcomes.get_mut(nominee.host) else { continue };
            *outcome = match self.ask(nominee, answers) {
                Ok(ground) => Outcome::Trap(ground),
                // A later rule may still have hit.
                Err(why) if *outcome == Outcome::Pass(Why::Nothing) => Outcome::Pass(why),
                Err(_) => *outcome,
            };
        }
    }

    /// The hosts that the rule `checker` may still hit.
    pub fn suspects(&self, outcomes: &[Outcome]) -> impl Iterator<Item = (usize, &'w Host)> {
        let judged = self.waiting.hosts().iter().zip(outcomes).enumerate();
        judged.filter_map(|(number, (host, outcome))| {
            (outcome.is_open() && self.is_suspect(host)).then_some((number, host))
        })
    }

    /// The rule `checker`, for every suspect that no rule before it traps.
    pub fn settle_recipients(&self, outcomes: &mut [Outcome], answers: &dyn Answers) {
        let waiting = self.waiting;
        let bad = self.suspects(outcomes).filter_map(|(number, host)| {
            let tuple = checker::judge(waiting.numbered(host), &self.rules.rcpt, answers)?;
            Some((number, tuple))
        });
        for (number, tuple) in bad.collect::<Vec<_>>() {
            if let Some(outcome) = outcomes.get_mut(number) {
                *outcome = Outcome::Trap(Ground::Checked { tuple });
            }
        }
    }

    /// The rule `dns`, which comes last, for every host that no other rule traps.
    pub fn settle_senders(&mut self, outcomes: &mut [Outcome], answers: &dyn Answers) {
        let waiting = self.waiting;
        for (hosts, outcomes) in waiting.hosts().chunks(AHEAD).zip(outcomes.chunks_mut(AHEAD)) {
            waiting.expect(open(hosts, outcomes));
            let judged = hosts.iter().zip(outcomes);
            for (host, outcome) in judged.filter(|(_, outcome)| outcome.is_open()) {
                *outcome = match dns::judge(waiting.numbered(host), answers) {
                    dns::Finding::Bad(tuple, bad) => Outcome::Trap(Ground::Domain { tuple, bad }),
                    dns::Finding::Unknown if *outcome == Outcome::Pass(Why::Nothing) => {
                        Outcome::Pass(Why::DomainUnknown)
                    }
                    _ => *outcome,
                };
            }
        }
    }

    /// What a host is, if what was noted tells: so most are settled without a look at their keys.
    fn at_a_glance(&self, host: &Host) -> Option<Outcome> {
        if !host.is_waiting() {
            return Some(Outcome::Absent);
        }
        let is_marked = host.marks.any(Marks::SENDER) || host.marks.any(Marks::RECIPIENT);
        let may_hit = is_marked || self.is_suspect(host) || self.may_be_many_named(host);
        let why = self.spared(host).or_else(|| (!may_hit).then_some(Why::Nothing));
        why.map(Outcome::Pass)
    }

    /// What a host is by its tuples, or for a nominee what it is if it goes free.
    fn settle(&mut self, number: usize, host: &Host) -> Outcome {
        if host.marks.any(Marks::SENDER)
            && let Some(ground) = self.bad_sender(host)
        {
            return Outcome::Trap(ground);
        }
        if let Some(ground) = self.nominate(host) {
            if !self.rules.identity {
                return Outcome::Trap(ground);
            }
            self.nominees.push(Nominee { host: number, ground });
        }
        match host.marks.any(Marks::RECIPIENT).then(|| self.bad_recipient(host)).flatten() {
            Some(ground) => Outcome::Trap(ground),
            None => Outcome::Pass(Why::Nothing),
        }
    }

    fn spared(&self, host: &Host) -> Option<Why> {
        if host.marks.any(Marks::WHITE) {
            Some(Why::Whitelisted)
        } else if host.marks.any(Marks::TRAPPED) {
            Some(Why::Trapped)
        } else {
            let allow = &self.rules.allow;
            (!allow.is_empty() && allow.contains(host.address.ip())).then_some(Why::Allowed)
        }
    }

    /// Whether there are more senders than `suspect tuples`.
    fn is_suspect(&self, host: &Host) -> bool {
        let few = self.rules.suspect_tuples as usize;
        host.tuples() > few && self.waiting.mailboxes(host) > few
    }

    /// Whether the rule `helo` could hit.
    fn may_be_many_named(&self, host: &Host) -> bool {
        if host.tuples() < 2 {
            return false;
        }
        let helos = self.waiting.notes_of(host).map(|note| note.helo);
        let mut names = helos.filter(|helo| *helo != 0);
        match self.rules.max_helo_domains {
            Some(0) => true,
            Some(_) => names.next().is_some_and(|one| names.any(|other| other != one)),
            None => false,
        }
    }

    fn bad_sender(&self, host: &Host) -> Option<Ground> {
        self.waiting.numbered(host).find_map(|(tuple, sender)| {
            let fault = syntax::fault(&sender)?;
            Some(Ground::Sender { tuple, fault })
        })
    }

    fn bad_recipient(&self, host: &Host) -> Option<Ground> {
        let hits = |(_, tuple): &(u32, Tuple<'_>)| rcpt::hits(tuple, &self.rules.rcpt);
        self.waiting.numbered(host).find(hits).map(|(tuple, _)| Ground::Recipient { tuple })
    }

    /// What the first of the counting rules holds against a host.
    ///
    /// The others need not be asked: identity, or the lack of it, settles all of them alike.
    fn nominate(&mut self, host: &Host) -> Option<Ground> {
        let rules = self.rules;
        let mut ground = None;
        if self.is_suspect(host) {
            ground = rules.max_sender_domains.and_then(|max| self.domains(host, max));
            ground = ground.or_else(|| self.senders(host, rules.max_sender_ratio?));
        }
        let max = rules.max_helo_domains.filter(|_| self.may_be_many_named(host));
        ground.or_else(|| self.helo(host, max?, |_| true))
    }

    fn domains(&mut self, host: &Host, max: u32) -> Option<Ground> {
        let waiting = self.waiting;
        self.firsts.clear();
        let mailboxes = waiting.notes_of(host).filter(|note| note.marks.any(Marks::MAILBOX));
        self.firsts.extend(mailboxes);
        // One of each domain, as far as hashes tell.
        self.firsts.sort_unstable_by_key(|note| note.domain);
        self.firsts.dedup_by_key(|note| note.domain);
        if self.firsts.len() <= max as usize {
            return None;
        }
        let senders =
            self.firsts.iter().filter_map(|note| match note.marks.any(Marks::REGISTERED) {
                true => Some(Domain::Registered(note.domain)),
                false => Some(Domain::Written(Sent::new(&note.tuple())?.from.domain)),
            });
        let domains = domains::nominate(senders, max, &mut self.scratch)?;
        Some(Ground::Domains { domains, max })
    }

    fn senders(&mut self, host: &Host, max: f64) -> Option<Ground> {
        let tuples = u32::try_from(self.waiting.mailboxes(host)).ok()?;
        let sent = self.waiting.tuples_of(host).filter_map(|tuple| Sent::new(&tuple));
        let senders = senders::nominate(sent, tuples, max, &mut self.scratch)?;
        Some(Ground::Senders { senders, max })
    }

    fn helo(&mut self, host: &Host, max: u32, counts: impl Fn(&[u8]) -> bool) -> Option<Ground> {
        if host.tuples() < 2 {
            return None;
        }
        let names = self.waiting.tuples_of(host).map(|tuple| tuple.helo);
        let domains = helo::nominate(names.filter(|name| counts(name)), max, &mut self.scratch)?;
        Some(Ground::Helo { domains, max })
    }

    /// What a nominee is trapped for, or why it goes free.
    fn ask(&mut self, nominee: &Nominee, answers: Option<&dyn Answers>) -> Result<Ground, Why> {
        let answers = answers.ok_or(Why::IdentityUnknown)?;
        let host = self.waiting.hosts().get(nominee.host).ok_or(Why::Nothing)?;
        let address = host.address.ip();
        match identity::of_host(answers, address, self.waiting.tuples_of(host)) {
            Confirmation::Confirmed => return Err(Why::Identity),
            Confirmation::Unknown => return Err(Why::IdentityUnknown),
            Confirmation::NotConfirmed => {}
        }
        let Ground::Helo { max, .. } = nominee.ground else { return Ok(nominee.ground) };
        let is = |name: &[u8], wanted| identity::of_helo(answers, address, name) == wanted;
        if let Some(ground) = self.helo(host, max, |name| is(name, Confirmation::NotConfirmed)) {
            return Ok(ground);
        }
        // Names of which nothing is known may be the ones too many.
        let could_be = self.helo(host, max, |name| !is(name, Confirmation::Confirmed)).is_some();
        Err(if could_be { Why::IdentityUnknown } else { Why::Nothing })
    }
}

/// The hosts that a later rule may still hit.
pub(super) fn open<'h>(hosts: &'h [Host], outcomes: &[Outcome]) -> impl Iterator<Item = &'h Host> {
    let judged = hosts.iter().zip(outcomes);
    judged.filter_map(|(host, outcome)| outcome.is_open().then_some(host))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        NOW, SIX_DOMAINS, SIX_SENDERS, asked, grey, host, record, rules, scan, verdicts,
    };
    use super::*;
    use crate::config::{Network, Networks};
    use crate::db::Record;

    #[test]
    fn every_rule_has_its_reason() {
        let mut records = vec![grey("10.0.0.1", "h", "<nobody>", "<u@ours.test>")];
        records.extend(host("10.0.0.2", "h", &SIX_DOMAINS));
        records.extend(host("10.0.0.3", "h", &SIX_SENDERS));
        records.push(grey("10.0.0.4", "a.one.example", "<>", "<u@ours.test>"));
        records.push(grey("10.0.0.4", "a.two.example", "<>", "<u@ours.test>"));
        records.push(grey("10.0.0.5", "h", "<a@x.example>", "<X@Old.test>"));
        records.push(grey("10.0.0.6", "h", "<a\x1b@x.example>", "<u@ours.test>"));
        records.push(grey("10.0.0.7", "h", "<a@x.example>", "<u@ours.test>"));
        assert_eq!(
            verdicts(&records, &rules()),
            [
                "10.0.0.1 syntax Invalid source address nobody (no @)",
                "10.0.0.2 domains Host sending from 6 domains (> 3)",
                "10.0.0.3 senders Senders/Tuples ratio is 6/6 senders/tuples (> 0.75)",
                "10.0.0.4 helo Host calls itself 2 names (> 1)",
                "10.0.0.5 rcpt Mailed to trap address X@Old.test",
                "10.0.0.6 syntax Invalid source address a\\033@x.example (control character)",
                "10.0.0.7 - nothing against it",
            ]
        );
    }

    /// One host that does everything wrong, and the rules switched off one by one.
    #[test]
    fn the_first_rule_hits_and_each_can_be_switched_off() {
        let mut records = host("10.0.0.1", "a.one.example", &SIX_DOMAINS);
        records.push(grey("10.0.0.1", "a.two.example", "<nobody>", "<x@old.test>"));
        let mut rules = rules();
        let mut rule = |change: fn(&mut Rules)| {
            let rule = scan(&records, &rules).finish(None).verdicts().next().unwrap().rule();
            change(&mut rules);
            rule.map_or("-", |rule| rule.name())
        };
        assert_eq!(rule(|rules| rules.sender_syntax = false), "syntax");
        assert_eq!(rule(|rules| rules.max_sender_domains = None), "domains");
        assert_eq!(rule(|rules| rules.max_sender_ratio = None), "senders");
        assert_eq!(rule(|rules| rules.max_helo_domains = None), "helo");
        assert_eq!(rule(|rules| rules.rcpt.trap.clear()), "rcpt");
        assert_eq!(rule(|_| {}), "-");
    }

    #[test]
    fn counting_rules_want_more_than_so_many_tuples() {
        assert_eq!(
            verdicts(&host("10.0.0.1", "h", &SIX_DOMAINS[..5]), &rules()),
            ["10.0.0.1 - nothing against it"]
        );
        let mut padded = host("10.0.0.1", "h", &SIX_DOMAINS[..5]);
        padded.push(grey("10.0.0.1", "h", "<>", "<u9@ours.test>"));
        padded.push(padded[0].clone());
        assert_eq!(verdicts(&padded, &rules()), ["10.0.0.1 - nothing against it"]);
        let rules = Rules { suspect_tuples: 4, ..rules() };
        assert_eq!(
            verdicts(&padded, &rules),
            ["10.0.0.1 domains Host sending from 5 domains (> 3)"]
        );
    }

    #[test]
    fn helo_wants_two_tuples_that_differ() {
        let rules = Rules { max_helo_domains: Some(0), ..rules() };
        let one = grey("10.0.0.1", "a.x.example", "<>", "<u@ours.test>");
        let nothing = ["10.0.0.1 - nothing against it"];
        assert_eq!(verdicts(std::slice::from_ref(&one), &rules), nothing);
        assert_eq!(verdicts(&[one.clone(), one.clone()], &rules), nothing);
        let other = grey("10.0.0.1", "a.x.example", "<>", "<v@ours.test>");
        assert_eq!(
            verdicts(&[one, other], &rules),
            ["10.0.0.1 helo Host calls itself 1 names (> 0)"]
        );
    }

    #[test]
    fn hosts_known_already_are_left_out_whatever_the_spelling() {
        let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
        let rules = Rules { allow: Networks::new(vec![network("10.9.0.0", 16)]), ..rules() };
        let bad = |address| grey(address, "h", "<nobody>", "<u@ours.test>");
        let records = [
            bad("10.0.0.1"),
            bad("2001:db8::1"),
            bad("2001:db8::2"),
            record("::ffff:10.0.0.1", NOW + 1, 5),
            record("2001:DB8::0:1", NOW + 1, 0),
            record("2001:db8::2", NOW - 1, -1),
            bad("10.0.0.2"),
        ];
        assert_eq!(
            verdicts(&records, &rules),
            [
                "10.0.0.1 - whitelisted",
                "2001:db8::1 - whitelisted",
                "2001:db8::2 - trapped already",
                "10.0.0.2 syntax Invalid source address nobody (no @)",
            ]
        );
    }

    #[test]
    fn identity_settles_nominees() {
        let helo = |names: &[&str]| -> Vec<Record<'static>> {
            let mut records = host("10.0.0.1", names[0], &SIX_DOMAINS);
            let others = names.iter().map(|name| grey("10.0.0.1", name, "<>", "<u@ours.test>"));
            records.extend(others);
            records
        };
        let trapped = ["10.0.0.1 domains Host sending from 6 domains (> 3)"];
        assert_eq!(asked(&helo(&["no.x.example"])), trapped);
        assert_eq!(asked(&helo(&["YES.x.example"])), ["10.0.0.1 - identity confirmed"]);
        assert_eq!(asked(&helo(&["dunno.x.example"])), ["10.0.0.1 - identity not known"]);
        assert_eq!(
            asked(&helo(&["yes.x.example", "dunno.x.example"])),
            ["10.0.0.1 - identity not known"]
        );
        assert_eq!(asked(&helo(&["yes.x.example", "no.x.example"])), trapped);
        // What is no host name is never confirmed.
        assert_eq!(asked(&helo(&["yes.x.example", "[10.0.0.1]"])), trapped);
        assert_eq!(asked(&helo(&["localhost"])), trapped);
    }

    #[test]
    fn only_names_that_are_not_confirmed_count_for_helo() {
        let helo = |names: &[&str]| -> Vec<Record<'static>> {
            names.iter().map(|name| grey("10.0.0.1", name, "<>", "<u@ours.test>")).collect()
        };
        let trapped = ["10.0.0.1 helo Host calls itself 2 names (> 1)"];
        assert_eq!(asked(&helo(&["no.x.example", "no.y.example"])), trapped);
        assert_eq!(asked(&helo(&["no.x.example", "no.y.example", "yes.z.example"])), trapped);
        assert_eq!(asked(&helo(&["no.x.example", "no.y.example", "dunno.z.example"])), trapped);
        assert_eq!(
            asked(&helo(&["yes.x.example", "no.y.example"])),
            ["10.0.0.1 - nothing against it"]
        );
        assert_eq!(
            asked(&helo(&["yes.x.example", "yes.y.example"])),
            ["10.0.0.1 - identity confirmed"]
        );
        assert_eq!(
            asked(&helo(&["dunno.x.example", "no.y.example"])),
            ["10.0.0.1 - identity not known"]
        );
    }
}
