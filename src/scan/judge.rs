//! The judging itself, in two steps with DNS in between.
//!
//! [`Scan::begin`] takes a database's records and settles all hosts but those that a counting rule
//! nominates; [`Scan::questions`] tells what DNS is to be asked about these, [`Scan::domains`] which
//! sender domains of all hosts that are not trapped already; [`Scan::finish`] settles them by the answers
//! and hands out the [`Report`]. Without answers nominees go free and no sender domain traps.
//!
//! Hosts have nothing to do with each other: two threads judge half of them each. It does not show in
//! what comes out.

use super::answers::{Answers, Confirmation};
use super::distinct::Distinct;
use super::domains::Domains;
use super::gather::{Gathered, both, gather};
use super::hosts::{Host, Waiting};
use super::identity::{self, Question};
use super::name;
use super::notes::Marks;
use super::report::{Judged, Report};
use super::rules::{Sent, dns, domains, helo, rcpt, senders, syntax};
use super::sender::Sender;
use super::verdict::{Ground, Outcome, Why};
use crate::config::Rules;
use crate::db::{ByteOrder, Damage, Record};
use crate::spamd::Tuple;

/// How many hosts are made ready to be judged at once: as many as have their tuples in a CPU's cache.
const AHEAD: usize = 256;

/// A scan whose hosts are settled as far as the database alone allows.
#[derive(Debug)]
pub struct Scan<'a, 'r> {
    rules: &'r Rules,
    /// The nominees as if they went free.
    report: Report<'a>,
    /// Those of each share.
    nominees: [Vec<Nominee>; 2],
}

/// A host that a counting rule holds something against, by its number.
#[derive(Debug)]
struct Nominee {
    host: usize,
    ground: Ground,
}

impl<'a, 'r> Scan<'a, 'r> {
    /// Judges the hosts of a database by the offline rules.
    ///
    /// `records` and `order` are those of a snapshot; `now` is in seconds since 1970. A damaged
    /// database is an error.
    pub fn begin(
        records: impl Iterator<Item = Result<Record<'a>, Damage>> + Send,
        order: ByteOrder,
        now: i64,
        rules: &'r Rules,
    ) -> Result<Scan<'a, 'r>, Damage> {
        let Gathered { shares, counts, unknown } =
            gather(records, (order, now), |tuple| screen(tuple, rules))?;
        let [one, other] = &shares;
        let settled =
            both(|| Judge::new(one, rules).settle_all(), || Judge::new(other, rules).settle_all());
        let [(one, of_one), (other, of_other)] = settled;
        let [first, second] = shares;
        let shares =
            [Judged { waiting: first, outcomes: one }, Judged { waiting: second, outcomes: other }];
        let report = Report { shares, counts, unknown };
        Ok(Scan { rules, report, nominees: [of_one, of_other] })
    }

    /// What DNS is to be asked about the nominees, in the order of their first appearance.
    pub fn questions(&self) -> Vec<Question> {
        let mut numbers = Vec::new();
        let mut questions = Vec::new();
        for (Judged { waiting, .. }, nominees) in self.report.shares.iter().zip(&self.nominees) {
            let hosts = nominees.iter().filter_map(|nominee| waiting.hosts().get(nominee.host));
            for host in hosts {
                waiting.tuples_of(host, &mut numbers);
                let tuples = numbers.iter().map(|&number| waiting.tuple(number));
                questions.push((host.place, Question::new(host.address.ip(), tuples)));
            }
        }
        questions.sort_unstable_by_key(|(place, _)| *place);
        questions.into_iter().map(|(_, question)| question).collect()
    }

    /// Which sender domains DNS is to be asked about: those of every host that no rule traps yet, be it
    /// a nominee. None if the rule `dns` is off.
    pub fn domains(&self) -> Domains {
        let mut domains = Domains::default();
        if !self.rules.sender_dns {
            return domains;
        }
        let (mut numbers, mut lower) = (Vec::new(), Vec::new());
        for Judged { waiting, outcomes } in &self.report.shares {
            for (hosts, outcomes) in waiting.hosts().chunks(AHEAD).zip(outcomes.chunks(AHEAD)) {
                let is_open = |(host, outcome): (_, &Outcome)| outcome.is_open().then_some(host);
                let open = || hosts.iter().zip(outcomes).filter_map(is_open);
                waiting.expect(open());
                for host in open() {
                    waiting.tuples_of(host, &mut numbers);
                    let tuples = numbers.iter().map(|&number| waiting.tuple(number));
                    for domain in tuples.filter_map(|tuple| dns::domain(&tuple)) {
                        lower.clear();
                        name::lower(domain, &mut lower);
                        domains.add(&lower);
                    }
                }
            }
        }
        domains
    }

