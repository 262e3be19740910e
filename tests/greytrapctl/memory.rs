//! The memory that a scan needs: no more than it is refused without.

use crate::support::cmd::{Cmd, Dir};
use crate::support::records::{self, Record, grey, host};
use greytrapper::scan::room;
use std::fs;

/// What greytrapctl needs for itself.
const OWN: u64 = 8 << 20;

/// Files in which tuples are short or long, of many hosts or of one.
fn shapes() -> [(&'static str, Vec<Record>); 3] {
    let many = (0..60_000).map(|n| grey(&host(n), "a", "", ""));
    let one = (0..60_000).map(|n| grey("192.0.2.1", &format!("m{n}"), "", ""));
    let long = |n: u32| {
        let (helo, from) = (format!("m{n}.host.example"), format!("news-{n}@d{n}.example"));
        grey(&host(n / 3), &helo, &from, &format!("user{}@example.org", n % 300))
    };
    [
        ("many hosts", many.collect()),
        ("one host", one.collect()),
        ("long tuples", (0..60_000).map(long).collect()),
    ]
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs a limit that counts all memory")]
fn a_scan_gets_along_with_what_it_asks_for() {
    for (shape, records) in shapes() {
        let dir = Dir::new();
        let (file, conf) = (dir.path("spamd"), dir.path("conf"));
        records::enter(&file, &records);
        fs::write(&conf, "check sender dns no\ncheck identity no\n").unwrap();
        let length = fs::metadata(&file).unwrap().len();
        let room = u64::try_from(room(length)).unwrap();
        let limit = (room + length + OWN) / 1024;
        let script = format!("ulimit -d {limit}; exec \"$@\"");
        let mut command = Cmd(std::process::Command::new("sh"));
        command.0.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_greytrapctl"), "simulate", "-f"]);
        let ran = Cmd::run({
            command.0.arg(&conf).arg(&file);
            command
        });
        assert_eq!(ran.status, Some(0), "{shape} ({length} bytes): {}", ran.err);
    }
}
