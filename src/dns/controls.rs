//! Controls: domains that must exist, with which name servers prove in each scan that they can find
//! something.
//!
//! The recipients' own domains come with each scan's questions; good domains are remembered from one scan
//! to the next. Strangers influence both, so some of each are asked for, chosen at random, and finding one
//! is enough.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::name::Name;
use super::random::Random;

/// The number of domains of each kind that a scan asks for.
const ASKED: usize = 3;
/// The maximum number of domains that are remembered.
const REMEMBERED: usize = 256;

/// Domains found good in earlier scans.
#[derive(Debug, Default)]
pub struct Controls {
    names: Vec<Name>,
    /// The index of each.
    places: HashMap<Name, usize>,
}

impl Controls {
    /// The controls of a scan: some of its `own` domains, and some that are remembered.
    pub fn choose(&self, own: &[Vec<u8>], random: &mut Random) -> Vec<Name> {
        let own: Vec<Name> = own.iter().filter_map(|text| Name::from_domain(text).ok()).collect();
        let mut chosen = some(&own, random);
        for name in some(&self.names, random) {
            if !chosen.contains(&name) {
                chosen.push(name);
            }
        }
        chosen
    }

    /// Remembers a domain that was found good; if there is no room, it replaces another at random.
    pub fn remember(&mut self, name: &Name, random: &mut Random) {
        if self.places.contains_key(name) || crate::name::is_local(&name.text()) {
            return;
        }
        let place = self.names.len();
        if place < REMEMBERED {
            self.names.push(name.clone());
            self.places.insert(name.clone(), place);
        } else {
            let place = random.below(REMEMBERED);
            let old = std::mem::replace(&mut self.names[place], name.clone());
            self.places.remove(&old);
            self.places.insert(name.clone(), place);
        }
    }

    /// All that are remembered.
    pub fn all(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    /// Forgets a domain that is no longer good.
    pub fn forget(&mut self, name: &Name) {
        let Some(place) = self.places.remove(name) else { return };
        self.names.swap_remove(place);
        if let Some(moved) = self.names.get(place) {
            self.places.insert(moved.clone(), place);
        }
    }
}

/// Chooses up to [`ASKED`] of these, each once.
fn some(names: &[Name], random: &mut Random) -> Vec<Name> {
    let mut chosen: Vec<Name> = Vec::new();
    if names.len() <= ASKED {
        return names.to_vec();
    }
    // With this many attempts it is almost certain; getting fewer does no harm.
    for _ in 0..8 * ASKED {
        let name = &names[random.below(names.len())];
        if chosen.len() < ASKED && !chosen.contains(name) {
            chosen.push(name.clone());
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> Name {
        Name::from_domain(format!("d{n}.example").as_bytes()).unwrap()
    }

    #[test]
    fn three_of_each_kind_are_asked_and_not_always_the_same() {
        let (mut controls, mut random) = (Controls::default(), Random::new().unwrap());
        assert_eq!(controls.choose(&[], &mut random), []);
        (0..2).for_each(|n| controls.remember(&name(n), &mut random));
        assert_eq!(controls.choose(&[], &mut random).len(), 2);
        (0..100).for_each(|n| controls.remember(&name(n), &mut random));
        let own: Vec<_> = (200..210).map(|n| format!("d{n}.example").into_bytes()).collect();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..20 {
            let chosen = controls.choose(&own, &mut random);
            let ours = chosen.iter().filter(|name| own.contains(&name.text())).count();
            assert_eq!((ours, chosen.len()), (3, 6), "{chosen:?}");
            seen.extend(chosen);
        }
        assert!(seen.len() > 20, "{seen:?}");
        let twice = controls.choose(&[b"d1.example".to_vec()], &mut random);
        assert_eq!(twice.iter().filter(|one| **one == name(1)).count(), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_can_be_forgotten() {
        let (mut controls, mut random) = (Controls::default(), Random::new().unwrap());
        (0..1000).for_each(|n| controls.remember(&name(n), &mut random));
        assert_eq!((controls.names.len(), controls.places.len()), (REMEMBERED, REMEMBERED));
        assert!(controls.names.contains(&name(999)));
        (0..1000).for_each(|n| controls.forget(&name(n)));
        assert_eq!((controls.names.len(), controls.places.len()), (0, 0));
        controls.remember(&Name::from_domain(b"a.lan").unwrap(), &mut random);
        assert_eq!(controls.names.len(), 0);
    }
}
