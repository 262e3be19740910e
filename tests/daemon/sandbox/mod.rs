//! In its sandbox, each role tries what it must not do, and what it must be able to do.
//!
//! The test executable runs itself once for every role and deed: the copy prepares the deed, changes its
//! user, confines itself with [`sandbox::enter`], does the deed, and reports with its exit status. A deed
//! that must fail must first work without the sandbox, or else nothing is proven; this is printed,
//! bypassing the test harness, as `not proven`. If root runs the test, everything is tried as root and as
//! nobody.
//!
//! On Linux a forbidden deed is an error, on OpenBSD an error or death by SIGABRT. The same source runs on
//! both, and needs only sh(1) and cat(1) besides the executable.
#![allow(clippy::unwrap_used)]

mod deeds;
mod process;
mod scene;
mod table;
mod work;

use greytrapper::daemon::roles::{Process, Variant};
use greytrapper::process::sandbox;
use process::Outcome;
use scene::{Scene, User};
use std::io::Write;
use table::{DEEDS, May, ROLES, WORK};

/// The process that tries, when a test beside it has asked for that.
#[test]
#[ignore = "what the tests beside it start"]
fn a_process_tries() {
    process::act_if_asked();
}

#[test]
#[cfg_attr(
    not(any(target_os = "openbsd", target_os = "linux")),
    ignore = "this system has no locks"
)]
fn no_role_does_what_it_must_not() {
    let mut wrong = Vec::new();
    for scene in scenes() {
        let mut allowed = [const { Vec::new() }; ROLES.len()];
        for (deed, row) in DEEDS {
            let unlocked = scene.attempt(None, deed);
            if unlocked != Outcome::Done {
                not_proven(&format!("{deed}, as {}: without a lock: {unlocked:?}", scene.user));
                continue;
            }
            for ((role, may), allowed) in ROLES.iter().zip(May::of_row(row)).zip(&mut allowed) {
                let outcome = scene.attempt(Some(role), deed);
                match judge(may, &outcome) {
                    Judged::Right => {}
                    Judged::Allowed => allowed.push(*deed),
                    Judged::Wrong => {
                        wrong.push(format!("{role}, as {}: {deed}: {outcome:?}", scene.user));
                    }
                }
            }
        }
        for (role, deeds) in ROLES.iter().zip(allowed).filter(|(_, deeds)| !deeds.is_empty()) {
            let deeds = deeds.join(", ");
            not_proven(&format!(
                "{role}, as {}: the lock of this system allows: {deeds}",
                scene.user
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_role_does_its_work() {
    let mut wrong = Vec::new();
    for scene in User::all().into_iter().map(Scene::with_name_servers) {
        for (roles, work) in WORK {
            for role in ROLES.iter().filter(|role| roles.is_empty() || roles.contains(role)) {
                if let Some(why) = scene.lacks(work) {
                    not_proven(&format!("{role}: {work}: {why}"));
                    continue;
                }
                let outcome = scene.attempt(Some(role), work);
                if outcome != Outcome::Done {
                    wrong.push(format!("{role}, as {}: {work}: {outcome:?}", scene.user));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A process that aborts must die of SIGABRT, by which the parent reports it.
#[test]
fn abort_is_sigabrt_behind_every_lock() {
    for scene in scenes() {
        for role in ROLES {
            assert_eq!(scene.attempt(Some(role), "abort"), Outcome::Aborted, "{role}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn root_given_up_does_not_come_back() {
    let nobody = scenes().find(|scene| scene.user == User::Nobody).expect("root");
    assert_eq!(nobody.attempt(None, "be nobody for good"), Outcome::Done);
    let outcome = nobody.attempt(None, "see nothing behind chroot");
    assert_eq!(outcome, Outcome::Done);
}

/// A path that cannot be unveiled stops a role before it starts.
#[test]
#[cfg_attr(
    not(any(target_os = "openbsd", target_os = "linux")),
    ignore = "this system has no locks"
)]
fn a_database_whose_directory_is_missing_is_an_error() {
    let store = Process::Store.role(Variant::Usual);
    let error = sandbox::enter(&store.rights(|_| "/no/such/place/spamd".into()));
    let expected = if cfg!(target_os = "openbsd") {
        "/no/such/place/spamd: No such file or directory"
    } else {
        "/no/such/place: No such file or directory"
    };
    assert_eq!(error.unwrap_err().to_string(), expected);
}

/// One at a time.
fn scenes() -> impl Iterator<Item = Scene> {
    User::all().into_iter().map(Scene::new)
}

enum Judged {
    Right,
    /// It worked, since this system cannot forbid it.
    Allowed,
    Wrong,
}

fn judge(may: May, outcome: &Outcome) -> Judged {
    let worked = match outcome {
        Outcome::Done => true,
        Outcome::Refused(_) => false,
        Outcome::Aborted if cfg!(target_os = "openbsd") => false,
        _ => return Judged::Wrong,
    };
    match (may, worked) {
        (May::Never, true) | (May::Always, false) => Judged::Wrong,
        (May::Here, true) => Judged::Allowed,
        _ => Judged::Right,
    }
}

/// Says it past the harness, which keeps what a test prints.
pub fn not_proven(what: &str) {
    let _ = writeln!(std::io::stderr(), "not proven: {what}");
}
