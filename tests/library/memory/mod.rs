//! What the daemon remembers: the file compared with a list in memory, killed, damaged, too full, too old.

mod bad;
mod evidence;
mod kill;
// Reads /proc.
#[cfg(target_os = "linux")]
mod measure;
mod model;

use greytrapper::memory::{Batch, Deed, Opened, Record, Settings, Store, Tuple};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

/// A time in 2026.
const NOW: i64 = 1_795_420_010;
const DAY: i64 = 24 * 60 * 60;

/// What greytrapper.conf(5) has by default.
fn settings(directory: &Path) -> Settings {
    let day = Duration::from_secs(24 * 60 * 60);
    let (verdicts, tuples) = (90 * day, Some(14 * day));
    Settings { directory: directory.to_owned(), verdicts, tuples, size: 1 << 30 }
}

/// A file that must be there in order or be made.
fn open(settings: &Settings) -> Store {
    let Opened { store, set_aside } = Store::open(settings.clone(), NOW).unwrap();
    assert!(set_aside.is_none(), "{set_aside:?}");
    store
}

/// An address of many.
fn host(number: u32) -> IpAddr {
    Ipv4Addr::from(0xc000_0200 + number).into()
}

/// A trap of about the length of a real one.
fn record(time: i64, number: u32) -> Record {
    let tuple = |n: u32| Tuple {
        helo: format!("mail{n}.host{number}.example").into_bytes(),
        from: format!("<someone{n}@domain{number}.example>").into_bytes(),
        to: format!("<recipient{n}@example.org>").into_bytes(),
    };
    Record {
        time,
        address: Some(host(number)),
        deed: Deed::Trapped,
        rule: Some(if number.is_multiple_of(2) { "helo" } else { "domains" }.into()),
        reason: format!("Host sending from {number} domains (> 3)"),
        until: Some(time + DAY),
        count: 6,
        details: b"details".to_vec(),
        tuples: (0..6).map(tuple).collect(),
    }
}

fn batch(now: i64, records: Vec<Record>) -> Batch {
    Batch { now, records, ..Batch::default() }
}
