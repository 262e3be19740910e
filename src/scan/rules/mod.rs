//! The rules, one file each, in the order in which they are applied; the first that hits decides.
//!
//! A rule's file contains everything about it: a type for what the rule finds in a host, which implements
//! `Finding` with the rule's name and switch, the stage it needs, its condition, its reason and its
//! evidence. The list below is the only other place that knows the rule; `judge` applies all rules in it.
//!
//! `syntax` and `rcpt` judge single tuples. `domains`, `senders` and `helo` count over all tuples of a host
//! and only nominate it: identity may set it free. `address`, `dynamic`, `stranger` and `crowd` judge single
//! tuples of hosts of whom nothing is known. From `domains` to `crowd`, a sender's domain that vouches for
//! the host exempts it, and so does a list that spares it. `checker` and `dns` depend on answers about
//! recipients and sender domains. A single bad message is not enough for `rcpt`, `checker` and `dns` if the
//! host has identity. Rules read nothing but their arguments, and trust nothing in a tuple.

use super::address::Address as HostAddress;
use super::answers::{Answers, Confirmation, Silence};
use super::distinct::Distinct;
use super::exemption;
use super::given::Given;
use super::hosts::{Host, Waiting};
use super::identity::Anonymity;
use super::lists;
use super::measure::Measure;
use super::notes::{Marks, Note};
use super::sender::{Mailbox, Sender};
use super::unasked::{Check, Unasked};
use super::verdict::Why;
use crate::config::{Config, Meaning, Rules};
use crate::evidence::Evidence;
use crate::spamd::Tuple;
use std::borrow::Cow;
use std::fmt;

/// The list of rules, each with its name, its file and a description.
macro_rules! rules {
    ($($Rule:ident in $file:ident: $about:literal;)*) => {
        $(pub(super) mod $file;)*

        /// A rule. The variants are in the order in which the rules are applied.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(rename_all = "lowercase")]
        pub enum Rule { $(#[doc = $about] $Rule,)* }

        impl Rule {
            /// Every rule, in order.
            pub const ALL: [Rule; [$(Rule::$Rule),*].len()] = [$(Rule::$Rule),*];

            /// The name in listings and JSON.
            pub fn name(self) -> &'static str {
                match self { $(Rule::$Rule => $file::$Rule::NAME,)* }
            }

            /// The one of that name.
            pub fn named(name: &str) -> Option<Rule> {
                Rule::ALL.into_iter().find(|rule| rule.name() == name)
            }

            /// Whether the configuration has it on.
            pub fn is_on(self, config: &Config) -> bool {
                match self { $(Rule::$Rule => $file::$Rule::is_on(config),)* }
            }

            /// What it needs before it can be applied.
            pub(super) fn stage(self) -> Stage {
                match self { $(Rule::$Rule => $file::$Rule::STAGE,)* }
            }

            /// What identity means for it.
            pub(super) fn identity(self) -> Identity {
                match self { $(Rule::$Rule => $file::$Rule::IDENTITY,)* }
            }

            /// Whether it could hit a host, judging by the notes about its tuples.
            pub(super) fn could_hit(self, subject: &Subject<'_>) -> bool {
                match self { $(Rule::$Rule => $file::$Rule::could_hit(subject),)* }
            }

            /// What it has counted, beside its limit.
            pub(super) fn measure(self, case: &mut Case<'_, '_>) -> Option<Measure> {
                match self { $(Rule::$Rule => $file::$Rule::measure(case),)* }
            }

            /// What is bad about a tuple by itself.
            pub(super) fn bad<'t>(
                self,
                tuple: &Tuple<'t>,
                rules: &Rules,
                answers: Option<&dyn Answers>,
            ) -> Option<Cow<'t, [u8]>> {
                match self { $(Rule::$Rule => $file::$Rule::bad(tuple, rules, answers),)* }
            }

            /// Judges a host.
            pub(super) fn judge(self, case: &mut Case<'_, '_>) -> Opinion<Ground> {
                match self { $(Rule::$Rule => $file::$Rule::judge(case).map(Ground::$Rule),)* }
            }
        }

        /// The marks of a tuple that rules hit by itself.
        pub(super) fn marks(letter: &Letter<'_, '_>, rules: &Rules) -> Marks {
            let mut marks = Marks::default();
            $(if $file::$Rule::hits(letter, rules) {
                marks |= $file::$Rule::STAGE.mark();
            })*
            marks
        }

        /// What a rule has found in a host.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(super) enum Ground { $(#[doc = $about] $Rule($file::$Rule),)* }

        impl Ground {
            /// The rule that found it.
            pub fn rule(self) -> Rule {
                match self { $(Ground::$Rule(_) => Rule::$Rule,)* }
            }

            /// What remains of it if identity is denied.
            pub fn confirm(self, case: &mut Case<'_, '_>) -> Opinion<Ground> {
                match self { $(Ground::$Rule(found) => found.confirm(case).map(Ground::$Rule),)* }
            }

            /// Whether it counts against a host with identity.
            pub fn stands(&self, subject: &Subject<'_>) -> bool {
                match self { $(Ground::$Rule(found) => found.stands(subject),)* }
            }

            /// The reason as it is logged.
            pub fn reason(&self, subject: &Subject<'_>) -> String {
                match self { $(Ground::$Rule(found) => found.reason(subject),)* }
            }

            /// What others have done that it rests on.
            pub fn seen(&self, subject: &Subject<'_>) -> Vec<Given> {
                match self { $(Ground::$Rule(found) => found.seen(subject),)* }
            }

            /// The tuples that are its evidence.
            pub fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
                match self { $(Ground::$Rule(found) => found.tuples(subject),)* }
            }

        }
    };
}

