//! The resolver: domains and hosts in, verdicts out in the order of the answers.
//!
//! Two ways to drive it. A program that does nothing else takes [`Resolver::lookups`], an iterator over an
//! iterator. A process with descriptors of its own registers them with [`Resolver::registry`], asks with
//! [`Resolver::lookup`] and [`Resolver::identify`] while there is [`Resolver::room`], calls
//! [`Resolver::turn`] and takes what [`Resolver::next_answer`] has. A scan lies between
//! [`Resolver::begin_scan`] and [`Resolver::end_scan`], whose tally has the last word on bad verdicts.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};

use super::cache::{Bounds, Cache};
use super::failure::Failure;
use super::identity::{Ask, Identity, Inquiry};
use super::lookup::{self, Lookup, Step};
use super::mux::{Asker, Counters, Done, Health, Limits, Mux, Notice, Transport};
use super::name::Name;
use super::resolv_conf::{self, ResolvConf};
use super::socket::Promise;
use super::table::{Key, Table};
use super::verdict::{DomainVerdict, Tally};
use crate::config;

/// Readiness events that one turn takes.
const EVENTS: usize = 64;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// By [`Resolver::lookup`].
    Domain(DomainVerdict),
    /// By [`Resolver::identify`].
    Identity(Identity),
}

/// See the module.
#[derive(Debug)]
pub struct Resolver {
    poll: Poll,
    events: Events,
    mux: Mux,
    jobs: Table<Job>,
    cache: Cache,
    answers: VecDeque<(u64, Found)>,
    tally: Tally,
    /// Names found bad in the scan under way, if there is one.
    bad: Option<Vec<Name>>,
}

/// Something asked for, with the number under which the answer is wanted.
#[derive(Debug)]
struct Job {
    ticket: u64,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Domain(Name, Lookup),
    Host(Inquiry),
}

impl Resolver {
    /// As configured, or by resolv.conf(5) where no server is: that file is read here, so this comes
    /// before chroot(2).
    ///
    /// # Errors
    /// resolv.conf is needed and cannot be read; no poller or no random source.
    pub fn new(dns: &config::Dns) -> io::Result<Self> {
        let (servers, transport) = if dns.servers.is_empty() {
            let conf = ResolvConf::read(Path::new(resolv_conf::PATH))?;
            (conf.servers, conf.transport)
        } else {
            let given = dns.servers.iter().map(|server| (server.address, server.port).into());
            (given.collect(), Transport::Udp)
        };
        let in_flight = usize::try_from(dns.in_flight).unwrap_or(usize::MAX);
        let limits = Limits { in_flight, timeout: dns.timeout, attempts: dns.attempts, transport };
        Self::with_servers(&servers, limits, Bounds::default())
    }

