//! The judging itself, in two steps with DNS in between.
//!
//! [`Scan::begin`] takes a database's records and settles all hosts but those that a counting rule
//! nominates; [`Scan::questions`] tells what DNS is to be asked about these; [`Scan::finish`] settles
//! them by the answers and hands out the [`Report`]. Without answers nominees go free.

use super::distinct::Distinct;
use super::hosts::{Host, Marks, Waiting};
use super::identity::{self, Answers, Confirmation, Question};
use super::report::Report;
use super::rules::{Sent, domains, helo, rcpt, senders, syntax};
use super::verdict::{Ground, Outcome, Why};
use crate::config::Rules;
use crate::db::{ByteOrder, Damage, Record};
use crate::spamd::Tuple;

/// A scan whose hosts are settled as far as the database alone allows.
#[derive(Debug)]
pub struct Scan<'a, 'r> {
    waiting: Waiting<'a>,
    rules: &'r Rules,
    /// One for each host; for a nominee, what it is if it goes free.
    outcomes: Vec<Outcome>,
    nominees: Vec<Nominee>,
}

/// A host that counting rules hold against it, by its number.
#[derive(Debug)]
struct Nominee {
    host: usize,
    domains: Option<Ground>,
    senders: Option<Ground>,
    helo: Option<Ground>,
}

impl<'a, 'r> Scan<'a, 'r> {
    /// Judges the hosts of a database by the offline rules.
    ///
    /// `records` and `order` are those of a snapshot; `now` is in seconds since 1970. A damaged
    /// database is an error.
    pub fn begin(
        records: impl Iterator<Item = Result<Record<'a>, Damage>>,
        order: ByteOrder,
        now: i64,
        rules: &'r Rules,
    ) -> Result<Scan<'a, 'r>, Damage> {
        let waiting = Waiting::collect(records, order, now, |tuple| screen(tuple, rules))?;
        let (outcomes, nominees) = {
            let mut judge = Judge::new(&waiting, rules);
            let hosts = waiting.hosts().iter().enumerate();
            let outcomes = hosts.map(|(number, host)| judge.settle(number, host)).collect();
            (outcomes, judge.nominees)
        };
        Ok(Scan { waiting, rules, outcomes, nominees })
    }

    /// What DNS is to be asked about the nominees, in the order of their first appearance.
    pub fn questions(&self) -> impl Iterator<Item = Question> + '_ {
        let mut numbers = Vec::new();
        self.nominees.iter().filter_map(move |nominee| {
            let host = self.waiting.hosts().get(nominee.host)?;
            self.waiting.tuples_of(host, &mut numbers);
            let tuples = numbers.iter().map(|&number| self.waiting.tuple(number));
            Some(Question::new(host.address.ip(), tuples))
        })
    }

    /// Settles the nominees. Without answers, or with one that is not definite, they go free as far as
    /// the counting rules are concerned.
    pub fn finish(mut self, answers: Option<&dyn Answers>) -> Report<'a> {
        let mut judge = Judge::new(&self.waiting, self.rules);
        for nominee in &self.nominees {
            let Some(outcome) = self.outcomes.get_mut(nominee.host) else { continue };
            *outcome = match judge.ask(nominee, answers) {
                Ok(ground) => Outcome::Trap(ground),
                // A later rule may still have hit.
                Err(why) if *outcome == Outcome::Pass(Why::Nothing) => Outcome::Pass(why),
                Err(_) => *outcome,
            };
        }
        Report::new(self.waiting, self.outcomes)
    }
}

/// What one tuple by itself says about its host.
fn screen(tuple: &Tuple<'_>, rules: &Rules) -> Marks {
    let mut marks = Marks::default();
    if rules.sender_syntax && syntax::fault(tuple).is_some() {
        marks |= Marks::SENDER;
    }
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

    /// What a host is, or for a nominee what it is if it goes free.
    fn settle(&mut self, number: usize, host: &Host) -> Outcome {
        if host.tuples == 0 {
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
        if let Some(nominee) = self.nominate(number) {
            if !self.rules.identity
                && let Some(ground) = nominee.first()
            {
                return Outcome::Trap(ground);
            }
            self.nominees.push(nominee);
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
        let is_many_named = match self.rules.max_helo_domains {
            Some(0) => host.tuples > 1,
            Some(_) => host.marks.any(Marks::HELO),
            None => false,
        };
        let is_suspect = host.tuples > self.rules.suspect_tuples;
        let is_marked = host.marks.any(Marks::SENDER) || host.marks.any(Marks::RECIPIENT);
        is_marked || is_suspect || is_many_named
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

    /// What the counting rules hold against the host whose tuples are at hand.
    fn nominate(&mut self, host: usize) -> Option<Nominee> {
        let (waiting, rules) = (self.waiting, self.rules);
        self.sent.clear();
        let tuples = self.numbers.iter().map(|&number| waiting.tuple(number));
        self.sent.extend(tuples.filter_map(|tuple| Sent::new(&tuple)));
        let is_suspect = self.sent.len() > rules.suspect_tuples as usize;
        let domains = rules.max_sender_domains.filter(|_| is_suspect);
        let senders = rules.max_sender_ratio.filter(|_| is_suspect);
        let nominee = Nominee {
            host,
            domains: domains.and_then(|max| self.domains(max)),
            senders: senders.and_then(|max| self.senders(max)),
            helo: rules.max_helo_domains.and_then(|max| self.helo(max, |_| true)),
        };
        nominee.first().is_some().then_some(nominee)
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
        if let Some(ground) = nominee.domains.or(nominee.senders) {
            return Ok(ground);
        }
        let max = self.rules.max_helo_domains.ok_or(Why::Nothing)?;
        let is = |wanted| move |name: &[u8]| identity::of_helo(answers, address, name) == wanted;
        let denied = is(Confirmation::NotConfirmed);
        let unknown = is(Confirmation::Unknown);
        match self.helo(max, denied) {
            Some(ground) => Ok(ground),
            None if self.helo(max, |name| denied(name) || unknown(name)).is_some() => {
                Err(Why::IdentityUnknown)
            }
            None => Err(Why::Nothing),
        }
    }
}

impl Nominee {
    /// The first of the counting rules, in their order.
    fn first(&self) -> Option<Ground> {
        self.domains.or(self.senders).or(self.helo)
    }
}
