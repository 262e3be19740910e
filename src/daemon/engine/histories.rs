//! Clients who are told what was: a page of records at a time, the next when they have taken the last.
#![forbid(unsafe_code)]

use super::Engine;
use super::ledger::Ledger;
use crate::control::protocol::Reply;
use crate::control::server::{ClientId, Server};
use crate::daemon::messages::ToMemory;
use crate::memory::{Found, Place, Query};
use std::collections::HashMap;
use std::net::IpAddr;

/// Records in a page: fewer bytes than a client may be behind.
const PAGE: usize = 100;
/// Records of one host that `explain` shows.
const PAST: usize = 20;
/// Clients at a time.
const MOST: usize = 8;

/// Who wants to know what, by ticket.
#[derive(Default)]
pub struct Histories(HashMap<u64, Told>);

/// How far a client was told.
struct Told {
    history: History,
    is_any: bool,
    /// Where the next page begins, once the last one was sent.
    next: Option<Place>,
}

/// What a client is told.
pub struct History {
    /// Who.
    pub client: ClientId,
    /// Of what.
    pub query: Query,
    /// So many records at most, that is, or so many more.
    pub most: usize,
    /// What is said if there is none.
    pub none: Without,
}

/// What is said to a client without any record.
pub enum Without {
    /// Nothing, unless that is a failure of the memory.
    Nothing,
    /// Nothing.
    NothingEver,
    /// This, as a failure.
    Failure(String),
}

impl Without {
    /// How an answer without records ends, if memory has failed for this reason, or not at all.
    fn end(self, server: &mut Server, client: ClientId, failure: Option<String>) {
        match (self, failure) {
            (Without::Failure(why), _) | (Without::Nothing, Some(why)) => server.fail(client, why),
            (Without::Nothing, None) | (Without::NothingEver, _) => server.finish(client),
        }
    }
}

impl Histories {
    /// Whether no more can be served.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Asks for the first page.
    pub fn begin(&mut self, ticket: u64, history: History, ledger: &mut Ledger) {
        ask(ledger, ticket, &history, None);
        self.0.insert(ticket, Told { history, is_any: false, next: None });
    }

    /// A page is there.
    fn take(&mut self, ticket: u64, found: Result<Found, String>, server: &mut Server) {
        let Some(mut told) = self.0.remove(&ticket) else { return };
        let client = told.history.client;
        let (Found { records, next }, failure) = match found {
            Ok(found) => (found, None),
            Err(failure) => (Found::default(), Some(failure)),
        };
        told.is_any |= !records.is_empty();
        told.history.most = told.history.most.saturating_sub(records.len());
        records.into_iter().for_each(|record| server.reply(client, &Reply::Record(record)));
        told.next = next.filter(|_| told.history.most > 0);
        match (told.next, told.is_any, failure) {
            (Some(_), ..) => drop(self.0.insert(ticket, told)),
            (None, true, None) => server.finish(client),
            (None, true, Some(failure)) => server.fail(client, failure),
            (None, false, failure) => told.history.none.end(server, client, failure),
        }
    }

    /// Asks for the next page for everybody who has taken the last one.
    fn go_on(&mut self, server: &mut Server, ledger: &mut Ledger) {
        self.0.retain(|_, told| server.is_there(told.history.client));
        for (ticket, Told { history, next, .. }) in &mut self.0 {
            if let Some(from) = next.take_if(|_| !server.is_behind(history.client)) {
                ask(ledger, *ticket, history, Some(from));
            }
        }
    }
}

fn ask(ledger: &mut Ledger, ticket: u64, history: &History, from: Option<Place>) {
    let (query, most) = (history.query.clone(), history.most.min(PAGE));
    ledger.ask(&ToMemory::Find { ticket, query, from, most });
}

impl Engine {
    /// Memory has found a page of records, or not.
    pub(super) fn told(&mut self, ticket: u64, found: Result<Found, String>) {
        if let Some(server) = &mut self.server {
            self.histories.take(ticket, found, server);
        }
    }

    /// Ends what a client is told of a host with what is remembered of it, the newest first.
    pub(super) fn tell_past(&mut self, client: ClientId, address: IpAddr, none: Without) {
        if self.histories.is_full() {
            return self.served(|server| none.end(server, client, None));
        }
        let query = Query { hosts: vec![(address, address)], backwards: true, ..Query::default() };
        let ticket = self.ticket();
        let history = History { client, query, most: PAST, none };
        self.histories.begin(ticket, history, &mut self.ledger);
    }

    /// Has clients told more who have taken what there was.
    pub(super) fn tell_more(&mut self) {
        if let Some(server) = &mut self.server {
            self.histories.go_on(server, &mut self.ledger);
        }
    }
}
