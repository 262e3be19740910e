//! A scan in its stages, with DNS and the external program in between.
//!
//! [`Scan::of`] takes a database and settles all hosts except those that a counting rule nominates, or that
//! have one bad message, or that a rule of one letter could hit. [`Scan::questions`] has the questions to DNS
//! about these, [`Scan::domains`] the sender domains of all hosts that are not already trapped,
//! [`Scan::recipients`] the recipients for the external program. [`Scan::settle`] settles the hosts by the
//! answers; [`Scan::claims`] has the questions to DNS about those that are then about to be trapped,
//! [`Scan::listings`] those to DNS lists.
//! [`Scan::finish`] returns the [`Report`]. Without answers nominees go free, and no recipient or sender
//! domain traps a host.
//!
//! What is known beyond single hosts ([`Evidence`]) is that of this scan, and what
//! [`Scan::recall`] adds of earlier ones. [`Scan::keys`] says what is of use.
//!
//! Hosts do not depend on each other: two threads judge them share by share, and the result is the same.

use super::answers::{Answers, Doubt, Silence};
use super::ballot::{Ballot, Believed};
use super::domains::Domains;
use super::gather::{Gathered, gather};
use super::hosts::{Host, Waiting};
use super::identity::{Anonymity, Question};
use super::judge::{AHEAD, Judge, Known, Pleas, Unsettled, Whom, left_alone};
use super::own::{self, Own};
use super::report::{Judged, Report};
use super::rules::{Rule, Stage, checker, dns};
use super::table::Seed;
use super::unasked::Unasked;
use super::verdict::{Outcome, Why};
use super::{exemption, lists, sender};
use crate::config::{Meaning, Rules};
use crate::db::snapshot::{Batches, Piece, Snapshot};
use crate::db::{ByteOrder, Damage, Record};
use crate::dns::exemption::Claim;
use crate::dns::listing::Listing;
use crate::evidence::{Entry, Evidence, Key, Sighting, Watch};
use crate::name;
use crate::spamd::Tuple;
use crate::threads::each;
use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

/// The number of sender domains of one host that are looked up, not counting domains that other hosts use
/// too.
const HOST_SHARE: usize = 50;

/// A scan, with hosts settled as far as possible with the database alone.
#[derive(Debug)]
pub struct Scan<'r> {
    rules: &'r Rules,
    /// The nominees as if they went free.
    report: Report<'r>,
    /// The hosts in each share that the database alone does not settle.
    unsettled: Vec<Unsettled>,
    /// Once answers have been used, which hosts in each share depend on them.
    open: Vec<Vec<bool>>,
    /// Seconds since 1970.
    now: i64,
    /// What is known of earlier scans.
    recalled: Vec<(Key, Entry)>,
    /// Since when recipients are watched.
    watch: Option<Watch>,
    /// Whether memory did not answer once.
    is_blind: bool,
    /// What is known beyond single hosts, once answers have been used.
    evidence: Evidence,
}

