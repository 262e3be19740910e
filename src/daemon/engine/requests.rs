//! Handles the requests of clients of the control socket.
//!
//! Some are answered at once, some become a [`Job`] that needs the database, and some go to the store or
//! the parent, whose answer comes later. Nothing waits for a client.
#![forbid(unsafe_code)]

use super::histories::{History, Without};
use super::judging::Purpose;
use super::work::Job;
use super::{CONTROL, Engine, now, recorded};
use crate::control::protocol::{Changed, Excepted, Reply, Request, Span, Verbosity, What};
use crate::control::server::{ClientId, Server};
use crate::daemon::life::Life;
use crate::daemon::messages::{By, Change, ToParent, ToStore};
use crate::date::Day;
use crate::escape::escaped;
use crate::log;
use crate::memory::Deed;
use crate::scan::Verdict;
use crate::spamd::Address;
use crate::spamd::trap::Outcome;
use mio::Events;
use std::time::{Duration, Instant};

/// The maximum number of waiting jobs; further clients are told to try again.
const WAITING: usize = 8;
/// The same for changes that the store has not made yet: clients may come and go faster than it gets the lock.
const CHANGES: usize = 64;
/// The maximum number of characters in an operator's reason.
const BECAUSE: usize = 200;
/// The reply to clients that must try again.
const BUSY: &str = "too many questions, try again";

/// A change that a client asks for.
pub struct Asked {
    client: ClientId,
    wish: Wish,
    /// The name of the client's user.
    user: String,
}

/// What to change.
struct Wish {
    addresses: Vec<String>,
    by: By,
    /// For how long.
    time: Option<Duration>,
    /// The reason.
    because: Option<String>,
}

impl Engine {
    /// Serves clients on sockets that were not served for a moment.
    pub(super) fn welcome(&mut self, life: &mut Life) {
        let Some(server) = &mut self.server else { return };
        for (client, request) in server.ready(CONTROL, Instant::now()) {
            self.grant(client, request, life);
        }
    }

    /// Serves clients that are ready, and ends those that were silent for too long.
    pub(super) fn serve(&mut self, events: &Events, life: &mut Life) {
        let Some(server) = &mut self.server else { return };
        let now = Instant::now();
        let tokens = events.iter().map(mio::event::Event::token);
        let tokens: Vec<_> = tokens.filter(|token| server.owns(*token)).collect();
        let mut asked: Vec<_> =
            tokens.into_iter().flat_map(|token| server.ready(token, now)).collect();
        if server.next_deadline().is_some_and(|at| at <= now) {
            asked.extend(server.tick(now));
        }
        server.take_notices().iter().for_each(log::verbose);
        for (client, request) in asked {
            self.grant(client, request, life);
        }
    }

    fn grant(&mut self, client: ClientId, request: Request, life: &mut Life) {
        match request {
            Request::Show => {
                let rules = self.trust.states(&self.config);
                let troubles = self.troubles(&rules);
                let (phase, next) = (self.phase(), self.next_scan);
                let status = self.memory.status(phase, next, (rules, troubles));
                self.served(|server| {
                    server.reply(client, &Reply::Status(Box::new(status)));
                    server.finish(client);
                });
            }
            Request::ShowHolds => self.tell_holds(client),
            Request::ShowTraps => self.want(client, Purpose::Traps),
            Request::ShowHosts => self.want(client, Purpose::Hosts),
            Request::Explain(address) => self.want(client, Purpose::Host(address)),
            Request::History(_) if self.histories.is_full() => {
                self.served(|server| server.fail(client, BUSY));
            }
            Request::History(query) => {
                let ticket = self.ticket();
                let history = History { client, query, most: usize::MAX, none: Without::Nothing };
                self.histories.begin(ticket, history, &mut self.ledger);
            }
            Request::Tuples { .. } if self.replays.is_full() => {
                self.served(|server| server.fail(client, BUSY));
            }
            Request::Tuples { since, is_end } => {
                let ticket = self.ticket();
                self.replays.begin(ticket, (client, since, is_end), &mut self.ledger);
            }
            Request::Suggest | Request::Adopt { .. } if self.spamtraps.is_full() => {
                self.served(|server| server.fail(client, BUSY));
            }
            Request::Suggest => self.want(client, Purpose::Spamtraps),
            Request::Adopt { recipients, is_forced: false } => self.adopt(client, recipients),
            Request::Adopt { recipients, is_forced: true } => {
                self.ask_to_adopt(client, recipients, true);
            }
            Request::Scan => {
                let starts = self.want_scan();
                self.served(|server| match starts {
                    true => server.finish(client),
                    false => server.fail(client, "a scan is under way"),
                });
            }
            Request::Reload if self.reloader.is_some() => {
                self.served(|server| server.fail(client, "already reloading"));
            }
            Request::Reload => {
                self.reloader = Some(client);
                life.tell(&ToParent::Reload);
            }
            Request::Monitor => self.served(|server| server.monitor(client)),
            Request::Trap { addresses, over_white, time, because } => {
                let by = By::Operator { over_white, time };
                let wish = Wish { addresses, by, time, because };
                self.ask_store(client, wish, ToStore::Trap);
            }
            Request::Release { addresses, time } => {
                let by = By::Operator { over_white: false, time: None };
                let wish = Wish { addresses, by, time, because: None };
                self.ask_store(client, wish, ToStore::EndTraps);
            }
            Request::Log(wanted) => {
                self.memory.log = wanted;
                let is_verbose = wanted == Verbosity::Verbose;
                // Here at once, since the client is told that it is done; the other processes are told later.
                log::set_verbose(is_verbose);
                life.tell(&ToParent::Verbose(is_verbose));
                self.served(|server| server.finish(client));
            }
        }
    }

