//! Questions that come up while a scan is settled again and again, each once.
#![forbid(unsafe_code)]

use super::Questions;
use crate::dns::listing::Listing;
use crate::scan::Scan;
use std::collections::HashSet;
use std::net::IpAddr;

/// What has come up so far.
#[derive(Debug, Default)]
pub struct CameUp {
    /// Hosts, and hosts with a sender domain.
    hosts: HashSet<(IpAddr, Vec<u8>)>,
    listings: HashSet<Listing>,
}

impl CameUp {
    /// The questions that came up with the last answers.
    pub fn further(&mut self, scan: &Scan<'_>) -> Questions {
        let mut further = Questions::further(scan);
        let Questions { hosts, exemptions, listings, .. } = &mut further;
        hosts.retain(|host| self.hosts.insert((host.address, Vec::new())));
        exemptions.retain(|claim| self.hosts.insert((claim.address, claim.domain.clone())));
        listings.retain(|listing| self.listings.insert(listing.clone()));
        further.with_tests()
    }
}
