//! WHITE records that traps by hand have replaced, so that a release gives them back.
//!
//! A record that has expired is forgotten. If there are more than [`MOST`], the oldest are forgotten.
#![forbid(unsafe_code)]

use crate::memory::White;
use crate::spamd::Gdata;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Operators trap few whitelisted hosts.
const MOST: usize = 1000;

/// See the module.
#[derive(Debug, Default)]
pub struct Whites {
    all: VecDeque<White>,
    has_changed: bool,
}

impl Whites {
    /// Adds a record that was replaced.
    pub fn add(&mut self, address: IpAddr, data: Gdata) {
        self.remove(address);
        if self.all.len() >= MOST {
            self.all.pop_front();
        }
        let Gdata { first, pass, expire, bcount, pcount } = data;
        let address = address.to_canonical();
        self.all.push_back(White { address, first, pass, expire, bcount, pcount });
        self.has_changed = true;
    }

    /// The record that a trap of this host has replaced.
    pub fn find(&self, address: IpAddr) -> Option<Gdata> {
        let found = self.all.iter().find(|white| white.address == address.to_canonical())?;
        let White { first, pass, expire, bcount, pcount, .. } = *found;
        Some(Gdata { first, pass, expire, bcount, pcount })
    }

    /// The trap has ended.
    pub fn remove(&mut self, address: IpAddr) {
        let before = self.all.len();
        self.all.retain(|white| white.address != address.to_canonical());
        self.has_changed |= self.all.len() != before;
    }

    /// All of them that have not expired at `now`, if they have changed since this was last asked.
    pub fn changed(&mut self, now: i64) -> Option<Vec<White>> {
        if !std::mem::take(&mut self.has_changed) {
            return None;
        }
        self.all.retain(|white| white.expire > now);
        Some(self.all.iter().copied().collect())
    }

    /// What the next store must know.
    pub fn legacy(&mut self) -> Vec<White> {
        std::mem::take(&mut self.all).into()
    }

    /// Takes over what was known before; what is known already is newer.
    pub fn inherit(&mut self, older: Vec<White>) {
        let newer = std::mem::take(&mut self.all);
        let is_older = |white: &White| newer.iter().all(|newer| newer.address != white.address);
        self.all = older.into_iter().filter(is_older).take(MOST).collect();
        self.all.extend(newer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_of_a_host_is_known_until_it_expires() {
        let [one, other] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let data = |expire| Gdata { first: 1, pass: 2, expire, bcount: 3, pcount: 4 };
        let mut whites = Whites::default();
        assert_eq!(whites.changed(0), None);
        whites.add(one, data(10));
        whites.add("::ffff:192.0.2.1".parse().unwrap(), data(20));
        whites.add(other, data(10));
        assert_eq!(whites.find(one), Some(data(20)));
        assert_eq!(whites.changed(10).unwrap().len(), 1);
        assert_eq!((whites.find(other), whites.changed(10)), (None, None));
        let mut next = Whites::default();
        next.add(one, data(30));
        next.inherit(whites.legacy());
        assert_eq!(next.find(one), Some(data(30)));
        next.remove(one);
        assert_eq!((next.find(one), next.changed(0)), (None, Some(Vec::new())));
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten() {
        let mut whites = Whites::default();
        for n in 0..=MOST as u32 {
            whites.add(IpAddr::from(n.to_be_bytes()), Gdata { expire: 9, ..Gdata::default() });
        }
        assert_eq!(whites.changed(0).unwrap().len(), MOST);
        assert_eq!(whites.find(IpAddr::from([0; 4])), None);
    }
}
