//! What a database may be instead of a database, and locks that others hold.

use crate::support::cmd::{Cmd, Dir, ctl, data};
use crate::support::patience::stretched;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Each command that opens a file.
fn commands(file: &Path) -> [Cmd; 4] {
    let file = file.as_os_str();
    let [list, check, on, trap, release, address] =
        ["list", "check", "-F", "trap", "release", "192.0.2.1"].map(OsStr::new);
    [
        ctl([list, file]),
        ctl([check, file]),
        ctl([on, file, trap, address]),
        ctl([on, file, release, address]),
    ]
}

fn all_say(file: &Path, what: &str) {
    for command in commands(file) {
        let start = Instant::now();
        assert_eq!(command.fails(), format!("greytrapctl: {}: {what}\n", file.display()));
        assert!(start.elapsed() < stretched(Duration::from_secs(2)));
    }
}

#[test]
fn what_is_no_database() {
    let dir = Dir::new();
    let text = dir.path("text");
    for contents in ["x", "xxxx", &"GREY|192.0.2.1|helo|<a@b>|<c@d>|1|2|3|4|0\n".repeat(100)] {
        fs::write(&text, contents).unwrap();
        all_say(&text, "not a spamd database (neither hash nor btree)");
        assert_eq!(fs::read_to_string(&text).unwrap(), contents);
    }
}

#[test]
fn what_is_no_file() {
    let dir = Dir::new();
    all_say(dir.path("x").parent().unwrap(), "is a directory");
    let fifo = dir.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    all_say(&fifo, "is a fifo");
    all_say(Path::new("/dev/null"), "is a device");
}

#[test]
fn what_does_not_exist() {
    let dir = Dir::new();
    all_say(&dir.path("no/file"), "No such file or directory");
    let missing = dir.path("missing");
    let [list, check, _, release] = commands(&missing);
    for command in [list, check, release] {
        let expected = format!("greytrapctl: {}: No such file or directory\n", missing.display());
        assert_eq!(command.fails(), expected);
    }
    assert!(!missing.exists());
}

/// Root may read everything, so its children become nobody, by a copy that nobody can get at.
#[test]
fn what_may_not_be_opened() {
    const NOBODY: u32 = 65534;
    let dir = Dir::new();
    let file = dir.copy(&data("hash/kinds.db"));
    fs::set_permissions(file.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    let is_root = File::open(&file).is_ok();
    let copy = dir.path("greytrapctl");
    fs::copy(env!("CARGO_BIN_EXE_greytrapctl"), &copy).unwrap();
    for mut command in commands(&file) {
        if is_root {
            let arguments: Vec<_> = command.0.get_args().map(OsStr::to_owned).collect();
            command.0 = Command::new(&copy);
            command.0.args(arguments).uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
        }
        let expected = format!("greytrapctl: {}: Permission denied\n", file.display());
        assert_eq!(command.fails(), expected);
    }
}

#[test]
fn a_lock_that_another_holds_is_waited_for_and_the_user_is_told() {
    let dir = Dir::new();
    let file = dir.copy(&data("hash/kinds.db"));
    let other = File::open(&file).unwrap();
    other.lock().unwrap();
    let runs = commands(&file).map(|command| thread::spawn(|| command.run()));
    thread::sleep(stretched(Duration::from_millis(1300)));
    assert!(runs.iter().all(|run| !run.is_finished()));
    other.unlock().unwrap();
    let waiting = format!("greytrapctl: {}: waiting for the lock\n", file.display());
    for run in runs.map(|run| run.join().unwrap()) {
        assert!(run.err.starts_with(&waiting), "{run:?}");
    }
}

#[test]
fn readers_share_the_lock() {
    let dir = Dir::new();
    let file = dir.copy(&data("hash/kinds.db"));
    let other = File::open(&file).unwrap();
    other.lock_shared().unwrap();
    let expected = fs::read(data("hash/kinds.txt")).unwrap();
    assert_eq!(ctl([OsStr::new("list"), file.as_os_str()]).succeeds(), expected);
}
