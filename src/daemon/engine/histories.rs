//! Sends remembered records to clients, a page at a time: the next one when the client has taken the last.
#![forbid(unsafe_code)]

use super::Engine;
use super::ledger::Ledger;
use crate::control::protocol::Reply;
use crate::control::server::{ClientId, Server};
use crate::daemon::messages::ToMemory;
use crate::memory::{Found, Place, Query};
use std::collections::HashMap;
use std::net::IpAddr;

/// The number of records in a page: fewer bytes than a client may have pending.
const PAGE: usize = 100;
/// The same of brief records, which are far smaller.
const BRIEF_PAGE: usize = 2000;
/// The number of records about one host that `explain` shows.
const PAST: usize = 20;
/// The maximum number of clients at a time.
const MOST: usize = 8;

/// The clients and their requests, by ticket.
#[derive(Default)]
pub struct Histories(HashMap<u64, Told>);

/// How far a client has been served.
struct Told {
    history: History,
    is_any: bool,
    /// Where the next page begins, once the last one has been sent.
    next: Option<Place>,
}

/// A client's request.
pub struct History {
    /// The client.
    pub client: ClientId,
    /// Which records.
    pub query: Query,
    /// The maximum number of records still to be sent.
    pub most: usize,
    /// The reply if there are no records.
    pub none: Without,
}

/// The reply to a client for whom there are no records.
pub enum Without {
    /// Nothing, unless memory has failed.
    Nothing,
    /// Nothing.
    NothingEver,
    /// This failure.
    Failure(String),
}

impl Without {
    /// How an answer without records ends; `failure` is why memory failed, if it did.
    fn end(self, server: &mut Server, client: ClientId, failure: Option<String>) {
        match (self, failure) {
            (Without::Failure(why), _) | (Without::Nothing, Some(why)) => server.fail(client, why),
            (Without::Nothing, None) | (Without::NothingEver, _) => server.finish(client),
        }
    }
}

impl Histories {
    /// Whether no more clients can be served.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Asks for the first page.
    pub fn begin(&mut self, ticket: u64, history: History, ledger: &mut Ledger) {
        ask(ledger, ticket, &history, None);
        self.0.insert(ticket, Told { history, is_any: false, next: None });
    }

    /// Sends a page to its client.
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

    /// Asks for the next page for every client that has taken the last one.
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
    let page = if history.query.is_brief { BRIEF_PAGE } else { PAGE };
    let (query, most) = (history.query.clone(), history.most.min(page));
    ledger.ask(&ToMemory::Find { ticket, query, from, most });
}

impl Engine {
    /// Handles a page of records, or the reason why there is none.
    pub(super) fn told(&mut self, ticket: u64, found: Result<Found, String>) {
        if let Some(server) = &mut self.server {
            self.histories.take(ticket, found, server);
        }
    }

    /// Ends an answer about a host with what is remembered of the host, newest first.
    pub(super) fn tell_past(&mut self, client: ClientId, address: IpAddr, none: Without) {
        if self.histories.is_full() {
            return self.served(|server| none.end(server, client, None));
        }
        let query = Query { hosts: vec![(address, address)], backwards: true, ..Query::default() };
        let ticket = self.ticket();
        let history = History { client, query, most: PAST, none };
        self.histories.begin(ticket, history, &mut self.ledger);
    }

    /// Continues with clients that have taken their last page.
    pub(super) fn tell_more(&mut self) {
        if let Some(server) = &mut self.server {
            self.histories.go_on(server, &mut self.ledger);
        }
    }
}
