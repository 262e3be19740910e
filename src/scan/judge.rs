//! Applies the rules to the hosts in one share.
//!
//! In: hosts with their tuples (`hosts`). Out: an [`Outcome`] for each. `stages` calls, first with the
//! database alone and again with the answers. Most hosts are settled by the notes about their tuples, but
//! no host is trapped without looking at the bytes. This module does not know which rules there are.

use super::answers::{Answers, Confirmation, Silence};
use super::hosts::{Host, Waiting};
use super::identity::{self, Anonymity};
use super::notes::Marks;
use super::rules::{Case, Ground, Identity, Opinion, Rule, Scratch, Stage, Subject};
use super::unasked::{Check, Unasked};
use super::verdict::{Outcome, Why};
use crate::config::Rules;
use crate::evidence::Evidence;
use crate::name;

/// The number of hosts that are prepared at once: their keys fit into a CPU's cache.
pub(super) const AHEAD: usize = 256;

/// Which hosts the rules are applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Those that a scan may trap.
    Candidates,
    /// Also those in `allow`, to show what that is good for.
    Exempt,
    /// Also those that it leaves alone whatever the rules say, to show what the rules say.
    All,
}

/// Why a scan leaves a host alone whatever the rules say, if it does.
pub(super) fn left_alone(host: &Host, rules: &Rules) -> Option<Why> {
    if host.marks.any(Marks::WHITE) {
        return Some(Why::Whitelisted);
    }
    if host.marks.any(Marks::TRAPPED) {
        return Some(Why::Trapped);
    }
    let address = host.address.ip();
    let is_allowed = rules.allows(address);
    let is_own = || rules.own.contains(address);
    let is_ahead = !host.marks.any(Marks::LIVE);
    let why = is_allowed.then_some(Why::Allowed);
    why.or_else(|| is_own().then_some(Why::Own)).or(is_ahead.then_some(Why::Ahead))
}

/// A host that a counting rule nominates, by its number.
#[derive(Debug)]
pub(super) struct Nominee {
    pub host: usize,
    ground: Ground,
}

/// A host with a bad message, which traps the host unless it has identity.
#[derive(Debug)]
pub(super) struct Suspicion {
    pub host: usize,
    ground: Ground,
    /// Whether it was found only with the answers.
    pub is_late: bool,
}

/// The hosts in a share that the database alone does not settle, by number, in order.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    pub nominees: Vec<Nominee>,
    pub suspicions: Vec<Suspicion>,
    /// Hosts that depend on answers to further questions.
    pub pleas: Pleas,
}

/// The hosts in a share that depend on answers to further questions, by number.
#[derive(Debug, Default)]
pub(super) struct Pleas {
    /// Whether their sender domains vouch for them.
    pub exemptions: Vec<usize>,
    /// Whether they are in lists that are signs.
    pub signs: Vec<usize>,
    /// Whether they are in lists that spare them.
    pub spares: Vec<usize>,
}

impl Pleas {
    fn note(&mut self, number: usize, opinion: &Opinion<Ground>) {
        self.exemptions.extend(opinion.needs_exemption().then_some(number));
        self.signs.extend(opinion.needs_sign().then_some(number));
        self.spares.extend(opinion.is_plea().then_some(number));
    }

    /// Each once, in order.
    pub fn sort(&mut self) {
        for numbers in [&mut self.exemptions, &mut self.signs, &mut self.spares] {
            numbers.sort_unstable();
            numbers.dedup();
        }
    }

    fn forget(&mut self, number: usize) {
        for numbers in [&mut self.exemptions, &mut self.signs, &mut self.spares] {
            while numbers.pop_if(|last| *last == number).is_some() {}
        }
    }
}

impl Unsettled {
    /// Hosts whose identity is needed from the beginning.
    pub fn early(&self) -> impl Iterator<Item = usize> {
        let early = self.suspicions.iter().filter(|suspicion| !suspicion.is_late);
        let nominees = self.nominees.iter().map(|nominee| nominee.host);
        nominees.chain(early.map(|suspicion| suspicion.host))
    }

    /// Hosts that were found only with the answers.
    pub fn late(&self) -> impl Iterator<Item = usize> {
        let is_nominee = |number: &usize| {
            self.nominees.binary_search_by_key(number, |nominee| nominee.host).is_ok()
        };
        let late = self.suspicions.iter().filter(|suspicion| suspicion.is_late);
        late.map(|suspicion| suspicion.host).filter(move |number| !is_nominee(number))
    }
}

