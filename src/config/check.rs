//! Turns statements into a [`Config`]: checks that values are within the bounds of greytrapper.conf(5),
//! that nothing is set twice, and that nothing contradicts itself.
//!
//! In: what `parse` has read from all files, in any order. Out: the configuration, in which a faulty
//! statement leaves the default; faults go to `input`. Nothing is capped or corrected silently.

use super::bounds::{self, Range, range};
use super::diagnostic::{At, Fault, Spanned};
use super::input::Input;
use super::origin::Line;
use super::pattern::{self, Patterns};
use super::problem::Problem;
use super::rules::NAMES;
use super::statement::{Dated, DnsOption, Statement};
use super::{
    Again, AllowHelo, AllowUntil, Checker, Config, DnsList, HeloName, Meaning, NameServer, Network,
    Networks, Sync, table,
};
use crate::date::Day;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

const SCAN_EVERY: Range = range("scan every", 1, DAY);
/// A trap of spamd(8) itself lasts 24 hours (TRAPEXP in grey.h); a trap of less than a minute would have no
/// effect.
const TRAP_FOR: Range = range("trap for", 60, YEAR);
const TRAP_LIMIT: Range = range("trap limit", 1, MILLION);
const TRAP_LIMIT_TIME: Range = range("time of trap limit", 1, DAY);
const SUSPECT_TUPLES: Range = range("suspect tuples", 1, MILLION);
const MAX_SENDER_DOMAINS: Range = range("max sender domains", 1, MILLION);
const MAX_HELO_NAMES: Range = range("max helo names", 1, MILLION);
const MEMORY_SIZE: Range = range("memory size", 16 << 20, 64 << 30);
const REMEMBER_VERDICTS: Range = range("remember verdicts", 60, 10 * YEAR);
const REMEMBER_TUPLES: Range = range("remember tuples", 60, 10 * YEAR);
const CHECKER_TIMEOUT: Range = range("timeout of check rcpt", 1, 600);
const PORT: Range = range("port", 1, 65_535);
/// There are not many more source ports.
const IN_FLIGHT: Range = range("in flight", 1, 65_000);
const DNS_TIMEOUT: Range = range("timeout of dns", 1, 60);
const ATTEMPTS: Range = range("attempts", 1, 10);
/// IP_MULTICAST_TTL is one byte, ip(4); with 0 a datagram would never leave the host.
const TTL: Range = range("ttl", 1, 255);

const MILLION: u64 = 1_000_000;
const DAY: u64 = 24 * 60 * 60;
const YEAR: u64 = 52 * 7 * DAY;

/// The configuration that the statements make.
pub(super) fn check(statements: Vec<Spanned<Statement>>, input: &mut Input<'_>) -> Config {
    let mut check = Check {
        config: Config::default(),
        input,
        set: BTreeMap::new(),
        lists: Vec::new(),
        networks: Vec::new(),
        patterns: Patterns::default(),
    };
    for Spanned { value, at } in statements {
        if check.input.has_ended() {
            break;
        }
        let done = check.once(value.once(), at).and_then(|()| check.statement(value, at));
        done.unwrap_or_else(|fault| check.input.error(fault));
    }
    check.finish()
}

/// A trap that is set again lasts at least as long as the first one.
fn trap_again(
    first: Duration,
    (again, most): (Spanned<Duration>, Spanned<Duration>),
) -> Result<Again, Fault> {
    let time = range("again of trap for", first.as_secs(), YEAR).duration(again)?;
    let most = range("most of trap for", time.as_secs(), YEAR).duration(most)?;
    Ok(Again { time, most })
}

struct Check<'c, 's> {
    config: Config,
    input: &'c mut Input<'s>,
    /// Where each statement that may be given only once was given.
    set: BTreeMap<&'static str, At>,
    /// Where each DNS list was named.
    lists: Vec<At>,
    networks: Vec<Dated<Spanned<Network>>>,
    patterns: Patterns,
}

impl Check<'_, '_> {
    /// Fails if `what` has been set before.
    fn once(&mut self, what: Option<&'static str>, at: At) -> Result<(), Fault> {
        let Some(what) = what else { return Ok(()) };
        match self.set.entry(what) {
            Entry::Vacant(first) => {
                first.insert(at);
                Ok(())
            }
            Entry::Occupied(earlier) => {
                let earlier = self.input.place(*earlier.get(), at);
                Err(Fault::new(at, Problem::Again { what, earlier }))
            }
        }
    }