    /// Settles the nominees, and hosts whose sender domains take no mail. Without answers, or with one
    /// that is not definite, they go free as far as these rules are concerned.
    pub fn finish(self, answers: Option<&dyn Answers>) -> Report<'a> {
        let mut report = self.report;
        for (Judged { waiting, outcomes }, nominees) in report.shares.iter_mut().zip(&self.nominees)
        {
            let mut judge = Judge::new(waiting, self.rules);
            judge.settle_nominees(nominees, outcomes, answers);
            if let Some(answers) = answers.filter(|_| self.rules.sender_dns) {
                judge.settle_senders(outcomes, answers);
            }
        }
        report
    }
}

/// What one tuple by itself says about its host.
fn screen(tuple: &Tuple<'_>, rules: &Rules) -> Marks {
    let mut marks = match Sender::parse(tuple.from) {
        Sender::Mailbox(_) => Marks::MAILBOX,
        Sender::Invalid(_) if rules.sender_syntax => Marks::SENDER,
        Sender::Invalid(_) | Sender::Null | Sender::Cut => Marks::default(),
    };
    if rcpt::hits(tuple, &rules.rcpt) {
        marks |= Marks::RECIPIENT;
    }
    marks
}

/// The rules at work on one host after the other, with what they need to work in.
struct Judge<'w, 'a, 'r> {
    waiting: &'w Waiting<'a>,
    rules: &'r Rules,
    nominees: Vec<Nominee>,
    numbers: Vec<u32>,
    sent: Vec<Sent<'w>>,
    scratch: Distinct,
}

impl<'w, 'a, 'r> Judge<'w, 'a, 'r> {
    fn new(waiting: &'w Waiting<'a>, rules: &'r Rules) -> Self {
        let (numbers, sent, scratch) = (Vec::new(), Vec::new(), Distinct::default());
        Judge { waiting, rules, nominees: Vec::new(), numbers, sent, scratch }
    }

    /// What every host is, and the nominees among them.
    fn settle_all(mut self) -> (Vec<Outcome>, Vec<Nominee>) {
        let waiting = self.waiting;
        let mut outcomes = Vec::with_capacity(waiting.hosts().len());
        for hosts in waiting.hosts().chunks(AHEAD) {
            waiting.expect(hosts.iter().filter(|host| self.is_worth_a_look(host)));
            for host in hosts {
                outcomes.push(self.settle(outcomes.len(), host));
            }
        }
        (outcomes, self.nominees)
    }

    /// What a host is, or for a nominee what it is if it goes free.
    fn settle(&mut self, number: usize, host: &Host) -> Outcome {
        if !host.is_waiting() {
            return Outcome::Absent;
        }
        if let Some(why) = self.spared(host) {
            return Outcome::Pass(why);
        }
        if !self.is_worth_a_look(host) {
            return Outcome::Pass(Why::Nothing);
        }
        self.waiting.tuples_of(host, &mut self.numbers);
        if host.marks.any(Marks::SENDER)
            && let Some(ground) = self.bad_sender()
        {
            return Outcome::Trap(ground);
        }
        if let Some(ground) = self.nominate(host) {
            if !self.rules.identity {
                return Outcome::Trap(ground);
            }
            self.nominees.push(Nominee { host: number, ground });
        }
        match host.marks.any(Marks::RECIPIENT).then(|| self.bad_recipient()).flatten() {
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
            self.rules.allow.contains(host.address.ip()).then_some(Why::Allowed)
        }
    }

    /// Whether any rule could hit, by what the first pass noted: so most hosts are settled without
    /// another look at their tuples.
    fn is_worth_a_look(&self, host: &Host) -> bool {
        let is_suspect =
            host.senders == u16::MAX || u32::from(host.senders) > self.rules.suspect_tuples;
        let is_marked = host.marks.any(Marks::SENDER) || host.marks.any(Marks::RECIPIENT);
        is_marked || is_suspect || self.may_be_many_named(host)
    }

    /// Whether the rule `helo` could hit.
    fn may_be_many_named(&self, host: &Host) -> bool {
        match self.rules.max_helo_domains {
            Some(0) => true,
            Some(_) => host.marks.any(Marks::HELO),
            None => false,
        }
    }

