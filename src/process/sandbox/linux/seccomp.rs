//! seccomp: a list of system calls made a filter of the kernel's.
//!
//! A [`Role`] comes in; its process loses all system calls but those of `calls`. A refused one is EPERM
//! and not death: what a libc does behind our back in its next version must not end a daemon. Called
//! by `super::enter` alone.
#![forbid(unsafe_code)]

use super::super::{Error, Role};
use super::Lock;
use super::calls::{self, Calls, Check};
use nix::libc::{EINVAL, ENOSYS, EPERM, SYS_clone3};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::io;

/// Takes from this process the system calls that `role` does not need.
pub fn restrict(role: &Role<'_>) -> Result<Lock, Error> {
    let filters = match calls::of(role) {
        // The second allows clone3, so that the first one's word on it counts.
        Calls::Only(list) => {
            vec![
                filter(vec![(SYS_clone3, vec![])], ENOSYS, Listed::Refused),
                filter(list, EPERM, Listed::Allowed),
            ]
        }
        Calls::AllBut(list) => vec![filter(list, EPERM, Listed::Refused)],
    };
    for filter in filters {
        let program = filter.map_err(|error| failure(io::Error::other(error)))?;
        match seccompiler::apply_filter_all_threads(&program) {
            Ok(()) => {}
            Err(error) if is_missing(&error) => return Ok(Lock::Missing),
            Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error)) => {
                return Err(failure(error));
            }
            Err(error) => return Err(failure(io::Error::other(error))),
        }
    }
    Ok(Lock::Whole)
}

fn failure(error: io::Error) -> Error {
    Error::Lock { what: "seccomp", error }
}

/// Whether the kernel says that it has no filters: seccomp(2) did not exist before Linux 3.17, and is
/// EINVAL where CONFIG_SECCOMP_FILTER is not set.
fn is_missing(error: &seccompiler::Error) -> bool {
    matches!(error, seccompiler::Error::Seccomp(error)
        if matches!(error.raw_os_error(), Some(ENOSYS | EINVAL)))
}

/// What a filter does with the calls of its list; the others get the contrary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    Allowed,
    Refused,
}

fn filter(
    list: Vec<(i64, Vec<Check>)>,
    error: i32,
    listed: Listed,
) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let (free, checked): (Vec<_>, Vec<_>) =
        list.into_iter().partition(|(_, checks)| checks.is_empty());
    // Any of several rules will do.
    for (call, checks) in checked {
        rules.entry(call).or_default().push(rule(&checks)?);
    }
    // A call without rules matches whatever its arguments.
    rules.extend(free.into_iter().map(|(call, _)| (call, Vec::new())));
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    let (matching, others) = match listed {
        Listed::Allowed => (SeccompAction::Allow, refuse),
        Listed::Refused => (refuse, SeccompAction::Allow),
    };
    SeccompFilter::new(rules, others, matching, ARCH.try_into()?)?.try_into()
}

fn rule(checks: &[Check]) -> Result<SeccompRule, BackendError> {
    let conditions = checks.iter().map(|check| {
        let (argument, length, operation, value) = match *check {
            Check::Is(argument, value) => {
                (argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
            }
            Check::Bits { argument, mask, value } => {
                let operation = SeccompCmpOp::MaskedEq(mask.into());
                (argument, SeccompCmpArgLen::Dword, operation, value)
            }
            Check::Null(argument) => (argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0),
        };
        SeccompCondition::new(argument, length, operation, value.into())
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
