//! The locks of Linux: Landlock (`landlock`) for what has a path or a port, then seccomp (`seccomp`,
//! `calls`) for system calls. They come as near to OpenBSD's promises as they can.
//!
//! # What is weaker than on OpenBSD
//! * Both locks pass on to all that a process executes, for ever, and with them `no_new_privs`: setuid
//!   programs run without their user. Who starts other programs has to leave them all that they need, so
//!   it is only kept from what none of them ever does (`calls::FORBIDDEN`), and from signals to others
//!   where it has no business with them.
//! * Landlock binds rules to inodes. A file that is put in the place of another is out of reach: whoever
//!   must follow it has to be started afresh.
//! * seccomp cannot see what a pointer points at: stat(2) of a path is possible to all, and a message
//!   with an address or a descriptor to whoever has sockets of the Internet. chroot(2) takes care of the
//!   first.
//!
//! A kernel without one of the two is no error; the caller learns of it by [`Strength`].
#![forbid(unsafe_code)]

mod calls;
mod landlock;
mod seccomp;

use super::{Error, Rights, Strength};

/// How much of one lock there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    Whole,
    /// An older kernel's.
    Part,
    Missing,
}

pub fn enter(rights: &Rights) -> Result<Strength, Error> {
    // seccomp is the last, since it refuses what would lock.
    let files = landlock::restrict(&rights.landlock)?;
    let calls = seccomp::restrict(rights.calls)?;
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
