//! How much memory and time a million entries of other sites take.
#![cfg(target_os = "linux")]

use crate::support::alone;
use greytrapper::export::{Hearsay, MOST_ENTRIES};
use std::fs::{self, File, Permissions};
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The most memory that this process has had, in kB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The largest list: addresses of IPv6 in no order, none of which is next to another.
#[test]
fn a_million_entries_take_less_than_64_mb() {
    if !alone::is_alone() {
        let said = alone::run("hearsay::a_million_entries_take_less_than_64_mb", &[], |_| ());
        // To be seen with --nocapture.
        println!("{}", said.lines().find(|line| line.contains("entries:")).unwrap());
        return;
    }
    let address = |n: u64| {
        let bits = u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 32;
        Ipv6Addr::from_bits(0x2001_0db8 << 96 | bits)
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("black");
    let mut out = BufWriter::new(File::create(&path).unwrap());
    (0..MOST_ENTRIES as u64).for_each(|n| writeln!(out, "{}", address(n)).unwrap());
    out.into_inner().unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let file = File::open(&path).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let (before, start) = (peak(), Instant::now());
    let hearsay = Hearsay::read(&file, "mx1.example.org", now).unwrap();
    let (took, used) = (start.elapsed(), peak() - before);
    println!("a million IPv6 entries: {used} kB at most, {took:?}");
    assert!(used < 64 << 10, "{used} kB");
    let all = (0..MOST_ENTRIES as u64).all(|n| hearsay.networks.contains(address(n).into()));
    assert!(all && hearsay.bad.is_none());
    assert!(!hearsay.networks.contains(IpAddr::from([192, 0, 2, 1])));
}
