//! The unexpired traps that this daemon has set, so that those that a new `allow` covers can be removed.
//!
//! Nothing in the database distinguishes them from spamd's own traps. If there are more than [`MOST`], the
//! oldest are forgotten, and expire by themselves.
#![forbid(unsafe_code)]

use crate::spamd::Address;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Some megabytes.
const MOST: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub struct SetTraps(VecDeque<(Address, i64)>);

impl SetTraps {
    /// Adds a trap that expires at `expire`, in seconds since 1970.
    pub fn add(&mut self, address: Address, expire: i64) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((address, expire));
    }

    /// Removes a trap that has ended.
    pub fn remove(&mut self, address: IpAddr) {
        self.0.retain(|(set, _)| set.ip() != address);
    }

    /// The traps that have not expired at `now`.
    pub fn live(&mut self, now: i64) -> impl Iterator<Item = &Address> {
        self.0.retain(|(_, expire)| *expire > now);
        self.0.iter().map(|(address, _)| address)
    }

    /// What the next store must know.
    pub fn legacy(&mut self) -> Vec<(Address, i64)> {
        std::mem::take(&mut self.0).into()
    }

    /// Takes over what the previous store knew.
    pub fn inherit(&mut self, mut set: Vec<(Address, i64)>) {
        set.truncate(MOST);
        self.0 = set.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut set = SetTraps::default();
        set.add(address("192.0.2.1"), 100);
        set.add(address("2001:db8::1"), 200);
        set.add(address("192.0.2.3"), 300);
        set.remove("2001:0db8::1".parse().unwrap());
        let live = |set: &mut SetTraps, now| set.live(now).cloned().collect::<Vec<_>>();
        assert_eq!(live(&mut set, 99), [address("192.0.2.1"), address("192.0.2.3")]);
        assert_eq!(live(&mut set, 100), [address("192.0.2.3")]);
        let mut next = SetTraps::default();
        next.inherit(set.legacy());
        assert_eq!(live(&mut next, 100), [address("192.0.2.3")]);
        assert!(live(&mut next, 300).is_empty());
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten() {
        let mut set = SetTraps::default();
        (0..=MOST).for_each(|n| set.add(address("192.0.2.1"), 1000 + n as i64));
        assert_eq!(set.0.len(), MOST);
        assert_eq!(set.live(1000).count(), MOST);
    }
}
