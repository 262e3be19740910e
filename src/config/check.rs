//! Statements to a [`Config`]: values within the bounds of greytrapper.conf(5), nothing set twice,
//! nothing that contradicts itself.
//!
//! In: what `parse` has read, of all files, in any order. Out: the configuration, in which a faulty
//! statement has left the default; faults go to `input`. Nothing is capped or mended silently.

use super::bounds;
use super::diagnostic::{At, Fault, Spanned};
use super::input::Input;
use super::pattern::Patterns;
use super::problem::Problem;
use super::statement::{DnsOption, Statement};
use super::{Checker, Config, NameServer, Network, Networks, Rules, Sync, table};
use std::collections::BTreeMap;
use std::time::Duration;

/// The configuration that the statements make.
pub(super) fn check(statements: Vec<Spanned<Statement>>, input: &mut Input<'_>) -> Config {
    let mut check = Check {
        config: Config::default(),
        input,
        set: BTreeMap::new(),
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

struct Check<'c, 's> {
    config: Config,
    input: &'c mut Input<'s>,
    /// Where what may be set once was set.
    set: BTreeMap<&'static str, At>,
    networks: Vec<Network>,
    patterns: Patterns,
}

impl Check<'_, '_> {
    /// Fails if `what` has been set before.
    fn once(&mut self, what: Option<&'static str>, at: At) -> Result<(), Fault> {
        let Some(what) = what else { return Ok(()) };
        let earlier = *self.set.entry(what).or_insert(at);
        if earlier == at {
            return Ok(());
        }
        Err(Fault::new(at, Problem::Again { what, earlier: self.input.place(earlier, at) }))
    }

    fn statement(&mut self, statement: Statement, at: At) -> Result<(), Fault> {
        use Statement as S;
        let config = &mut self.config;
        match statement {
            S::Allow(networks) => self.networks.extend(networks),
            S::AllowFile(path) => {
                let (file, text) = self.input.open(&path)?;
                self.networks.extend(table::networks(file, &text, self.input));
            }
            S::CheckRcpt { program, timeout } => self.checker(program, timeout)?,
            S::Database(path) => config.database = bounds::absolute("database", path)?,
            S::Dns(options) => self.dns(options),
            S::Engine(engine) => config.engine = engine,
            S::Include(_) => {}
            S::PassRcpt(pattern) => self.patterns.pass(pattern)?,
            S::ScanEvery(time) => config.scan_every = bounds::SCAN_EVERY.duration(time)?,
            S::Socket(path) => config.socket = bounds::socket(path)?,
            S::SyncKey(_) | S::SyncMulticast { .. } | S::SyncTo(_) => {
                sync(&mut config.sync, statement)?;
            }
            S::TrapFor(time) => config.trap_for = bounds::TRAP_FOR.duration(time)?,
            S::TrapLimit(traps, time) => {
                config.trap_limit =
                    (bounds::TRAP_LIMIT.number(traps)?, bounds::TRAP_LIMIT_TIME.duration(time)?);
            }
            S::TrapRcpt(pattern) => self.patterns.trap(pattern)?,
            S::TrapRcptUnlisted => self.patterns.trap_unlisted(at),
            S::CheckIdentity(_)
            | S::CheckSenderDns(_)
            | S::CheckSenderSyntax(_)
            | S::MaxHeloDomains(_)
            | S::MaxSenderDomains(_)
            | S::MaxSenderRatio(_)
            | S::SuspectTuples(_) => rules(&mut config.rules, statement)?,
        }
        Ok(())
    }

    fn checker(
        &mut self,
        program: Spanned<String>,
        timeout: Option<Spanned<Duration>>,
    ) -> Result<(), Fault> {
        let at = program.at;
        let program = bounds::absolute("program of check rcpt", program)?;
        let timeout = timeout.map(|time| bounds::CHECKER_TIMEOUT.duration(time)).transpose()?;
        if !self.input.is_program(&program) {
            self.input.warn(at, Problem::NoProgram(program.clone()));
        }
        let timeout = timeout.unwrap_or(Checker::TIMEOUT);
        self.config.checker = Some(Checker { program, timeout });
        Ok(())
    }

    /// Every option by itself: one that is wrong does not hide the others.
    fn dns(&mut self, options: Vec<Spanned<DnsOption>>) {
        for Spanned { value, at } in options {
            let done = self.once(value.once(), at).and_then(|()| self.dns_option(value));
            done.unwrap_or_else(|fault| self.input.error(fault));
        }
    }

    fn dns_option(&mut self, option: DnsOption) -> Result<(), Fault> {
        let dns = &mut self.config.dns;
        match option {
            DnsOption::Attempts(n) => dns.attempts = bounds::ATTEMPTS.number(n)?,
            DnsOption::InFlight(n) => dns.in_flight = bounds::IN_FLIGHT.number(n)?,
            DnsOption::NameServer(address, port) => {
                let port = port.map(|n| bounds::PORT.number(n)).transpose()?;
                dns.servers.push(NameServer { address, port: port.unwrap_or(NameServer::PORT) });
            }
            DnsOption::Timeout(time) => dns.timeout = bounds::DNS_TIMEOUT.duration(time)?,
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
        match self.patterns.finish() {
            Ok(rcpt) => self.config.rules.rcpt = rcpt,
            Err(fault) => self.input.error(fault),
        }
        self.config.rules.allow = Networks::new(self.networks);
        self.config
    }
}

fn rules(rules: &mut Rules, statement: Statement) -> Result<(), Fault> {
    match statement {
        Statement::CheckIdentity(yes) => rules.identity = yes,
        Statement::CheckSenderDns(yes) => rules.sender_dns = yes,
        Statement::CheckSenderSyntax(yes) => rules.sender_syntax = yes,
        Statement::MaxHeloDomains(most) => {
            rules.max_helo_domains =
                most.map(|n| bounds::MAX_HELO_DOMAINS.number(n)).transpose()?;
        }
        Statement::MaxSenderDomains(most) => {
            rules.max_sender_domains =
                most.map(|n| bounds::MAX_SENDER_DOMAINS.number(n)).transpose()?;
        }
        Statement::MaxSenderRatio(most) => {
            rules.max_sender_ratio = most.map(bounds::ratio).transpose()?;
        }
        Statement::SuspectTuples(n) => rules.suspect_tuples = bounds::SUSPECT_TUPLES.number(n)?,
        _ => {}
    }
    Ok(())
}

fn sync(sync: &mut Sync, statement: Statement) -> Result<(), Fault> {
    match statement {
        Statement::SyncKey(path) => sync.key = Some(bounds::absolute("sync key", path)?),
        Statement::SyncMulticast { interface, ttl } => {
            let interface = bounds::interface(interface)?;
            let ttl = ttl.map(|n| bounds::TTL.number(n)).transpose()?;
            sync.multicast.push((interface, ttl.unwrap_or(Sync::TTL)));
        }
        Statement::SyncTo(host) => sync.peers.push(bounds::sync_host(host)?),
        _ => {}
    }
    Ok(())
}
