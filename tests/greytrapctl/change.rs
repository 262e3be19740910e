//! `trap` and `release` on files, compared with the real spamdb.

use crate::support::cmd::{Cmd, Dir, contents, ctl, data, listing, sorted};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

const NOW: &str = "1795420010";

fn change(file: &Path, arguments: &[&str]) -> Cmd {
    let mut command = ctl(["-t", NOW, "-F"]);
    command.0.arg(file).args(arguments);
    command
}

/// The addresses that a golden difference says are trapped.
fn trapped(difference: &str) -> Vec<&str> {
    difference
        .lines()
        .filter_map(|line| line.strip_prefix("+TRAPPED|")?.split('|').next())
        .collect()
}

/// The golden operations: the same records in the same order as the real spamdb leaves, in both
/// formats.
#[test]
fn traps_are_what_spamdb_writes() {
    for format in ["hash", "btree"] {
        for operation in ["trap-new", "trap-white", "trap-again", "trap-400"] {
            let base = data(&format!("ops/{format}"));
            let difference = fs::read_to_string(base.join(format!("{operation}.diff"))).unwrap();
            let mut addresses = trapped(&difference);
            // The order in which spamdb was given them.
            addresses.sort_by_key(|address| address.parse::<Ipv4Addr>().unwrap());
            assert_eq!(addresses.len(), if operation == "trap-400" { 400 } else { 1 });
            let dir = Dir::new();
            let file = dir.copy(&base.join("before.db"));
            let force = ["trap", "-f"];
            let words = if operation == "trap-white" { &force[..] } else { &force[..1] };
            change(&file, &[words, &addresses].concat()).succeeds();
            let expected = listing(&base.join(format!("{operation}.after.db")));
            assert!(listing(&file) == expected, "{format} {operation}");
            assert_eq!(ctl(["check".as_ref(), file.as_os_str()]).succeeds(), b"");
        }
    }
}

#[test]
fn a_white_host_stays_white_unless_one_insists() {
    for format in ["hash", "btree"] {
        let base = data(&format!("ops/{format}"));
        let difference = fs::read_to_string(base.join("trap-white.diff")).unwrap();
        let [address] = trapped(&difference)[..] else { panic!("{difference}") };
        let dir = Dir::new();
        let file = dir.copy(&base.join("before.db"));
        let before = contents(&file);
        let said = change(&file, &["trap", address]).fails();
        let shown = file.display();
        let expected = format!("greytrapctl: {shown}: {address}: whitelisted, not trapped\n");
        assert_eq!(said, expected);
        assert_eq!(contents(&file), before);
        // The others are trapped all the same.
        change(&file, &["trap", address, "192.0.2.1"]).fails();
        assert_eq!(contents(&file).len(), before.len() + 1);
    }
}

/// The number of keys that the header of a hash has (`nkeys` of hash.h).
fn counted(file: &Path) -> usize {
    let image = fs::read(file).unwrap();
    u32::from_be_bytes(image[56..60].try_into().unwrap()) as usize
}

/// A full disk leaves the file as it was, however often it is tried, and completed changes are reported.
#[test]
fn a_disk_that_stays_full_leaks_nothing_and_what_was_done_is_told() {
    let dir = Dir::new();
    let file = dir.path("spamd");
    let addresses: Vec<_> = (0..200).map(|i| format!("10.0.0.{i}")).collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    change(&file, &[&["trap"], &addresses[..]].concat()).succeeds();
    let before = fs::read(&file).unwrap();
    let limit = (before.len() + 4096) / 512;
    let more: Vec<_> = (0..3000).map(|i| format!("11.0.{}.{}", i / 250, i % 250)).collect();
    for _ in 0..5 {
        let known = contents(&file).len();
        let mut command = Cmd(std::process::Command::new("sh"));
        // A file that may not grow beyond this is like a full disk.
        let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
        command.0.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_greytrapctl"), "-v", "-F"]);
        command.0.arg(&file).arg("trap").args(&more);
        let ran = command.run();
        assert_ne!(ran.status, Some(0));
        assert!(ran.err.contains("File too large"), "{}", ran.err);
        let told = ran.out.split(|byte| *byte == b'\n').filter(|line| line.ends_with(b": trapped"));
        assert_eq!(contents(&file).len(), known + told.count());
        assert_eq!(counted(&file), contents(&file).len());
        assert_eq!(ctl(["check".as_ref(), file.as_os_str()]).succeeds(), b"");
    }
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    change(&file, &[&["trap"], &more[..]].concat()).succeeds();
    assert_eq!((counted(&file), contents(&file).len()), (3200, 3200));
}

/// spamd, which is not root, must be able to write it.
#[test]
#[ignore = "needs root"]
fn a_database_that_root_makes_is_spamds() {
    use std::os::unix::fs::{MetadataExt, chown};
    const NOBODY: u32 = 65534;
    let dir = Dir::new();
    let place = dir.path("db");
    fs::create_dir(&place).unwrap();
    chown(&place, Some(NOBODY), Some(NOBODY)).unwrap();
    let file = place.join("spamd");
    change(&file, &["trap", "192.0.2.1"]).succeeds();
    let spamd = nix::unistd::User::from_name("_spamd").unwrap();
    let owner = spamd.map_or(NOBODY, |spamd| spamd.uid.as_raw());
    assert_eq!(fs::metadata(&file).unwrap().uid(), owner);
    assert_eq!(contents(&file).len(), 1);
}

