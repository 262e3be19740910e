//! The resolver's work on DNS lists: one question each.
//!
//! Answers are shared as those about claims are, and there is a quota for each list. That a list answers
//! proves nothing about a name server: it may have been given a copy of that list, and nothing else.
#![forbid(unsafe_code)]

use std::time::Instant;

use domain::base::Rtype;

use super::super::failure::Failure;
use super::super::listing::{Listed, Listing};
use super::super::memo::Told;
use super::super::mux::Asker;
use super::super::proof::Denial;
use super::super::table::Key;
use super::{AskedBy, Found, Job, Resolver, Work};

impl Resolver {
    /// Asks a list about an address.
    pub fn ask_list(&mut self, ticket: u64, listing: &Listing) {
        let known = match listing.name() {
            Some(name) => match self.memo.find(&name, Rtype::A, Instant::now()) {
                None if self.quota.may_ask_list(listing.address, &listing.zone) => {
                    let work = Work::List(name.clone(), listing.zone.clone());
                    let (asked_by, denial) = (AskedBy::Ticket(ticket), Denial::default());
                    let job = self.jobs.insert(Job { asked_by, work, denial });
                    return self.mux.ask(Asker { job, question: 0 }, &name, Rtype::A);
                }
                known => known,
            },
            None => None,
        };
        self.tell_listed(ticket, &known.unwrap_or(Err(Failure::Share)));
    }

    /// Handles the answer of a list.
    pub(super) fn list_answered(&mut self, key: Key, told: Told) {
        let Some(Job { asked_by, work: Work::List(name, zone), .. }) = self.jobs.remove(key) else {
            return;
        };
        self.quota.list_answered(&zone, told.is_ok());
        self.memo.note(&name, Rtype::A, told.clone(), Instant::now());
        if let AskedBy::Ticket(ticket) = asked_by {
            self.tell_listed(ticket, &told);
        }
    }

    fn tell_listed(&mut self, ticket: u64, told: &Told) {
        let mut denial = Denial::default();
        if let Ok((answer, server)) = told {
            denial.add(answer, *server);
        }
        let answer = told.as_ref().map(|(answer, _)| answer).map_err(|failure| *failure);
        self.tell(ticket, Found::Listed(Listed::of(answer)), denial);
    }
}
