//! The resolver: asks name servers for the engine.
//!
//! It has access to name servers over UDP and TCP, to its socketpair, and to resolv.conf(5), which it opens
//! for reading before it enters its sandbox. If that file has changed, other sockets than it may create may
//! be needed, or another file, so it asks to be restarted. The servers' answers may be hostile; the engine
//! gets verdicts, not messages.
#![forbid(unsafe_code)]

use super::life::Life;
use super::messages::{FromResolver, Renewal, ToParent, ToResolver};
use super::peer::Peer;
use super::roles::Variant;
use super::slot::Slot;
use crate::control::status::{Fitness, NameServer};
use crate::dns::resolver::Resolver;
use crate::dns::{self, Notice, Promise, resolv_conf};
use crate::errno::reason;
use crate::heap;
use crate::inquiry::{Answered, Inquiry, Questions, unfit};
use crate::log;
use mio::Token;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const ENGINE: Token = Token(1);

/// The number of answers in a message.
const CHUNK: usize = 1000;

/// A scan asks several times: the parent needs to hear only once that resolv.conf has changed, and again if it
/// could not renew the processes.
const AGAIN: Duration = Duration::from_secs(60);

/// Does the resolver's work until its parent has gone.
pub fn run(life: &mut Life) -> Result<(), String> {
    let config = life.config()?;
    let mut resolver = Resolver::new(&config.dns).map_err(|error| reason(&error).to_string())?;
    let mut engine = Peer::new((Slot::Asker, "engine"), resolver.registry(), ENGINE)?;
    let only_dns_port = resolver.promise() == Promise::Dns;
    let variant = if only_dns_port { Variant::Usual } else { Variant::AnyPort };
    life.lock_in(variant, |_| PathBuf::new())?;
    life.ready(resolver.registry())?;
    let mut asked = Questions::default();
    let mut inquiry: Option<Inquiry> = None;
    let mut told: Option<Instant> = None;
    let mut lowered = None;
    while !life.is_over() {
        while let Some(message) = engine.receive()? {
            match message {
                ToResolver::Hosts(hosts) => asked.hosts.extend(hosts),
                ToResolver::Domains(domains) => asked.domains.extend(domains),
                ToResolver::Exemptions(claims) => asked.exemptions.extend(claims),
                ToResolver::Listings(listings) => asked.listings.extend(listings),
                ToResolver::Good(domains) => resolver.recall_good(&domains),
                ToResolver::Ask { controls, within } => {
                    let is_known = told.is_some_and(|told| told.elapsed() < AGAIN);
                    if !is_known && resolver.has_other_servers() {
                        told = Some(Instant::now());
                        log::info(format_args!("{}: has changed", resolv_conf::PATH));
                        life.tell(&ToParent::Renew(Renewal::NameServers));
                    }
                    let questions = Questions { controls, ..std::mem::take(&mut asked) };
                    inquiry = Some(Inquiry::begin(questions, &mut resolver, within));
                }
            }
        }
        let has_ended = inquiry.as_mut().is_some_and(|inquiry| inquiry.advance(&mut resolver));
        if let Some(inquiry) = inquiry.take_if(|_| has_ended) {
            let notices = resolver.take_notices();
            notices.iter().for_each(|notice| tell(notice, &mut lowered));
            answer((&mut engine, life), &mut resolver, (inquiry, &notices));
            heap::give_back();
            continue;
        }
        let longest = life.patience(inquiry.as_ref().and_then(Inquiry::patience));
        resolver.turn(longest, |_| {}).map_err(|error| reason(&error).to_string())?;
        while let Ok(Some(_)) = life.orders() {}
    }
    Ok(())
}

/// Logs a notice. A limit of descriptors slows every scan down until somebody changes it, so that is no detail;
/// it is `lowered` already if it was said before.
fn tell(notice: &Notice, lowered: &mut Option<usize>) {
    match notice {
        Notice::Lowered(count) if lowered.replace(*count) != Some(*count) => {
            log::warning(format_args!("DNS: {notice}"));
        }
        _ => log::verbose(format_args!("DNS: {notice}")),
    }
}

/// Sends everything that an inquiry found.
fn answer(
    (engine, life): (&mut Peer<FromResolver, ToResolver>, &mut Life),
    resolver: &mut Resolver,
    (inquiry, notices): (Inquiry, &[Notice]),
) {
    let (_, answered) = inquiry.end(resolver);
    let Answered { hosts, domains, endorsements, listings, tally, shown } = answered;
    for chunk in hosts.chunks(CHUNK) {
        engine.deliver(&FromResolver::Hosts(chunk.to_vec()), life);
    }
    for chunk in domains.chunks(CHUNK) {
        engine.deliver(&FromResolver::Domains(chunk.to_vec()), life);
    }
    for chunk in endorsements.chunks(CHUNK) {
        engine.deliver(&FromResolver::Exemptions(chunk.to_vec()), life);
    }
    for chunk in listings.chunks(CHUNK) {
        engine.deliver(&FromResolver::Listings(chunk.to_vec()), life);
    }
    let failure = unfit(notices, resolver.health().count(), &shown);
    let failure = failure.map(|error| error.to_string());
    let servers = resolver.health().map(|health| NameServer {
        address: health.address,
        fitness: fitness(health.fitness),
        round_trip: health.round_trip.map(Into::into),
        answers: health.answers,
        timeouts: health.timeouts,
    });
    let servers = servers.collect();
    let good = resolver.good();
    engine.deliver(&FromResolver::End { tally, shown, failure, servers, good }, life);
}

fn fitness(fitness: dns::Fitness) -> Fitness {
    match fitness {
        dns::Fitness::Untested | dns::Fitness::Probing => Fitness::Untested,
        dns::Fitness::Fit | dns::Fitness::Odd(_) => Fitness::Fit,
        dns::Fitness::Unfit(failure, _) => Fitness::Unfit(failure.to_string()),
    }
}
