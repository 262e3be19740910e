//! Decides which of the program's verdicts are believed.
//!
//! A program that has lost its directory knows nobody, so it is believed that a recipient does not exist
//! only if it has shown that it knows somebody. In: recipients, which are returned with control addresses
//! before them, and later the verdicts, of which the believed ones are returned. The engine calls, once per
//! scan.

use super::remembered::Remembered;
use std::collections::{HashMap, HashSet};

/// The maximum number of domains whose postmaster is asked about, since strangers choose the recipients.
const DOMAINS: usize = 64;

/// The verdicts of a scan.
#[derive(Debug, Default)]
pub struct Heard {
    said: HashMap<Vec<u8>, bool>,
    /// Domains, in lower case, in which the program knows a recipient.
    shown: HashSet<Vec<u8>>,
    /// Earlier verdicts.
    remembered: HashMap<Vec<u8>, bool>,
    /// Whether the configured control is known, if there is one.
    is_control_known: Option<bool>,
    /// Recipients whose verdict may still come.
    awaited: HashSet<Vec<u8>>,
}

/// The recipients, with control addresses before them: the configured one, or the postmaster of each of
/// their domains, who must exist (RFC 5321, 4.5.1).
pub fn with_controls(recipients: Vec<Vec<u8>>, control: Option<&str>) -> Vec<Vec<u8>> {
    let mut controls = Vec::new();
    match control {
        Some(control) => controls.push(control.as_bytes().to_vec()),
        None => {
            let mut seen = HashSet::new();
            let domains = recipients.iter().filter_map(|recipient| domain(recipient));
            let domains = domains.filter(|domain| seen.insert(domain.clone())).take(DOMAINS);
            controls.extend(domains.map(|domain| [b"postmaster@", &domain[..]].concat()));
        }
    }
    let known: HashSet<_> = controls.iter().cloned().collect();
    controls.extend(recipients.into_iter().filter(|recipient| !known.contains(recipient)));
    controls
}

impl Heard {
    /// The verdicts on all addresses; an address without one is unknown.
    pub fn new(
        said: impl Iterator<Item = (Vec<u8>, Option<bool>)>,
        control: Option<&str>,
    ) -> Heard {
        let said = said.filter_map(|(address, is_good)| Some((address, is_good?)));
        let said: HashMap<_, _> = said.collect();
        let is_good = |control: &str| said.get(control.as_bytes()) == Some(&true);
        let is_control_known = control.map(is_good);
        let good = said.iter().filter(|(_, is_good)| **is_good);
        let shown = good.filter_map(|(address, _)| domain(address)).collect();
        Heard { said, shown, is_control_known, ..Heard::default() }
    }

    /// The same while the program is still running: missing verdicts may still come.
    pub fn so_far(said: Vec<(Vec<u8>, Option<bool>)>, control: Option<&str>) -> Heard {
        let is_awaited = |(address, is_good): &(Vec<u8>, Option<bool>)| {
            is_good.is_none().then(|| address.clone())
        };
        let awaited = said.iter().filter_map(is_awaited).collect();
        Heard { awaited, ..Heard::new(said.into_iter(), control) }
    }

    /// Whether the verdict on this recipient may still come.
    pub fn is_awaited(&self, address: &[u8]) -> bool {
        self.awaited.contains(address)
    }

    /// Adds verdicts that were believed recently, and returns the recipients that still have to be asked
    /// about.
    pub fn recall(
        recipients: Vec<Vec<u8>>,
        remembered: &Remembered,
        now: i64,
    ) -> (Heard, Vec<Vec<u8>>) {
        let (mut heard, mut others) = (Heard::default(), Vec::new());
        for recipient in recipients {
            match remembered.get(&recipient, now) {
                Some(is_known) => drop(heard.remembered.insert(recipient, is_known)),
                None => others.push(recipient),
            }
        }
        (heard, others)
    }

    /// Adds the verdicts of this scan.
    pub fn and(self, other: Heard) -> Heard {
        Heard { remembered: self.remembered, ..other }
    }

    /// The verdicts of this scan that are believed.
    pub fn believed(&self) -> Vec<(Vec<u8>, bool)> {
        let said = self.said.keys();
        said.filter_map(|address| Some((address.clone(), self.is_recipient(address)?))).collect()
    }

