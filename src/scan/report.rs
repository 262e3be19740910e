//! The results of a scan, host by host, independent of the formats of text, JSON and log.
//!
//! [`Scan::finish`](super::Scan::finish) makes a [`Report`]. It borrows keys from the image; the
//! [`Verdict`]s that it returns do not.

use super::answers::{Answers, Doubt};
use super::ballot::{Ballot, Believed};
use super::given::{Given, given};
use super::hosts::Waiting;
use super::identity::{Question, lower_name};
use super::judge::{Whom, left_alone};
use super::measure::{Measure, Setting};
use super::notes::{Counts, Marks, UnknownRecord};
use super::rules::{Case, Ground, Identity, Rule, Scratch, Subject};
use super::sender;
use super::unasked::{Check, Unasked};
use super::verdict::{Evidence, Outcome, Verdict, What, Why};
use crate::config::{Rules, Written};
use crate::spamd::{Address, Tuple};
use crate::threads::each;
use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

/// Statements that a verdict includes: strangers choose the recipients.
const STATEMENTS: usize = 20;

/// The verdicts of one scan.
#[derive(Debug)]
pub struct Report<'r> {
    pub(super) rules: &'r Rules,
    pub(super) whom: Whom,
    pub(super) shares: Vec<Judged<'r>>,
    pub(super) counts: Counts,
    pub(super) unknown: Vec<UnknownRecord<'r>>,
    pub(super) doubts: Vec<Doubt>,
    pub(super) ballot: Ballot,
}

/// Hosts, with an outcome for each.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub waiting: Waiting<'a>,
    pub outcomes: Vec<Outcome>,
}

/// How many tuples a verdict includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    /// None: only the reason is wanted.
    None,
    /// At most a number of tuples and of bytes.
    Some {
        /// The number of tuples.
        tuples: usize,
        /// The number of bytes, since strangers choose the tuples.
        bytes: usize,
    },
    /// All tuples that are evidence.
    All,
}

impl<'r> Report<'r> {
    /// The number of records of each kind.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The reasons why denials by DNS were not believed.
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// The first few records that spamd cannot have written.
    pub fn unknown(&self) -> &[UnknownRecord<'r>] {
        &self.unknown
    }

    /// Of these hosts those with a WHITE record.
    pub fn whitelisted(&self, among: &HashSet<IpAddr>) -> Vec<IpAddr> {
        if among.is_empty() {
            return Vec::new();
        }
        let hosts = self.shares.iter().flat_map(|share| share.waiting.hosts());
        let white = hosts.filter(|host| host.marks.any(Marks::WHITE));
        let white = white.map(|host| host.address.ip());
        white.filter(|address| among.contains(address)).collect()
    }