#[test]
fn release_undoes_a_trap_and_nothing_else() {
    for format in ["hash", "btree"] {
        let dir = Dir::new();
        let file = dir.copy(&data(&format!("ops/{format}/before.db")));
        let before = contents(&file);
        let addresses: Vec<_> = (0..400).map(|i| format!("10.0.{}.{}", i / 200, i % 200)).collect();
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        change(&file, &[&["trap"], &addresses[..]].concat()).succeeds();
        assert_eq!(contents(&file).len(), before.len() + 400);
        change(&file, &[&["release"], &addresses[..]].concat()).succeeds();
        assert_eq!(contents(&file), before);
        assert_eq!(ctl(["check".as_ref(), file.as_os_str()]).succeeds(), b"");

        let white = fs::read_to_string(data(&format!("ops/{format}/trap-white.diff"))).unwrap();
        let [white] = trapped(&white)[..] else { panic!("{white}") };
        let said = change(&file, &["release", white, "10.0.0.1"]).fails();
        let shown = file.display();
        assert_eq!(
            said,
            format!(
                "greytrapctl: {shown}: {white}: whitelisted, not trapped\n\
                 greytrapctl: {shown}: 10.0.0.1: not trapped\n"
            )
        );
        assert_eq!(contents(&file), before);
    }
}

#[test]
fn a_missing_or_empty_file_becomes_a_database() {
    for contents_before in [None, Some("")] {
        let dir = Dir::new();
        let file = dir.path("spamd");
        if let Some(contents) = contents_before {
            fs::write(&file, contents).unwrap();
        }
        change(&file, &["trap", "192.0.2.1", "2001:DB8::1"]).succeeds();
        let expected = b"TRAPPED|192.0.2.1|1795506410\nTRAPPED|2001:db8::1|1795506410\n";
        assert_eq!(contents(&file), sorted(expected));
        assert_eq!(ctl(["check".as_ref(), file.as_os_str()]).succeeds(), b"");
    }
}

#[test]
fn one_wrong_address_and_nothing_is_written() {
    let dir = Dir::new();
    let missing = dir.path("missing");
    let said = change(&missing, &["trap", "192.0.2.1", "192.0.2.256"]).fails();
    assert_eq!(said, "greytrapctl: invalid ip address \"192.0.2.256\"\n");
    assert!(!missing.exists());
    let file = dir.copy(&data("ops/hash/before.db"));
    let before = fs::read(&file).unwrap();
    for wrong in ["x", "", "127.1", "1.2.3.4/32", "fe80::1%lo0", "\u{202e}"] {
        for command in ["trap", "release"] {
            let said = change(&file, &[command, "192.0.2.1", wrong]).fails();
            assert!(said.starts_with("greytrapctl: invalid ip address \""), "{said}");
            assert!(said.is_ascii());
            assert!(fs::read(&file).unwrap() == before);
        }
    }
}

#[test]
fn verbose_and_json_tell_what_became_of_each_address() {
    let dir = Dir::new();
    let file = dir.path("spamd");
    change(&file, &["trap", "192.0.2.1"]).succeeds();
    let ran = change(&file, &["-v", "trap", "192.0.2.1", "192.0.2.202"]).run();
    assert_eq!(ran.out, b"192.0.2.1: trapped again\n192.0.2.202: trapped\n");
    // A machine that is slow enough writes each in a batch of its own.
    let timing = |batches| format!("greytrapctl: {}: {batches}, lock held ", file.display());
    let is_told = |batches| ran.err.starts_with(&timing(batches));
    assert!(is_told("1 batch") || is_told("2 batches"), "{}", ran.err);
    let ran = change(&file, &["-j", "release", "192.0.2.1", "192.0.2.3"]).run();
    assert_eq!(ran.status, Some(1));
    assert_eq!(
        String::from_utf8(ran.out).unwrap(),
        "{\"address\":\"192.0.2.1\",\"done\":true,\"text\":\"released\"}\n\
         {\"address\":\"192.0.2.3\",\"done\":false,\"text\":\"not trapped\"}\n"
    );
}

#[test]
fn the_file_stays_the_same_file() {
    use std::os::unix::fs::MetadataExt;
    let dir = Dir::new();
    let file = dir.copy(&data("ops/hash/before.db"));
    let before = fs::metadata(&file).unwrap();
    change(&file, &["trap", "192.0.2.1"]).succeeds();
    let after = fs::metadata(&file).unwrap();
    assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no other file is left");
}

fn listed(file: &Path) -> String {
    let mut command = ctl(["list"]);
    command.0.arg(file);
    String::from_utf8(command.succeeds()).unwrap()
}

/// An address was typed in a form that spamd does not write.
#[test]
fn an_address_is_the_same_in_every_spelling() {
    let dir = Dir::new();
    let file = dir.path("spamd");
    change(&file, &["trap", "2001:DB8:0::7", "::ffff:192.0.2.6"]).succeeds();
    let records = listed(&file);
    assert!(records.contains("TRAPPED|2001:db8::7|"), "{records}");
    assert!(records.contains("TRAPPED|192.0.2.6|"), "{records}");
    change(&file, &["release", "2001:db8:0:0:0:0:0:7", "::FFFF:c000:206"]).succeeds();
    assert_eq!(listed(&file), "");
}

#[test]
fn the_machines_own_addresses_are_trapped_only_by_force() {
    let dir = Dir::new();
    let file = dir.path("spamd");
    for own in ["127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
        let said = change(&file, &["trap", own]).fails();
        assert!(
            said.ends_with("an address of this machine, not trapped (-f traps it)\n"),
            "{said}"
        );
    }
    change(&file, &["trap", "-f", "127.0.0.1"]).succeeds();
}
