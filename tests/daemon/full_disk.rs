//! The database on a full disk: the test's own file system, which Linux creates with a command.

use crate::database::failures;
use crate::support::daemon::{NO_DNS, Place};
use crate::support::process::until;
use crate::support::records::invalid_senders;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

/// A file system of its own, so small that the database has no room to grow.
struct Small<'a>(&'a Place);

impl Small<'_> {
    fn mount(place: &Place) -> Small<'_> {
        fs::create_dir(place.path("small")).unwrap();
        assert!(mount(["-t", "tmpfs", "-o", "size=64k,mode=0777", "tmpfs"], place));
        Small(place)
    }

    fn resize(&self, size: &str) {
        assert!(mount(["-o", &format!("remount,size={size}")], self.0));
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path("small")).status();
    }
}

fn mount<'a>(arguments: impl IntoIterator<Item = &'a str>, place: &Place) -> bool {
    let mut command = Command::new("mount");
    command.args(arguments.into_iter().map(OsStr::new)).arg(place.path("small"));
    command.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
#[ignore = "needs root, the daemon's users and mount(8)"]
fn on_a_full_disk() {
    let place = Place::of_root();
    let small = Small::mount(&place);
    let database = place.path("small/spamd");
    crate::support::records::enter(&database, &invalid_senders(300));
    place.give("small/spamd");
    // Room for half a dozen pages more.
    let length = fs::metadata(&database).unwrap().len();
    small.resize(&(length.next_multiple_of(4096) + 3 * 4096).to_string());
    let before =
        crate::support::daemon::greytrapctl([OsStr::new("list"), database.as_os_str()]).succeeded();
    let (socket, memory) = (place.socket(), place.memory());
    let text = format!(
        "database {database:?}\nsocket {socket:?}\nmemory {memory:?}\nscan every 1s\n{NO_DNS}"
    );
    place.write("conf", text, 0o644);
    let mut daemon = place.start();
    let full = format!("scan failed: {}: No space left on device", database.display());
    daemon.exact_line(&full);
    daemon.exact_line("Scan started");
    let check = || crate::support::daemon::greytrapctl([OsStr::new("check"), database.as_os_str()]);
    let list = || {
        crate::support::daemon::greytrapctl([OsStr::new("list"), database.as_os_str()]).succeeded()
    };
    let now = list();
    assert!(before.lines().all(|line| now.lines().any(|other| other == line)));
    small.resize("16m");
    until("all traps", || {
        list().lines().filter(|line| line.starts_with("TRAPPED|")).count() == 300
    });
    daemon.scan_done();
    assert_eq!(check().succeeded(), "");
    let now = list();
    assert!(before.lines().all(|line| now.lines().any(|other| other == line)));
    assert_eq!(failures(&daemon), [full]);
    drop(daemon.stop());
}
