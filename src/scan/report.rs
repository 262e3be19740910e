//! The results of a scan, host by host, independent of the formats of text, JSON and log.
//!
//! [`Scan::finish`](super::Scan::finish) makes a [`Report`]. It borrows keys from the image; the
//! [`Verdict`]s that it returns do not.

use super::answers::Doubt;
use super::hosts::Waiting;
use super::notes::{Counts, UnknownRecord};
use super::rules::{Ground, Subject};
use super::verdict::{Evidence, Outcome, Verdict, What};
use crate::config::Rules;
use crate::spamd::{Address, Tuple};
use crate::threads::each;

/// The verdicts of one scan.
#[derive(Debug)]
pub struct Report<'r> {
    pub(super) rules: &'r Rules,
    pub(super) shares: Vec<Judged<'r>>,
    pub(super) counts: Counts,
    pub(super) unknown: Vec<UnknownRecord<'r>>,
    pub(super) doubts: Vec<Doubt>,
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

    /// A verdict for every host with a live tuple, in the order in which the hosts first appear in the
    /// file.
    pub fn verdicts(&self, portion: Portion) -> impl Iterator<Item = Verdict> {
        self.in_order(portion, |outcome| *outcome != Outcome::Absent)
    }

    /// The verdicts against hosts.
    pub fn traps(&self, portion: Portion) -> impl Iterator<Item = Verdict> {
        self.in_order(portion, |outcome| matches!(outcome, Outcome::Trap(_)))
    }

    fn in_order(
        &self,
        portion: Portion,
        is_wanted: impl Fn(&Outcome) -> bool + Sync,
    ) -> impl Iterator<Item = Verdict> {
        let found = each(&self.shares, |Judged { waiting, outcomes }| {
            let judged = waiting.hosts().iter().zip(outcomes);
            let wanted = judged.filter(|(_, outcome)| is_wanted(outcome));
            wanted.map(|(host, outcome)| (waiting, host, outcome)).collect::<Vec<_>>()
        });
        let mut found = found.concat();
        found.sort_unstable_by_key(|(_, host, _)| host.place);
        found.into_iter().filter_map(move |(waiting, host, outcome)| {
            verdict(&Subject { waiting, host, rules: self.rules }, *outcome, portion)
        })
    }
}

fn verdict(subject: &Subject<'_>, outcome: Outcome, portion: Portion) -> Option<Verdict> {
    let (what, rule, reason) = match outcome {
        Outcome::Trap(ground) => (What::Trap, Some(ground.rule()), ground.reason(subject).into()),
        Outcome::Pass(why) => (What::Pass(why), None, why.text().into()),
        Outcome::Spared(ground, why) => {
            (What::Pass(why), None, format!("{why}: {}", ground.reason(subject)).into())
        }
        Outcome::Absent => return None,
    };
    let ground = match outcome {
        Outcome::Trap(ground) | Outcome::Spared(ground, _) => Some(ground),
        Outcome::Pass(_) | Outcome::Absent => None,
    };
    let text = subject.waiting.address_text(subject.host);
    let address = match text.and_then(|text| Address::parse(text).ok()) {
        Some(address) => address,
        None => subject.host.address.ip().into(),
    };
    Some(Verdict { address, what, rule, reason, evidence: evidence(subject, ground, portion) })
}

fn evidence(subject: &Subject<'_>, ground: Option<Ground>, portion: Portion) -> Evidence {
    let count = u32::try_from(subject.host.tuples()).unwrap_or(u32::MAX);
    let answer = ground.and_then(|ground| ground.answer());
    let (most, mut left) = match portion {
        Portion::None => return Evidence::new(count, answer, std::iter::empty()),
        Portion::Some { tuples, bytes } => (tuples, bytes),
        Portion::All => (usize::MAX, usize::MAX),
    };
    let tuples = match ground {
        Some(ground) => ground.tuples(subject),
        None => subject.tuples().collect(),
    };
    let fits = |tuple: &Tuple<'_>| {
        let length = [tuple.helo, tuple.from, tuple.to].map(<[u8]>::len).iter().sum();
        let has_room = left > 0;
        left = left.saturating_sub(length);
        has_room
    };
    Evidence::new(count, answer, tuples.into_iter().take(most).take_while(fits))
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
