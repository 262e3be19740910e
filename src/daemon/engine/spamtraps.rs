//! Recipients as spamtraps: suggested by what memory knows, and adopted because an operator says so.
//!
//! ```text
//! suggest: client --> job: the spamtraps there are --> memory, page by page --> client
//! adopt:   client --> memory: did a host that passed write to it? --> store --> client
//! ```
#![forbid(unsafe_code)]

use super::ledger::Ledger;
use super::{Engine, now, recorded};
use crate::config::Config;
use crate::control::protocol::{Changed, Reply, What};
use crate::control::server::ClientId;
use crate::daemon::messages::ToMemory;
use crate::escape::escaped;
use crate::evidence::Key;
use crate::log;
use crate::memory::{Deed, Suggested, Suggestion, Watched};
use crate::spamd::spamtrap::Spamtrap;
use crate::spamd::trap::{Outcome, Refusal};
use std::collections::{HashMap, HashSet};

/// The maximum number of clients at a time that wait for memory.
const MOST: usize = 8;
/// The maximum number of recipients that a client is told.
const TOLD: usize = 1000;

/// The clients that wait for memory, by ticket.
#[derive(Default)]
pub struct Spamtraps {
    suggesting: HashMap<u64, Suggesting>,
    adopting: HashMap<u64, Adopting>,
}

/// A client that wants suggestions.
struct Suggesting {
    client: ClientId,
    /// The spamtraps in the database.
    known: HashSet<Vec<u8>>,
    found: Vec<Suggestion>,
}

/// A client that wants recipients adopted.
struct Adopting {
    client: ClientId,
    recipients: Vec<String>,
}

impl Spamtraps {
    /// Whether no more clients can be served.
    pub fn is_full(&self) -> bool {
        self.suggesting.len() >= MOST || self.adopting.len() >= MOST
    }
}

impl Suggesting {
    /// Adds those of a page that could be spamtraps.
    fn add(&mut self, found: Vec<Suggestion>, config: &Config) {
        let control = config.checker.as_ref().and_then(|checker| checker.control.as_deref());
        let could_be_one = |Suggestion { recipient, .. }: &Suggestion| {
            let is_control =
                control.is_some_and(|control| control.as_bytes().eq_ignore_ascii_case(recipient));
            Spamtrap::parse(recipient).is_ok()
                && !self.known.contains(recipient)
                && !config.rules.rcpt.pass.is_match(recipient)
                && !is_control
        };
        let found: Vec<_> = found.into_iter().filter(could_be_one).collect();
        self.found.extend(found);
        self.found.truncate(TOLD);
    }
}

fn ask(ledger: &mut Ledger, ticket: u64, from: Option<Vec<u8>>) {
    ledger.ask(&ToMemory::Suggest { ticket, from });
}

impl Engine {
    /// Asks memory for suggestions, which leave out the spamtraps in the database.
    pub(super) fn suggest(&mut self, client: ClientId, known: HashSet<Vec<u8>>) {
        let ticket = self.ticket();
        let suggesting = Suggesting { client, known, found: Vec::new() };
        self.spamtraps.suggesting.insert(ticket, suggesting);
        ask(&mut self.ledger, ticket, None);
    }

    /// Memory has found a page of recipients, or not.
    pub(super) fn suggested(&mut self, ticket: u64, page: Result<Suggested, String>) {
        let Some(mut suggesting) = self.spamtraps.suggesting.remove(&ticket) else { return };
        let client = suggesting.client;
        let Suggested { found, next } = match page {
            Ok(page) => page,
            Err(failure) => return self.served(|server| server.fail(client, failure)),
        };
        suggesting.add(found, &self.config);
        if next.is_some() && suggesting.found.len() < TOLD {
            self.spamtraps.suggesting.insert(ticket, suggesting);
            return ask(&mut self.ledger, ticket, next);
        }
        let rows = suggesting.found.into_iter().map(Reply::Suggestion);
        self.served(|server| server.stream(client, rows));
    }

    /// Asks memory whether a host that passed wrote to these recipients, and then has the others adopted.
    pub(super) fn adopt(&mut self, client: ClientId, recipients: Vec<String>) {
        let ticket = self.ticket();
        let keys = recipients.iter().filter_map(|text| Key::recipient(text.as_bytes())).collect();
        self.spamtraps.adopting.insert(ticket, Adopting { client, recipients });
        self.ledger.ask(&ToMemory::Known { ticket, keys });
    }

    /// Memory knows whom hosts that passed wrote to, or does not.
    pub(super) fn adopt_known(&mut self, ticket: u64, known: Result<Watched, String>) {
        let Some(Adopting { client, recipients }) = self.spamtraps.adopting.remove(&ticket) else {
            return;
        };
        let entries = match known {
            Ok(known) => known.entries.into_iter(),
            Err(failure) => {
                let failure = format!("memory: {failure} (-f adopts without it)");
                return self.served(|server| server.fail(client, failure));
            }
        };
        let passed = entries.filter(|(_, entry)| entry.passed.is_some());
        let passed: HashSet<_> = passed.map(|(key, _)| key).collect();
        let is_passed = |text: &String| {
            Key::recipient(text.as_bytes()).is_some_and(|key| passed.contains(&key))
        };
        let (refused, others): (Vec<_>, Vec<_>) = recipients.into_iter().partition(is_passed);
        let outcome = Outcome::Refused(Refusal::Passed);
        for address in refused {
            let reply = Reply::Changed(Changed { address, outcome });
            self.served(|server| server.reply(client, &reply));
        }
        match others.is_empty() {
            true => self.served(|server| server.finish(client)),
            false => self.ask_to_adopt(client, others, false),
        }
    }

    /// Logs, remembers and announces that a user has made a recipient a spamtrap.
    pub(super) fn note_adopted(&mut self, recipient: &str, user: &str) {
        let reason = format!("Spamtrap {}: by hand ({user})", escaped(recipient.as_bytes()));
        log::info(&reason);
        self.remember(recorded::event(Deed::Adopted, None, &reason, now()));
        self.publish(What::Notice(reason));
    }
}
