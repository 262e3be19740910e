//! The locks of Linux: Landlock (`landlock`) for what has a path or a port, then seccomp (`seccomp`,
//! `calls`) for system calls. They come as near to OpenBSD's promises as they can.
//!
//! # What is weaker than on OpenBSD
//! * Both locks pass on to all that a process executes, for ever, and with them `no_new_privs`: setuid
//!   programs run without their user. A checker is somebody's script that opens files and asks
//!   directories, and the parent starts the other roles, which need all that theirs needs. So these two
//!   are only kept from what none of them ever does (`calls::FORBIDDEN`), and the checker from signals
//!   to others.
//! * Landlock binds rules to inodes. The database may be replaced, so it is its directory that the store
//!   may read and write in: every file there that the user _spamd may, but it makes and removes none.
//! * seccomp cannot see what a pointer points at: stat(2) of a path is possible to all, and a message
//!   with an address or a descriptor to the resolver. chroot(2) takes care of the first.
//!
//! A kernel without one of the two is no error; the caller learns of it by [`Strength`].
#![forbid(unsafe_code)]

mod calls;
mod landlock;
mod seccomp;

use super::{Error, Role, Strength};

/// How much of one lock there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    Whole,
    /// An older kernel's.
    Part,
    Missing,
}

pub fn enter(role: &Role<'_>) -> Result<Strength, Error> {
    // seccomp is the last, since it refuses what would lock.
    let files = landlock::restrict(role)?;
    let calls = seccomp::restrict(role)?;
    Ok(strength(files, calls))
}

fn strength(files: Lock, calls: Lock) -> Strength {
    match (files, calls) {
        (Lock::Whole, Lock::Whole) => Strength::Full,
        (Lock::Missing, Lock::Missing) => Strength::None,
        (_, Lock::Part | Lock::Missing) => Strength::Partial("no seccomp in this kernel"),
        (Lock::Part, _) => Strength::Partial("Landlock of this kernel is older than Linux 6.12's"),
        (Lock::Missing, _) => Strength::Partial("no Landlock in this kernel"),
    }
}

pub fn title(_: &str) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let rows = [
            (Lock::Whole, Lock::Whole, Strength::Full),
            (
                Lock::Part,
                Lock::Whole,
                Strength::Partial("Landlock of this kernel is older than Linux 6.12's"),
            ),
            (Lock::Missing, Lock::Whole, Strength::Partial("no Landlock in this kernel")),
            (Lock::Whole, Lock::Missing, Strength::Partial("no seccomp in this kernel")),
            (Lock::Part, Lock::Missing, Strength::Partial("no seccomp in this kernel")),
            (Lock::Missing, Lock::Missing, Strength::None),
        ];
        for (files, calls, expected) in rows {
            assert_eq!(strength(files, calls), expected);
        }
    }
}