    fn tell_holds(&mut self, client: ClientId) {
        self.end_exceptions();
        let holds: Vec<_> = self.memory.holds_now(now()).cloned().map(Reply::Held).collect();
        let excepted = |(written, day): (_, Option<Day>)| {
            Reply::Excepted(Excepted { written, end: day.map(Day::end) })
        };
        let exceptions = self.config.rules.exceptions().into_iter().map(excepted);
        self.served(|server| server.stream(client, holds.into_iter().chain(exceptions)));
    }

    pub(super) fn served(&mut self, how: impl FnOnce(&mut Server)) {
        if let Some(server) = &mut self.server {
            how(server);
        }
    }

    /// Answers a client's question once the database has been read for it.
    fn want(&mut self, client: ClientId, purpose: Purpose) {
        if self.jobs.len() < WAITING {
            return self.jobs.push_back(Job { purpose, client: Some(client) });
        }
        self.served(|server| server.fail(client, BUSY));
    }

    /// Has recipients made spamtraps; `is_forced` includes those that `pass rcpt` matches.
    pub(super) fn ask_to_adopt(
        &mut self,
        client: ClientId,
        recipients: Vec<String>,
        is_forced: bool,
    ) {
        let by = By::Operator { over_white: is_forced, time: None };
        let wish = Wish { addresses: recipients, by, time: None, because: None };
        self.ask_store(client, wish, ToStore::Adopt);
    }

    /// Asks the store for a change that a client wants.
    fn ask_store(&mut self, client: ClientId, wish: Wish, message: fn(Change) -> ToStore) {
        if self.asked.len() >= CHANGES {
            return self.served(|server| server.fail(client, BUSY));
        }
        let ticket = self.ticket();
        // Looked up now, since the client may be gone when the store answers.
        let uid = self.server.as_ref().and_then(|server| server.user(client));
        let user = self.users.name(uid).to_string();
        let (addresses, by) = (wish.addresses.clone(), wish.by);
        self.asked.insert(ticket, Asked { client, wish, user });
        self.store.send(&message(Change { ticket, addresses, by }));
    }

    /// Tells a client what became of its change.
    pub(super) fn changed_for_client(
        &mut self,
        ticket: u64,
        (outcomes, trap): (&[Option<Outcome>], Span),
        failure: Option<String>,
    ) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        let client = asked.client;
        for (address, outcome) in asked.wish.addresses.iter().zip(outcomes) {
            let Some(outcome) = outcome else { continue };
            self.note_change(address, (*outcome, trap), &asked);
            let address = address.clone();
            let reply = Reply::Changed(Changed { address, outcome: *outcome });
            self.served(|server| server.reply(client, &reply));
        }
        self.served(|server| match failure {
            Some(failure) => server.fail(client, failure),
            None => server.finish(client),
        });
    }

    /// Logs, counts and announces a change that a client has made.
    fn note_change(&mut self, address: &str, (outcome, trap): (Outcome, Span), asked: &Asked) {
        let Asked { wish: Wish { time, because, .. }, user, .. } = asked;
        if outcome == Outcome::Adopted {
            return self.note_adopted(address, user);
        }
        let Ok(address) = Address::parse(address.as_bytes()) else { return };
        match outcome {
            Outcome::Trapped | Outcome::Renewed | Outcome::WasWhite => {
                self.memory.totals.trapped_by_hand += 1;
                let mut verdict = Verdict::by_hand(address, user);
                if let Some(because) = because {
                    let because: String = because.chars().take(BECAUSE).collect();
                    let because = escaped(because.as_bytes());
                    verdict.reason = format!("{}: {because}", verdict.reason).into();
                }
                log::info(format_args!("Trapped {}: {}", verdict.address, verdict.reason));
                let Span { first, expire } = trap;
                let deed = Deed::TrappedByHand;
                self.remember(recorded::record(deed, &verdict, first, Some(expire)));
                self.memory.remember(verdict.clone(), trap);
                self.publish(What::Trapped(verdict));
            }
            Outcome::Released | Outcome::WhiteAgain => {
                let reason = format!("by hand ({user})");
                self.memory.hold(address.ip(), *time, reason.clone());
                self.released(&address, Deed::Released, reason);
            }
            Outcome::Adopted | Outcome::IsSpamtrap | Outcome::Refused(_) => {}
        }
    }
}
