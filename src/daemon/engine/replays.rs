//! Clients who are told the tuples of all hosts: a page at a time, the next when they have taken the last.
#![forbid(unsafe_code)]

use super::Engine;
use super::ledger::Ledger;
use crate::control::protocol::Reply;
use crate::control::server::{ClientId, Server};
use crate::daemon::messages::ToMemory;
use crate::memory::{PLACE, Place, Tuples};
use std::collections::HashMap;

/// Clients at a time.
const MOST: usize = 4;

/// Who wants tuples, by ticket.
#[derive(Default)]
pub struct Replays(HashMap<u64, Told>);

/// How far a client was told.
struct Told {
    client: ClientId,
    since: i64,
    /// Where the next page begins, once the last one was sent.
    next: Option<Place>,
}

impl Replays {
    /// Whether no more can be served.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Asks for the first page.
    pub fn begin(
        &mut self,
        ticket: u64,
        (client, since, is_end): (ClientId, i64, bool),
        ledger: &mut Ledger,
    ) {
        let from = is_end.then_some(Place::from([u8::MAX; PLACE]));
        ledger.ask(&ToMemory::Tuples { ticket, since, from });
        self.0.insert(ticket, Told { client, since, next: None });
    }

    /// A page is there.
    fn take(&mut self, ticket: u64, found: Result<Tuples, String>, server: &mut Server) {
        let Some(told) = self.0.remove(&ticket) else { return };
        match found {
            Err(failure) => server.fail(told.client, failure),
            Ok(tuples) => {
                let next = tuples.next;
                server.reply(told.client, &Reply::Tuples(tuples));
                match next {
                    None => server.finish(told.client),
                    next => drop(self.0.insert(ticket, Told { next, ..told })),
                }
            }
        }
    }

    /// Asks for the next page for everybody who has taken the last one.
    fn go_on(&mut self, server: &mut Server, ledger: &mut Ledger) {
        self.0.retain(|_, told| server.is_there(told.client));
        for (ticket, Told { client, since, next }) in &mut self.0 {
            if let Some(from) = next.take_if(|_| !server.is_behind(*client)) {
                let (ticket, since, from) = (*ticket, *since, Some(from));
                ledger.ask(&ToMemory::Tuples { ticket, since, from });
            }
        }
    }
}

impl Engine {
    /// Memory has found a page of tuples, or not.
    pub(super) fn replayed(&mut self, ticket: u64, found: Result<Tuples, String>) {
        if let Some(server) = &mut self.server {
            self.replays.take(ticket, found, server);
        }
    }

    /// Has clients told more tuples who have taken what there was.
    pub(super) fn replay_more(&mut self) {
        if let Some(server) = &mut self.server {
            self.replays.go_on(server, &mut self.ledger);
        }
    }
}
