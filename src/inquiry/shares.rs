//! Limits the share of a scan that one registrable domain may use.
//!
//! The owner of a domain can have any number of names in it, and servers that answer slowly or never. So
//! only a few names below a registrable domain may be open or without an answer while others wait, and
//! their total is limited. The registrable domain itself is not counted.

use crate::name;
use std::collections::{HashMap, VecDeque};

/// The number of names below a registrable domain that may be open or without a definite answer.
const OPEN: u32 = 20;
/// The number of names below a registrable domain that are asked for in a scan.
const MOST: u32 = 1000;

/// The registrable domains that have names below them.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<Vec<u8>, Share>);

#[derive(Debug, Default)]
struct Share {
    open: u32,
    /// Names without a definite answer.
    failed: u32,
    asked: u32,
    /// The numbers of the names that wait for others.
    waiting: VecDeque<usize>,
}

/// What an answer means for other names in the same domain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Freed {
    /// These may be asked for now.
    pub ready: Vec<usize>,
    /// These will not be asked for in this scan.
    pub given_up: Vec<usize>,
}

impl Share {
    fn may_ask(&self) -> bool {
        self.open.saturating_add(self.failed) < OPEN && self.asked < MOST
    }

    fn ask(&mut self) {
        self.open = self.open.saturating_add(1);
        self.asked = self.asked.saturating_add(1);
    }
}

impl Shares {
    /// Whether the domain with this number may be asked for now; if not, it waits.
    pub fn may_ask(&mut self, domain: &[u8], number: usize) -> bool {
        let Some(registered) = above(domain) else { return true };
        let share = self.0.entry(registered).or_default();
        let may_ask = share.may_ask();
        match may_ask {
            true => share.ask(),
            false => share.waiting.push_back(number),
        }
        may_ask
    }

    /// Notes the answer for a domain.
    pub fn answered(&mut self, domain: &[u8], is_definite: bool) -> Freed {
        let mut freed = Freed::default();
        let share = above(domain).and_then(|registered| self.0.get_mut(&registered));
        let Some(share) = share else { return freed };
        share.open = share.open.saturating_sub(1);
        share.failed = share.failed.saturating_add((!is_definite).into());
        while share.may_ask()
            && let Some(number) = share.waiting.pop_front()
        {
            share.ask();
            freed.ready.push(number);
        }
        if share.open == 0 {
            freed.given_up.extend(share.waiting.drain(..));
        }
        freed
    }
}

/// The registrable domain above a name.
fn above(domain: &[u8]) -> Option<Vec<u8>> {
    let mut registered = Vec::new();
    name::registrable(domain, &mut registered);
    (registered != domain).then_some(registered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these names are asked for, and how many at once, if they are answered in order.
    fn run(names: &[String], is_definite: bool) -> (usize, usize) {
        let mut shares = Shares::default();
        let numbered = names.iter().enumerate();
        let ready = numbered.filter(|(number, name)| shares.may_ask(name.as_bytes(), *number));
        let mut open: VecDeque<usize> = ready.map(|(number, _)| number).collect();
        let (mut asked, mut most, mut given_up) = (0, 0, 0);
        while let Some(number) = open.pop_front() {
            most = most.max(open.len() + 1);
            asked += 1;
            let freed = shares.answered(names[number].as_bytes(), is_definite);
            open.extend(freed.ready);
            given_up += freed.given_up.len();
        }
        assert_eq!(asked + given_up, names.len(), "none is forgotten");
        (asked, most)
    }

    fn names(count: usize, below: &str) -> Vec<String> {
        (0..count).map(|n| format!("r{n}.{below}")).collect()
    }

    #[test]
    fn one_registrable_domain_gets_a_bounded_share() {
        assert_eq!(run(&names(5000, "tarpit.example"), false), (20, 20));
        assert_eq!(run(&names(5000, "deep.below.tarpit.example"), false), (20, 20));
        assert_eq!(run(&names(5000, "swift.example"), true), (1000, 20));
        assert_eq!(run(&names(300, "swift.example"), true), (300, 20));
        let two = [names(30, "a.example"), names(30, "b.example")].concat();
        assert_eq!(run(&two, false), (40, 40));
    }

    #[test]
    fn what_is_registered_has_no_share_in_others() {
        // `co.uk` is a public suffix, which nobody has registered.
        assert_eq!(run(&names(300, "co.uk"), false), (300, 300));
        let mut both = names(30, "tarpit.example");
        both.push("tarpit.example".into());
        assert_eq!(run(&both, false), (21, 21));
    }
}