    fn statement(&mut self, statement: Statement, at: At) -> Result<(), Fault> {
        use Statement as S;
        let config = &mut self.config;
        match statement {
            S::Allow(networks) => networks.into_iter().for_each(|entry| self.allow(entry)),
            S::AllowFile(Dated { what: path, until }) => {
                let (file, text) = self.input.open(&path)?;
                self.warn_of_past(until);
                let networks = table::networks(file, &text, self.input);
                self.networks.extend(networks.into_iter().map(|what| Dated { what, until }));
            }
            S::AllowHelo(names) => names.into_iter().for_each(|entry| self.allow_name(entry)),
            S::AskList { zone, answers, meaning } => {
                let answers = Networks::new(answers);
                self.ask_list(DnsList { zone, answers, meaning }, at)?
            }
            S::CheckIdentity(yes) => config.rules.identity = yes,
            S::CheckCrowd(yes) => config.rules.crowd = yes,
            S::CheckHeloAddress(yes) => config.rules.helo_address = yes,
            S::CheckHeloDynamic(yes) => config.rules.helo_dynamic = yes,
            S::CheckRcpt { program, hosts, timeout, control } => {
                config.rules.check_rcpt_for = hosts;
                self.checker(program, timeout, control)?
            }
            S::CheckStranger(yes) => config.rules.stranger = yes,
            S::CheckSenderDns(yes) => config.rules.sender_dns = yes,
            S::CheckSenderSyntax(yes) => config.rules.sender_syntax = yes,
            S::Database(path) => config.database = bounds::absolute("database", path)?,
            S::Dns(options) => self.dns(options),
            S::Engine(engine) => config.engine = engine,
            S::HearFile(path) => config.rules.hear = Some(bounds::absolute("hear file", path)?),
            // Read by `parse`.
            S::Include(_) => {}
            S::LearnRecipients(yes) => config.rules.learn_recipients = yes,
            S::MaxHeloNames(most) => {
                let most = most.map(|n| MAX_HELO_NAMES.number(n)).transpose()?;
                config.rules.max_helo_names = most;
            }
            S::MaxSenderDomains(most) => {
                let most = most.map(|n| MAX_SENDER_DOMAINS.number(n)).transpose()?;
                config.rules.max_sender_domains = most;
            }
            S::MaxSenderRatio(most) => {
                config.rules.max_sender_ratio = most.map(bounds::ratio).transpose()?;
            }
            S::Memory(path) => config.memory.directory = bounds::absolute("memory", path)?,
            S::MemorySize(size) => config.memory.size = MEMORY_SIZE.size(size)?,
            S::Observe(true) => config.observe = NAMES.into(),
            S::Observe(false) => config.observe = Vec::new(),
            S::ObserveRules(names) => config.observe = names,
            S::PassRcpt(pattern) => {
                self.warn_of_perl(&pattern);
                self.patterns.pass(pattern)?;
            }
            S::RememberTuples(time) => {
                let time = time.map(|time| REMEMBER_TUPLES.duration(time)).transpose()?;
                config.memory.tuples = time;
            }
            S::RememberVerdicts(time) => {
                config.memory.verdicts = REMEMBER_VERDICTS.duration(time)?;
            }
            S::ScanEvery(time) => config.scan_every = SCAN_EVERY.duration(time)?,
            S::Socket(path) => config.socket = bounds::socket(path)?,
            S::SuspectTuples(n) => {
                config.rules.suspect_tuples = SUSPECT_TUPLES.number(n)?;
            }
            S::SuspendRule(percent) => {
                config.suspend_at = percent.map(bounds::percentage).transpose()?;
            }
            S::SyncKey(path) => config.sync.key = Some(bounds::absolute("sync key", path)?),
            S::SyncMulticast { interface, ttl } => {
                let interface = bounds::interface(interface)?;
                let ttl = ttl.map(|n| TTL.number(n)).transpose()?;
                config.sync.multicast.push((interface, ttl.unwrap_or(Sync::TTL)));
            }
            S::SyncTo(host) => config.sync.peers.push(bounds::sync_host(host)?),
            S::TrapFor { time, again } => {
                config.trap_for = TRAP_FOR.duration(time)?;
                config.trap_again =
                    again.map(|again| trap_again(config.trap_for, again)).transpose()?;
            }
            S::TrapLimit(traps, time) => {
                let traps = TRAP_LIMIT.number(traps)?;
                config.trap_limit = (traps, TRAP_LIMIT_TIME.duration(time)?);
            }
            S::TrapRcpt(pattern) => {
                self.warn_of_perl(&pattern);
                self.patterns.trap(pattern)?;
            }
            S::TrapRcptUnlisted => self.patterns.trap_unlisted(at),
        }
        Ok(())
    }

    fn allow(&mut self, entry: Dated<Spanned<Network>>) {
        self.warn_of_past(entry.until);
        self.networks.push(entry);
    }

    fn allow_name(
        &mut self,
        Dated { what: Spanned { value: name, at }, until }: Dated<Spanned<HeloName>>,
    ) {
        self.warn_of_past(until);
        let rules = &mut self.config.rules;
        let day = until.map(|until| until.value);
        rules.allow_helo.push(AllowHelo { name, day, is_over: false });
        rules.origins.allow_helo.push(at.into());
    }

