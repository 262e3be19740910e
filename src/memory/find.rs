//! Finds records by time, address and rule, a page at a time.

use super::error::Error;
use super::key::{self, HOSTS, Place, TUPLES, VERDICTS};
use super::record::{self, Deed, Kept, Record};
use super::store::Store;
use redb::{ReadOnlyTable, ReadableDatabase};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Not before this time, in seconds since 1970.
    pub since: i64,
    /// Only those of the rule with this name.
    pub rule: Option<String>,
    /// Only those of hosts within one of these ranges, each with its first and last address; all if there
    /// are none.
    pub hosts: Vec<(IpAddr, IpAddr)>,
    /// Only these deeds; all if there are none.
    pub deeds: Vec<Deed>,
    /// The newest first.
    pub backwards: bool,
    /// Without reasons, evidence and tuples.
    pub is_brief: bool,
}

/// Some of the records that were wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// In order of time.
    pub records: Vec<Record>,
    /// Where the next page begins, if there are more.
    pub next: Option<Place>,
}

impl Query {
    fn matches(&self, record: &Record) -> bool {
        (self.rule.is_none() || record.rule == self.rule)
            && (self.deeds.is_empty() || self.deeds.contains(&record.deed))
    }
}

impl Store {
    /// At most `most` records that match, from `from` on if given. Records that cannot be decoded are left
    /// out.
    ///
    /// # Errors
    /// Those of the file.
    pub fn find(&self, query: &Query, from: Option<Place>, most: usize) -> Result<Found, Error> {
        let transaction = self.database.begin_read()?;
        let verdicts = transaction.open_table(VERDICTS)?;
        let tuples = transaction.open_table(TUPLES)?;
        let (mut first, mut last) = (key::place(query.since, 0), [u8::MAX; key::PLACE]);
        match from {
            Some(from) if query.backwards => last = last.min(from),
            Some(from) => first = first.max(from),
            None => {}
        }
        let mut found = Found::default();
        let mut take = |place: Place, verdict: &[u8]| -> Result<bool, Error> {
            if found.records.len() >= most {
                found.next = Some(place);
                return Ok(false);
            }
            let time = key::time(&place);
            let record = record::decode(time, verdict, None).filter(|found| query.matches(found));
            let Some(mut record) = record else { return Ok(true) };
            if query.is_brief {
                record.reason.clear();
            } else if let Some(kept) = tuples.get(&place)? {
                Kept::complete(kept.value(), &mut record);
            }
            found.records.push(record);
            Ok(true)
        };
        if first > last {
            return Ok(found);
        }
        if query.hosts.is_empty() {
            let mut range = verdicts.range::<&Place>(&first..=&last)?;
            while let Some(entry) = if query.backwards { range.next_back() } else { range.next() } {
                let (place, verdict) = entry?;
                if !take(*place.value(), verdict.value())? {
                    break;
                }
            }
            return Ok(found);
        }
        let hosts = transaction.open_table(HOSTS)?;
        let mut places = places(&hosts, query, (first, last))?;
        if query.backwards {
            places.reverse();
        }
        for place in places {
            let Some(verdict) = verdicts.get(&place)? else { continue };
            if !take(place, verdict.value())? {
                break;
            }
        }
        Ok(found)
    }
}

/// Where the records of these hosts are, between two places, in order.
fn places(
    table: &ReadOnlyTable<&'static [u8; key::HOST], ()>,
    query: &Query,
    (first, last): (Place, Place),
) -> Result<Vec<Place>, Error> {
    let mut places = Vec::new();
    for (from, to) in &query.hosts {
        let (from, to) = (from.to_canonical(), to.to_canonical());
        let keys = (key::host(from, &first), key::host(to, &last));
        if keys.0 > keys.1 {
            continue;
        }
        for entry in table.range::<&[u8; key::HOST]>(&keys.0..=&keys.1)? {
            let (address, place) = key::parts(entry?.0.value());
            // IPv4 addresses lie within those of IPv6 here.
            if address.is_ipv4() == from.is_ipv4() && (first..=last).contains(&place) {
                places.push(place);
            }
        }
    }
    places.sort_unstable();
    places.dedup();
    Ok(places)
}
