//! The sandbox on Linux: Landlock (`landlock`) for paths and ports, then seccomp (`seccomp`, `calls`) for
//! system calls. They come as close to OpenBSD's promises as possible.
//!
//! # What is weaker than on OpenBSD
//! * Everything that a process executes inherits both, and also `no_new_privs`: setuid programs run without
//!   their user. A process that starts programs must leave them everything that they need, so it loses only
//!   what none of them ever does (`calls::FORBIDDEN`), and signals to other processes if it never needs
//!   them.
//! * Landlock binds rules to inodes. A file that replaces another is not accessible; a process that must
//!   follow it has to be restarted.
//! * seccomp does not see memory behind pointers: any process can stat(2) paths, and a process with
//!   Internet sockets can send messages with addresses or descriptors. chroot(2) solves the first problem.
//!
//! A kernel without one of the two is not an error; [`Strength`] tells the caller.
#![forbid(unsafe_code)]

mod calls;
mod landlock;
mod seccomp;

use super::{Error, Rights, Strength};

/// How complete one of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    Whole,
    /// That of an older kernel.
    Part,
    Missing,
}

pub fn enter(rights: &Rights) -> Result<Strength, Error> {
    // seccomp comes last, since it refuses the calls for Landlock.
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