rules! {
    Syntax in syntax: "The envelope sender is not a mailbox.";
    Domains in domains: "Senders in many domains.";
    Senders in senders: "A different sender in nearly every tuple.";
    Helo in helo: "Several HELO names.";
    Address in address: "A HELO that is an address or the recipient's domain.";
    Dynamic in dynamic: "A HELO name made of the host's own address.";
    Stranger in stranger: "Signs of spam in two fields.";
    Crowd in crowd: "A HELO that many hosts use.";
    Rcpt in rcpt: "A recipient to whom only spammers write.";
    Checker in checker: "A recipient that the external program does not know.";
    Dns in dns: "A sender domain without a mail server.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Everything about a rule: what it finds in a host, and how.
pub(super) trait Finding: Copy {
    /// The rule's name in listings and JSON.
    const NAME: &'static str;
    /// What it needs before it can be applied.
    const STAGE: Stage;
    /// What identity means for it.
    const IDENTITY: Identity;

    /// Whether a configuration has it on. A rule that is off finds nothing.
    fn is_on(config: &Config) -> bool;

    /// Whether a single tuple is enough to hit its host, which is then [marked](Stage::mark). Called for
    /// every tuple while it is in the cache.
    fn hits(letter: &Letter<'_, '_>, rules: &Rules) -> bool {
        let _ = (letter, rules);
        false
    }

    /// Whether it could hit a host that is not marked, judging by the notes about its tuples; for rules in
    /// [`Stage::Host`] also by the marks. Called for every host before any key is read again.
    fn could_hit(subject: &Subject<'_>) -> bool {
        let _ = subject;
        false
    }

    /// Judges a host.
    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self>;

    /// What remains of the finding if identity is denied: what DNS confirms, and the tuples of sender domains
    /// that vouch for the host, do not count. Only for rules with [`Identity::Excuses`].
    fn confirm(self, case: &mut Case<'_, '_>) -> Opinion<Self> {
        let _ = case;
        Opinion::Against(self)
    }

    /// Whether it counts against a host with identity; only for rules with [`Identity::Outweighs`].
    fn stands(&self, subject: &Subject<'_>) -> bool {
        let _ = subject;
        true
    }

    /// What is bad about a tuple by itself, a recipient or a domain, if it counts against a host with
    /// identity; only for rules with [`Identity::Outweighs`].
    fn bad<'t>(
        tuple: &Tuple<'t>,
        rules: &Rules,
        answers: Option<&dyn Answers>,
    ) -> Option<Cow<'t, [u8]>> {
        let _ = (tuple, rules, answers);
        None
    }

    /// The reason as it is logged, with strangers' bytes escaped.
    fn reason(&self, subject: &Subject<'_>) -> String;

    /// The tuples that are its evidence, in file order.
    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        subject.tuples().collect()
    }

    /// What others have done that it rests on, beside its tuples.
    fn seen(&self, subject: &Subject<'_>) -> Vec<Given> {
        let _ = subject;
        Vec::new()
    }

    /// What it counts in a host, beside its limit; `None` for rules that do not count, or are off.
    fn measure(case: &mut Case<'_, '_>) -> Option<Measure> {
        let _ = case;
        None
    }
}

