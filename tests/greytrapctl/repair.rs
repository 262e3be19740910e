//! `check -r`: a file is repaired if it has pages of zeros, and otherwise is as it was.

use crate::support::cmd::{Dir, Ran, ctl, data, databases};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// OpenBSD's hash with a page of zeros.
fn hole() -> PathBuf {
    data("damaged/hash/page-zero.db")
}

fn repair(file: &Path) -> Ran {
    ctl([OsStr::new("check"), OsStr::new("-r"), file.as_os_str()]).run()
}

fn copy_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".before-repair");
    name.into()
}

fn require_untouched(file: &Path, before: &[u8]) {
    assert!(fs::read(file).unwrap() == before, "{}", file.display());
    assert!(!copy_of(file).exists(), "{}", file.display());
}

#[test]
fn a_file_with_a_hole_can_be_written_again() {
    let dir = Dir::new();
    let file = dir.copy(&hole());
    let before = fs::read(&file).unwrap();
    let name = file.display().to_string();
    let trap = || ctl(["-F", &name, "trap", "192.0.2.77"]).run();
    let refused = trap();
    let told = "page 19: a hole in the file; greytrapctl check -r may repair it";
    assert_eq!(refused.err, format!("greytrapctl: {name}: {told}\n"));
    // What a walk over the file finds, in any order.
    let list = || {
        let out = ctl(["list", &name]).run().out;
        let mut lines: Vec<_> = out.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    let listed = list();

    let ran = repair(&file);
    assert_eq!((ran.status, ran.out.len()), (Some(0), 0), "{}", ran.err);
    let kept = format!("greytrapctl: {name}: 1 page of zeros: ");
    assert!(ran.err.starts_with(&kept), "{}", ran.err);
    assert!(ran.err.contains(" records kept\n"), "{}", ran.err);
    assert!(fs::read(copy_of(&file)).unwrap() == before);
    let check = ctl(["check", &name]).run();
    assert_eq!((check.status, check.out.len(), check.err.as_str()), (Some(0), 0, ""));
    assert!(list() == listed);
    assert_eq!(trap().status, Some(0));
}

#[test]
fn a_sound_file_is_left_alone() {
    for from in ["hash", "btree", "leftover/hash", "leftover/btree"].into_iter().flat_map(databases)
    {
        let dir = Dir::new();
        let file = dir.copy(&from);
        let before = fs::read(&file).unwrap();
        let ran = repair(&file);
        let told = format!("greytrapctl: {}: sound, nothing to repair\n", file.display());
        assert_eq!((ran.status, ran.err), (Some(0), told), "{}", from.display());
        require_untouched(&file, &before);
    }
}

/// Neither is anything that is no database.
#[test]
fn other_damage_is_not_repaired() {
    let dir = Dir::new();
    let text = dir.path("text");
    fs::write(&text, "192.0.2.1\n".repeat(1000)).unwrap();
    let damaged = ["damaged/hash", "damaged/btree"].into_iter().flat_map(databases);
    for from in damaged.chain([text]).filter(|from| *from != hole()) {
        let sound = ctl([OsStr::new("check"), from.as_os_str()]).run().status == Some(0);
        let dir = Dir::new();
        let file = dir.copy(&from);
        let before = fs::read(&file).unwrap();
        let ran = repair(&file);
        assert_eq!(ran.status, Some(if sound { 0 } else { 1 }), "{}: {ran:?}", from.display());
        assert!(ran.err.starts_with("greytrapctl: ") && ran.err.lines().count() == 1, "{ran:?}");
        require_untouched(&file, &before);
    }
}

#[test]
fn an_older_copy_is_not_overwritten() {
    let dir = Dir::new();
    let file = dir.copy(&hole());
    let before = fs::read(&file).unwrap();
    let copy = copy_of(&file);
    fs::write(&copy, "precious").unwrap();
    let ran = repair(&file);
    let told = format!("greytrapctl: {}: File exists\n", copy.display());
    assert_eq!((ran.status, ran.err), (Some(1), told));
    assert!(fs::read(&file).unwrap() == before);
    assert_eq!(fs::read(&copy).unwrap(), b"precious");
}

#[test]
fn without_room_for_the_copy_nothing_is_changed() {
    let dir = Dir::new();
    let file = dir.copy(&hole());
    let before = fs::read(&file).unwrap();
    // Blocks of 512 or 1024 bytes, fewer than the file has; the signal would end the program.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let mut ran = ctl(["check", "-r"]);
    let program = ran.0.get_program().to_owned();
    ran.0 = std::process::Command::new("/bin/sh");
    ran.0.args(["-c", script, "sh"]).arg(program).args(["check", "-r"]).arg(&file);
    let ran = ran.run();
    let told = format!("greytrapctl: {}: File too large\n", copy_of(&file).display());
    assert_eq!((ran.status, ran.err), (Some(1), told));
    require_untouched(&file, &before);
}

#[test]
fn the_lock_of_another_program_is_waited_for() {
    let dir = Dir::new();
    let file = dir.copy(&hole());
    let lock = File::open(&file).unwrap();
    lock.lock().unwrap();
    let waiting = std::thread::spawn({
        let file = file.clone();
        move || repair(&file)
    });
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(!copy_of(&file).exists());
    drop(lock);
    let ran = waiting.join().unwrap();
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(ran.err.contains(": waiting for the lock\n"), "{}", ran.err);
}