impl<'r> Scan<'r> {
    /// Judges the hosts of a database by the offline rules. `now` is in seconds since 1970. A damaged
    /// database is an error; one that another program left when it was killed is judged by the records that
    /// can be found.
    pub fn of(snapshot: &Snapshot<'r>, now: i64, rules: &'r Rules) -> Result<Scan<'r>, Damage> {
        Scan::judge_all(snapshot, now, rules, Whom::Candidates)
    }

    /// The same, but the rules are also applied to hosts in `allow`, which pass all the same.
    pub fn of_exempt(
        snapshot: &Snapshot<'r>,
        now: i64,
        rules: &'r Rules,
    ) -> Result<Scan<'r>, Damage> {
        Scan::judge_all(snapshot, now, rules, Whom::Exempt)
    }

    /// The same, but the rules are also applied to hosts that a scan leaves alone, to show what speaks
    /// against them. They pass all the same, and what others are found to be does not depend on them.
    pub fn of_all(snapshot: &Snapshot<'r>, now: i64, rules: &'r Rules) -> Result<Scan<'r>, Damage> {
        Scan::judge_all(snapshot, now, rules, Whom::All)
    }

    fn judge_all(
        snapshot: &Snapshot<'r>,
        now: i64,
        rules: &'r Rules,
        whom: Whom,
    ) -> Result<Scan<'r>, Damage> {
        let order = snapshot.byte_order();
        match Scan::judge(snapshot.pieces(), (order, now), rules, whom) {
            Err(damage) => match snapshot.leftovers() {
                Ok(records) => {
                    let records = Batches(records.into_iter().map(Ok));
                    Scan::judge(records, (order, now), rules, whom)
                }
                Err(_) => Err(damage),
            },
            scan => scan,
        }
    }

    /// The same for some of the records of a snapshot; `order` is its byte order.
    pub fn begin(
        records: impl Iterator<Item = Result<Record<'r>, Damage>> + Send,
        order: ByteOrder,
        now: i64,
        rules: &'r Rules,
    ) -> Result<Scan<'r>, Damage> {
        Scan::judge(Batches(records), (order, now), rules, Whom::Candidates)
    }

    /// [`Self::of_all`] for some of the records of a snapshot.
    pub fn begin_all(
        records: impl Iterator<Item = Result<Record<'r>, Damage>> + Send,
        order: ByteOrder,
        now: i64,
        rules: &'r Rules,
    ) -> Result<Scan<'r>, Damage> {
        Scan::judge(Batches(records), (order, now), rules, Whom::All)
    }

    fn judge(
        pieces: impl Iterator<Item = Result<Piece<'r>, Damage>> + Send,
        order_and_now: (ByteOrder, i64),
        rules: &'r Rules,
        whom: Whom,
    ) -> Result<Scan<'r>, Damage> {
        let seed = Seed::new();
        let Gathered { shares, mut counts, unknown } = gather(pieces, order_and_now, rules, seed)?;
        let settled = each(shares, |notes| {
            let waiting = Waiting::new(notes, seed);
            let (outcomes, unsettled) = Judge::new(&waiting, rules, whom).settle_all();
            (Judged { waiting, outcomes }, unsettled)
        });
        let (shares, unsettled): (Vec<Judged<'_>>, _) = settled.into_iter().unzip();
        counts.greys = shares.iter().map(|share| share.waiting.greys()).sum();
        let report = Report {
            rules,
            whom,
            shares,
            counts,
            unknown,
            doubts: Vec::new(),
            ballot: Ballot::default(),
        };
        let (_, now) = order_and_now;
        let (open, recalled, watch) = (Vec::new(), Vec::new(), None);
        let evidence = Evidence::new(now);
        let is_blind = false;
        Ok(Scan { rules, report, unsettled, open, now, recalled, watch, is_blind, evidence })
    }

    /// The questions about identity, in the order in which hosts first appear: for nominees, for hosts with
    /// one bad message, and for hosts that a rule of one letter could hit.
    pub fn questions(&self) -> Vec<Question> {
        self.ask(|judge, unsettled, outcomes| {
            let is_open = |number: &usize| outcomes.get(*number).is_some_and(Outcome::is_open);
            let early = unsettled.early().filter(is_open);
            early.chain(judge.open_in(Stage::Host, outcomes)).collect()
        })
    }

    /// The same for hosts whose bad message was found only with the answers, and that were not asked about.
    pub fn late_questions(&self) -> Vec<Question> {
        self.ask(|judge, unsettled, outcomes| {
            let is_warned = |number: &usize| {
                let outcome = outcomes.get(*number);
                matches!(outcome, Some(Outcome::Spared(_, why, _)) if why.is_warning())
            };
            let late = unsettled.late().filter(is_warned);
            late.filter(|number| !judge.is_asked_about(*number)).collect()
        })
    }

    /// The hosts that a counting rule nominates, or that have one bad message.
    pub fn nominated(&self) -> HashSet<IpAddr> {
        let shares = self.report.shares.iter().zip(&self.unsettled);
        let hosts = shares.flat_map(|(share, unsettled)| {
            let hosts = share.waiting.hosts();
            let numbers = unsettled.early().chain(unsettled.late());
            numbers.filter_map(|number| hosts.get(number)).map(|host| host.address.ip())
        });
        hosts.collect()
    }

    /// The questions about hosts that are about to be trapped: whether the domains of their senders vouch for
    /// them. Those that a scan may trap come first.
    pub fn claims(&self) -> Vec<Claim> {
        let rules = self.rules;
        let most = rules.suspect_tuples.max(rules.max_sender_domains.unwrap_or(0));
        let most = usize::try_from(most).unwrap_or(0).saturating_add(2);
        let mut found = Vec::new();
        for (share, unsettled) in self.report.shares.iter().zip(&self.unsettled) {
            let hosts = share.waiting.hosts();
            for host in unsettled.pleas.exemptions.iter().filter_map(|number| hosts.get(*number)) {
                let tuples = share.waiting.tuples_of(host);
                let claims = exemption::claims(host.address.ip(), tuples, most);
                found.push((self.turn(host), claims));
            }
        }
        found.sort_by_key(|(turn, _)| *turn);
        found.into_iter().flat_map(|(_, claims)| claims).collect()
    }

    /// The questions to DNS lists: about anonymous hosts for which one more sign is wanted, and about hosts
    /// that are about to be trapped. Those that a scan may trap come first.
    pub fn listings(&self) -> Vec<Listing> {
        let mut found = Vec::new();
        for (share, unsettled) in self.report.shares.iter().zip(&self.unsettled) {
            let hosts = share.waiting.hosts();
            let Pleas { signs, spares, .. } = &unsettled.pleas;
            for (numbers, meaning) in [(signs, Meaning::Sign), (spares, Meaning::Spare)] {
                let hosts = numbers.iter().filter_map(|number| hosts.get(*number));
                found.extend(hosts.map(|host| (self.turn(host), host.address.ip(), meaning)));
            }
        }
        found.sort_by_key(|(turn, ..)| *turn);
        let listings = found
            .into_iter()
            .flat_map(|(_, address, meaning)| lists::listings(self.rules, address, meaning));
        listings.collect()
    }

    /// Adds what is known of earlier scans, before the hosts are settled again.
    pub fn recall(&mut self, known: impl IntoIterator<Item = (Key, Entry)>) {
        self.recalled.extend(known);
    }

    /// Since when memory has watched recipients, before the hosts are settled again. It must be known with
    /// everything that is recalled.
    pub fn watched(&mut self, watch: Option<Watch>) {
        self.watch = watch;
        self.is_blind |= watch.is_none();
    }

    /// What is known beyond single hosts, by the answers of the last [`Scan::settle`].
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What [`Scan::recall`] should be given: whatever anonymous hosts in this scan have used.
    pub fn keys(&self) -> Vec<Key> {
        self.evidence.fresh().into_iter().map(|(key, _)| key).collect()
    }

    /// The questions about the identity of every host, whether or not a verdict depends on it; none if
    /// identity is not to be checked.
    pub fn every_question(&self) -> Vec<Question> {
        if !self.rules.identity {
            return Vec::new();
        }
        self.ask(|_, _, outcomes| {
            let numbered = outcomes.iter().enumerate();
            let present = numbered.filter(|(_, outcome)| **outcome != Outcome::Absent);
            present.map(|(number, _)| number).collect()
        })
    }

    fn ask(
        &self,
        whom: impl Fn(&Judge<'_>, &Unsettled, &[Outcome]) -> Vec<usize>,
    ) -> Vec<Question> {
        let mut questions = Vec::new();
        for (Judged { waiting, outcomes }, unsettled) in
            self.report.shares.iter().zip(&self.unsettled)
        {
            let mut numbers = whom(&self.judge_of(waiting), unsettled, outcomes);
            numbers.sort_unstable();
            numbers.dedup();
            let hosts = numbers.iter().filter_map(|number| waiting.hosts().get(*number));
            let ask = |host: &Host| Question::new(host.address.ip(), waiting.tuples_of(host));
            questions.extend(hosts.map(|host| (self.turn(host), ask(host))));
        }
        questions.sort_unstable_by_key(|(turn, _)| *turn);
        questions.into_iter().map(|(_, question)| question).collect()
    }

    /// When a host has its turn: those that a scan may trap come first.
    fn turn(&self, host: &Host) -> (bool, u32) {
        let is_left_alone =
            self.report.whom != Whom::Candidates && left_alone(host, self.rules).is_some();
        (is_left_alone, host.place)
    }

    /// The sender domains to look up: those of every host that no rule traps yet, including nominees, but
    /// at most `HOST_SHARE` for one host. None if the rule `dns` is off.
    pub fn domains(&self) -> Domains {
        let mut domains = Domains::default();
        if !self.rules.sender_dns {
            return domains;
        }
        let (whom, mut lower) = (self.report.whom, Vec::new());
        for is_left_alone in
            [false, true].into_iter().take(if whom == Whom::Candidates { 1 } else { 2 })
        {
            for Judged { waiting, outcomes } in &self.report.shares {
                let judge = self.judge_of(waiting);
                let open = judge.open_to(Rule::Dns, outcomes);
                let open: Vec<_> = open.filter(|host| self.turn(host).0 == is_left_alone).collect();
                for hosts in open.chunks(AHEAD) {
                    waiting.prefetch(hosts.iter().copied());
                    for host in hosts {
                        add_domains(waiting.tuples_of(host), &mut lower, &mut domains);
                    }
                }
            }
        }
        domains
    }

    /// The sender domains of every host, also of those that a rule traps already.
    pub fn every_domain(&self) -> Domains {
        let (mut domains, mut lower) = (Domains::default(), Vec::new());
        for Judged { waiting, .. } in &self.report.shares {
            for host in waiting.hosts().iter().filter(|_| self.rules.sender_dns) {
                add_domains(waiting.tuples_of(host), &mut lower, &mut domains);
            }
        }
        domains
    }

    fn judge_of<'w>(&'w self, waiting: &'w Waiting<'w>) -> Judge<'w> {
        Judge::new(waiting, self.rules, self.report.whom)
    }

    /// Domains that must exist: those of the recipients to whom most hosts write.
    pub fn own_domains(&self) -> Vec<Vec<u8>> {
        let mut own = Own::default();
        for Judged { waiting, .. } in &self.report.shares {
            let hosts = waiting.hosts().iter().filter(|host| host.is_waiting()).take(own::HOSTS);
            hosts.for_each(|host| own.count(waiting.tuples_of(host)));
        }
        own.domains()
    }

    /// The recipients for the external program, each once and without brackets, in the order of their
    /// hosts: those of suspect hosts that no rule traps yet, including nominees, except recipients that
    /// `pass rcpt` matches.
    pub fn recipients(&self) -> Vec<Vec<u8>> {
        let mut suspects = Vec::new();
        for Judged { waiting, outcomes } in &self.report.shares {
            let judge = self.judge_of(waiting);
            let open = judge.open_to(Rule::Checker, outcomes);
            suspects.extend(open.map(|host| (self.turn(host), waiting, host)));
        }
        suspects.sort_unstable_by_key(|(turn, ..)| *turn);
        let tuples = suspects.into_iter().flat_map(|(_, waiting, host)| waiting.tuples_of(host));
        let recipients = tuples.filter_map(|tuple| checker::recipient(&tuple, &self.rules.rcpt));
        let mut seen = HashSet::new();
        recipients.filter(|to| seen.insert(to.clone())).map(Cow::into_owned).collect()
    }

    /// The results so far: at first those of the database alone, with all nominees free.
    pub fn settled(&self) -> &Report<'r> {
        &self.report
    }

    /// [Settles](Self::settle) all hosts finally.
    pub fn finish(mut self, answers: Option<&dyn Answers>) -> Report<'r> {
        self.settle(answers);
        self.end().0
    }

    /// Ends as the last [`Scan::settle`] has left it, with what is known beyond single hosts.
    pub fn end(self) -> (Report<'r>, Evidence) {
        (self.report, self.evidence)
    }

    /// Settles all hosts by the answers. Without a definite answer nominees go free, and one bad message is
    /// not enough. This may find hosts whose identity was not asked about ([`Self::late_questions`]). It
    /// may be called again with more answers, and then settles all hosts again.
    pub fn settle(&mut self, answers: Option<&dyn Answers>) {
        self.open_again();
        let ballot = answers.map_or_else(Ballot::default, |answers| self.ballot(answers));
        let doubts = answers.and_then(Answers::doubt).into_iter().chain(ballot.doubts());
        let aside = answers.map(Answers::aside).unwrap_or_default().into_iter();
        let doubts = doubts.chain(aside.map(|(zone, why)| Doubt::Aside { zone, why })).collect();
        let believed = answers.map(|answers| Believed { answers, ballot: &ballot });
        let answers = believed.as_ref().map(|believed| believed as &dyn Answers);
        let anonymities = self.anonymities(answers);
        self.evidence = self.gathered(&anonymities);
        let known = Known { answers, evidence: answers.map(|_| &self.evidence) };
        let shares = self.report.shares.iter_mut().zip(&mut self.unsettled).zip(&anonymities);
        for ((Judged { waiting, outcomes }, unsettled), anonymities) in shares {
            let mut judge = Judge::new(waiting, self.rules, self.report.whom);
            let mut pleas = judge.settle_letters(anonymities, outcomes, known);
            // Without answers this finds which checks have no result.
            let heard = answers.unwrap_or(&Silence);
            let late = judge.weigh(&unsettled.suspicions, outcomes, heard);
            unsettled.suspicions.extend(late);
            judge.settle_nominees(&unsettled.nominees, outcomes, answers, &mut pleas);
            judge.settle_suspicions(&unsettled.suspicions, outcomes, answers);
            pleas.sort();
            unsettled.pleas = pleas;
        }
        (self.report.doubts, self.report.ballot) = (doubts, ballot);
    }

    /// For each share whether its hosts are anonymous; nothing if it does not matter.
    fn anonymities(&self, answers: Option<&dyn Answers>) -> Vec<Vec<Anonymity>> {
        let answers = answers.filter(|_| self.rules.judge_letters());
        let anonymities = |Judged { waiting, outcomes }: &Judged<'_>| {
            answers.map(|answers| self.judge_of(waiting).anonymities(outcomes, answers))
        };
        let shares = self.report.shares.iter();
        shares.map(|share| anonymities(share).unwrap_or_default()).collect()
    }

    /// What anonymous hosts in this scan have used, and what was recalled.
    fn gathered(&self, anonymities: &[Vec<Anonymity>]) -> Evidence {
        let mut evidence = Evidence::new(self.now);
        if !self.rules.stranger && !self.rules.crowd {
            return evidence;
        }
        evidence.watched(self.watch.filter(|_| !self.is_blind));
        evidence.recall(self.recalled.iter().cloned());
        for (Judged { waiting, .. }, anonymities) in self.report.shares.iter().zip(anonymities) {
            let hosts = waiting.hosts().iter().zip(anonymities);
            let is_meant = |(host, anonymity): &(&Host, &Anonymity)| {
                **anonymity == Anonymity::Anonymous && !self.turn(host).0
            };
            for (host, _) in hosts.filter(is_meant) {
                self.sight(waiting, host, &mut evidence);
            }
        }
        evidence
    }

    /// Notes the tuples of an anonymous host.
    fn sight(&self, waiting: &Waiting<'_>, host: &Host, evidence: &mut Evidence) {
        let mut registered = Vec::new();
        for note in waiting.notes_of(host) {
            let tuple = note.tuple();
            registered.clear();
            let from = exemption::mailbox(tuple.from);
            let domain = from.map(|from| {
                name::registrable(from.domain, &mut registered);
                &registered[..]
            });
            evidence.note(&Sighting {
                address: host.address.ip(),
                helo: tuple.helo,
                domain,
                recipient: &sender::recipient(tuple.to).unwrap_or_default(),
                time: note.marks.first(self.now),
            });
        }
    }

    /// Resets hosts that were settled by answers to the result of the database.
    fn open_again(&mut self) {
        let is_open = |outcomes: &Vec<Outcome>| outcomes.iter().map(Outcome::is_open).collect();
        let shares = self.report.shares.iter_mut().map(|share| &mut share.outcomes);
        if self.open.is_empty() {
            self.open = shares.map(|outcomes| is_open(outcomes)).collect();
            return;
        }
        for (outcomes, open) in shares.zip(&self.open) {
            for (outcome, _) in outcomes.iter_mut().zip(open).filter(|(_, is_open)| **is_open) {
                *outcome = Outcome::Pass(Why::Nothing, Unasked::NONE);
            }
        }
        for unsettled in &mut self.unsettled {
            unsettled.suspicions.retain(|suspicion| !suspicion.is_late);
        }
    }

    /// What the answers say about all hosts together.
    fn ballot(&self, answers: &dyn Answers) -> Ballot {
        let mut ballot = Ballot::default();
        for Judged { waiting, outcomes } in &self.report.shares {
            let judge = self.judge_of(waiting);
            let voters = |rule| judge.open_to(rule, outcomes).filter(|host| !self.turn(host).0);
            let open: Vec<_> = voters(Rule::Dns).collect();
            for hosts in open.chunks(AHEAD) {
                waiting.prefetch(hosts.iter().copied());
                hosts.iter().for_each(|host| ballot.count(waiting.tuples_of(host), answers));
            }
            for host in voters(Rule::Checker) {
                ballot.count_recipients(waiting.tuples_of(host), answers);
            }
        }
        ballot
    }
}

