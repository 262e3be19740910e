//! Recent verdicts, so that the program is not run again for each recipient in every scan. The engine keeps
//! them from scan to scan. They are limited in time and number.

use std::collections::HashMap;

/// How long a verdict is valid, in seconds.
const FOR: i64 = 60 * 60;
/// The maximum number of verdicts; further ones are not remembered.
const MOST: usize = 100_000;

/// Verdicts, each with its time in seconds since 1970.
#[derive(Clone, Debug, Default)]
pub struct Remembered(HashMap<Vec<u8>, (bool, i64)>);

impl Remembered {
    /// The verdict on this recipient, if it is still valid at `now`.
    pub fn get(&self, address: &[u8], now: i64) -> Option<bool> {
        let (is_known, when) = self.0.get(address)?;
        (now < when.saturating_add(FOR)).then_some(*is_known)
    }

    /// Remembers verdicts made at `now`. Verdicts that are already remembered keep their time.
    pub fn note(&mut self, said: impl IntoIterator<Item = (Vec<u8>, bool)>, now: i64) {
        self.0.retain(|_, (_, when)| now < when.saturating_add(FOR));
        for (address, is_known) in said {
            if self.0.len() < MOST {
                self.0.entry(address).or_insert((is_known, now));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_good_for_an_hour() {
        let mut remembered = Remembered::default();
        remembered.note([(b"a@x.example".to_vec(), false)], 1000);
        remembered.note([(b"b@x.example".to_vec(), true)], 2000);
        assert_eq!(remembered.get(b"a@x.example", 1000 + FOR - 1), Some(false));
        assert_eq!(remembered.get(b"a@x.example", 1000 + FOR), None);
        assert_eq!(remembered.get(b"b@x.example", 1000 + FOR), Some(true));
        assert_eq!(remembered.get(b"c@x.example", 2000), None);
        remembered.note([(b"a@x.example".to_vec(), true)], 1000 + FOR);
        assert_eq!(remembered.get(b"a@x.example", 1000 + FOR), Some(true), "asked again");
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut remembered = Remembered::default();
        remembered.note((0..200_000).map(|n| (format!("{n}@x.example").into_bytes(), true)), 1000);
        assert_eq!(remembered.0.len(), MOST);
    }
}
