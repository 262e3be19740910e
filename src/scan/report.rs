//! What a scan found, host by host: free of any format, so that text, JSON and the log can each have
//! their own.
//!
//! [`Scan::finish`](super::Scan::finish) makes a [`Report`]; it holds the keys that it shows, so it
//! lives as long as the image they lie in.

use super::answers::{Bad, DomainVerdict, Doubt};
use super::hosts::{Host, Waiting};
use super::notes::{Counts, UnknownRecord};
use super::rules::{Rule, dns};
use super::sender;
use super::verdict::{Ground, Outcome, Why};
use crate::escape::escaped;
use crate::spamd::Tuple;
use crate::threads::each;
use std::fmt;
use std::net::IpAddr;
use std::vec::IntoIter;

/// The verdicts of one scan.
#[derive(Debug)]
pub struct Report<'a> {
    pub(super) shares: Vec<Judged<'a>>,
    pub(super) counts: Counts,
    pub(super) unknown: Vec<UnknownRecord<'a>>,
    pub(super) doubts: Vec<Doubt>,
}

/// Hosts, and one outcome for each.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub waiting: Waiting<'a>,
    pub outcomes: Vec<Outcome>,
}

/// What was found about one host.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'r> {
    waiting: &'r Waiting<'r>,
    host: &'r Host,
    address: &'r [u8],
    outcome: Outcome,
}

impl<'a> Report<'a> {
    /// How many records of each kind there are.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Why what DNS denied was not believed, if so.
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// The first few records that spamd cannot have written.
    pub fn unknown(&self) -> &[UnknownRecord<'a>] {
        &self.unknown
    }

    /// A verdict for every host with a live tuple, in the order in which the hosts first appear in the
    /// file.
    pub fn verdicts(&self) -> IntoIter<Verdict<'_>> {
        self.in_order(|outcome| *outcome != Outcome::Absent)
    }

    /// The verdicts against hosts.
    pub fn traps(&self) -> IntoIter<Verdict<'_>> {
        self.in_order(|outcome| matches!(outcome, Outcome::Trap(_)))
    }

    fn in_order(&self, is_wanted: impl Fn(&Outcome) -> bool + Sync) -> IntoIter<Verdict<'_>> {
        let verdicts = each(&self.shares, |Judged { waiting, outcomes }| {
            let judged = waiting.hosts().iter().zip(outcomes);
            let wanted = judged.filter(|(_, outcome)| is_wanted(outcome));
            let verdict = |(host, &outcome)| {
                let address = waiting.address_text(host);
                Verdict { waiting, host, address, outcome }
            };
            wanted.map(verdict).collect::<Vec<_>>()
        });
        let mut verdicts = verdicts.concat();
        verdicts.sort_unstable_by_key(|verdict| verdict.host.place);
        verdicts.into_iter()
    }
}

impl<'r> Verdict<'r> {
    /// The host's address, as spamd wrote it.
    pub fn address(&self) -> &'r [u8] {
        self.address
    }

    /// The host's address.
    pub fn ip(&self) -> IpAddr {
        self.host.address.ip()
    }

    /// The rule that hit; `None` if the host passes.
    pub fn rule(&self) -> Option<Rule> {
        match self.outcome {
            Outcome::Trap(ground) => Some(ground.rule()),
            Outcome::Pass(_) | Outcome::Absent => None,
        }
    }

    /// Why the host passes; `None` if it is to be trapped.
    pub fn passes(&self) -> Option<Why> {
        match self.outcome {
            Outcome::Pass(why) => Some(why),
            Outcome::Trap(_) | Outcome::Absent => None,
        }
    }

    /// The reason, either way, as it is logged: what came from outside is escaped in it.
    pub fn reason(&self) -> Reason<'r> {
        Reason(*self)
    }

    /// What DNS answered about the sender domain, if that made the verdict.
    pub fn answer(&self) -> Option<DomainVerdict> {
        match self.outcome {
            Outcome::Trap(Ground::Domain { bad, .. }) => Some(DomainVerdict::Bad(bad)),
            _ => None,
        }
    }

    /// The tuples that made the verdict, in the file's order: the one that a rule stumbled on, those
    /// with the sender domain that takes no mail, or all that the host has.
    pub fn evidence(&self) -> Vec<Tuple<'r>> {
        match self.outcome {
            Outcome::Trap(
                Ground::Sender { tuple, .. }
                | Ground::Recipient { tuple }
                | Ground::Checked { tuple },
            ) => vec![self.waiting.tuple(tuple)],
            Outcome::Trap(Ground::Domain { tuple, .. }) => {
                let wanted = dns::domain(&self.waiting.tuple(tuple)).unwrap_or_default();
                let mut tuples = self.tuples();
                tuples.retain(|tuple| {
                    dns::domain(tuple).is_some_and(|domain| domain.eq_ignore_ascii_case(wanted))
                });
                tuples
            }
            _ => self.tuples(),
        }
    }

    /// How many live tuples the host has.
    pub fn tuple_count(&self) -> u32 {
        u32::try_from(self.tuples().len()).unwrap_or(u32::MAX)
    }

    fn tuples(&self) -> Vec<Tuple<'r>> {
        self.waiting.tuples_of(self.host).collect()
    }
}