    /// Questions about those HELO names of waiting hosts that are `wanted`, which are in lower case.
    pub fn questions_about(&self, wanted: impl Fn(&str) -> bool) -> Vec<Question> {
        let hosts = self.shares.iter().flat_map(|Judged { waiting, .. }| {
            waiting.hosts().iter().filter(|host| host.is_waiting()).map(move |host| (waiting, host))
        });
        let questions = hosts.map(|(waiting, host)| {
            let address = host.address.ip();
            let is_wanted = |tuple: &Tuple<'_>| {
                lower_name(tuple.helo, address).is_some_and(|name| wanted(&name))
            };
            Question::new(address, waiting.tuples_of(host).filter(is_wanted))
        });
        questions.filter(|question| !question.names.is_empty()).collect()
    }

    /// A verdict for every host with a live tuple, in the order in which the hosts first appear in the
    /// file.
    pub fn verdicts(&self, portion: Portion) -> impl Iterator<Item = Verdict> {
        self.verdicts_by(None, portion)
    }

    /// The same with the answers about each host, by which it was settled.
    pub fn verdicts_by<'v>(
        &'v self,
        answers: Option<&'v dyn Answers>,
        portion: Portion,
    ) -> impl Iterator<Item = Verdict> + use<'v, 'r> {
        self.in_order(answers, portion, |outcome| *outcome != Outcome::Absent)
    }

    /// The verdicts against hosts.
    pub fn traps(&self, portion: Portion) -> impl Iterator<Item = Verdict> {
        self.traps_by(None, portion)
    }

    /// The same with the answers about each host, by which it was settled.
    pub fn traps_by<'v>(
        &'v self,
        answers: Option<&'v dyn Answers>,
        portion: Portion,
    ) -> impl Iterator<Item = Verdict> + use<'v, 'r> {
        let found = self.in_order(answers, portion, |outcome| matches!(outcome, Outcome::Trap(_)));
        found.filter(|verdict| verdict.what == What::Trap)
    }

    /// The verdicts on hosts that pass although a rule hit them, with the answers about each host.
    pub fn spared_by<'v>(
        &'v self,
        answers: Option<&'v dyn Answers>,
        portion: Portion,
    ) -> impl Iterator<Item = Verdict> + use<'v, 'r> {
        self.in_order(answers, portion, |outcome| matches!(outcome, Outcome::Spared(..)))
    }

    fn in_order<'v>(
        &'v self,
        answers: Option<&'v dyn Answers>,
        portion: Portion,
        is_wanted: fn(&Outcome) -> bool,
    ) -> impl Iterator<Item = Verdict> + use<'v, 'r> {
        let believed = answers.map(|answers| Believed { answers, ballot: &self.ballot });
        let found = each(&self.shares, |Judged { waiting, outcomes }| {
            let judged = waiting.hosts().iter().zip(outcomes);
            let wanted = judged.filter(|(_, outcome)| is_wanted(outcome));
            wanted.map(|(host, outcome)| (waiting, host, outcome)).collect::<Vec<_>>()
        });
        let mut found = found.concat();
        found.sort_unstable_by_key(|(_, host, _)| host.place);
        found.into_iter().filter_map(move |(waiting, host, outcome)| {
            let subject = Subject { waiting, host, rules: self.rules };
            let answers = believed.as_ref().map(|believed| believed as &dyn Answers);
            self.verdict(&subject, *outcome, portion, answers)
        })
    }

    fn verdict(
        &self,
        subject: &Subject<'_>,
        outcome: Outcome,
        portion: Portion,
        answers: Option<&dyn Answers>,
    ) -> Option<Verdict> {
        let (why, ground) = match outcome {
            Outcome::Trap(ground) => (None, Some(ground)),
            Outcome::Pass(why, _) => (Some(why), None),
            Outcome::Spared(ground, why, _) => (Some(why), Some(ground)),
            Outcome::Absent => return None,
        };
        let left_alone = match self.whom {
            Whom::Candidates => None,
            Whom::Exempt | Whom::All => left_alone(subject.host, self.rules),
        };
        let unasked = unasked(subject, outcome);
        let found = ground.map(|ground| ground.reason(subject));
        let (what, reason) = conclude(left_alone, why, found, unasked);
        let text = subject.waiting.address_text(subject.host);
        let address = match text.and_then(|text| Address::parse(text).ok()) {
            Some(address) => address,
            None => subject.host.address.ip().into(),
        };
        let rule = ground.map(Ground::rule);
        let mut evidence = evidence(subject, ground, portion, answers);
        evidence.unasked = unasked;
        Some(Verdict { address, what, rule, reason, evidence })
    }
}

/// Whether a host passes, and the reason in words: what a rule has found, and what spares the host.
fn conclude(
    left_alone: Option<Why>,
    why: Option<Why>,
    found: Option<String>,
    unasked: Unasked,
) -> (What, Cow<'static, str>) {
    match (left_alone, why, found) {
        (Some(known), Some(why), Some(found)) => {
            (What::Pass(known), format!("{known}, {why}: {found}").into())
        }
        (Some(why), None, Some(found)) | (None, Some(why), Some(found)) => {
            (What::Pass(why), format!("{why}: {found}").into())
        }
        (None, None, found) => (What::Trap, found.unwrap_or_default().into()),
        (None, Some(Why::Nothing), None) if !unasked.is_empty() => {
            (What::Pass(Why::Unasked), unasked.text().into())
        }
        (Some(why), _, None) | (None, Some(why), None) => (What::Pass(why), why.text().into()),
    }
}

/// The tuples that a finding rests on; if messages are counted, also one for each different bad message.
fn tuples<'w>(
    subject: &Subject<'w>,
    ground: Ground,
    answers: Option<&dyn Answers>,
) -> Vec<Tuple<'w>> {
    let mut tuples = ground.tuples(subject);
    if ground.rule().identity() != Identity::Outweighs {
        return tuples;
    }
    let bad = |tuple: &Tuple<'w>| -> Vec<_> {
        let found = |rule: Rule| rule.bad(tuple, subject.rules, answers);
        Rule::ALL.into_iter().filter_map(found).map(|bad| bad.to_ascii_lowercase()).collect()
    };
    let mut seen: HashSet<_> = tuples.iter().flat_map(bad).collect();
    tuples.extend(subject.tuples().filter(|tuple| {
        // All of them are seen, even if the first is new.
        let all = bad(tuple).into_iter().map(|bad| seen.insert(bad));
        all.filter(|is_new| *is_new).count() > 0
    }));
    tuples
}

/// The checks that `outcome` names, and those of what spamd has cut short.
fn unasked(subject: &Subject<'_>, outcome: Outcome) -> Unasked {
    let mut unasked = outcome.unasked();
    if matches!(outcome, Outcome::Trap(_)) {
        return unasked;
    }
    let cut = [(Marks::CUT_SENDER, Check::Sender), (Marks::CUT_RECIPIENT, Check::RecipientText)];
    for (_, check) in cut.into_iter().filter(|(mark, _)| subject.host.marks.any(*mark)) {
        unasked = unasked.and(check);
    }
    unasked
}