    fn bad_sender(&self) -> Option<Ground> {
        self.numbers.iter().find_map(|&tuple| {
            let fault = syntax::fault(&self.waiting.tuple(tuple))?;
            Some(Ground::Sender { tuple, fault })
        })
    }

    fn bad_recipient(&self) -> Option<Ground> {
        let hits = |&&tuple: &&u32| rcpt::hits(&self.waiting.tuple(tuple), &self.rules.rcpt);
        self.numbers.iter().find(hits).map(|&tuple| Ground::Recipient { tuple })
    }

    /// What the first of the counting rules holds against the host whose tuples are at hand.
    ///
    /// The others need not be asked: identity, or the lack of it, settles all of them alike.
    fn nominate(&mut self, host: &Host) -> Option<Ground> {
        let rules = self.rules;
        let mut ground = None;
        if self.is_suspect() {
            ground = rules.max_sender_domains.and_then(|max| self.domains(max));
            ground = ground.or_else(|| self.senders(rules.max_sender_ratio?));
        }
        let max = rules.max_helo_domains.filter(|_| self.may_be_many_named(host));
        ground.or_else(|| self.helo(max?, |_| true))
    }

    /// Whether the host whose tuples are at hand has more senders than `suspect tuples`; puts them at
    /// hand too, if it may have.
    fn is_suspect(&mut self) -> bool {
        let (waiting, few) = (self.waiting, self.rules.suspect_tuples as usize);
        self.sent.clear();
        if self.numbers.len() > few {
            let tuples = self.numbers.iter().map(|&number| waiting.tuple(number));
            self.sent.extend(tuples.filter_map(|tuple| Sent::new(&tuple)));
        }
        self.sent.len() > few
    }

    fn domains(&mut self, max: u32) -> Option<Ground> {
        let domains = domains::nominate(&self.sent, max, &mut self.scratch)?;
        Some(Ground::Domains { domains, max })
    }

    fn senders(&mut self, max: f64) -> Option<Ground> {
        let senders = senders::nominate(&self.sent, max, &mut self.scratch)?;
        let tuples = u32::try_from(self.sent.len()).ok()?;
        Some(Ground::Senders { senders, tuples, max })
    }

    fn helo(&mut self, max: u32, counts: impl Fn(&[u8]) -> bool) -> Option<Ground> {
        if self.numbers.len() < 2 {
            return None;
        }
        let names = self.numbers.iter().map(|&number| self.waiting.tuple(number).helo);
        let domains = helo::nominate(names.filter(|name| counts(name)), max, &mut self.scratch)?;
        Some(Ground::Helo { domains, max })
    }