    /// Asks these servers.
    ///
    /// # Errors
    /// No poller or no random source.
    pub fn with_servers(servers: &[SocketAddr], limits: Limits, cache: Bounds) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mux = Mux::new(poll.registry().try_clone()?, servers, limits)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            mux,
            jobs: Table::new(),
            cache: Cache::new(cache),
            answers: VecDeque::new(),
            tally: Tally::default(),
            bad: None,
        })
    }

    /// Where the process's other descriptors may be registered, with tokens below
    /// [`super::FIRST_TOKEN`].
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// How many more domains may be asked for before answers have been taken.
    pub fn room(&self) -> usize {
        self.mux.room()
    }

    /// How much is asked for and not answered.
    pub fn pending(&self) -> usize {
        self.jobs.len() + self.answers.len()
    }

    /// Asks what is to be thought of a sender domain.
    pub fn lookup(&mut self, ticket: u64, domain: &[u8]) {
        let name = match Name::from_domain(domain) {
            Ok(name) => name,
            Err(error) => return self.know(ticket, DomainVerdict::Unknown(Failure::Name(error))),
        };
        if let Some(verdict) = self.cache.verdict(&name, Instant::now()) {
            return self.know(ticket, verdict);
        }
        let work = Work::Domain(name.clone(), Lookup::Mx);
        let job = self.jobs.insert(Job { ticket, work });
        self.mux.ask(Asker { job, question: 0 }, &name, lookup::FIRST);
    }

    /// Asks whether a host is what it says in HELO.
    pub fn identify<'a>(
        &mut self,
        ticket: u64,
        address: IpAddr,
        helo: impl Iterator<Item = &'a [u8]>,
    ) {
        let (inquiry, asks) = Inquiry::new(address, helo);
        if let Some(identity) = inquiry.end() {
            return self.answers.push_back((ticket, Found::Identity(identity)));
        }
        let job = self.jobs.insert(Job { ticket, work: Work::Host(inquiry) });
        self.put(job, &asks);
    }

    /// The next answer, with the number it was asked under.
    pub fn next_answer(&mut self) -> Option<(u64, Found)> {
        self.answers.pop_front()
    }

    /// Sends what is to be sent, sleeps until something happens, at most so long, and takes it in.
    /// `other` is told of readiness that is not ours.
    ///
    /// # Errors
    /// The poller's.
    pub fn turn(
        &mut self,
        longest: Option<Duration>,
        mut other: impl FnMut(Token),
    ) -> io::Result<()> {
        loop {
            self.mux.work();
            if !self.collect() {
                break;
            }
        }
        let wait = match (longest, self.mux.timeout()) {
            _ if !self.answers.is_empty() => Some(Duration::ZERO),
            (Some(one), Some(another)) => Some(one.min(another)),
            (one, another) => one.or(another),
        };
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            if !self.mux.ready(event.token()) {
                other(event.token());
            }
        }
        self.collect();
        Ok(())
    }

    /// A scan begins: servers prove themselves anew, counting starts.
    pub fn begin_scan(&mut self) {
        self.mux.refresh();
        self.tally = Tally::default();
        self.bad = Some(Vec::new());
    }

    /// The scan is over. [`Tally::settle`] has the last word on its verdicts; what is not believed is
    /// not remembered either.
    pub fn end_scan(&mut self) -> Tally {
        let bad = self.bad.take();
        if !self.tally.trusted() {
            bad.iter().flatten().for_each(|name| self.cache.remove(name));
        }
        self.tally
    }

    /// The verdicts on all these domains in the order of the answers, no more of them in memory than
    /// are under way. `domains` is read whenever there is room: one that blocks holds answers back.
    pub fn lookups<I>(&mut self, domains: I) -> Lookups<'_, I::IntoIter>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        Lookups { resolver: self, domains: Some(domains.into_iter()), under_way: Table::new() }
    }

    /// What the process has to promise (pledge(2)) to be allowed to ask these servers.
    pub fn promise(&self) -> Promise {
        self.mux.promise()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.mux.counters()
    }

    /// What there is to log.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.mux.take_notices()
    }

    /// The name servers and how they are.
    pub fn health(&self) -> impl Iterator<Item = Health> {
        self.mux.health()
    }

    /// Takes the multiplexer's answers in; true if there were any.
    fn collect(&mut self) -> bool {
        let mut any = false;
        while let Some(done) = self.mux.next_done() {
            any = true;
            self.advance(done);
        }
        any
    }

    fn advance(&mut self, Done { asker: Asker { job, question }, result }: Done) {
        let answer = result.as_ref().map_err(|failure| *failure);
        let Some(Job { ticket, work }) = self.jobs.get_mut(job) else { return };
        let ticket = *ticket;
        match work {
            Work::Domain(name, lookup) => match lookup.answered(answer) {
                Step::Wait => {}
                Step::Ask(rtypes) => {
                    let asker = Asker { job, question: 0 };
                    rtypes.iter().for_each(|rtype| self.mux.ask(asker, name, *rtype));
                }
                Step::Done(verdict, ttl) => {
                    self.cache.insert(name, verdict, ttl, Instant::now());
                    if let (DomainVerdict::Bad(_), Some(bad)) = (verdict, &mut self.bad) {
                        bad.push(name.clone());
                    }
                    self.jobs.remove(job);
                    self.know(ticket, verdict);
                }
            },
            Work::Host(inquiry) => {
                let asks = inquiry.answered(question, answer);
                if let Some(identity) = inquiry.end() {
                    self.jobs.remove(job);
                    self.answers.push_back((ticket, Found::Identity(identity)));
                }
                self.put(job, &asks);
            }
        }
    }

    fn put(&mut self, job: Key, asks: &[Ask]) {
        for ask in asks {
            self.mux.ask(Asker { job, question: ask.number }, &ask.name, ask.rtype);
        }
    }

    fn know(&mut self, ticket: u64, verdict: DomainVerdict) {
        self.tally.count(&verdict);
        self.answers.push_back((ticket, Found::Domain(verdict)));
    }
}

/// The iterator of [`Resolver::lookups`].
#[derive(Debug)]
pub struct Lookups<'r, I: Iterator> {
    resolver: &'r mut Resolver,
    domains: Option<I>,
    under_way: Table<I::Item>,
}

impl<I> Iterator for Lookups<'_, I>
where
    I: Iterator,
    I::Item: AsRef<[u8]>,
{
    type Item = io::Result<(I::Item, DomainVerdict)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some((ticket, found)) = self.resolver.next_answer() {
                let domain = self.under_way.remove(Key::from_u64(ticket));
                if let (Some(domain), Found::Domain(verdict)) = (domain, found) {
                    return Some(Ok((domain, verdict)));
                }
            }
            while self.resolver.room() > 0
                && let Some(domain) = self.domains.as_mut().and_then(Iterator::next)
            {
                let bytes = domain.as_ref().to_vec();
                let ticket = self.under_way.insert(domain).to_u64();
                self.resolver.lookup(ticket, &bytes);
                if !self.resolver.answers.is_empty() {
                    break;
                }
            }
            if self.under_way.len() == 0 {
                return None;
            }
            if self.resolver.answers.is_empty()
                && let Err(error) = self.resolver.turn(None, |_| {})
            {
                return Some(Err(error));
            }
        }
    }
}