    /// Whether the program knows this recipient. A "no" counts only if the program knows the configured
    /// control address or, if there is none, another recipient in the same domain.
    pub fn is_recipient(&self, address: &[u8]) -> Option<bool> {
        let Some(&is_known) = self.said.get(address) else {
            return self.remembered.get(address).copied();
        };
        let is_shown = || domain(address).is_some_and(|domain| self.shown.contains(&domain));
        let is_believed = is_known || self.is_control_known.unwrap_or_else(is_shown);
        is_believed.then_some(is_known)
    }
}

/// The domain of an address in lower case.
fn domain(address: &[u8]) -> Option<Vec<u8>> {
    let at = address.iter().rposition(|byte| *byte == b'@')?;
    address.get(at + 1..).map(<[u8]>::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(addresses: &[&str]) -> Vec<Vec<u8>> {
        addresses.iter().map(|address| address.as_bytes().to_vec()).collect()
    }

    /// What is believed about `left@ours.example`, given what a program knows.
    fn believed(knows: impl Fn(&[u8]) -> Option<bool>, control: Option<&str>) -> Option<bool> {
        let recipients = texts(&["left@ours.example", "ann@ours.example", "bob@other.example"]);
        let asked = with_controls(recipients, control);
        let said = asked.into_iter().map(|address| {
            let is_good = knows(&address);
            (address, is_good)
        });
        Heard::new(said, control).is_recipient(b"left@ours.example")
    }

    #[test]
    fn postmasters_are_asked_about_first_each_once() {
        let recipients = texts(&[
            "a@One.example",
            "b@one.example",
            "postmaster@two.example",
            "c@two.example",
            "d",
        ]);
        let wanted = texts(&[
            "postmaster@one.example",
            "postmaster@two.example",
            "a@One.example",
            "b@one.example",
            "c@two.example",
            "d",
        ]);
        assert_eq!(with_controls(recipients.clone(), None), wanted);
        let asked = with_controls(recipients.clone(), Some("root@ours.example"));
        assert_eq!((asked.len(), &asked[0][..]), (6, &b"root@ours.example"[..]));
        assert_eq!(asked[1..], recipients);
        let many = (0..1000).map(|n| format!("a@d{n}.example").into_bytes()).collect();
        assert_eq!(with_controls(many, None).len(), 1000 + DOMAINS);
    }

    /// The directory was emptied or moved, or is looked up under a wrong name.
    #[test]
    fn a_program_that_knows_nobody_is_not_believed() {
        assert_eq!(believed(|_| Some(false), None), None);
        assert_eq!(believed(|_| None, None), None);
        assert_eq!(believed(|address| Some(address.ends_with(b"@other.example")), None), None);
    }

    #[test]
    fn whoever_knows_the_postmaster_or_another_is_believed() {
        let postmaster = |address: &[u8]| Some(address.starts_with(b"postmaster@"));
        assert_eq!(believed(postmaster, None), Some(false));
        let accepted = |address: &[u8]| Some(address.starts_with(b"ann@"));
        assert_eq!(believed(accepted, None), Some(false));
        assert_eq!(believed(|_| Some(true), None), Some(true));
    }

    #[test]
    fn what_is_remembered_is_not_asked_about_and_vouches_for_nothing_new() {
        let mut remembered = Remembered::default();
        let before = [("ann@ours.example", true), ("left@ours.example", false)];
        remembered.note(before.map(|(to, is_good)| (to.as_bytes().to_vec(), is_good)), 1000);
        let recipients = texts(&["ann@ours.example", "left@ours.example", "new@ours.example"]);
        let (heard, others) = Heard::recall(recipients, &remembered, 1060);
        assert_eq!(others, texts(&["new@ours.example"]));
        let said = with_controls(others, None).into_iter().map(|address| (address, Some(false)));
        let heard = heard.and(Heard::new(said, None));
        assert_eq!(heard.is_recipient(b"ann@ours.example"), Some(true));
        assert_eq!(heard.is_recipient(b"left@ours.example"), Some(false));
        assert_eq!(heard.is_recipient(b"new@ours.example"), None);
        assert_eq!(heard.believed(), []);
    }

    #[test]
    fn a_configured_control_vouches_for_all() {
        let control = Some("root@third.example");
        let knows = |address: &[u8]| Some(address == b"root@third.example");
        assert_eq!(believed(knows, control), Some(false));
        assert_eq!(believed(|_| Some(false), control), None);
        assert_eq!(believed(|address| Some(address.starts_with(b"ann@")), control), None);
    }
}
