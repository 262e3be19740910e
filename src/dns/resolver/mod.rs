//! The resolver. In: domains and hosts. Out: verdicts, in the order of the answers.
//!
//! The owner registers its own descriptors with [`Resolver::registry`], asks with [`Resolver::lookup`] and
//! [`Resolver::identify`] while there is [`Resolver::room`], calls [`Resolver::turn`] and takes results
//! from [`Resolver::next_finding`]. A denial in a result counts if [`Resolver::proof`] believes it. A scan
//! begins with [`Resolver::begin_scan`], which makes name servers prove themselves, and ends with
//! [`Resolver::end_scan`].
#![forbid(unsafe_code)]

mod claims;
mod listings;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};

use super::answer::Answer;
use super::cache::{Bounds, Cache};
use super::controls::Controls;
use super::endorsed::Endorsed;
use super::exemption::{Claim, End, Endorsement};
use super::failure::Failure;
use super::identity::{Ask, Identity, Inquiry};
use super::listing::Listed;
use super::lookup::{self, Lookup, Step};
use super::memo::Memo;
use super::mux::{Asker, Counters, Done, Fitness, Health, Limits, Mux, Notice, Transport};
use super::name::Name;
use super::proof::{Denial, Proof};
use super::quota::Quota;
use super::random::Random;
use super::resolv_conf::{self, Watch};
use super::socket::Promise;
use super::spf::Report;
use super::table::{Key, Table};
use super::verdict::DomainVerdict;
use crate::config;
use claims::Claimed;

/// The maximum number of readiness events in one turn: more than there are sockets, unless far more questions
/// than usual are in flight.
const EVENTS: usize = 1024;

/// A result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// By [`Resolver::lookup`].
    Domain(DomainVerdict),
    /// By [`Resolver::identify`].
    Identity(Identity),
    /// By [`Resolver::endorse`].
    Endorsement(Endorsement),
    /// By [`Resolver::check_host`].
    Spf(Box<Report>),
    /// By [`Resolver::ask_list`].
    Listed(Listed),
}

/// A result, and the denials that it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The number under which it was asked for.
    pub ticket: u64,
    /// The result.
    pub found: Found,
    /// The denials that it rests on.
    pub denial: Denial,
}

/// See the module.
#[derive(Debug)]
pub struct Resolver {
    poll: Poll,
    events: Events,
    mux: Mux,
    jobs: Table<Job>,
    cache: Cache,
    /// Answers that several claims need.
    memo: Memo,
    endorsed: Endorsed,
    quota: Quota,
    findings: VecDeque<Finding>,
    proof: Proof,
    controls: Controls,
    random: Random,
    /// The current scan, if there is one.
    scan: Option<ScanUnderWay>,
    /// resolv.conf(5), if the name servers come from there.
    watch: Option<Watch>,
}

/// What is needed at the end of a scan.
#[derive(Debug, Default)]
struct ScanUnderWay {
    /// The domains that must exist and are asked for.
    controls: Vec<Name>,
    /// How many of them have no answer yet.
    open: usize,
    good: Vec<Name>,
    bad: Vec<(Name, DomainVerdict, u32, Denial)>,
    /// What was found out about claims and rests on denials.
    endorsed: Vec<(Claim, End, Denial)>,
}

/// The maximum number of good domains in one scan that are remembered as controls.
const GOOD: usize = 100;

/// A domain or a host that is asked about.
#[derive(Debug)]
struct Job {
    asked_by: AskedBy,
    work: Work,
    denial: Denial,
}

#[derive(Clone, Copy, Debug)]
enum AskedBy {
    /// The owner, with this number.
    Ticket(u64),
    /// The scan itself.
    Control,
}

#[derive(Debug)]
enum Work {
    Domain(Name, Lookup),
    Host(Inquiry),
    Claim(Box<Claimed>),
    /// A name below a list's zone, and that zone.
    List(Name, String),
}