/// Adds the sender domains of a host, up to its share.
fn add_domains<'t>(
    tuples: impl Iterator<Item = Tuple<'t>>,
    lower: &mut Vec<u8>,
    domains: &mut Domains,
) {
    let most = domains.len().saturating_add(HOST_SHARE);
    for domain in tuples.filter_map(|tuple| dns::domain(&tuple)) {
        lower.clear();
        name::lower(domain, lower);
        if domains.len() < most {
            domains.add(lower);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::{Confirmation, DomainVerdict};
    use super::super::given::Given;
    use super::super::report::Portion;
    use super::super::testing::{
        NOW, Oracle, SIX_DOMAINS, SIX_SENDERS, asked, grey, host, lines, record, rules, scan,
        verdicts,
    };
    use super::super::verdict::Verdict;
    use super::*;

    #[test]
    fn without_answers_nominees_pass() {
        let rules = Rules { identity: true, ..rules() };
        let mut records = host("10.0.0.1", "mail.x.example", &SIX_DOMAINS);
        records.extend(host("10.0.0.2", "h", &SIX_SENDERS));
        records.push(grey("10.0.0.2", "h", "<>", "<x@old.test>"));
        assert_eq!(
            verdicts(&records, &rules),
            [
                "10.0.0.1 - identity not known: Host sending from 6 domains (> 3)",
                "10.0.0.2 rcpt Mailed to trap address x@old.test",
            ]
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
        // A host with identity is warned for one domain that does not receive mail, and known hosts are
        // left alone.
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
                "10.0.0.6 - identity confirmed, in another domain than the sender's: \
                    Mailed from sender gone.example with no MX or A",
                "10.0.0.7 - identity confirmed: Host sending from 7 domains (> 3)",
                "10.0.0.8 - whitelisted",
            ]
        );
        let off = Rules { sender_dns: false, identity: true, ..rules() };
        let report = scan(&records, &off).finish(Some(&Oracle));
        assert!(report.traps(Portion::None).all(|verdict| verdict.rule == Some(Rule::Syntax)));
    }

    /// Five tuples and one to `to`: enough for a suspect.
    fn suspect(address: &str, helo: &str, to: &str) -> Vec<crate::db::Record<'static>> {
        let mut records = host(address, helo, &["<a@x.example>"; 5]);
        records.push(grey(address, helo, "<a@x.example>", to));
        records
    }

    #[test]
    fn bad_recipients_trap_suspects_before_their_domains_do() {
        let left = "<left@ours.test>";
        let mut records = suspect("10.0.0.1", "no.x.example", left);
        records.extend(suspect("10.0.0.2", "no.x.example", "<u@ours.test>"));
        records.extend(suspect("10.0.0.3", "no.x.example", "<left@old.test>"));
        // One tuple less: null senders do not count.
        records.extend(host("10.0.0.4", "no.x.example", &["<a@x.example>"; 4]));
        records.push(grey("10.0.0.4", "no.x.example", "<>", left));
        records.push(grey("10.0.0.4", "no.x.example", "<a@x.example>", left));
        // Identity outweighs it this time, whether confirmed or unknown; a denied one comes before.
        for (address, helo) in [
            ("10.0.0.5", "yes.x.example"),
            ("10.0.0.6", "dunno.x.example"),
            ("10.0.0.7", "no.x.example"),
        ] {
            records.extend(host(address, helo, &SIX_DOMAINS));
            records.push(grey(address, helo, "<a@x.example>", left));
        }
        records.extend(suspect("10.0.0.8", "no.x.example", left));
        records.push(grey("10.0.0.8", "no.x.example", "<a@gone.example>", "<u@ours.test>"));
        records.extend(suspect("10.0.0.9", "no.x.example", left));
        records.push(record("10.0.0.9", NOW + 1, 3));
        assert_eq!(
            asked(&records),
            [
                "10.0.0.1 checker Mailed to unknown recipient left@ours.test",
                "10.0.0.2 - nothing against it",
                "10.0.0.3 rcpt Mailed to trap address left@old.test",
                "10.0.0.4 - nothing against it",
                "10.0.0.5 - identity confirmed, one bad message is not enough: \
                    Mailed to unknown recipient left@ours.test",
                "10.0.0.6 - identity not known, one bad message is not enough this time: \
                    Mailed to unknown recipient left@ours.test",
                "10.0.0.7 domains Host sending from 7 domains (> 3)",
                "10.0.0.8 checker Mailed to unknown recipient left@ours.test",
                "10.0.0.9 - whitelisted",
            ]
        );
        let rules = rules();
        let report = scan(&records, &rules).finish(Some(&Oracle));
        let verdict = report.traps(Portion::All).next().unwrap();
        assert_eq!(verdict.rule, Some(Rule::Checker));
        assert_eq!(verdict.evidence.tuples().next().unwrap().to, left.as_bytes());
    }

    /// Answers in a scan after one that spared these hosts.
    struct Again(&'static [&'static str]);

    impl Answers for Again {
        fn helo(&self, address: IpAddr, name: &str) -> Confirmation {
            Oracle.helo(address, name)
        }

        fn domain(&self, domain: &[u8]) -> Option<DomainVerdict> {
            Oracle.domain(domain)
        }

        fn is_recipient(&self, address: &[u8]) -> Option<bool> {
            Oracle.is_recipient(address)
        }

        fn was_spared(&self, address: IpAddr) -> bool {
            self.0.iter().any(|spared| spared.parse() == Ok(address))
        }
    }

    /// A forwarder passes on whatever is sent to its users.
    #[test]
    fn one_message_does_not_outweigh_an_identity() {
        let old = "<x@old.test>";
        let one = |address, helo, from, to| grey(address, helo, from, to);
        let confirmed = "yes.x.example";
        let records = [
            one("10.0.0.1", confirmed, "<a@a.example>", old),
            one("10.0.0.2", confirmed, "<a@gone.x.example>", "<u@ours.test>"),
            // The same recipient again, in another spelling.
            one("10.0.0.3", confirmed, "<a@a.example>", old),
            one("10.0.0.3", confirmed, "<b@b.example>", "<X@OLD.test>"),
            one("10.0.0.4", confirmed, "<a@gone.x.example>", "<u@ours.test>"),
            one("10.0.0.4", confirmed, "<b@gone.x.example>", "<v@ours.test>"),
            // Two different ones, for one rule or for two.
            one("10.0.0.5", confirmed, "<a@a.example>", old),
            one("10.0.0.5", confirmed, "<a@a.example>", "<y@old.test>"),
            one("10.0.0.6", confirmed, "<a@gone.x.example>", old),
            one("10.0.0.7", confirmed, "<a@gone.x.example>", "<u@ours.test>"),
            one("10.0.0.7", "yes.y.example", "<a@null.y.example>", "<u@ours.test>"),
            // Without identity one is enough.
            one("10.0.0.8", "no.x.example", "<a@a.example>", old),
            one("10.0.0.9", "h", "<a@gone.example>", "<u@ours.test>"),
            one("10.0.0.10", "dunno.x.example", "<a@a.example>", old),
            // A sender that could never receive a reply is not mail.
            one("10.0.0.11", confirmed, "<nobody>", "<u@ours.test>"),
            // A relay passes on the mail of others, dead or not.
            one("10.0.0.12", confirmed, "<a@gone.a.example>", "<u@ours.test>"),
            one("10.0.0.12", confirmed, "<a@gone.b.example>", "<u@ours.test>"),
            one("10.0.0.13", "dunno.x.example", "<a@gone.a.example>", "<u@ours.test>"),
            one("10.0.0.13", "dunno.x.example", "<a@gone.b.example>", "<u@ours.test>"),
        ];
        let spared = "identity confirmed, one bad message is not enough:";
        let rcpt = "Mailed to trap address x@old.test";
        let dns = "Mailed from sender gone.x.example with no MX or A";
        let relay = "identity confirmed, in another domain than the sender's:";
        let relayed = "Mailed from sender gone.a.example with no MX or A";
        let unknown = "identity not known, one bad message is not enough this time:";
        assert_eq!(
            asked(&records),
            [
                &format!("10.0.0.1 - {spared} {rcpt}"),
                &format!("10.0.0.2 - {spared} {dns}"),
                &format!("10.0.0.3 - {spared} {rcpt}"),
                &format!("10.0.0.4 - {spared} {dns}"),
                &format!("10.0.0.5 rcpt {rcpt}"),
                &format!("10.0.0.6 rcpt {rcpt}"),
                &format!("10.0.0.7 dns {dns}"),
                &format!("10.0.0.8 rcpt {rcpt}"),
                "10.0.0.9 dns Mailed from sender gone.example with no MX or A",
                &format!("10.0.0.10 - {unknown} {rcpt}"),
                "10.0.0.11 syntax Invalid source address nobody (no @)",
                &format!("10.0.0.12 - {relay} {relayed}"),
                &format!("10.0.0.13 - {unknown} {relayed}"),
            ]
        );
        let rules = Rules { identity: true, sender_dns: true, ..rules() };
        let again = Again(&["10.0.0.1", "10.0.0.2", "10.0.0.10", "10.0.0.12", "10.0.0.13"]);
        let report = scan(&records, &rules).finish(Some(&again));
        let tuples = |verdict: Verdict| verdict.evidence.tuples().count();
        let found = report.verdicts_by(Some(&again), Portion::All);
        assert_eq!(found.map(tuples).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 1, 2, 1, 1, 1, 1, 1, 1]);
        let mut found = report.verdicts_by(Some(&again), Portion::All);
        assert!(found.next().unwrap().evidence.answers.contains(&Given::Warned));
        let second = lines(&report);
        let trapped = [(0, "1 rcpt", rcpt), (1, "2 dns", dns), (9, "10 rcpt", rcpt)];
        for (place, rule, reason) in trapped {
            assert_eq!(second[place], format!("10.0.0.{rule} {reason}"));
        }
        assert_eq!(second[2..9], asked(&records)[2..9]);
        assert_eq!(second[10..], asked(&records)[10..], "a relay stays one");
        // Without DNS there are no identities.
        let without = Rules { identity: false, ..rules.clone() };
        let report = scan(&records, &without).finish(Some(&Oracle));
        assert_eq!(report.traps(Portion::None).count(), 13);
    }

    #[test]
    fn hosts_that_answers_bring_up_are_asked_about_late() {
        let rules = Rules { identity: true, sender_dns: true, ..rules() };
        let records = [
            grey("10.0.0.1", "yes.x.example", "<a@a.example>", "<x@old.test>"),
            grey("10.0.0.2", "yes.y.example", "<a@gone.y.example>", "<u@ours.test>"),
            grey("10.0.0.3", "localhost", "<a@gone.example>", "<u@ours.test>"),
            grey("10.0.0.4", "yes.z.example", "<a@a.example>", "<u@ours.test>"),
        ];
        let mut scan = scan(&records, &rules);
        let hosts = |questions: Vec<Question>| -> Vec<_> {
            questions.into_iter().map(|question| question.address.to_string()).collect()
        };
        assert_eq!(hosts(scan.questions()), ["10.0.0.1"]);
        assert_eq!(hosts(scan.late_questions()), <[&str; 0]>::default());
        // Each time answers arrive.
        for _ in 0..2 {
            scan.settle(Some(&Oracle));
            let late = hosts(scan.late_questions());
            assert_eq!(late, ["10.0.0.2"], "who says localhost cannot have identity");
        }
        let report = scan.finish(Some(&Oracle));
        let trapped = report.traps(Portion::None).map(|verdict| verdict.address.to_string());
        assert_eq!(trapped.collect::<Vec<_>>(), ["10.0.0.3"]);
    }

    /// A host passed with "nothing against it" while nobody had been asked about it.
    #[test]
    fn a_check_without_a_result_is_named() {
        let mut rules = Rules { identity: true, sender_dns: true, check_rcpt: true, ..rules() };
        let mut records = vec![
            grey("10.0.0.1", "h", "<a@good.example>", "<u@ours.test>"),
            grey("10.0.0.2", "h", "<a@dunno.example>", "<u@ours.test>"),
            grey("10.0.0.3", "h", "<a@[192.0.2.1]>", "<u@ours.test>"),
            grey("10.0.0.4", "h", "<\"john", "<u@ours.test>"),
            grey("10.0.0.5", "h", "<>", "<left"),
            grey("10.0.0.6", "h", "<>", "<u@ours.test>"),
        ];
        records.extend(suspect("10.0.0.7", "yes.x.example", "<u@ours.test>"));
        records.extend(host("10.0.0.8", "dunno.x.example", &SIX_DOMAINS));
        let passing = |rules: &Rules, answers: Option<&dyn Answers>| -> Vec<_> {
            let report = scan(&records, rules).finish(answers);
            let line = |verdict: Verdict| {
                assert!(verdict.passes().is_some(), "{verdict:?}");
                format!("{} {}", verdict.reason, verdict.evidence.unasked.text())
            };
            report.verdicts(Portion::None).map(line).collect()
        };
        let nominated = "identity not known: Host sending from 6 domains (> 3)";
        let fine = "nothing against it ".to_owned();
        let alone = |what: &str| format!("{what} {what}");
        let asked = [
            fine.clone(),
            alone("sender domain not known"),
            fine.clone(),
            alone("sender cut short"),
            alone("recipient cut short"),
            fine.clone(),
            fine.clone(),
            format!("{nominated} identity not known"),
        ];
        assert_eq!(passing(&rules, Some(&Oracle)), asked);
        let nobody = [
            alone("sender domain not known"),
            alone("sender domain not known"),
            fine.clone(),
            alone("sender cut short"),
            alone("recipient cut short"),
            fine.clone(),
            alone("sender domain not known, recipient not checked"),
            format!(
                "{nominated} sender domain not known, recipient not checked, identity not known"
            ),
        ];
        assert_eq!(passing(&rules, None), nobody);
        // What is not to be checked is not missing.
        (rules.sender_dns, rules.check_rcpt, rules.max_sender_domains) = (false, false, None);
        rules.max_sender_ratio = None;
        rules.rcpt.trap.clear();
        let mut unchecked = vec![fine; 8];
        unchecked[3] = alone("sender cut short");
        assert_eq!(passing(&rules, None), unchecked);
    }

    /// Hosts that a scan leaves alone, and the rules nevertheless.
    #[test]
    fn what_speaks_against_a_known_host_is_shown_and_changes_nothing() {
        let rules = Rules { identity: true, sender_dns: true, ..rules() };
        let mut records = vec![
            grey("10.0.0.1", "h", "<nobody>", "<u@ours.test>"),
            grey("10.0.0.2", "h", "<a@gone.example>", "<u@ours.test>"),
            grey("10.0.0.3", "h", "<a@good.example>", "<u@ours.test>"),
            grey("10.0.0.4", "h", "<nobody>", "<u@ours.test>"),
            grey("10.0.0.6", "h", "<a@first.example>", "<u@ours.test>"),
            record("10.0.0.1", NOW + 1, -1),
            record("10.0.0.2", NOW + 1, 3),
            record("10.0.0.3", NOW + 1, 3),
        ];
        records.extend(host("10.0.0.5", "yes.x.example", &SIX_DOMAINS));
        records.push(record("10.0.0.5", NOW + 1, -1));
        let all = records.iter().cloned().map(Ok);
        let mut known = Scan::begin_all(all, ByteOrder::NATIVE, NOW, &rules).unwrap();
        let domains = known.domains();
        // The last ones are those of the hosts that a scan leaves alone.
        assert_eq!((domains.get(0), domains.len()), (Some(&b"first.example"[..]), 9));
        known.settle(Some(&Oracle));
        let lines: Vec<_> = known
            .settled()
            .verdicts(Portion::None)
            .map(|verdict| {
                let rule = verdict.rule.map_or("-", |rule| rule.name());
                let (state, word) = (verdict.state().word(), verdict.word());
                format!("{} {state} {word} {rule} {}", verdict.address, verdict.reason)
            })
            .collect();
        let nobody = "Invalid source address nobody (no @)";
        assert_eq!(
            lines,
            [
                &format!("10.0.0.1 trapped pass syntax already trapped: {nobody}"),
                "10.0.0.2 white pass dns whitelisted: \
                    Mailed from sender gone.example with no MX or A",
                "10.0.0.3 white pass - whitelisted",
                &format!("10.0.0.4 waiting trap syntax {nobody}"),
                "10.0.0.6 waiting pass - nothing against it",
                "10.0.0.5 trapped pass domains already trapped, identity confirmed: \
                    Host sending from 6 domains (> 3)",
            ]
        );
    }

    /// Enough whitelisted hosts with dead domains to outvote the others.
    #[test]
    fn known_hosts_have_no_vote() {
        let rules = Rules { sender_dns: true, ..rules() };
        let mut records = vec![grey("10.0.0.1", "h", "<a@gone.example>", "<u@ours.test>")];
        for n in 0..30 {
            let address = format!("10.0.1.{n}");
            records.push(grey(&address, "h", "<a@gone.example>", "<u@ours.test>"));
            records.push(record(&address, NOW + 1, 3));
        }
        let all = records.iter().cloned().map(Ok);
        let scan = Scan::begin_all(all, ByteOrder::NATIVE, NOW, &rules).unwrap();
        let report = scan.finish(Some(&Oracle));
        assert!(report.doubts().is_empty());
        let first = report.verdicts(Portion::None).next().unwrap();
        assert_eq!((first.word(), first.rule), ("trap", Some(Rule::Dns)));
        assert_eq!(report.traps(Portion::None).count(), 1);
    }

    #[test]
    fn recipients_are_those_of_suspects_not_trapped_yet_each_once() {
        let mut rules = Rules { identity: true, ..rules() };
        rules.rcpt.pass = regex::bytes::RegexSet::new(["(?i)^U[234]@"]).unwrap();
        let mut records = suspect("10.0.0.2", "h", "<B@ours.test>");
        records.extend(suspect("10.0.0.1", "h", "b@ours.test"));
        records.extend(suspect("10.0.0.1", "h", "<B@ours.test>"));
        records.extend(host("10.0.0.3", "h", &SIX_DOMAINS));
        records.extend(host("10.0.0.4", "h", &["<a@x.example>"; 5]));
        records.push(grey("10.0.0.5", "h", "<a@x.example>", "<few@ours.test>"));
        for known in ["10.0.0.6", "10.0.0.7"] {
            records.extend(suspect(known, "h", "<known@ours.test>"));
        }
        records.push(record("10.0.0.6", NOW + 1, 3));
        records.push(grey("10.0.0.7", "h", "<nobody>", "<u@ours.test>"));
        let recipients = scan(&records, &rules).recipients();
        let recipients = recipients.into_iter().map(|to| String::from_utf8(to).unwrap());
        let wanted = ["u0@ours.test", "u1@ours.test", "B@ours.test", "b@ours.test", "u5@ours.test"];
        assert_eq!(recipients.collect::<Vec<_>>(), wanted);
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
        assert_eq!(listed(&Rules { sender_dns: true, ..rules() }), ["one.example", "two.example"]);
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