/// What is known beyond the records of a host.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'k> {
    /// The answers, once there are any.
    pub answers: Option<&'k dyn Answers>,
    /// What is known beyond the host.
    pub evidence: Option<&'k Evidence>,
}

/// Applies the rules to one host after the other.
pub(super) struct Judge<'w> {
    waiting: &'w Waiting<'w>,
    rules: &'w Rules,
    whom: Whom,
    unsettled: Unsettled,
    scratch: Scratch<'w>,
}

impl<'w> Judge<'w> {
    pub fn new(waiting: &'w Waiting<'w>, rules: &'w Rules, whom: Whom) -> Self {
        let scratch = Scratch::new(waiting);
        Judge { waiting, rules, whom, unsettled: Unsettled::default(), scratch }
    }

    /// The outcome for every host, and the hosts that are not settled yet.
    pub fn settle_all(mut self) -> (Vec<Outcome>, Unsettled) {
        let waiting = self.waiting;
        let mut outcomes = Vec::with_capacity(waiting.hosts().len());
        for hosts in waiting.hosts().chunks(AHEAD) {
            let glance = |host| self.at_a_glance(host).ok_or(host);
            let glances: Vec<_> = hosts.iter().map(glance).collect();
            waiting.prefetch(glances.iter().filter_map(|glance| glance.err()));
            for glance in glances {
                let outcome = glance.unwrap_or_else(|host| self.settle(outcomes.len(), host));
                outcomes.push(outcome);
            }
        }
        (outcomes, self.unsettled)
    }

    /// Settles the nominees by the answers. Without a definite answer they go free. `pleas` gets those that
    /// depend on further questions.
    pub fn settle_nominees(
        &mut self,
        nominees: &[Nominee],
        outcomes: &mut [Outcome],
        answers: Option<&dyn Answers>,
        pleas: &mut Pleas,
    ) {
        for nominee in nominees {
            let opinion = self.ask(nominee, answers);
            pleas.note(nominee.host, &opinion);
            if let Some(outcome) = outcomes.get_mut(nominee.host) {
                outcome.take(opinion);
            }
        }
    }