/// What a rule needs before it can be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The database.
    Database,
    /// Answers about the host: its names, and whether sender domains vouch for it.
    Host,
    /// Answers about recipients or sender domains.
    Answers,
}

impl Stage {
    /// The mark of a tuple that a rule in this stage hits.
    fn mark(self) -> Marks {
        match self {
            Stage::Database | Stage::Answers => Marks::HIT,
            Stage::Host => Marks::LETTER,
        }
    }
}

/// A tuple by itself.
pub(super) struct Letter<'t, 'f> {
    pub tuple: &'f Tuple<'t>,
    /// Its sender.
    pub from: &'f Sender<'t>,
    /// The host's address.
    pub address: HostAddress,
}

/// What a host's identity means for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing.
    Ignored,
    /// Identity sets the host free, whatever the rule has counted.
    Excuses,
    /// Identity outweighs one bad message: two different ones trap, or one in two scans.
    Outweighs,
}

/// A rule's opinion of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opinion<G> {
    /// The rule has found this.
    Against(G),
    /// The rule has found this, but the host is spared for this reason.
    Spared(G, Why),
    /// The rule might have found something, but these checks have no result.
    Unasked(Unasked),
    /// The rule has found nothing.
    Nothing,
}

impl<G> Opinion<G> {
    /// Whether it depends on whether sender domains vouch for the host.
    pub fn needs_exemption(&self) -> bool {
        match self {
            Opinion::Spared(_, why) => *why == Why::ExemptionUnknown,
            Opinion::Unasked(checks) => checks.has(Check::Exemption),
            Opinion::Against(_) | Opinion::Nothing => false,
        }
    }

    /// Whether it depends on lists that are signs.
    pub fn needs_sign(&self) -> bool {
        matches!(self, Opinion::Unasked(checks) if checks.has(Check::List))
    }

    /// Whether it depends on what else may spare the host, such as lists.
    pub fn is_plea(&self) -> bool {
        matches!(self, Opinion::Spared(_, Why::ExemptionUnknown | Why::ListUnknown))
    }

    /// The same unless a list spares the host from this rule.
    pub fn unless_listed(self, subject: &Subject<'_>, answers: Option<&dyn Answers>) -> Opinion<G> {
        let Opinion::Against(ground) = self else { return self };
        let answers = answers.unwrap_or(&Silence);
        let address = subject.host.address.ip();
        match lists::found(subject.rules, answers, address, Meaning::Spare).0 {
            Confirmation::Confirmed => Opinion::Spared(ground, Why::Listed),
            Confirmation::Unknown => Opinion::Spared(ground, Why::ListUnknown),
            Confirmation::NotConfirmed => Opinion::Against(ground),
        }
    }

