//! Compares two walks over one file. In: the records of our reader and those of libc's. Out: the
//! differences.
//!
//! Called by `db::libc`, which makes the other walk. Both are in file order, so that usually one pass over
//! both shows that they are equal; only if they are not, they are sorted to find the records that differ.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use super::Record;
use crate::escape::escaped;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// A way in which the two walks differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference<'a> {
    /// In one record.
    Record {
        /// Its key.
        key: Cow<'a, [u8]>,
        /// The kind of difference.
        how: How,
    },
    /// The same records, in another order.
    Order,
}

/// How a record differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// libc's walk skips it because of a known bug; a search finds it.
    PassedOver,
    /// libc's walk does not have it, for an unknown reason.
    Missing,
    /// Our reader does not have it.
    Strange,
    /// Both have it, with different values.
    Value,
}

impl Difference<'_> {
    /// Whether this is a known bug in libc's walk, and not a fault in the file.
    pub fn is_known(&self) -> bool {
        matches!(self, Difference::Record { how: How::PassedOver, .. })
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Record { key, how } => write!(f, "record \"{}\" {how}", escaped(key)),
            Difference::Order => f.write_str("libc's walk has a different order"),
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::PassedOver => {
                "is skipped by libc's walk: a known bug after pairs too large for a page"
            }
            How::Missing => "is not in libc's walk",
            How::Strange => "is only in libc's walk",
            How::Value => "has a different value in libc's walk",
        })
    }
}

/// The differences between our walk and theirs. Theirs may skip our records with the ordinals `unseen`,
/// which are in ascending order.
pub fn differences<'a>(
    ours: Vec<Record<'a>>,
    unseen: &[usize],
    theirs: Vec<Record<'a>>,
) -> Vec<Difference<'a>> {
    if ours == theirs {
        // Not every libc has that bug.
        return Vec::new();
    }
    let mut ours: Vec<_> = ours
        .into_iter()
        .enumerate()
        .map(|(at, record)| (record, unseen.binary_search(&at).is_ok()))
        .collect();
    let seen = ours.iter().filter(|(_, unseen)| !unseen).map(|(record, _)| record);
    if seen.eq(&theirs) {
        ours.retain(|(_, unseen)| *unseen);
        return ours.into_iter().map(|(record, _)| of(record, How::PassedOver)).collect();
    }
    let mut differences = sorted(ours, theirs);
    if differences.iter().all(Difference::is_known) {
        differences.push(Difference::Order);
    }
    differences
}

/// The differences, ignoring order.
fn sorted<'a>(
    mut ours: Vec<(Record<'a>, bool)>,
    mut theirs: Vec<Record<'a>>,
) -> Vec<Difference<'a>> {
    let by_key_and_value =
        |a: &Record<'_>, b: &Record<'_>| a.key.cmp(&b.key).then_with(|| a.value.cmp(&b.value));
    ours.sort_by(|(a, _), (b, _)| by_key_and_value(a, b));
    theirs.sort_by(by_key_and_value);
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((our, _)), Some(their)) => our.key.cmp(&their.key),
        };
        let our = if order.is_le() { ours.next() } else { None };
        let their = if order.is_ge() { theirs.next() } else { None };
        found.extend(match (our, their) {
            (Some((our, _)), Some(their)) if our.value == their.value => None,
            (Some((our, _)), Some(_)) => Some(of(our, How::Value)),
            (Some((our, true)), None) => Some(of(our, How::PassedOver)),
            (Some((our, false)), None) => Some(of(our, How::Missing)),
            (None, their) => their.map(|their| of(their, How::Strange)),
        });
    }
}

fn of(record: Record<'_>, how: How) -> Difference<'_> {
    Difference::Record { key: record.key, how }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<Record<'_>> {
        let pair = |pair: &'static str| pair.as_bytes().split_at(1);
        let pairs = text.split_whitespace().map(str::to_owned).map(String::leak);
        pairs
            .map(|text| pair(text))
            .map(|(key, value)| Record { key: key.into(), value: value.into() })
            .collect()
    }

    /// One line for each case: our walk, what theirs is expected to skip, their walk, and the result.
    #[test]
    fn every_difference_is_named() {
        let rows: [(&str, &[usize], &str, &str); 12] = [
            ("", &[], "", ""),
            ("b1 a2", &[], "b1 a2", ""),
            ("b1 a2", &[0], "a2", "b PassedOver"),
            ("b1 a2", &[1], "b1", "a PassedOver"),
            ("b1 a2 c3", &[], "b1 c3", "a Missing"),
            ("b1 a2", &[], "b1 a2 c3", "c Strange"),
            ("b1 a2", &[], "b1 a3", "a Value"),
            ("b1 a2", &[], "a2 b1", "order"),
            ("b1 a2 c3", &[2], "a2 b1", "c PassedOver, order"),
            // Not every libc has the bug.
            ("b1 a2", &[1], "b1 a2", ""),
            // Seen, but not in its place.
            ("b1 a2 c3", &[1], "a2 b1 c3", "order"),
            ("b1 a2 c3", &[0], "a2 d4", "b PassedOver, c Missing, d Strange"),
        ];
        for (ours, unseen, theirs, told) in rows {
            let found = differences(records(ours), unseen, records(theirs));
            let words = found.into_iter().map(|difference| match difference {
                Difference::Record { key, how } => {
                    format!("{} {how:?}", key.escape_ascii())
                }
                Difference::Order => "order".to_owned(),
            });
            assert_eq!(words.collect::<Vec<_>>().join(", "), told, "{ours} / {theirs}");
        }
    }
}
