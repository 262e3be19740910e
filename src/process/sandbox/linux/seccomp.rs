//! seccomp: turns a list of system calls into a kernel filter.
//!
//! In: [`Calls`]. The process loses all system calls except those that `calls` lists for them. A refused
//! call fails with EPERM instead of killing the process, since a new version of libc may use other calls.
//! Only `super::enter` calls this.
#![forbid(unsafe_code)]

use super::super::{Calls, Error};
use super::Lock;
use super::calls::{self, Check, List};
use libc::{
    BPF_ABS, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, EINVAL, ENOSYS, EPERM,
    SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SYS_clone3,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, sock_filter,
};
use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::io;

/// Takes away the system calls that this process does not need.
pub fn restrict(wanted: Calls) -> Result<Lock, Error> {
    let filters = match calls::of(wanted) {
        // The second filter allows clone3, so that the first decides.
        List::Only(list) => {
            vec![clone3(), filter(list, EPERM, Listed::Allowed)]
        }
        List::AllBut(list) => vec![clone3(), filter(list, EPERM, Listed::Refused)],
    };
    for filter in [Ok(x32())].into_iter().chain(filters) {
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

/// A filter cannot see the flags of clone3(2). If it does not exist, libcs call clone(2).
fn clone3() -> Result<BpfProgram, BackendError> {
    filter(vec![(SYS_clone3, vec![])], ENOSYS, Listed::Refused)
}

/// Refuses the x32 calls of x86-64 (`__X32_SYSCALL_BIT` in its asm/unistd.h): each is one of the usual
/// calls under another number, which is not in a list of forbidden calls. No other system has calls with
/// these numbers.
fn x32() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    #[allow(clippy::cast_possible_truncation)] // `code` has 16 bits (linux/filter.h).
    let statement = |code: u32, k| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let refuse = SECCOMP_RET_ERRNO | EPERM.unsigned_abs();
    vec![
        // `struct seccomp_data` begins with the number.
        statement(BPF_LD | BPF_W | BPF_ABS, 0),
        sock_filter { jf: 1, ..statement(BPF_JMP | BPF_JGE | BPF_K, X32) },
        statement(BPF_RET | BPF_K, refuse),
        statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    ]
}

fn failure(error: io::Error) -> Error {
    Error::Lock { what: "seccomp", error }
}

/// Whether the kernel has no filters: seccomp(2) did not exist before Linux 3.17, and fails with EINVAL
/// without CONFIG_SECCOMP_FILTER.
fn is_missing(error: &seccompiler::Error) -> bool {
    matches!(error, seccompiler::Error::Seccomp(error)
        if matches!(error.raw_os_error(), Some(ENOSYS | EINVAL)))
}

/// What a filter does with the calls in its list; it does the opposite with all others.
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
    // Any of several rules is enough.
    for (call, checks) in checked {
        rules.entry(call).or_default().push(rule(&checks)?);
    }
    // A call without rules matches with any arguments.
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