    /// Whether each host that is not settled yet is anonymous.
    pub fn anonymities(&self, outcomes: &[Outcome], answers: &dyn Answers) -> Vec<Anonymity> {
        let mut found = Vec::with_capacity(outcomes.len());
        for (hosts, outcomes) in self.waiting.hosts().chunks(AHEAD).zip(outcomes.chunks(AHEAD)) {
            let open = |(host, outcome): (&'w Host, &Outcome)| outcome.is_open().then_some(host);
            let open: Vec<_> = hosts.iter().zip(outcomes).map(open).collect();
            self.waiting.prefetch(open.iter().flatten().copied());
            found.extend(open.into_iter().map(|host| {
                host.map_or(Anonymity::Unknown, |host| {
                    let tuples = self.waiting.tuples_of(host);
                    identity::anonymity(answers, host.address.ip(), tuples)
                })
            }));
        }
        found
    }

    /// Applies the rules that depend on who the host is to every host that is not settled yet. `anonymities`
    /// are those of all hosts, if there are answers. Returns the hosts that depend on further questions.
    pub fn settle_letters(
        &mut self,
        anonymities: &[Anonymity],
        outcomes: &mut [Outcome],
        known: Known<'_>,
    ) -> Pleas {
        let (waiting, mut pleas) = (self.waiting, Pleas::default());
        let numbered = (0..).step_by(AHEAD).zip(waiting.hosts().chunks(AHEAD));
        for ((start, hosts), outcomes) in numbered.zip(outcomes.chunks_mut(AHEAD)) {
            let judged =
                (start..).zip(hosts).zip(outcomes).filter_map(|((number, host), outcome)| {
                    let anonymity = anonymities.get(number).copied().unwrap_or_default();
                    let is_meant = outcome.is_open()
                        && self.could_be_letter(host, anonymity, known.answers.is_some());
                    is_meant.then_some((number, host, anonymity, outcome))
                });
            let judged: Vec<_> = judged.collect();
            waiting.prefetch(judged.iter().map(|(_, host, ..)| *host));
            for (number, host, anonymity, outcome) in judged {
                self.settle_letter((number, host), anonymity, outcome, known, &mut pleas);
            }
        }
        pleas
    }

    /// Whether a rule that depends on who the host is could hit it. Without answers no host is known.
    fn could_be_letter(&self, host: &'w Host, anonymity: Anonymity, is_asked: bool) -> bool {
        let is_marked = host.marks.any(Marks::LETTER);
        let is_likely = is_marked || is_asked && anonymity != Anonymity::Named;
        is_likely && self.could_be_hit(host, Stage::Host)
    }

    /// Applies those rules to one host.
    fn settle_letter(
        &mut self,
        (number, host): (usize, &'w Host),
        anonymity: Anonymity,
        outcome: &mut Outcome,
        Known { answers, evidence }: Known<'_>,
        pleas: &mut Pleas,
    ) {
        let subject = self.subject(host);
        let mut case = Case { subject, anonymity, scratch: &mut self.scratch, answers, evidence };
        for rule in Rule::ALL.into_iter().filter(|rule| rule.stage() == Stage::Host) {
            let opinion = rule.judge(&mut case).unless_listed(&subject, answers);
            pleas.note(number, &opinion);
            match opinion {
                Opinion::Against(_) => {
                    outcome.take(opinion);
                    return pleas.forget(number);
                }
                // The first rule that could have hit is named.
                Opinion::Spared(..) if matches!(outcome, Outcome::Spared(..)) => {}
                opinion => outcome.take(opinion),
            }
        }
    }

    /// The hosts that this rule may still hit.
    pub fn open_to(&self, rule: Rule, outcomes: &[Outcome]) -> impl Iterator<Item = &'w Host> {
        let judged = self.waiting.hosts().iter().zip(outcomes);
        let is_open = move |(host, outcome): &(&Host, &Outcome)| {
            outcome.is_open() && rule.could_hit(&self.subject(host))
        };
        judged.filter(is_open).map(|(host, _)| host)
    }

    /// Applies the rules that depend on answers to every host that no other rule traps. Returns what they
    /// find in hosts that may have identity.
    pub fn weigh(
        &mut self,
        early: &[Suspicion],
        outcomes: &mut [Outcome],
        answers: &dyn Answers,
    ) -> Vec<Suspicion> {
        let (waiting, mut late) = (self.waiting, Vec::new());
        let numbered = (0..).step_by(AHEAD).zip(waiting.hosts().chunks(AHEAD));
        for ((start, hosts), outcomes) in numbered.zip(outcomes.chunks_mut(AHEAD)) {
            let judged = (start..).zip(hosts).zip(outcomes).filter(|((_, host), outcome)| {
                outcome.is_open() && self.could_be_hit(host, Stage::Answers)
            });
            let judged: Vec<_> = judged.collect();
            waiting.prefetch(judged.iter().map(|((_, host), _)| *host));
            for ((number, host), outcome) in judged {
                let known = early.binary_search_by_key(&number, |suspicion| suspicion.host).ok();
                let known = known.and_then(|place| early.get(place)).map(|early| early.ground);
                late.extend(self.weigh_one((number, host), known, outcome, answers));
            }
        }
        late
    }

    fn weigh_one(
        &mut self,
        (number, host): (usize, &'w Host),
        known: Option<Ground>,
        outcome: &mut Outcome,
        answers: &dyn Answers,
    ) -> Option<Suspicion> {
        let subject = self.subject(host);
        let mut case = Case::new(subject, &mut self.scratch, Some(answers));
        let mut grounds: Vec<_> = known.into_iter().collect();
        for rule in Rule::ALL.into_iter().filter(|rule| rule.stage() == Stage::Answers) {
            match rule.judge(&mut case) {
                Opinion::Against(ground) => grounds.push(ground),
                other => outcome.take(other),
            }
        }
        let ground = *grounds.first()?;
        if !self.rules.identity || is_enough(&mut case, &grounds) {
            *outcome = Outcome::Trap(ground);
            return None;
        }
        known.is_none().then_some(Suspicion { host: number, ground, is_late: true })
    }

    /// Settles the hosts that have one bad message.
    pub fn settle_suspicions(
        &self,
        suspicions: &[Suspicion],
        outcomes: &mut [Outcome],
        answers: Option<&dyn Answers>,
    ) {
        let answers = answers.unwrap_or(&Silence);
        for Suspicion { host: number, ground, .. } in suspicions {
            let host = self.waiting.hosts().get(*number);
            let (Some(host), Some(outcome)) = (host, outcomes.get_mut(*number)) else { continue };
            if outcome.is_open() {
                *outcome = self.settle_suspicion(host, (*ground, outcome.unasked()), answers);
            }
        }
    }

    fn settle_suspicion(
        &self,
        host: &'w Host,
        (ground, unasked): (Ground, Unasked),
        answers: &dyn Answers,
    ) -> Outcome {
        let address = host.address.ip();
        let stands = ground.stands(&self.subject(host));
        if stands && answers.was_spared(address) {
            return Outcome::Trap(ground);
        }
        match identity::of_host(answers, address, self.waiting.tuples_of(host)) {
            Confirmation::NotConfirmed => Outcome::Trap(ground),
            Confirmation::Confirmed if !stands => Outcome::Spared(ground, Why::Relay, unasked),
            Confirmation::Confirmed => Outcome::Spared(ground, Why::OneMessage, unasked),
            Confirmation::Unknown => {
                let unasked = unasked.and(Check::Identity);
                Outcome::Spared(ground, Why::OneMessageUnknown, unasked)
            }
        }
    }

    fn subject(&self, host: &'w Host) -> Subject<'w> {
        Subject { waiting: self.waiting, host, rules: self.rules }
    }

    /// The outcome for a host, if the notes suffice: most hosts are settled without reading their keys.
    fn at_a_glance(&self, host: &'w Host) -> Option<Outcome> {
        if !host.is_waiting() {
            return Some(Outcome::Absent);
        }
        let may_hit = host.marks.any(Marks::HIT) || self.could_be_hit(host, Stage::Database);
        let why = match self.whom {
            Whom::Candidates => left_alone(host, self.rules),
            Whom::Exempt => left_alone(host, self.rules).filter(|why| *why != Why::Allowed),
            Whom::All => None,
        };
        let why = why.or_else(|| (!may_hit).then_some(Why::Nothing))?;
        Some(Outcome::Pass(why, Unasked::NONE))
    }

    /// The numbers of the hosts that a rule in this stage may still hit.
    pub fn open_in(&self, stage: Stage, outcomes: &[Outcome]) -> impl Iterator<Item = usize> {
        let judged = self.waiting.hosts().iter().zip(outcomes).enumerate();
        let open = judged.filter(move |(_, (host, outcome))| {
            outcome.is_open() && self.could_be_hit(host, stage)
        });
        open.map(|(number, _)| number)
    }

    /// Whether the host with this number is asked about in any case.
    pub fn is_asked_about(&self, number: usize) -> bool {
        let host = self.waiting.hosts().get(number);
        host.is_some_and(|host| self.could_be_hit(host, Stage::Host))
    }

    /// Whether a rule in this stage could hit a host that is not marked.
    fn could_be_hit(&self, host: &'w Host, stage: Stage) -> bool {
        let subject = self.subject(host);
        Rule::ALL.into_iter().any(|rule| rule.stage() == stage && rule.could_hit(&subject))
    }

    /// The outcome for a host by its tuples; if it is not settled yet, the outcome if it goes free.
    ///
    /// One nomination is enough, since identity settles all of them in the same way.
    fn settle(&mut self, number: usize, host: &'w Host) -> Outcome {
        let subject = self.subject(host);
        let mut case = Case::new(subject, &mut self.scratch, None);
        let (mut is_nominated, mut letters) = (false, Vec::new());
        for rule in Rule::ALL.into_iter().filter(|rule| rule.stage() == Stage::Database) {
            let identity = if self.rules.identity { rule.identity() } else { Identity::Ignored };
            if is_nominated && identity == Identity::Excuses {
                continue;
            }
            let Opinion::Against(ground) = rule.judge(&mut case) else { continue };
            match identity {
                Identity::Ignored => return Outcome::Trap(ground),
                Identity::Excuses => {
                    self.unsettled.nominees.push(Nominee { host: number, ground });
                    is_nominated = true;
                }
                Identity::Outweighs => letters.push(ground),
            }
        }
        let nothing = Outcome::Pass(Why::Nothing, Unasked::NONE);
        let Some(&ground) = letters.first() else { return nothing };
        if is_enough(&mut case, &letters) {
            return Outcome::Trap(ground);
        }
        self.unsettled.suspicions.push(Suspicion { host: number, ground, is_late: false });
        nothing
    }

    /// Why a nominee is trapped or goes free.
    fn ask(&mut self, nominee: &Nominee, answers: Option<&dyn Answers>) -> Opinion<Ground> {
        let host = self.waiting.hosts().get(nominee.host);
        let (Some(answers), Some(host)) = (answers, host) else {
            return Opinion::Spared(nominee.ground, Why::IdentityUnknown);
        };
        let subject = self.subject(host);
        match identity::of_host(answers, host.address.ip(), subject.tuples()) {
            Confirmation::Confirmed => Opinion::Spared(nominee.ground, Why::Identity),
            Confirmation::Unknown => Opinion::Spared(nominee.ground, Why::IdentityUnknown),
            Confirmation::NotConfirmed => self.count_again(subject, answers),
        }
    }

    /// What the counting rules find in a host without identity. Each may still spare it, and then the next
    /// one decides.
    fn count_again(&mut self, subject: Subject<'w>, answers: &dyn Answers) -> Opinion<Ground> {
        let mut kept = Opinion::Nothing;
        for rule in Rule::ALL.into_iter().filter(|rule| rule.identity() == Identity::Excuses) {
            let mut case = Case::new(subject, &mut self.scratch, None);
            let Opinion::Against(ground) = rule.judge(&mut case) else { continue };
            let mut case = Case::new(subject, &mut self.scratch, Some(answers));
            match ground.confirm(&mut case).unless_listed(&subject, Some(answers)) {
                Opinion::Against(ground) => return Opinion::Against(ground),
                opinion if kept == Opinion::Nothing => kept = opinion,
                opinion if opinion.is_plea() && !kept.is_plea() => kept = opinion,
                _ => {}
            }
        }
        kept
    }
}

/// Whether single messages are enough to trap a host whatever DNS says about it: two different ones, or
/// HELO names that DNS could never confirm.
fn is_enough(case: &mut Case<'_, '_>, grounds: &[Ground]) -> bool {
    let address = case.subject.host.address.ip();
    if !identity::can_be_confirmed(address, case.subject.tuples()) {
        return true;
    }
    let (subject, distinct) = (case.subject, &mut case.scratch.distinct);
    distinct.clear();
    for rule in grounds.iter().map(|ground| ground.rule()) {
        for tuple in subject.tuples() {
            let Some(bad) = rule.bad(&tuple, subject.rules, case.answers) else { continue };
            distinct.add(|out| name::lower(&bad, out));
        }
    }
    distinct.count() > 1
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        NOW, SIX_DOMAINS, SIX_SENDERS, asked, grey, host, record, rules, scan, verdicts,
    };
    use super::*;
    use crate::config::{Network, Networks};
    use crate::db::{ByteOrder, Record};
    use crate::scan::Portion;
    use crate::spamd::Gdata;

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

    /// One host that violates every rule, with the rules switched off one by one.
    #[test]
    fn the_first_rule_hits_and_each_can_be_switched_off() {
        let mut records = host("10.0.0.1", "a.one.example", &SIX_DOMAINS);
        records.push(grey("10.0.0.1", "a.two.example", "<nobody>", "<x@old.test>"));
        let mut rules = rules();
        let mut rule = |change: fn(&mut Rules)| {
            let report = scan(&records, &rules).finish(None);
            let rule = report.verdicts(Portion::None).next().unwrap().rule;
            drop(report);
            change(&mut rules);
            rule.map_or("-", |rule| rule.name())
        };
        assert_eq!(rule(|rules| rules.sender_syntax = false), "syntax");
        assert_eq!(rule(|rules| rules.max_sender_domains = None), "domains");
        assert_eq!(rule(|rules| rules.max_sender_ratio = None), "senders");
        assert_eq!(rule(|rules| rules.max_helo_names = None), "helo");
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
        let rules = Rules { max_helo_names: Some(0), ..rules() };
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
                "2001:db8::2 - already trapped",
                "10.0.0.2 syntax Invalid source address nobody (no @)",
            ]
        );
    }

