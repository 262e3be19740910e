//! The rules, one file each, in the order in which they are asked; the first that hits decides.
//!
//! A rule's file holds all of it: a type that is what the rule finds in a host, and its `Finding`: the
//! rule's name and switch, what it needs to be asked, its condition, its reason and its evidence. The list
//! below is the only other place that knows its name; `judge` asks whatever is in it.
//!
//! `syntax` and `rcpt` judge one tuple by itself. `domains`, `senders` and `helo` count over all tuples of a
//! host, and only nominate: identity may set the host free. `checker` and `dns` go by answers about
//! recipients and sender domains. One bad letter is not enough for `rcpt`, `checker` and `dns` where the host
//! has identity. Rules read nothing but their arguments and trust nothing in a tuple.

use super::answers::Answers;
use super::distinct::Distinct;
use super::hosts::{Host, Waiting};
use super::notes::{Marks, Note};
use super::sender::{Mailbox, Sender};
use super::verdict::Why;
use crate::config::{Config, Rules};
use crate::spamd::Tuple;
use std::fmt;

/// The list of rules: for each its name, its file and what it is about.
macro_rules! rules {
    ($($Rule:ident in $file:ident: $about:literal;)*) => {
        $(pub(super) mod $file;)*

        /// The name of a rule, in the rules' order.
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

            /// Whether a configuration has it on.
            pub fn is_on(self, config: &Config) -> bool {
                match self { $(Rule::$Rule => $file::$Rule::is_on(config),)* }
            }

            /// What must be there before it is asked.
            pub(super) fn stage(self) -> Stage {
                match self { $(Rule::$Rule => $file::$Rule::STAGE,)* }
            }

            /// What identity means to it.
            pub(super) fn identity(self) -> Identity {
                match self { $(Rule::$Rule => $file::$Rule::IDENTITY,)* }
            }

            /// Whether it could hit a host, by what was noted of its tuples.
            pub(super) fn could_hit(self, subject: &Subject<'_>) -> bool {
                match self { $(Rule::$Rule => $file::$Rule::could_hit(subject),)* }
            }

            /// What it thinks of a host.
            pub(super) fn judge(self, case: &mut Case<'_, '_>) -> Opinion<Ground> {
                match self { $(Rule::$Rule => $file::$Rule::judge(case).map(Ground::$Rule),)* }
            }
        }

        /// Whether a rule hits this tuple by itself.
        pub(super) fn hit(tuple: &Tuple<'_>, from: &Sender<'_>, rules: &Rules) -> bool {
            false $(|| $file::$Rule::hits(tuple, from, rules))*
        }

        /// What a rule holds against a host.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(super) enum Ground { $(#[doc = $about] $Rule($file::$Rule),)* }

        impl Ground {
            /// Whose it is.
            pub fn rule(self) -> Rule {
                match self { $(Ground::$Rule(_) => Rule::$Rule,)* }
            }

            /// What is left of it where identity is denied.
            pub fn confirm(self, case: &mut Case<'_, '_>) -> Opinion<Ground> {
                match self { $(Ground::$Rule(found) => found.confirm(case).map(Ground::$Rule),)* }
            }

            /// Counts in the scratch what it rests on.
            pub fn count(&self, case: &mut Case<'_, '_>) {
                match self { $(Ground::$Rule(found) => found.count(case),)* }
            }

            /// The reason as it is logged.
            pub fn reason(&self, subject: &Subject<'_>) -> String {
                match self { $(Ground::$Rule(found) => found.reason(subject),)* }
            }

            /// The tuples that are its evidence.
            pub fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
                match self { $(Ground::$Rule(found) => found.tuples(subject),)* }
            }

            /// The answer that made it.
            pub fn answer(&self) -> Option<String> {
                match self { $(Ground::$Rule(found) => found.answer(),)* }
            }
        }
    };
}

rules! {
    Syntax in syntax: "The envelope sender is no mailbox.";
    Domains in domains: "Senders of many domains.";
    Senders in senders: "A sender of its own for nearly every tuple.";
    Helo in helo: "HELO names of several domains.";
    Rcpt in rcpt: "A recipient nobody writes to.";
    Checker in checker: "A recipient that the external program does not know.";
    Dns in dns: "A sender domain without a mail server.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule finds in a host, and how: all that a rule is.
pub(super) trait Finding: Copy {
    /// The rule's name in listings and JSON.
    const NAME: &'static str;
    /// What must be there before it is asked.
    const STAGE: Stage;
    /// What identity means to it.
    const IDENTITY: Identity;

    /// Whether a configuration has it on. A rule that is off finds nothing.
    fn is_on(config: &Config) -> bool;

    /// Whether a tuple by itself gives its host away. Asked of every tuple while it is at hand: the host
    /// is [marked](Marks::HIT) then.
    fn hits(tuple: &Tuple<'_>, from: &Sender<'_>, rules: &Rules) -> bool {
        let _ = (tuple, from, rules);
        false
    }

    /// Whether it could hit a host that is not marked, by what was noted of its tuples: asked of every
    /// host before any key is read again.
    fn could_hit(subject: &Subject<'_>) -> bool {
        let _ = subject;
        false
    }

    /// What it thinks of a host.
    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self>;

    /// What is left of the finding where identity is denied; of rules that it excuses from only.
    fn confirm(self, case: &mut Case<'_, '_>) -> Opinion<Self> {
        let _ = case;
        Opinion::Against(self)
    }

    /// Counts in the scratch the different things it rests on; of rules that identity outweighs only.
    fn count(&self, case: &mut Case<'_, '_>) {
        let _ = case;
    }

    /// The reason as it is logged: what came from outside is escaped in it.
    fn reason(&self, subject: &Subject<'_>) -> String;

    /// The tuples that are its evidence, in the file's order.
    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        subject.tuples().collect()
    }

    /// The answer that made it, if one did.
    fn answer(&self) -> Option<String> {
        None
    }
}

/// What must be there before a rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The database.
    Database,
    /// Answers about recipients or sender domains.
    Answers,
}

