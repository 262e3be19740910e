//! Whole scans: loss and delay, pressure, memory of verdicts, the rule of the third.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::verdicts::zone;
use super::{LIMITS, all_are_good, resolver, verdicts};
use crate::support::responder::*;
use crate::support::{alone, asking};
use greytrapper::dns::Limits;
use greytrapper::dns::cache::Bounds;
use greytrapper::dns::resolver::Resolver;

/// One message of a hundred lost, question or answer, and 20 ms from answer to question.
fn lossy() -> Responder {
    let dice = AtomicU64::new(1);
    Responder::start(move |q| {
        // A multiplicative generator's high bits: any even spread will do here.
        let n = dice.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if n >> 32 < (1 << 32) / 100 {
            return Vec::new();
        }
        late(Duration::from_millis(20), zone(q))
    })
}

#[test]
fn loss_and_delay_leave_nothing_unknown() {
    let server = lossy();
    let names: Vec<_> = (0..10_000).map(|n| format!("mx.d{n}.example")).collect();
    let limits = Limits { in_flight: 500, timeout: Duration::from_secs(5), attempts: 4, ..LIMITS };
    let counters = all_are_good(server.address, limits, &names);
    assert!(counters.timeouts >= 50, "{counters:?}");
}

/// What one scan learned is still known in the next, unless it was not to be believed or kept.
#[test]
fn denials_are_remembered_if_they_were_believed() {
    let server = Responder::start(zone);
    let mut resolver = resolver(&[server.address]);
    resolver.begin_scan(&[]);
    verdicts(&mut resolver, &["gone.example", "mx.example", "192.0.2.1"]);
    assert_eq!(server.asked(), 1 + 3 + 1);
    resolver.end_scan(true);
    resolver.begin_scan(&[]);
    verdicts(&mut resolver, &["none.example", "gone.example", "mx.example"]);
    // Three questions about the new domain, one about the one that was good.
    assert_eq!(server.asked(), 5 + 3 + 1);
    resolver.end_scan(false);
    let found = verdicts(&mut resolver, &["gone.example", "none.example"]);
    assert_eq!(found, ["bad no such domain", "bad no MX or A"]);
    assert_eq!(server.asked(), 9 + 3);
}

/// A stream far longer than what may be in flight, taken no faster than it is answered.
#[test]
fn a_stream_is_read_as_it_is_answered() {
    let server = Responder::start(zone);
    let mut resolver = resolver(&[server.address]);
    let taken = AtomicU64::new(0);
    let names = (0..5000).map(|n| {
        taken.fetch_add(1, Ordering::Relaxed);
        format!("{}.d{n}.example", ["mx", "gone", "a"][n % 3])
    });
    let mut given = 0;
    asking::each(&mut resolver, names, |name, verdict| {
        assert_eq!(verdict.word(), if name.starts_with("gone") { "bad" } else { "good" });
        given += 1;
        let ahead = taken.load(Ordering::Relaxed) - given;
        assert!(ahead <= 2 * LIMITS.in_flight as u64, "{ahead}");
    });
    assert_eq!(given, 5000);
}

/// With every descriptor but a few taken, all is answered all the same.
#[test]
fn a_shortage_of_descriptors_slows_down_and_loses_nothing() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    // The limit is the process's.
    if !alone::is_alone() {
        let test = "dns::scan::a_shortage_of_descriptors_slows_down_and_loses_nothing";
        alone::run(test, &[], |_| ());
        return;
    }
    let server = Responder::start(|q| late(Duration::from_millis(5), zone(q)));
    let limits = Limits { in_flight: 300, timeout: Duration::from_secs(5), attempts: 4, ..LIMITS };
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let mut resolver =
        Resolver::with_servers(&[server.address], limits, Bounds::default()).unwrap();
    let lowered = resolver.take_notices();
    assert_eq!(format!("{lowered:?}"), "[Lowered(32)]");
    // Others take descriptors too: all but three are gone before the first question leaves.
    let mut others = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        others.push(file);
    }
    others.truncate(others.len() - 3);
    let names: Vec<_> = (0..2000).map(|n| format!("mx.d{n}.example")).collect();
    let mut good = 0;
    asking::each(&mut resolver, &names, |_, verdict| good += usize::from(verdict.word() == "good"));
    assert_eq!(good, names.len());
}
