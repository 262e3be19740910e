//! The memory that a scan needs: no more than it is refused without.

use crate::support::cmd::{Cmd, Dir, Ran};
use crate::support::records::{self, Record, grey, host};
use greytrapper::scan::room;
use std::fs;
use std::path::Path;

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
        let ran = limited(limit, &["simulate", "-f", conf.to_str().unwrap()], &file);
        assert_eq!(ran.status, Some(0), "{shape} ({length} bytes): {}", ran.err);
    }
}

/// greytrapctl with so many kilobytes of memory at most.
fn limited(kilobytes: u64, arguments: &[&str], file: &Path) -> Ran {
    let script = format!("ulimit -d {kilobytes}; exec \"$@\"");
    let mut command = Cmd(std::process::Command::new("sh"));
    command.0.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_greytrapctl")]);
    command.0.args(arguments).arg(file);
    command.run()
}

fn no_memory_for(file: &Path) -> String {
    let tenths = fs::metadata(file).unwrap().len().div_ceil(100_000);
    format!(
        "greytrapctl: {}: not enough memory for a database of {}.{} MB (datasize of the login class)\n",
        file.display(),
        tenths / 10,
        tenths % 10
    )
}

/// An allocation that fails would abort.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs a limit that counts all memory")]
fn a_scan_for_which_there_is_no_memory_is_refused() {
    let dir = Dir::new();
    let file = dir.path("spamd");
    records::enter(&file, &shapes()[0].1);
    let length = fs::metadata(&file).unwrap().len();
    // With room for the image, and without.
    for limit in [length / 1024 + 20_000, 5_000] {
        let ran = limited(limit, &["simulate"], &file);
        assert_eq!((ran.status, ran.err), (Some(1), no_memory_for(&file)), "{limit} kB");
    }
}

/// Between two writes, that would leave a file without a header.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs a limit that counts all memory")]
fn a_repair_for_which_there_is_no_memory_is_not_begun() {
    let dir = Dir::new();
    let file = dir.path("spamd");
    let traps: Vec<_> = (0..40_000).map(|n| records::trapped(&host(n))).collect();
    records::enter(&file, &traps);
    let mut image = fs::read(&file).unwrap();
    image[9 * 4096..10 * 4096].fill(0);
    fs::write(&file, &image).unwrap();
    let length = image.len() as u64 / 1024;
    for limit in [2 * length, 3 * length, 4 * length] {
        let ran = limited(limit, &["check", "-r"], &file);
        assert_eq!((ran.status, ran.err), (Some(1), no_memory_for(&file)), "{limit} kB");
        assert!(fs::read(&file).unwrap() == image, "{limit} kB: changed");
        assert_eq!(fs::read_dir(dir.path("")).unwrap().count(), 1, "{limit} kB: a copy is left");
    }
    let ran = limited(7 * length + OWN / 1024, &["check", "-r"], &file);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
}