    fn map<H>(self, to: impl FnOnce(G) -> H) -> Opinion<H> {
        match self {
            Opinion::Against(ground) => Opinion::Against(to(ground)),
            Opinion::Spared(ground, why) => Opinion::Spared(to(ground), why),
            Opinion::Unasked(checks) => Opinion::Unasked(checks),
            Opinion::Nothing => Opinion::Nothing,
        }
    }
}

impl<G> From<Option<G>> for Opinion<G> {
    fn from(ground: Option<G>) -> Opinion<G> {
        ground.map_or(Opinion::Nothing, Opinion::Against)
    }
}

/// A host that is being judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'w> {
    pub waiting: &'w Waiting<'w>,
    pub host: &'w Host,
    pub rules: &'w Rules,
}

impl<'w> Subject<'w> {
    /// The notes about its tuples.
    pub fn notes(&self) -> impl Iterator<Item = &'w Note<'w>> + Clone {
        self.waiting.notes_of(self.host)
    }

    /// Its tuples in file order.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple<'w>> + Clone {
        self.waiting.tuples_of(self.host)
    }

    /// The same with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, Tuple<'w>)> {
        self.waiting.numbered(self.host)
    }

    /// The tuple with this number.
    pub fn tuple(&self, number: u32) -> Tuple<'w> {
        self.waiting.tuple(number)
    }

    /// The number of its tuples whose sender is a mailbox.
    pub fn mailboxes(&self) -> usize {
        self.waiting.mailboxes(self.host)
    }

    /// Whether the host has more tuples with senders than `suspect tuples`.
    pub fn is_suspect(&self) -> bool {
        let few = self.rules.suspect_tuples as usize;
        self.host.tuples() > few && self.mailboxes() > few
    }

    /// Whether one of its tuples is marked for a rule that needs to know who the host is.
    fn is_lettered(&self) -> bool {
        self.host.marks.any(Marks::LETTER)
    }

    /// Whether so many tuples with senders are more than `suspect tuples`.
    fn is_suspect_by(&self, sent: usize) -> bool {
        sent > self.rules.suspect_tuples as usize
    }

    /// The result of `look` for the first tuple that has one.
    fn first<T>(&self, mut look: impl FnMut(u32, &Tuple<'w>) -> Option<T>) -> Option<T> {
        let is_marked = self.host.marks.any(Marks::HIT);
        is_marked
            .then(|| self.numbered().find_map(|(number, tuple)| look(number, &tuple)))
            .flatten()
    }
}

/// A host that is being judged, and what is needed for that.
pub(super) struct Case<'c, 'w> {
    pub subject: Subject<'w>,
    /// Whether nothing is known of who the host is.
    pub anonymity: Anonymity,
    /// Memory for counting.
    pub scratch: &'c mut Scratch<'w>,
    /// The answers, once there are any.
    pub answers: Option<&'c dyn Answers>,
    /// What is known beyond this host.
    pub evidence: Option<&'c Evidence>,
}

impl<'c, 'w> Case<'c, 'w> {
    /// A host of which it does not matter who it is.
    pub fn new(
        subject: Subject<'w>,
        scratch: &'c mut Scratch<'w>,
        answers: Option<&'c dyn Answers>,
    ) -> Self {
        Case { subject, anonymity: Anonymity::Unknown, scratch, answers, evidence: None }
    }
}