    /// The machine was booted with its clock ten years ahead.
    #[test]
    fn tuples_of_a_clock_that_was_ahead_are_not_judged() {
        const DAY: i64 = 86_400;
        let at = |record: Record<'static>, first| {
            let data = Gdata { first, pass: first, expire: first + 14_400, bcount: 1, pcount: 0 };
            let value = data.encode(ByteOrder::NATIVE).to_vec().into();
            Record { value, ..record }
        };
        let made = |address, first| {
            host(address, "h", &SIX_DOMAINS).into_iter().map(move |record| at(record, first))
        };
        let mut records: Vec<_> = made("10.0.0.1", NOW + 3650 * DAY).collect();
        records.extend(made("10.0.0.2", NOW + DAY));
        records.extend(made("10.0.0.3", NOW + DAY + 1));
        records.push(grey("10.0.0.3", "h", "<a@g.example>", "<u@ours.test>"));
        records.push(at(grey("10.0.0.4", "h", "<nobody>", "<u@ours.test>"), NOW + 2 * DAY));
        records.push(record("10.0.0.4", NOW + 1, 3));
        assert_eq!(
            verdicts(&records, &rules()),
            [
                "10.0.0.1 - all tuples are from the future",
                "10.0.0.2 domains Host sending from 6 domains (> 3)",
                "10.0.0.3 - nothing against it",
                "10.0.0.4 - whitelisted",
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
        assert_eq!(
            asked(&helo(&["YES.x.example"])),
            ["10.0.0.1 - identity confirmed: Host sending from 6 domains (> 3)"]
        );
        let unknown = ["10.0.0.1 - identity not known: Host sending from 6 domains (> 3)"];
        assert_eq!(asked(&helo(&["dunno.x.example"])), unknown);
        assert_eq!(asked(&helo(&["yes.x.example", "dunno.x.example"])), unknown);
        assert_eq!(asked(&helo(&["yes.x.example", "no.x.example"])), trapped);
        // A string that is not a host name is never confirmed.
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
            ["10.0.0.1 - identity confirmed: Host calls itself 2 names (> 1)"]
        );
        assert_eq!(
            asked(&helo(&["dunno.x.example", "no.y.example"])),
            ["10.0.0.1 - identity not known: Host calls itself 2 names (> 1)"]
        );
    }

