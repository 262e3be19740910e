//! The keys of the tables: times and addresses as bytes that sort as they do.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `version`, … | a number: the version of the form; the bytes of all keys and values, and of those in `evidence` and `blocks`; until when tuples are in `blocks`; since when, and until when last, scans looked for hosts that pass |
//! | `verdicts` | 8 bytes of time, 4 of a number | a record without time and tuples |
//! | `tuples` | the same | its tuples |
//! | `hosts` | 16 bytes of address, then the same | nothing |
//! | `live` | `held` (once `holds`), `counters`, `whites`, `good`, `warned`, `swept` | all of them; the last entry of `evidence` that was looked at |
//! | `evidence` | a byte for the kind, then the name | what is known of it |
//! | `passed` | 16 bytes of address | when the host passed |
//! | `vouched` | 16 bytes of address | when a sender's domain last vouched for the host |
//! | `blocks` | the same as `verdicts` | tuples that a scan saw for the first time |
//!
//! Numbers are big-endian; IPv4 addresses are mapped into IPv6 (RFC 4291, 2.5.5.2).

use crate::evidence::{Key, Kind};
use redb::TableDefinition;
use std::net::{IpAddr, Ipv6Addr};

/// The bytes of [`Place`].
pub const PLACE: usize = 12;
/// The bytes of a key of [`HOSTS`].
pub const HOST: usize = 28;

pub const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
pub const VERDICTS: TableDefinition<&[u8; PLACE], &[u8]> = TableDefinition::new("verdicts");
pub const TUPLES: TableDefinition<&[u8; PLACE], &[u8]> = TableDefinition::new("tuples");
pub const HOSTS: TableDefinition<&[u8; HOST], ()> = TableDefinition::new("hosts");
pub const LIVE: TableDefinition<&str, &[u8]> = TableDefinition::new("live");

pub const EVIDENCE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("evidence");
pub const PASSED: TableDefinition<&[u8; 16], i64> = TableDefinition::new("passed");
pub const VOUCHED: TableDefinition<&[u8; 16], i64> = TableDefinition::new("vouched");
pub const BLOCKS: TableDefinition<&[u8; PLACE], &[u8]> = TableDefinition::new("blocks");

/// Where a record is: its time, and its number among those of the same second.
pub type Place = [u8; PLACE];

/// The place of the record with this number. Times before 1970 count as 1970.
pub fn place(time: i64, number: u32) -> Place {
    let mut place = [0; PLACE];
    let seconds = u64::try_from(time).unwrap_or_default();
    let bytes = seconds.to_be_bytes().into_iter().chain(number.to_be_bytes());
    place.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    place
}

/// The time of a place, in seconds since 1970.
pub fn time(place: &Place) -> i64 {
    let seconds = place.iter().take(8).fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// The number of a place.
pub fn number(place: &Place) -> u32 {
    place.iter().skip(8).fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// The key in `hosts` of a host's record.
pub fn host(address: IpAddr, place: &Place) -> [u8; HOST] {
    let mut key = [0; HOST];
    let bytes = mapped(address).octets().into_iter().chain(*place);
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    key
}

/// The host and the place in a key of `hosts`.
pub fn parts(key: &[u8; HOST]) -> (IpAddr, Place) {
    let (mut address, mut place) = ([0; 16], [0; PLACE]);
    address.iter_mut().chain(&mut place).zip(key).for_each(|(to, from)| *to = *from);
    (Ipv6Addr::from(address).to_canonical(), place)
}

/// The key in `evidence`.
pub fn evidence(key: &Key) -> Vec<u8> {
    let kind = match key.kind {
        Kind::Helo => b'h',
        Kind::Domain => b'd',
        Kind::Recipient => b'r',
    };
    [&[kind], &*key.name].concat()
}

/// The key in `passed` and `vouched`.
pub fn passed(address: IpAddr) -> [u8; 16] {
    mapped(address).octets()
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_times_and_addresses_do() {
        let times = [(0, 0), (0, 1), (255, 7), (256, 0), (1_795_420_010, u32::MAX)];
        let places = times.map(|(time, number)| place(time, number));
        assert!(places.is_sorted());
        assert_eq!(places.map(|place| (time(&place), number(&place))), times);
        assert_eq!(time(&place(-5, 0)), 0);
        let hosts = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|text| text.parse().unwrap());
        let keys = hosts.map(|address| host(address, &places[2]));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| parts(&key)), hosts.map(|address| (address, places[2])));
    }
}
