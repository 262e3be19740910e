//! `greytrapctl export` of many traps in each form, the whole process, of a database and of a daemon that has
//! trapped them all; and its peak memory when it replaces a file.
//!
//! `cargo bench --bench export -- [ROUNDS [TRAPS]]`; the budgets are for 100,000 traps. Memory only on Linux
//! (/proc).
#![allow(clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod harness;
mod support;

use greytrapper::memory::{Batch, Deed, Record, Settings, Store};
use harness::daemon::{NO_DNS, Place};
use harness::records::{now, trapped};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const CTL: &str = env!("CARGO_BIN_EXE_greytrapctl");
/// In seconds.
const TIME: f64 = 0.5;
/// In MB.
const MEMORY: f64 = 64.0;

fn main() {
    let (rounds, traps) = support::numbers(5, 100_000);
    let place = Place::new();
    place.configure(&format!("scan every 1h\nmemory size 1G\n{NO_DNS}"));
    let hosts: Vec<_> = (0..traps).map(host).collect();
    place.enter(&hosts.iter().map(|host| trapped(host)).collect::<Vec<_>>());
    remember(&place.memory(), &hosts);
    place.give("memory");
    place.give("memory/memory.redb");
    let mut daemon = place.start();
    daemon.scan_done();
    let database = place.database();
    let of_file = [OsStr::new("-F"), database.as_os_str()];
    let (socket, file) = (place.socket(), place.path("list"));
    let of_daemon = [OsStr::new("-s"), socket.as_os_str()];
    for form in ["plain", "pf", "spamd", "rbldnsd", "zone", "bgpd"] {
        row(form, "-F", &of_file, &[], rounds, &file);
        row(form, "-a of the daemon", &of_daemon, &["-a"], rounds, &file);
        row(form, "of the daemon", &of_daemon, &[], rounds, &file);
    }
    daemon.stop();
}

/// Half of them IPv4, half IPv6.
fn host(n: usize) -> String {
    let n = u32::try_from(n).expect("a number");
    match n % 2 {
        0 => std::net::Ipv4Addr::from_bits(0x0b00_0000 + n).to_string(),
        _ => Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | u128::from(n) << 40 | 1).to_string(),
    }
}

/// Enters the reasons of all traps into a new memory.
fn remember(directory: &Path, hosts: &[String]) {
    fs::create_dir(directory).expect("memory");
    let week = Duration::from_secs(7 * 86_400);
    let (size, directory) = (1 << 30, directory.to_path_buf());
    let settings = Settings { directory, verdicts: week, tuples: Some(week), size };
    let store = Store::open(settings, now()).expect("memory").store;
    let time = now() - 60;
    let record = |host: &String| Record {
        time,
        address: host.parse().ok(),
        deed: Deed::Trapped,
        rule: Some("helo".into()),
        reason: "Host calls itself 2 names (> 1)".into(),
        until: Some(time + 86_400),
        count: 2,
        details: Vec::new(),
        tuples: Vec::new(),
    };
    for hosts in hosts.chunks(5000) {
        let records = hosts.iter().map(record).collect();
        store.write(Batch { now: now(), records, ..Batch::default() }).expect("memory");
    }
}

fn row(form: &str, of: &str, first: &[&OsStr], more: &[&str], rounds: usize, file: &Path) {
    let words = ["export", "-f", form];
    let words = words.iter().chain(more).map(OsString::from);
    let arguments: Vec<OsString> = first.iter().map(OsString::from).chain(words).collect();
    let run = || support::run(CTL, &arguments);
    run();
    let times = support::Times::new((0..rounds).map(|_| run()).collect());
    let time = support::kept(TIME, times.median().as_secs_f64());
    let peak = peak(&arguments, file)
        .map_or("unknown".into(), |peak| format!("{peak:.1} MB {}", support::kept(MEMORY, peak)));
    println!("export {form} {of}: {times} {time}, {peak}");
}

/// The peak memory in MB, as the command after `-x` sees it.
fn peak(arguments: &[OsString], file: &Path) -> Option<f64> {
    let status = file.with_extension("status");
    fs::write(file, "another list\n").expect("list");
    let command = format!("cat /proc/$PPID/status > '{}'", status.display());
    let mut export = Command::new(CTL);
    export.args(arguments).arg("-o").arg(file).arg("-x").arg(command);
    let ended = export.stdin(std::process::Stdio::null()).status().expect("greytrapctl");
    assert!(ended.success(), "{ended}");
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