/// What a host's identity means to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing.
    Ignored,
    /// It sets the host free, whatever the rule has counted.
    Excuses,
    /// It weighs more than one letter: two different ones trap, or one in two scans.
    Outweighs,
}

/// What a rule thinks of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opinion<G> {
    /// This is held against it.
    Against(G),
    /// Something might be, if this did not speak for it.
    Spared(Why),
    /// Nothing is.
    Nothing,
}

impl<G> Opinion<G> {
    fn map<H>(self, to: impl FnOnce(G) -> H) -> Opinion<H> {
        match self {
            Opinion::Against(ground) => Opinion::Against(to(ground)),
            Opinion::Spared(why) => Opinion::Spared(why),
            Opinion::Nothing => Opinion::Nothing,
        }
    }
}

impl<G> From<Option<G>> for Opinion<G> {
    fn from(ground: Option<G>) -> Opinion<G> {
        ground.map_or(Opinion::Nothing, Opinion::Against)
    }
}

/// A host that is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'w> {
    pub waiting: &'w Waiting<'w>,
    pub host: &'w Host,
    pub rules: &'w Rules,
}

impl<'w> Subject<'w> {
    /// What is noted of its tuples.
    pub fn notes(&self) -> impl Iterator<Item = &'w Note<'w>> + Clone {
        self.waiting.notes_of(self.host)
    }

    /// Its tuples in the file's order.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple<'w>> + Clone {
        self.waiting.tuples_of(self.host)
    }

    /// The same with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, Tuple<'w>)> {
        self.waiting.numbered(self.host)
    }

    /// The tuple of this number.
    pub fn tuple(&self, number: u32) -> Tuple<'w> {
        self.waiting.tuple(number)
    }

    /// How many of its tuples have a mailbox for a sender.
    pub fn mailboxes(&self) -> usize {
        self.waiting.mailboxes(self.host)
    }

    /// Whether there are more senders than `suspect tuples`.
    pub fn is_suspect(&self) -> bool {
        let few = self.rules.suspect_tuples as usize;
        self.host.tuples() > few && self.mailboxes() > few
    }

    /// What the first tuple that gives it away by itself yields.
    fn first<T>(&self, mut look: impl FnMut(u32, &Tuple<'w>) -> Option<T>) -> Option<T> {
        let is_marked = self.host.marks.any(Marks::HIT);
        is_marked
            .then(|| self.numbered().find_map(|(number, tuple)| look(number, &tuple)))
            .flatten()
    }
}

/// A host under judgement, and what is needed for it.
pub(super) struct Case<'c, 'w> {
    pub subject: Subject<'w>,
    /// Room to count in.
    pub scratch: &'c mut Scratch<'w>,
    /// What was answered, once it was.
    pub answers: Option<&'c dyn Answers>,
}

/// Room to count in, used again for every host.
#[derive(Debug, Default)]
pub(super) struct Scratch<'w> {
    pub distinct: Distinct,
    pub firsts: Vec<&'w Note<'w>>,
}

/// A tuple that has a sender: what `domains` and `senders` count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'t> {
    pub from: Mailbox<'t>,
    pub to: &'t [u8],
}

impl<'t> Sent<'t> {
    /// `None` for null senders, which are never counted, and for what is no mailbox.
    pub fn new(tuple: &Tuple<'t>) -> Option<Sent<'t>> {
        match Sender::parse(tuple.from) {
            Sender::Mailbox(from) => Some(Sent { from, to: tuple.to }),
            Sender::Null | Sender::Cut | Sender::Invalid(_) => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A tuple with these sender and recipient.
    pub fn tuple<'t>(from: &'t str, to: &'t str) -> Tuple<'t> {
        Tuple { address: b"192.0.2.1", helo: b"", from: from.as_bytes(), to: to.as_bytes() }
    }

    /// Tuples with these senders, each to a recipient of `to` in turn.
    pub fn sent<'t>(from: &[&'t str], to: &[&'t str]) -> Vec<Sent<'t>> {
        let tuples = from.iter().zip(to.iter().cycle());
        tuples.filter_map(|(from, to)| Sent::new(&tuple(from, to))).collect()
    }
}
