//! Clients who are told what was: a page of records at a time, the next when they have taken the last.
#![forbid(unsafe_code)]

use super::Engine;
use super::ledger::Ledger;
use crate::control::protocol::Reply;
use crate::control::server::{ClientId, Server};
use crate::daemon::messages::ToMemory;
use crate::memory::{Found, Place, Query};
use std::collections::HashMap;

/// Records in a page: fewer bytes than a client may be behind.
const PAGE: usize = 100;
/// Clients at a time.
const MOST: usize = 8;

/// Who wants to know what, by ticket.
#[derive(Default)]
pub struct Histories(HashMap<u64, History>);

struct History {
    client: ClientId,
    query: Query,
    /// Where the next page begins, once the last one was sent.
    next: Option<Place>,
}

impl Histories {
    /// Whether no more can be served.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Asks for the first page.
    pub fn begin(&mut self, ticket: u64, client: ClientId, query: Query, ledger: &mut Ledger) {
        ask(ledger, ticket, &query, None);
        self.0.insert(ticket, History { client, query, next: None });
    }

    /// A page is there.
    fn take(&mut self, ticket: u64, found: Result<Found, String>, server: &mut Server) {
        let Some(history) = self.0.get_mut(&ticket) else { return };
        let client = history.client;
        let next = match found {
            Ok(Found { records, next }) => {
                records.into_iter().for_each(|record| server.reply(client, &Reply::Record(record)));
                next
            }
            Err(failure) => {
                server.fail(client, failure);
                self.0.remove(&ticket);
                return;
            }
        };
        history.next = next;
        if next.is_none() {
            server.finish(client);
            self.0.remove(&ticket);
        }
    }

    /// Asks for the next page for everybody who has taken the last one.
    fn go_on(&mut self, server: &mut Server, ledger: &mut Ledger) {
        self.0.retain(|_, history| server.is_there(history.client));
        for (ticket, history) in &mut self.0 {
            if let Some(from) = history.next.take_if(|_| !server.is_behind(history.client)) {
                ask(ledger, *ticket, &history.query, Some(from));
            }
        }
    }
}

fn ask(ledger: &mut Ledger, ticket: u64, query: &Query, from: Option<Place>) {
    ledger.ask(&ToMemory::Find { ticket, query: query.clone(), from, most: PAGE });
}

impl Engine {
    /// Memory has found a page of records, or not.
    pub(super) fn told(&mut self, ticket: u64, found: Result<Found, String>) {
        if let Some(server) = &mut self.server {
            self.histories.take(ticket, found, server);
        }
    }

    /// Has clients told more who have taken what there was.
    pub(super) fn tell_more(&mut self) {
        if let Some(server) = &mut self.server {
            self.histories.go_on(server, &mut self.ledger);
        }
    }
}