impl Resolver {
    /// Asks the configured servers or, if there are none, those in resolv.conf(5). That file is opened
    /// here, so this must come before chroot(2).
    ///
    /// # Errors
    /// resolv.conf is needed and cannot be read; there is no poller or no random source.
    pub fn new(dns: &config::Dns) -> io::Result<Self> {
        let mut watch = None;
        let (servers, transport) = if dns.servers.is_empty() {
            let watch = watch.insert(Watch::begin(Path::new(resolv_conf::PATH))?);
            (watch.conf().servers.clone(), watch.conf().transport)
        } else {
            let given = dns.servers.iter().map(|server| (server.address, server.port).into());
            (given.collect(), Transport::Udp)
        };
        let in_flight = usize::try_from(dns.in_flight).unwrap_or(usize::MAX);
        let limits = Limits { in_flight, timeout: dns.timeout, attempts: dns.attempts, transport };
        let resolver = Self::with_servers(&servers, limits, Bounds::default())?;
        Ok(Self { watch, ..resolver })
    }

    /// Asks these servers.
    ///
    /// # Errors
    /// There is no poller or no random source.
    pub fn with_servers(servers: &[SocketAddr], limits: Limits, cache: Bounds) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mux = Mux::new(poll.registry().try_clone()?, servers, limits)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            mux,
            jobs: Table::new(),
            cache: Cache::new(cache),
            memo: Memo::new(cache.half()),
            endorsed: Endorsed::new(cache.half()),
            quota: Quota::default(),
            findings: VecDeque::new(),
            proof: Proof::default(),
            controls: Controls::default(),
            random: Random::new()?,
            scan: None,
            watch: None,
        })
    }

    /// The registry for the process's other descriptors, with tokens below [`super::FIRST_TOKEN`].
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// How many more domains may be asked for before results must be taken.
    pub fn room(&self) -> usize {
        self.mux.room()
    }

    /// Looks up a sender domain.
    pub fn lookup(&mut self, ticket: u64, domain: &[u8]) {
        let name = match Name::from_domain(domain) {
            Ok(name) => name,
            Err(error) => return self.know(ticket, DomainVerdict::Unknown(Failure::Name(error))),
        };
        if let Some(verdict) = self.cache.verdict(&name, Instant::now()) {
            return self.know(ticket, verdict);
        }
        self.ask_about(AskedBy::Ticket(ticket), name);
    }

    /// Asks whether a host is what it claims in HELO.
    pub fn identify<'a>(
        &mut self,
        ticket: u64,
        address: IpAddr,
        helo: impl Iterator<Item = &'a [u8]>,
    ) {
        let (inquiry, asks) = Inquiry::new(address, helo);
        if let Some(identity) = inquiry.end() {
            return self.tell(ticket, Found::Identity(identity), Denial::default());
        }
        let (asked_by, work) = (AskedBy::Ticket(ticket), Work::Host(inquiry));
        let job = self.jobs.insert(Job { asked_by, work, denial: Denial::default() });
        self.put(job, &asks);
    }

    /// The next result.
    pub fn next_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }

    /// Sends questions, waits until something happens, at most for the given time, and handles it. `other`
    /// is called for readiness events that are not ours.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn turn(
        &mut self,
        longest: Option<Duration>,
        mut other: impl FnMut(Token),
    ) -> io::Result<()> {
        let mut has_news = !self.findings.is_empty();
        loop {
            self.mux.work();
            if !self.collect() {
                break;
            }
            has_news = true;
        }
        let wait = match (longest, self.mux.timeout()) {
            // Findings, more room, or the end of the scan's own questions.
            _ if has_news => Some(Duration::ZERO),
            (Some(one), Some(another)) => Some(one.min(another)),
            (one, another) => one.or(another),
        };
        let since = Instant::now();
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            if !self.mux.ready(event.token()) {
                other(event.token());
            }
        }
        if self.events.iter().count() < EVENTS {
            self.mux.heard(since);
        }
        self.collect();
        Ok(())
    }

    /// Begins a scan: servers must prove themselves again. `own` are domains that must exist; some of them,
    /// and some that earlier scans found good, are asked for.
    pub fn begin_scan(&mut self, own: &[Vec<u8>]) {
        self.mux.refresh();
        self.memo.begin_scan();
        self.quota = Quota::default();
        let controls = self.controls.choose(own, &mut self.random);
        self.proof = Proof::begin(!controls.is_empty());
        let open = controls.len();
        for name in &controls {
            self.ask_about(AskedBy::Control, name.clone());
        }
        self.scan = Some(ScanUnderWay { controls, open, ..ScanUnderWay::default() });
    }

    /// Whether an answer that proves a server may still come.
    pub fn is_proving(&self) -> bool {
        !self.proof.is_given() && self.scan.as_ref().is_some_and(|scan| scan.open > 0)
    }

    /// What the name servers have proved since the scan began.
    pub fn proof(&self) -> Proof {
        let numbered = self.mux.health().enumerate();
        let fit = numbered.filter(|(_, health)| health.fitness == Fitness::Fit);
        self.proof.with_fit(fit.map(|(number, _)| number))
    }

    /// The domains that were asked for as proof.
    pub fn controls(&self) -> &[Name] {
        self.scan.as_ref().map_or(&[], |scan| &scan.controls)
    }

    /// All domains that earlier scans found good, as far as they are remembered.
    pub fn good(&self) -> Vec<Vec<u8>> {
        self.controls.all().map(Name::text).collect()
    }

    /// Takes over domains that were found good before.
    pub fn recall_good(&mut self, domains: &[Vec<u8>]) {
        for name in domains.iter().filter_map(|text| Name::from_domain(text).ok()) {
            self.controls.remember(&name, &mut self.random);
        }
    }

    /// Ends the scan; open questions get no answer. Denials are remembered only if they are believed, and
    /// only if `keeps_denials`.
    pub fn end_scan(&mut self, keeps_denials: bool) {
        let Some(scan) = self.scan.take() else { return };
        let (proof, now) = (self.proof(), Instant::now());
        self.mux.abandon();
        self.jobs = Table::new();
        self.findings.clear();
        scan.good.iter().for_each(|name| self.controls.remember(name, &mut self.random));
        let endorsed = scan.endorsed.into_iter().filter(|(_, _, denial)| proof.believes(*denial));
        for (claim, end, _) in endorsed.filter(|_| keeps_denials) {
            self.endorsed.note(&claim, end, now);
        }
        let bad = scan.bad.into_iter().filter(|(_, _, _, denial)| proof.believes(*denial));
        for (name, verdict, ttl, _) in bad.filter(|_| keeps_denials) {
            self.controls.forget(&name);
            self.cache.insert(&name, verdict, ttl, now);
        }
    }

    /// Whether resolv.conf(5) names servers other than those in use.
    pub fn has_other_servers(&mut self) -> bool {
        self.watch.as_mut().is_some_and(Watch::has_changed)
    }

    /// What the process must promise (pledge(2)) to ask these servers.
    pub fn promise(&self) -> Promise {
        self.mux.promise()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.mux.counters()
    }

    /// Takes the notices for the log.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.mux.take_notices()
    }

    /// The name servers and their state.
    pub fn health(&self) -> impl Iterator<Item = Health> {
        self.mux.health()
    }

    /// Takes answers from the multiplexer; returns whether there were any.
    fn collect(&mut self) -> bool {
        let mut any = false;
        while let Some(done) = self.mux.next_done() {
            any = true;
            self.advance(done);
        }
        any
    }

    fn advance(&mut self, Done { asker: Asker { job: key, question }, result, server }: Done) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        let answer = result.as_ref().map_err(|failure| *failure);
        if let Ok(answer) = answer {
            // What claims learn from each other may rest on denials too.
            if !matches!(job.work, Work::Claim(_) | Work::List(..)) {
                job.denial.add(answer, server);
            }
            let name = match &job.work {
                Work::Domain(name, _) => Some(name),
                Work::Host(inquiry) => inquiry.name(question),
                Work::Claim(claimed) => claimed.question(question).map(|(name, _)| name),
                Work::List(..) => None,
            };
            name.into_iter().for_each(|name| self.proof.note(name, answer, server));
        }
        match &mut job.work {
            Work::Domain(name, lookup) => match lookup.answered(answer) {
                Step::Wait => {}
                Step::Ask(rtypes) => {
                    let asker = Asker { job: key, question: 0 };
                    rtypes.iter().for_each(|rtype| self.mux.ask(asker, name, *rtype));
                }
                Step::Done(verdict, ttl) => self.judged(key, verdict, ttl),
            },
            Work::Host(_) => self.inquire(key, question, answer),
            Work::Claim(_) => {
                let told = result.map(|answer| (answer, server));
                self.claim_answered(key, question, told);
            }
            Work::List(..) => self.list_answered(key, result.map(|answer| (answer, server))),
        }
    }

    /// Handles an answer in an inquiry about a host.
    fn inquire(&mut self, key: Key, question: usize, answer: Result<&Answer, Failure>) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        let Work::Host(inquiry) = &mut job.work else { return };
        let asks = inquiry.answered(question, answer);
        if let (Some(identity), AskedBy::Ticket(ticket)) = (inquiry.end(), job.asked_by) {
            let denial = job.denial;
            self.jobs.remove(key);
            self.tell(ticket, Found::Identity(identity), denial);
        }
        self.put(key, &asks);
    }

    /// Handles the end of a domain's lookup.
    fn judged(&mut self, key: Key, verdict: DomainVerdict, ttl: u32) {
        let Some(Job { asked_by, work: Work::Domain(name, _), denial }) = self.jobs.remove(key)
        else {
            return;
        };
        let is_bad = matches!(verdict, DomainVerdict::Bad(_));
        if self.scan.is_none() && (!is_bad || self.proof().believes(denial)) {
            self.cache.insert(&name, verdict, ttl, Instant::now());
        } else if let Some(scan) = &mut self.scan {
            match verdict {
                DomainVerdict::Bad(_) => scan.bad.push((name, verdict, ttl, denial)),
                _ => {
                    self.cache.insert(&name, verdict, ttl, Instant::now());
                    let is_good = matches!(verdict, DomainVerdict::Good(_));
                    scan.good.extend(Some(name).filter(|_| is_good && scan.good.len() < GOOD));
                }
            }
        }
        match asked_by {
            AskedBy::Ticket(ticket) => self.tell(ticket, Found::Domain(verdict), denial),
            AskedBy::Control => {
                self.scan.iter_mut().for_each(|scan| scan.open = scan.open.saturating_sub(1));
            }
        }
    }

    fn ask_about(&mut self, asked_by: AskedBy, name: Name) {
        let work = Work::Domain(name.clone(), Lookup::Mx);
        let job = self.jobs.insert(Job { asked_by, work, denial: Denial::default() });
        self.mux.ask(Asker { job, question: 0 }, &name, lookup::FIRST);
    }

    fn put(&mut self, job: Key, asks: &[Ask]) {
        for ask in asks {
            self.mux.ask(Asker { job, question: ask.number }, &ask.name, ask.rtype);
        }
    }

    /// Adds a result that needed no question.
    fn know(&mut self, ticket: u64, verdict: DomainVerdict) {
        self.tell(ticket, Found::Domain(verdict), Denial::default());
    }

    fn tell(&mut self, ticket: u64, found: Found, denial: Denial) {
        self.findings.push_back(Finding { ticket, found, denial });
    }
}