    fn ask_list(&mut self, list: DnsList, at: At) -> Result<(), Fault> {
        if self.lists.len() == DnsList::MOST {
            return Err(Fault::new(at, Problem::TooManyLists { limit: DnsList::MOST }));
        }
        self.lists.push(at);
        self.config.rules.lists.push(list);
        Ok(())
    }

    /// Warns of lists that no rule uses.
    fn warn_of_lists(&mut self) {
        let rules = &self.config.rules;
        for (list, at) in rules.lists.iter().zip(&self.lists) {
            let needs = match list.meaning {
                _ if !rules.identity => "check identity",
                Meaning::Sign if !rules.stranger => "check stranger",
                _ => continue,
            };
            self.input.warn(*at, Problem::ListUnused { zone: list.zone.clone(), needs });
        }
        let needs = if rules.identity { "check stranger" } else { "check identity" };
        if let (Some(_), Some(at)) = (&rules.hear, self.set.get("hear file"))
            && !(rules.identity && rules.stranger)
        {
            self.input.warn(*at, Problem::HearsayUnused { needs });
        }
    }

    fn warn_of_past(&mut self, until: Option<Spanned<Day>>) {
        if let Some(Spanned { value: day, at }) = until.filter(|until| until.value < Day::today()) {
            self.input.warn(at, Problem::DayOver(day));
        }
    }

    fn warn_of_perl(&mut self, Spanned { value, at }: &Spanned<String>) {
        if let Some(why) = pattern::perl(value) {
            self.input.warn(*at, Problem::PerlQuoting { pattern: value.clone(), why });
        }
    }

    fn checker(
        &mut self,
        program: Spanned<String>,
        timeout: Option<Spanned<Duration>>,
        control: Option<Spanned<String>>,
    ) -> Result<(), Fault> {
        let at = program.at;
        let program = bounds::absolute("program of check rcpt", program)?;
        let timeout = timeout.map(|time| CHECKER_TIMEOUT.duration(time)).transpose()?;
        if !self.input.is_program(&program) {
            self.input.warn(at, Problem::NoProgram(program.clone()));
        }
        let timeout = timeout.unwrap_or(Checker::TIMEOUT);
        let control = control.map(|control| control.value);
        self.config.checker = Some(Checker { program, timeout, control });
        self.config.rules.check_rcpt = true;
        Ok(())
    }

    /// Checks every option by itself, so that one fault does not hide others.
    fn dns(&mut self, options: Vec<Spanned<DnsOption>>) {
        for Spanned { value, at } in options {
            let done = self.once(value.once(), at).and_then(|()| self.dns_option(value));
            done.unwrap_or_else(|fault| self.input.error(fault));
        }
    }

    fn dns_option(&mut self, option: DnsOption) -> Result<(), Fault> {
        let dns = &mut self.config.dns;
        match option {
            DnsOption::Attempts(n) => dns.attempts = ATTEMPTS.number(n)?,
            DnsOption::InFlight(n) => dns.in_flight = IN_FLIGHT.number(n)?,
            DnsOption::NameServer(address, port) => {
                let port = port.map(|n| PORT.number(n)).transpose()?;
                dns.servers.push(NameServer { address, port: port.unwrap_or(NameServer::PORT) });
            }
            DnsOption::Timeout(time) => dns.timeout = DNS_TIMEOUT.duration(time)?,
        }
        Ok(())
    }

    fn finish(mut self) -> Config {
        let sync = &self.config.sync;
        if let (Some(_), Some(&at)) = (&sync.key, self.set.get("sync key"))
            && sync.peers.is_empty()
            && sync.multicast.is_empty()
        {
            self.input.warn(at, Problem::KeyUnused);
        }
        self.warn_of_lists();
        let rules = &mut self.config.rules;
        self.patterns.note_origins(&mut rules.origins);
        match self.patterns.finish() {
            Ok(rcpt) => rules.rcpt = rcpt,
            Err(fault) => self.input.error(fault),
        }
        let mut by_day: BTreeMap<Option<Day>, Vec<(Network, Line)>> = BTreeMap::new();
        for Dated { what: Spanned { value, at }, until } in self.networks {
            let day = until.map(|until| until.value);
            by_day.entry(day).or_default().push((value, at.into()));
        }
        for (day, networks) in by_day {
            let (networks, lines) = Networks::labelled(networks);
            match day {
                None => (rules.allow, rules.origins.allow) = (networks, lines),
                Some(day) => {
                    rules.allow_until.push(AllowUntil { day, networks, is_over: false });
                    rules.origins.allow_until.extend(lines);
                }
            }
        }
        rules.origins.files = self.input.paths();
        self.config
    }
}