/// A verdict's reason, to be displayed.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'r>(Verdict<'r>);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tuple = |number| self.0.waiting.tuple(number);
        match self.0.outcome {
            Outcome::Trap(Ground::Sender { tuple: number, fault }) => {
                let from = escaped(sender::bare(tuple(number).from));
                write!(f, "Invalid source address {from} ({fault})")
            }
            Outcome::Trap(Ground::Domains { domains, max }) => {
                write!(f, "Host sending from {domains} domains (> {max})")
            }
            Outcome::Trap(Ground::Senders { senders, max }) => {
                let tuples = self.0.waiting.mailboxes(self.0.host);
                write!(f, "Senders/Tuples ratio is {senders}/{tuples} senders/tuples (> {max})")
            }
            Outcome::Trap(Ground::Helo { domains, max }) => {
                write!(f, "Host calls itself {domains} names (> {max})")
            }
            Outcome::Trap(
                Ground::Recipient { tuple: number } | Ground::Checked { tuple: number },
            ) => {
                let to = escaped(sender::bare(tuple(number).to));
                write!(f, "Mailed to trap address {to}")
            }
            Outcome::Trap(Ground::Domain { tuple: number, bad }) => {
                let domain = escaped(dns::domain(&tuple(number)).unwrap_or_default());
                let null = if bad == Bad::NullMx { " (null MX)" } else { "" };
                write!(f, "Mailed from sender {domain} with no MX or A{null}")
            }
            Outcome::Pass(why) => why.fmt(f),
            Outcome::Absent => f.write_str("not waiting"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{grey, host, scan};
    use crate::config::Rules;

    #[test]
    fn evidence_is_the_tuple_that_did_it_or_all() {
        let rules = Rules { identity: false, ..Rules::default() };
        let mut records = host("10.0.0.1", "h", &["<a@x.example>", "<nobody>", "<no other>"]);
        records.extend(host("10.0.0.2", "h", &["<a@x.example>", "<b@x.example>"]));
        records.push(records[3].clone());
        let report = scan(&records, &rules).finish(None);
        let evidence: Vec<Vec<_>> = report
            .verdicts()
            .map(|verdict| verdict.evidence().iter().map(|tuple| tuple.from).collect())
            .collect();
        assert_eq!(evidence, [&[&b"<nobody>"[..]][..], &[b"<a@x.example>", b"<b@x.example>"]]);
        assert_eq!(
            report.traps().map(|verdict| verdict.ip().to_string()).collect::<Vec<_>>(),
            ["10.0.0.1"]
        );
        assert!(
            report.verdicts().all(|verdict| verdict.rule().is_some() != verdict.passes().is_some())
        );
    }

    #[test]
    fn recipients_are_escaped() {
        let mut rules = Rules::default();
        rules.rcpt.unlisted = true;
        let records = [grey("10.0.0.1", "h", "<>", "<a\u{202e}\\@x.example>")];
        let report = scan(&records, &rules).finish(None);
        let reason = report.traps().next().unwrap().reason().to_string();
        assert_eq!(reason, "Mailed to trap address a\\342\\200\\256\\\\@x.example");
    }
}
