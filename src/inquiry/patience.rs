//! Hosts about whose identity DNS gives no answer, scan after scan.
//!
//! An unknown identity lets a host go free, but not for ever, since the owner of a zone can prevent
//! answers. The engine keeps this from scan to scan.

use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// The number of consecutive scans without an answer after which a name counts as not confirmed: in the
/// third the host is judged.
const SCANS: u8 = 3;

/// For each host, the number of consecutive scans in which its identity had no answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Patience(HashMap<IpAddr, u8>);

impl Patience {
    /// The hosts that are judged in this scan if it gives no answer again.
    pub fn overdue(&self) -> HashSet<IpAddr> {
        let overdue = self.0.iter().filter(|(_, scans)| **scans >= SCANS - 1);
        overdue.map(|(address, _)| *address).collect()
    }

    /// Notes the hosts without an answer at the end of a scan in which DNS worked. The number of hosts kept
    /// is bounded by the number that a scan nominates.
    pub fn note(&mut self, unanswered: impl IntoIterator<Item = IpAddr>) {
        let before = std::mem::take(&mut self.0);
        let scans = |address| before.get(&address).map_or(1, |scans| scans.saturating_add(1));
        self.0 = unanswered.into_iter().map(|address| (address, scans(address))).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn a_host_is_overdue_in_the_third_scan_running() {
        let mut patience = Patience::default();
        let mut overdue = Vec::new();
        for unanswered in [&[1, 2][..], &[1, 3], &[1, 2, 3], &[2, 3], &[]] {
            overdue.push(patience.overdue());
            patience.note(unanswered.iter().map(|n| host(*n)));
        }
        let sets = [&[][..], &[], &[1], &[1, 3], &[2, 3]];
        assert_eq!(overdue, sets.map(|set| set.iter().map(|n| host(*n)).collect()));
        assert!(patience.overdue().is_empty());
    }
}
