//! Hosts for which the domain of a sender has vouched: the host of its MX, of its own address, or of an SPF
//! pass. They are often clouds, whose addresses many share.
//!
//! In: what the questions of scans have found. Out: whether a host in the trap is kept from others. It may be
//! in it by another sender, or by hand. Limited in time and number; strangers choose who vouches for whom.
#![forbid(unsafe_code)]

use super::{Engine, now};
use crate::control::protocol::{Secret, Trap};
use std::collections::HashMap;
use std::net::IpAddr;

/// How long a host is remembered, in seconds: a week, and the time in which it is not noted again.
const REMEMBERED: i64 = 7 * 24 * 60 * 60 + RENEWED;
/// So long it is not noted again, so that a host which waits in scan after scan is not written with each.
const RENEWED: i64 = 60 * 60;
/// The maximum number of hosts; further ones are not remembered.
const MOST: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Vouched(HashMap<IpAddr, i64>);

impl Vouched {
    /// Adds what was known before. Later times take precedence.
    pub fn inherit(&mut self, hosts: Vec<(IpAddr, i64)>) {
        for (address, time) in hosts {
            if self.has_room_for(address) {
                let known = self.0.entry(address).or_insert(time);
                *known = time.max(*known);
            }
        }
    }

    /// What the next engine needs to know.
    pub fn legacy(&mut self) -> Vec<(IpAddr, i64)> {
        std::mem::take(&mut self.0).into_iter().collect()
    }

    /// Whether somebody has vouched for a host within the time.
    pub fn covers(&self, address: IpAddr, now: i64) -> bool {
        let is_recent = |time: &i64| now < time.saturating_add(REMEMBERED);
        self.0.get(&address.to_canonical()).is_some_and(is_recent)
    }

    /// Notes the hosts of a scan that ended at `now`; returns those that memory does not know or must note
    /// again.
    pub fn note(&mut self, hosts: impl Iterator<Item = IpAddr>, now: i64) -> Vec<(IpAddr, i64)> {
        self.0.retain(|_, time| now < time.saturating_add(REMEMBERED));
        let mut new = Vec::new();
        for address in hosts.map(|address| address.to_canonical()) {
            let known = self.0.get(&address);
            let is_young = known.is_some_and(|time| now < time.saturating_add(RENEWED));
            if !is_young && self.has_room_for(address) {
                self.0.insert(address, now);
                new.push((address, now));
            }
        }
        new
    }

    fn has_room_for(&self, address: IpAddr) -> bool {
        self.0.len() < MOST || self.0.contains_key(&address)
    }
}

impl Engine {
    /// Notes in traps why others are not told of them, if they are not.
    pub(super) fn mark_secrets(&self, traps: &mut [Trap]) {
        let (held, now) = (self.memory.held(), now());
        for Trap { address, secret, .. } in traps {
            *secret = if held.contains_key(address) {
                Some(Secret::Held)
            } else if self.config.rules.allow.contains(*address) {
                Some(Secret::Allowed)
            } else {
                self.vouched.covers(*address, now).then_some(Secret::Vouched)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_covered_for_a_week_after_the_last_time() {
        let [one, other] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let mut vouched = Vouched::default();
        let noted = |vouched: &mut Vouched, now| vouched.note([one].into_iter(), now).len();
        assert_eq!([0, 5, RENEWED].map(|now| noted(&mut vouched, now)), [1, 0, 1]);
        // At most this long ago, it was seen without being noted.
        let last = 2 * RENEWED - 1;
        assert_eq!(noted(&mut vouched, last), 0);
        let week = 7 * 24 * 60 * 60;
        assert!(vouched.covers(one, last + week) && !vouched.covers(other, last));
        assert!(vouched.covers(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201]), last));
        assert!(!vouched.covers(one, last + week + RENEWED));
        assert_eq!(vouched.note(std::iter::empty(), last + week + RENEWED), []);
        assert_eq!(vouched.legacy(), [], "forgotten");
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut vouched = Vouched::default();
        let many = || (0..200_000u32).map(|n| IpAddr::from(n.to_be_bytes()));
        assert_eq!(vouched.note(many(), 1000).len(), MOST);
        vouched.inherit(many().map(|address| (address, 2000)).collect());
        assert_eq!(vouched.legacy().len(), MOST);
    }
}