    /// The tuples of a domain that vouches for the host do not count.
    #[test]
    fn sender_domains_that_vouch_take_their_tuples_out_of_the_count() {
        let domains = "Host sending from 6 domains (> 3)";
        let vouched = |count: usize, word: &str| -> Vec<String> {
            let number = |n: usize| if n < count { word } else { "www" };
            (0..6).map(|n| format!("<a@{}.d{n}.example>", number(n))).collect()
        };
        let judged = |senders: &[String], more: usize| {
            let mut senders: Vec<_> = senders.iter().map(String::as_str).collect();
            let first = senders[5];
            senders.extend(vec![first; more]);
            asked(&host("10.0.0.1", "no.x.example", &senders)).remove(0)
        };
        let trapped =
            |domains| format!("10.0.0.1 domains Host sending from {domains} domains (> 3)");
        let exempt = format!("10.0.0.1 - sender's domain vouches for it: {domains}");
        let unknown = "not known whether the sender's domain vouches for it";
        let unknown = format!("10.0.0.1 - {unknown}: {domains}");
        assert_eq!(judged(&vouched(0, "vouches"), 0), trapped(6));
        assert_eq!(judged(&vouched(1, "vouches"), 0), exempt, "five tuples are left");
        assert_eq!(judged(&vouched(1, "vouches"), 1), trapped(5), "six tuples are left");
        assert_eq!(judged(&vouched(2, "vouches"), 9), trapped(4));
        assert_eq!(judged(&vouched(3, "vouches"), 9), exempt, "three domains are left");
        assert_eq!(judged(&vouched(1, "maybe"), 0), unknown);
        assert_eq!(judged(&vouched(2, "maybe"), 9), trapped(4), "enough without them");
        assert_eq!(judged(&vouched(3, "maybe"), 9), unknown);
    }

