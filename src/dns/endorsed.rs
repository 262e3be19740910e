//! What was found out about claims, for as long as DNS allows.
//!
//! Unknown results are not kept. Most policies do not depend on local part or HELO name, so that one result
//! holds for all messages of a host with one sender domain.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::cache::Bounds;
use super::exemption::{Claim, End, Endorsement, Exemption};
use super::kept::Kept;

/// No result is kept for longer.
const MOST: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Debug)]
pub(super) struct Endorsed(Kept<Known>);

#[derive(Debug)]
struct Known {
    /// The HELO string and the local part for which the result holds; `None` if for all.
    message: Option<(Vec<u8>, Vec<u8>)>,
    endorsement: Endorsement,
}

impl Endorsed {
    /// Nothing.
    pub fn new(bounds: Bounds) -> Self {
        Self(Kept::new(bounds))
    }

    /// What is known about a claim.
    pub fn find(&self, claim: &Claim, now: Instant) -> Option<Endorsement> {
        let Known { message, endorsement } = self.0.find(&key(claim), now)?;
        let holds = message
            .as_ref()
            .is_none_or(|(helo, local)| *helo == claim.helo && *local == claim.local);
        holds.then(|| endorsement.clone())
    }

    /// Keeps a result.
    pub fn note(&mut self, claim: &Claim, end: End, now: Instant) {
        let End { endorsement, ttl, is_for_message } = end;
        if endorsement.exemption == Exemption::Unknown {
            return;
        }
        let message = is_for_message.then(|| (claim.helo.clone(), claim.local.clone()));
        let octets = message.as_ref().map_or(0, |(helo, local)| helo.len() + local.len());
        let ttl = Duration::from_secs(ttl.into()).min(MOST);
        self.0.insert(&key(claim), Known { message, endorsement }, octets, ttl, now);
    }
}

fn key(claim: &Claim) -> Vec<u8> {
    match claim.address.to_canonical() {
        IpAddr::V4(v4) => [&v4.octets()[..], b"4", &claim.domain].concat(),
        IpAddr::V6(v6) => [&v6.octets()[..], b"6", &claim.domain].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spf::SpfResult;
    use super::*;

    #[test]
    fn a_result_holds_for_the_messages_that_it_depends_on() {
        let claim = |sender: &str| Claim::new([192, 0, 2, 1].into(), b"helo", sender.as_bytes());
        let fail = Endorsement { exemption: Exemption::NotExempt, spf: Some(SpfResult::Fail) };
        let end = |is_for_message| End { endorsement: fail.clone(), ttl: 60, is_for_message };
        let (mut endorsed, now) = (Endorsed::new(Bounds::default()), Instant::now());
        endorsed.note(&claim("a@one.example"), end(false), now);
        endorsed.note(&claim("a@two.example"), end(true), now);
        for (sender, wanted) in [
            ("a@one.example", true),
            ("b@One.example.", true),
            ("a@two.example", true),
            ("b@two.example", false),
            ("a@three.example", false),
        ] {
            assert_eq!(endorsed.find(&claim(sender), now).is_some(), wanted, "{sender}");
        }
        let elsewhere = Claim::new([192, 0, 2, 2].into(), b"helo", b"a@one.example");
        assert_eq!(endorsed.find(&elsewhere, now), None);
        let late = now + Duration::from_secs(60);
        assert_eq!(endorsed.find(&claim("a@one.example"), late), None);
    }
}
