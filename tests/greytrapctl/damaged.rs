//! Databases that are each damaged in one known way: every command ends soon, and none writes to them.

use crate::support::cmd::{Dir, Ran, ctl, data, databases};
use crate::support::patience::stretched;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(2);

fn run(command: &str, file: &Path) -> Ran {
    let ran = ctl([OsStr::new(command), file.as_os_str()]).run();
    assert!(ran.took < stretched(SOON), "{command} {}: {:?}", file.display(), ran.took);
    assert!(matches!(ran.status, Some(0 | 1)), "{command} {}: {ran:?}", file.display());
    for line in ran.err.lines() {
        assert!(line.starts_with("greytrapctl: "), "{command} {}: {line}", file.display());
    }
    ran
}

fn all() -> impl Iterator<Item = std::path::PathBuf> {
    ["damaged/hash", "damaged/btree"].into_iter().flat_map(databases)
}

#[test]
fn check_tells_every_fault_or_is_silent() {
    for file in all() {
        let ran = run("check", &file);
        let words = ran.out.len() + ran.err.len();
        assert_eq!(words == 0, ran.status == Some(0), "{}: {ran:?}", file.display());
    }
}

#[test]
fn list_prints_what_can_be_reached_and_says_what_cannot() {
    for file in all() {
        let ran = run("list", &file);
        if ran.status == Some(1) {
            assert!(!ran.err.is_empty(), "{}", file.display());
        }
        // Whoever finds a file sound must be able to list it, and the other way round it may be that
        // the fault is where no record is.
        if run("check", &file).status == Some(0) {
            assert_eq!(ran.status, Some(0), "{}: {}", file.display(), ran.err);
        }
    }
}

/// A scan judged by the records of such a file, and `list` said that it is damaged.
#[test]
fn what_a_killed_program_has_left_is_listed() {
    let files = ["leftover/hash", "leftover/btree"].into_iter().flat_map(databases);
    let mut count = 0;
    for file in files {
        let ran = run("list", &file);
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{}", file.display());
        let listing = String::from_utf8_lossy(&ran.out).into_owned();
        // The records that OpenBSD's own code finds in it (tests/data/leftover/README.md).
        let text = fs::read_to_string(file.with_extension("txt")).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("= ")) {
            let key = line.split('\t').next().unwrap().replace("\\n", "|");
            let listed = listing.lines().filter(|line| line.contains(&key)).count();
            assert!(listed > 0, "{}: {key}", file.display());
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn trap_leaves_every_byte_as_it_was_unless_the_file_is_sound() {
    for file in all() {
        let checked = run("check", &file);
        // What a full disk has cut is no damage.
        let told = String::from_utf8_lossy(&checked.out).into_owned();
        let mendable = told.lines().all(|line| line.ends_with("the next one will mend it"));
        let sound = checked.status == Some(0) || (mendable && !told.is_empty());
        let before = fs::read(&file).unwrap();
        let dir = Dir::new();
        let copy = dir.copy(&file);
        let ran =
            ctl([OsStr::new("-F"), copy.as_os_str(), OsStr::new("trap"), OsStr::new("192.0.2.77")])
                .run();
        assert!(ran.took < stretched(SOON), "{}", file.display());
        if sound && ran.status == Some(0) {
            let listing = run("list", &copy).out;
            let line = b"TRAPPED|192.0.2.77|";
            assert!(listing.windows(line.len()).any(|window| window == line), "{}", file.display());
            assert_eq!(run("check", &copy).status, Some(0), "{}", file.display());
        } else {
            assert_eq!(ran.status, Some(1), "{}: {ran:?}", file.display());
            let expected = format!("greytrapctl: {}: ", copy.display());
            assert!(ran.err.starts_with(&expected) && ran.err.lines().count() == 1, "{ran:?}");
            assert!(fs::read(&copy).unwrap() == before, "{} was written", file.display());
        }
    }
}

/// Obvious damage: `check` lists it, every other command reports it in one line.
#[test]
fn some_files_are_surely_damaged() {
    let rows = [
        ("hash/ovfl-self.db", "page 13: "),
        ("hash/n-huge.db", "page 19: "),
        ("hash/keyoff-out.db", "page 19: "),
        ("hash/version3.db", "page 0: invalid version in the header"),
        ("btree/child-loop.db", "page 1: chain of pages loops"),
        ("btree/sibling-self.db", "page 5: "),
        ("btree/psize-0.db", "page 0: invalid psize in the header"),
    ];
    for (name, fault) in rows {
        let file = data(&format!("damaged/{name}"));
        let expected = format!("{}: {fault}", file.display());
        let ran = run("check", &file);
        assert_eq!((ran.status, ran.err.as_str()), (Some(1), ""), "{name}");
        let out = String::from_utf8(ran.out).unwrap();
        assert!(out.starts_with(&expected), "{name}: {out}");

        let json = ctl([OsStr::new("-j"), OsStr::new("check"), file.as_os_str()]).run();
        assert_eq!(json.status, Some(1));
        let json = String::from_utf8(json.out).unwrap();
        assert_eq!(json.lines().count(), out.lines().count(), "{name}");
        for (object, line) in json.lines().zip(out.lines()) {
            let object: Value = serde_json::from_str(object).unwrap();
            let (page, fault) = (&object["page"], object["fault"].as_str().unwrap());
            assert_eq!(line, format!("{}: page {page}: {fault}", file.display()));
        }
    }
}