    #[test]
    fn helo_names_of_exempt_messages_do_not_count() {
        let judged = |other: &str, from: &str| {
            let records = [
                grey("10.0.0.1", "no.x.example", "<a@a.example>", "<u@ours.test>"),
                grey("10.0.0.1", other, from, "<u@ours.test>"),
            ];
            asked(&records).remove(0)
        };
        let found = "Host calls itself 2 names (> 1)";
        let unknown = "not known whether the sender's domain vouches for it";
        for (other, from, wanted) in [
            ("no.y.example", "<a@b.example>", format!("helo {found}")),
            ("no.y.example", "<>", format!("helo {found}")),
            ("friend", "<>", format!("helo {found}")),
            ("192.0.2.1", "<>", format!("helo {found}")),
            ("10-0-0-1.dsl.example", "<>", format!("helo {found}")),
            ("web1.localdomain", "<>", format!("helo {found}")),
            (
                "no.y.example",
                "<a@vouches.example>",
                format!("- sender's domain vouches for it: {found}"),
            ),
            ("no.y.example", "<a@maybe.example>", format!("- {unknown}: {found}")),
            ("yes.y.example", "<a@b.example>", "- nothing against it".into()),
            ("no.www.x.example", "<a@b.example>", "- nothing against it".into()),
        ] {
            assert_eq!(judged(other, from), format!("10.0.0.1 {wanted}"), "{other} {from}");
        }
    }
}