/// Whether a tuple counts.
type Counts<'f> = &'f dyn Fn(&Case<'_, '_>, &Tuple<'_>) -> bool;

impl<'w> Case<'_, 'w> {
    /// Whether the domain of this tuple's sender vouches for the host.
    pub fn vouching(&self, tuple: &Tuple<'_>) -> Confirmation {
        let address = self.subject.host.address.ip();
        self.answers.map_or(Confirmation::Unknown, |answers| {
            exemption::of_sender(answers, address, tuple.from)
        })
    }

    /// Settles a rule of one tuple by the first tuple in which it finds something and whose sender's domain
    /// does not vouch for the host. Hosts of which something is known are not judged, and those of which it is
    /// unknown are spared.
    fn one_letter<G>(
        &self,
        anonymity: Anonymity,
        mut find: impl FnMut(u32, &Tuple<'w>) -> Option<G>,
    ) -> Opinion<G> {
        if anonymity == Anonymity::Named {
            return Opinion::Nothing;
        }
        let mut opinion = Opinion::Nothing;
        for (number, tuple) in self.subject.numbered() {
            let Some(ground) = find(number, &tuple) else { continue };
            if anonymity == Anonymity::Unknown {
                return Opinion::Spared(ground, Why::IdentityUnknown);
            }
            opinion = match (self.vouching(&tuple), opinion) {
                (Confirmation::NotConfirmed, _) => return Opinion::Against(ground),
                (Confirmation::Unknown, _) => Opinion::Spared(ground, Why::ExemptionUnknown),
                (Confirmation::Confirmed, Opinion::Nothing) => Opinion::Spared(ground, Why::Exempt),
                (Confirmation::Confirmed, before) => before,
            };
        }
        opinion
    }

    /// Settles a counting rule for a host without identity. `count` counts the tuples that it is told to.
    fn recount<G>(
        &mut self,
        found: G,
        mut count: impl FnMut(&mut Self, Counts<'_>) -> Option<G>,
    ) -> Opinion<G> {
        let denied = |case: &Case<'_, '_>, tuple: &Tuple<'_>| {
            case.vouching(tuple) == Confirmation::NotConfirmed
        };
        if let Some(found) = count(self, &denied) {
            return Opinion::Against(found);
        }
        match count(self, &|case, tuple| case.vouching(tuple) != Confirmation::Confirmed) {
            Some(found) => Opinion::Spared(found, Why::ExemptionUnknown),
            None => Opinion::Spared(found, Why::Exempt),
        }
    }
}

/// Memory for counting, reused for every host.
#[derive(Debug, Default)]
pub(super) struct Scratch<'w> {
    pub distinct: Distinct,
    pub firsts: Vec<&'w Note<'w>>,
}

impl Scratch<'_> {
    /// For hosts among these.
    pub fn new(waiting: &Waiting<'_>) -> Self {
        Scratch { distinct: Distinct::new(waiting.seed()), firsts: Vec::new() }
    }
}

/// A tuple with a sender, as `domains` and `senders` count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'t> {
    pub from: Mailbox<'t>,
    pub to: &'t [u8],
}

impl<'t> Sent<'t> {
    /// `None` for null senders, which are never counted, and for senders that are not mailboxes.
    pub fn new(tuple: &Tuple<'t>) -> Option<Sent<'t>> {
        match Sender::parse(tuple.from) {
            Sender::Mailbox(from) => Some(Sent { from, to: tuple.to }),
            Sender::Null | Sender::Cut | Sender::Invalid(_) => None,
        }
    }
}

/// The tuples of a host that have a sender and count.
fn counted<'w>(case: &Case<'_, 'w>, counts: Counts<'_>) -> Vec<Sent<'w>> {
    let tuples = case.subject.tuples().filter(|tuple| counts(case, tuple));
    tuples.filter_map(|tuple| Sent::new(&tuple)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn the_configuration_has_the_same_names() {
        assert_eq!(crate::config::rules::NAMES, Rule::ALL.map(Rule::name));
    }

    /// A tuple with this sender and recipient.
    pub fn tuple<'t>(from: &'t str, to: &'t str) -> Tuple<'t> {
        Tuple { address: b"192.0.2.1", helo: b"", from: from.as_bytes(), to: to.as_bytes() }
    }

    /// Tuples with these senders, each to a recipient of `to` in turn.
    pub fn sent<'t>(from: &[&'t str], to: &[&'t str]) -> Vec<Sent<'t>> {
        let tuples = from.iter().zip(to.iter().cycle());
        tuples.filter_map(|(from, to)| Sent::new(&tuple(from, to))).collect()
    }
}
