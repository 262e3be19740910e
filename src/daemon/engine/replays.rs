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
    /// A page that the client gets when it has taken the last one; the next one is not asked for before.
    ready: Option<Tuples>,
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
        self.0.insert(ticket, Told { client, since, ready: None });
    }

    /// A page is there.
    fn take(&mut self, ticket: u64, found: Result<Tuples, String>, server: &mut Server) {
        match (self.0.get_mut(&ticket), found) {
            (Some(told), Ok(tuples)) => told.ready = Some(tuples),
            (Some(told), Err(failure)) => {
                server.fail(told.client, failure);
                self.0.remove(&ticket);
            }
            (None, _) => {}
        }
    }

    /// Sends pages to everybody who has taken the last one, and asks for the next, so that it is there when
    /// that one is taken.
    fn go_on(&mut self, server: &mut Server, ledger: &mut Ledger) {
        self.0.retain(|ticket, Told { client, since, ready }| {
            if !server.is_there(*client) {
                return false;
            }
            let Some(tuples) = ready.take_if(|_| !server.is_behind(*client)) else { return true };
            let from = tuples.next;
            server.reply(*client, &Reply::Tuples(tuples));
            if from.is_none() {
                server.finish(*client);
                return false;
            }
            ledger.ask(&ToMemory::Tuples { ticket: *ticket, since: *since, from });
            true
        });
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