    fn settle_nominees(
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

    /// The rule `dns`, which comes last, for every host that no other rule traps.
    fn settle_senders(&mut self, outcomes: &mut [Outcome], answers: &dyn Answers) {
        let waiting = self.waiting;
        let chunks = waiting.hosts().chunks(AHEAD).zip(outcomes.chunks_mut(AHEAD));
        for (hosts, outcomes) in chunks {
            let judged = hosts.iter().zip(&*outcomes);
            waiting.expect(judged.filter(|(_, outcome)| outcome.is_open()).map(|(host, _)| host));
            let judged = hosts.iter().zip(outcomes);
            for (host, outcome) in judged.filter(|(_, outcome)| outcome.is_open()) {
                waiting.tuples_of(host, &mut self.numbers);
                let tuples = self.numbers.iter().map(|&number| (number, waiting.tuple(number)));
                *outcome = match dns::judge(tuples, answers) {
                    dns::Finding::Bad(tuple, bad) => Outcome::Trap(Ground::Domain { tuple, bad }),
                    dns::Finding::Unknown if *outcome == Outcome::Pass(Why::Nothing) => {
                        Outcome::Pass(Why::DomainUnknown)
                    }
                    _ => *outcome,
                };
            }
        }
    }

    /// What a nominee is trapped for, or why it goes free.
    fn ask(&mut self, nominee: &Nominee, answers: Option<&dyn Answers>) -> Result<Ground, Why> {
        let answers = answers.ok_or(Why::IdentityUnknown)?;
        let host = self.waiting.hosts().get(nominee.host).ok_or(Why::Nothing)?;
        let address = host.address.ip();
        self.waiting.tuples_of(host, &mut self.numbers);
        let tuples = self.numbers.iter().map(|&number| self.waiting.tuple(number));
        match identity::of_host(answers, address, tuples) {
            Confirmation::Confirmed => return Err(Why::Identity),
            Confirmation::Unknown => return Err(Why::IdentityUnknown),
            Confirmation::NotConfirmed => {}
        }
        let Ground::Helo { max, .. } = nominee.ground else { return Ok(nominee.ground) };
        let is = |name: &[u8], wanted| identity::of_helo(answers, address, name) == wanted;
        if let Some(ground) = self.helo(max, |name| is(name, Confirmation::NotConfirmed)) {
            return Ok(ground);
        }
        // Names of which nothing is known may be the ones too many.
        let could_be = self.helo(max, |name| !is(name, Confirmation::Confirmed)).is_some();
        Err(if could_be { Why::IdentityUnknown } else { Why::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::{Bad, DomainVerdict};
    use super::super::rules::Rule;
    use super::super::testing::{NOW, grey, host, lines, record, scan};
    use super::*;
    use crate::config::{Network, Networks};
    use crate::dns::failure::Failure;
    use crate::dns::verdict::Good;
    use regex::bytes::Regex;
    use std::net::IpAddr;

    const SIX_DOMAINS: [&str; 6] = [
        "<a@a.example>",
        "<a@b.example>",
        "<a@c.example>",
        "<a@d.example>",
        "<a@e.example>",
        "<a@f.example>",
    ];
    const SIX_SENDERS: [&str; 6] = [
        "<a@x.example>",
        "<b@x.example>",
        "<c@x.example>",
        "<d@x.example>",
        "<e@x.example>",
        "<f@x.example>",
    ];

    /// Confirms names by their beginning: `yes.`, `no.`, anything else is not known.
    struct Oracle;

    impl Answers for Oracle {
        fn helo(&self, _: IpAddr, name: &str) -> Confirmation {
            match name.split_once('.') {
                Some(("yes", _)) => Confirmation::Confirmed,
                Some(("no", _)) => Confirmation::NotConfirmed,
                _ => Confirmation::Unknown,
            }
        }

        /// Takes domains for bad or unknown by their beginning.
        fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
            Some(match domain.split(|byte| *byte == b'.').next() {
                Some(b"gone") => DomainVerdict::Bad(Bad::NxDomain),
                Some(b"null") => DomainVerdict::Bad(Bad::NullMx),
                Some(b"dunno") => DomainVerdict::Unknown(Failure::Timeout),
                _ => DomainVerdict::Good(Good::Mx),
            })
        }
    }

    fn rules() -> Rules {
        let mut rules = Rules { identity: false, ..Rules::default() };
        rules.rcpt.trap = vec![Regex::new("(?i)@old\\.test$").unwrap()];
        rules
    }

    fn verdicts(records: &[Record<'static>], rules: &Rules) -> Vec<String> {
        lines(&scan(records, rules).finish(None))
    }

    fn asked(records: &[Record<'static>]) -> Vec<String> {
        lines(&scan(records, &Rules { identity: true, ..rules() }).finish(Some(&Oracle)))
    }

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
    fn without_answers_nominees_pass() {
        let rules = Rules { identity: true, ..rules() };
        let mut records = host("10.0.0.1", "mail.x.example", &SIX_DOMAINS);
        records.extend(host("10.0.0.2", "h", &SIX_SENDERS));
        records.push(grey("10.0.0.2", "h", "<>", "<x@old.test>"));
        assert_eq!(
            verdicts(&records, &rules),
            ["10.0.0.1 - identity not known", "10.0.0.2 rcpt Mailed to trap address x@old.test",]
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

    #[test]
    fn sender_domains_that_take_no_mail_trap() {
        let one = |address, from| grey(address, "h", from, "<u@ours.test>");
        let mut records = vec![
            one("10.0.0.1", "<a@good.example>"),
            one("10.0.0.1", "<a@dunno.example>"),
            one("10.0.0.1", "<a@Gone.example>"),
            one("10.0.0.1", "<a@null.example>"),
            one("10.0.0.2", "<a@null.example>"),
            one("10.0.0.3", "<a@dunno.example>"),
            one("10.0.0.4", "<>"),
            one("10.0.0.5", "<nobody>"),
        ];
        // Identity is no excuse for a domain that takes no mail, and known hosts are left alone.
        records.extend(host("10.0.0.6", "yes.x.example", &SIX_DOMAINS));
        records.push(grey("10.0.0.6", "yes.x.example", "<a@gone.example>", "<u@ours.test>"));
        records.extend(host("10.0.0.7", "yes.x.example", &SIX_DOMAINS));
        records.push(grey("10.0.0.7", "yes.x.example", "<a@dunno.example>", "<u@ours.test>"));
        records.push(one("10.0.0.8", "<a@gone.example>"));
        records.push(record("10.0.0.8", NOW + 1, 3));
        assert_eq!(
            asked(&records),
            [
                "10.0.0.1 dns Mailed from sender Gone.example with no MX or A",
                "10.0.0.2 dns Mailed from sender null.example with no MX or A (null MX)",
                "10.0.0.3 - sender domain not known",
                "10.0.0.4 - nothing against it",
                "10.0.0.5 syntax Invalid source address nobody (no @)",
                "10.0.0.6 dns Mailed from sender gone.example with no MX or A",
                "10.0.0.7 - identity confirmed",
                "10.0.0.8 - whitelisted",
            ]
        );
        let off = Rules { sender_dns: false, identity: true, ..rules() };
        let report = scan(&records, &off).finish(Some(&Oracle));
        assert!(report.traps().all(|verdict| verdict.rule() == Some(Rule::Syntax)));
    }

    #[test]
    fn domains_are_those_of_hosts_not_trapped_yet_each_once() {
        let one = |address, from| grey(address, "h", from, "<u@ours.test>");
        let records = [
            one("10.0.0.1", "<a@One.example>"),
            one("10.0.0.2", "<b@one.EXAMPLE>"),
            one("10.0.0.2", "<b@two.example>"),
            one("10.0.0.2", "<>"),
            one("10.0.0.2", "<b@[192.0.2.1]>"),
            one("10.0.0.3", "<c@trapped.example>"),
            one("10.0.0.3", "<nobody>"),
            one("10.0.0.4", "<c@white.example>"),
            record("10.0.0.4", NOW + 1, 3),
        ];
        let listed = |rules: &Rules| {
            let domains = scan(&records, rules).domains();
            let text = |n| String::from_utf8(domains.get(n).unwrap().to_vec()).unwrap();
            let mut texts: Vec<_> = (0..domains.len()).map(text).collect();
            texts.sort();
            texts
        };
        assert_eq!(listed(&rules()), ["one.example", "two.example"]);
        assert!(listed(&Rules { sender_dns: false, ..rules() }).is_empty());
    }

    #[test]
    fn questions_name_each_name_once() {
        let rules = Rules { identity: true, ..rules() };
        let mut records = host("10.0.0.2", "Mail.X.example", &SIX_DOMAINS);
        records.push(grey("10.0.0.2", "mail.x.example.", "<>", "<u@ours.test>"));
        records.push(grey("10.0.0.2", "[10.0.0.2]", "<>", "<u@ours.test>"));
        records.extend(host("10.0.0.1", "h", &SIX_DOMAINS));
        records.extend(host("10.0.0.3", "a.example", &SIX_DOMAINS[..2]));
        let questions = scan(&records, &rules).questions();
        let names = vec!["mail.x.example".to_owned()];
        let wanted = [("10.0.0.2", names), ("10.0.0.1", vec![])]
            .map(|(address, names)| Question { address: address.parse().unwrap(), names });
        assert_eq!(questions, wanted);
    }

    #[test]
    fn how_many_threads_there_are_does_not_show() {
        let mut records = Vec::new();
        for n in 0..500 {
            records.extend(host(
                &format!("10.0.{}.{}", n / 250, n % 250),
                "h",
                &SIX_SENDERS[..n % 7],
            ));
            records.push(grey(&format!("2001:db8::{n:x}"), "h", "<nobody>", "<u@ours.test>"));
        }
        let rules = rules();
        let wanted = lines(&scan(&records, &rules).finish(None));
        assert_eq!(wanted.len(), 928);
        let mut sorted = wanted.clone();
        sorted.sort_by_key(|line| {
            let address = line.split(' ').next().unwrap().as_bytes();
            records.iter().position(|record| {
                record.key.strip_prefix(address).is_some_and(|rest| rest[0] == b'\n')
            })
        });
        assert_eq!(wanted, sorted);
        for _ in 0..20 {
            assert_eq!(lines(&scan(&records, &rules).finish(None)), wanted);
        }
    }
}
