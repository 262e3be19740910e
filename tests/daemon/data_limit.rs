//! A login class that allows too little memory: scans are refused, and nothing ends.

use crate::support::alone;
use crate::support::daemon::{NO_DNS, Place};
use crate::support::process;
use crate::support::records::invalid_senders;
use nix::sys::resource::{Resource, setrlimit};
use std::fs;

/// Enough for a small database.
const LIMIT: u64 = 60 << 20;

#[test]
fn a_database_that_is_too_large_is_told_and_the_daemon_lives() {
    if !alone::is_alone() {
        let test = "data_limit::a_database_that_is_too_large_is_told_and_the_daemon_lives";
        alone::run(test, &[], |_| ());
        return;
    }
    let place = Place::new();
    place.configure(&format!("{NO_DNS}scan every 1h\n"));
    place.enter(&invalid_senders(80_000));
    let length = fs::metadata(place.database()).unwrap().len();
    assert!(length > 6_000_000, "{length}");
    setrlimit(Resource::RLIMIT_DATA, LIMIT, LIMIT).unwrap();

    let mut check = place.greytrapper(["-n", "-f"]);
    let said = process::run(check.arg(place.path("conf"))).err;
    let told: Vec<_> = said.lines().filter(|line| line.contains("a scan needs ")).collect();
    assert_eq!(told.len(), 1, "{said}");
    assert!(told[0].ends_with("the limit is 63.0 MB (datasize of the login class)"), "{said}");

    let mut daemon = place.begin();
    daemon.line("a scan needs ");
    daemon.line("startup");
    let path = place.database().display().to_string();
    let failed = daemon.line("not enough memory");
    let begun = format!("scan failed: {path}: not enough memory for a database of ");
    assert!(failed.starts_with(&begun), "{failed}");
    assert!(failed.ends_with(" MB (datasize of the login class)"), "{failed}");
    let shown = daemon.says(&["show"]);
    assert!(shown.contains("not enough memory"), "{shown}");
    let refused = daemon.ctl(&["show", "hosts"]).failed();
    assert!(refused.contains("not enough memory"), "{refused}");

    fs::remove_file(place.database()).unwrap();
    place.enter(&invalid_senders(3));
    daemon.says(&["scan"]);
    daemon.scan_done();
    assert_eq!(place.trapped().len(), 3);
    assert_eq!(daemon.stop().status.code(), Some(0));
}