fn evidence(
    subject: &Subject<'_>,
    ground: Option<Ground>,
    portion: Portion,
    answers: Option<&dyn Answers>,
) -> Evidence {
    let count = u32::try_from(subject.host.tuples()).unwrap_or(u32::MAX);
    let (most, bytes) = match portion {
        Portion::None => return Evidence::new(count, std::iter::empty()),
        Portion::Some { tuples, bytes } => (tuples, bytes),
        Portion::All => (usize::MAX, usize::MAX),
    };
    let tuples = match ground {
        Some(ground) => tuples(subject, ground, answers),
        None => subject.tuples().collect(),
    };
    let length =
        |tuple: &Tuple<'_>| [tuple.helo, tuple.from, tuple.to].map(<[u8]>::len).iter().sum();
    let tuples = tuples.into_iter().take(most).take_while(within(bytes, length));
    let seen = ground.map(|ground| ground.seen(subject)).unwrap_or_default();
    let answers_given = answers.into_iter().flat_map(|answers| given(subject, answers));
    let answers_given = seen.into_iter().chain(answers_given);
    let answers_given =
        answers_given.take(most).take_while(within(bytes, |it: &Given| it.about().len()));
    let mut evidence = Evidence::new(count, tuples);
    evidence.statements = statements(subject, most.min(STATEMENTS));
    evidence.measures = measures(subject, answers);
    evidence.answers = answers_given.collect();
    evidence
}

/// Whether there is room left for this one, the last of which may exceed it.
fn within<T>(bytes: usize, length: impl Fn(&T) -> usize) -> impl FnMut(&T) -> bool {
    let mut left = bytes;
    move |one| {
        let has_room = left > 0;
        left = left.saturating_sub(length(one));
        has_room
    }
}

/// The statements that match the host or its recipients, each once.
fn statements(subject: &Subject<'_>, most: usize) -> Vec<Written> {
    let rules = subject.rules;
    let mut found: Vec<_> = rules.allowing(subject.host.address.ip()).into_iter().collect();
    let tuples = subject.tuples().filter(|_| rules.judge_recipients());
    for to in tuples.filter_map(|tuple| sender::recipient(tuple.to)) {
        let statement = rules.about_recipient(&to).filter(|one| !found.contains(one));
        found.extend(statement);
        if found.len() >= most {
            break;
        }
    }
    found
}

/// The values that are compared with limits.
fn measures(subject: &Subject<'_>, answers: Option<&dyn Answers>) -> Vec<Measure> {
    let mut scratch = Scratch::new(subject.waiting);
    let mut case = Case::new(*subject, &mut scratch, answers);
    let tuples = u32::try_from(subject.mailboxes()).unwrap_or(u32::MAX);
    let (value, limit) = (tuples.into(), subject.rules.suspect_tuples.into());
    let mut measures = vec![Measure { setting: Setting::SuspectTuples, value, limit }];
    measures.extend(Rule::ALL.into_iter().filter_map(|rule| rule.measure(&mut case)));
    measures
}

#[cfg(test)]
mod tests {
    use super::super::testing::{grey, host, scan};
    use super::Portion;
    use crate::config::Rules;

    #[test]
    fn evidence_is_the_tuple_that_did_it_or_all() {
        let rules = Rules { identity: false, ..Rules::default() };
        let mut records = host("10.0.0.1", "h", &["<a@x.example>", "<nobody>", "<no other>"]);
        records.extend(host("10.0.0.2", "h", &["<a@x.example>", "<b@x.example>"]));
        records.push(records[3].clone());
        let report = scan(&records, &rules).finish(None);
        let evidence: Vec<Vec<_>> = report
            .verdicts(Portion::All)
            .map(|verdict| verdict.evidence.tuples().map(|tuple| tuple.from.to_vec()).collect())
            .collect();
        assert_eq!(evidence, [&[&b"<nobody>"[..]][..], &[b"<a@x.example>", b"<b@x.example>"]]);
        assert_eq!(
            report.traps(Portion::All).map(|it| it.address.to_string()).collect::<Vec<_>>(),
            ["10.0.0.1"]
        );
        assert!(
            report.verdicts(Portion::None).all(|it| it.rule.is_some() != it.passes().is_some())
        );
    }

    #[test]
    fn recipients_are_escaped() {
        let mut rules = Rules::default();
        rules.rcpt.unlisted = true;
        let records = [grey("10.0.0.1", "h", "<>", "<a\u{202e}\\@x.example>")];
        let report = scan(&records, &rules).finish(None);
        let reason = report.traps(Portion::None).next().unwrap().reason;
        assert_eq!(reason, "Mailed to trap address a\\342\\200\\256\\\\@x.example");
    }
}
