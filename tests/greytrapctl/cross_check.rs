//! `check -x`: libc's walk as a second opinion, where there is dbopen(3).

use crate::support::cmd::{Ran, ctl, data};
use std::ffi::OsStr;
use std::path::Path;

fn check(file: &Path) -> Ran {
    ctl(["check", "-x"].map(OsStr::new).into_iter().chain([file.as_os_str()])).run()
}

#[cfg(not(libc_db))]
#[test]
fn without_dbopen_there_is_nothing_to_compare_with() {
    for file in ["hash/kinds.db", "no such file"] {
        let ran = check(&data(file));
        assert_eq!((ran.status, ran.out.len()), (Some(1), 0));
        assert_eq!(ran.err, "greytrapctl: check -x: dbopen(3) is not available\n");
    }
}

#[cfg(libc_db)]
mod with_libc {
    use super::{check, ctl, data};
    use crate::support::cmd::{Dir, databases};
    use std::fs;

    const KNOWN: &str = "is skipped by libc's walk: a known bug after pairs too large for a page";

    /// OpenBSD's listing of `hash/overflow.db` is the one that lacks a record of ours; other descendants of
    /// its walk have it.
    #[test]
    fn both_walks_have_the_same_records_but_for_the_known_one() {
        for file in ["hash", "btree", "listing"].into_iter().flat_map(databases) {
            let ran = check(&file);
            assert_eq!((ran.status, ran.out.len()), (Some(0), 0), "{file:?}: {ran:?}");
            let known = usize::from(file.ends_with("hash/overflow.db"));
            assert!(ran.err.lines().count() <= known, "{file:?}: {ran:?}");
            assert!(ran.err.lines().all(|line| line.ends_with(KNOWN)), "{}", ran.err);
        }
    }

    /// libc would not survive many of them.
    #[test]
    fn damaged_files_are_not_compared_unless_they_are_sound() {
        let mut compared = 0;
        for file in ["damaged/hash", "damaged/btree"].into_iter().flat_map(databases) {
            let ran = check(&file);
            let sound = ctl(["check".as_ref(), file.as_os_str()]).run().status == Some(0);
            assert_eq!(ran.status, Some(if sound { 0 } else { 1 }), "{file:?}: {ran:?}");
            // What is no database at all is told otherwise.
            let compares = sound || ran.out.is_empty();
            assert!(compares || ran.err.contains(": not compared: "), "{file:?}: {ran:?}");
            compared += usize::from(sound);
        }
        assert!(compared > 0);
    }

    #[test]
    fn the_lock_is_shared_and_an_empty_file_is_no_fault() {
        let dir = Dir::new();
        let file = dir.copy(&data("hash/kinds.db"));
        let other = fs::File::open(&file).unwrap();
        other.lock_shared().unwrap();
        assert_eq!(check(&file).status, Some(0));
        fs::write(&file, b"").unwrap();
        let ran = check(&file);
        assert_eq!((ran.status, ran.out.len(), ran.err.as_str()), (Some(0), 0, ""));
    }
}
