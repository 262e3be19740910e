//! The Linux system calls that a process may make: promises in terms of this kernel.
//!
//! In: [`Calls`]. Out: a list, which `seccomp` turns into a filter. `STDIO` and the lists after it contain
//! those calls under the same promise in OpenBSD's kern_pledge.c that the standard library, mio and two
//! libcs (glibc and musl) use; arguments are checked where OpenBSD checks them. Calls that open files, send
//! signals or execute programs are only in the groups that say so.
#![forbid(unsafe_code)]

use super::super::{Calls, Group};
use libc::{c_int, c_long};

/// System calls by number.
pub enum List {
    /// These and no others.
    Only(Vec<(c_long, Vec<Check>)>),
    /// All but these.
    AllBut(Vec<(c_long, Vec<Check>)>),
}

/// A condition on one argument, counted from 0.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// It is this 32-bit number.
    Is(u8, u32),
    /// Its low 32 bits, under the mask, have this value.
    Bits { argument: u8, mask: u32, value: u32 },
    /// It is a null pointer.
    Null(u8),
}

use Check::{Is, Null};

/// The list for `calls`.
pub fn of(calls: Calls) -> List {
    let Calls::Only(groups) = calls else {
        return List::AllBut([free(FORBIDDEN), namespaces()].concat());
    };
    let mut list = [free(STDIO), free(OLD), stdio_checked()].concat();
    for group in groups {
        list.extend(match group {
            Group::Files => files(),
            Group::MakingFiles => making_files(),
            Group::Accept => free(&[libc::SYS_accept, libc::SYS_accept4]),
            Group::Internet => internet(),
        });
    }
    List::Only(list)
}

fn free(calls: &[c_long]) -> Vec<(c_long, Vec<Check>)> {
    calls.iter().map(|&call| (call, vec![])).collect()
}

/// A flag or command of a header as the kernel sees it.
const fn bits(flags: c_int) -> u32 {
    flags.cast_unsigned()
}

/// Calls whose arguments need not be checked.
#[rustfmt::skip]
const STDIO: &[c_long] = &[
    // Existing descriptors.
    libc::SYS_read, libc::SYS_readv, libc::SYS_pread64, libc::SYS_preadv,
    libc::SYS_write, libc::SYS_writev, libc::SYS_pwrite64, libc::SYS_pwritev,
    libc::SYS_lseek, libc::SYS_fstat, libc::SYS_ftruncate, libc::SYS_fsync, libc::SYS_fdatasync,
    libc::SYS_close, libc::SYS_close_range, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2,
    // Existing sockets.
    libc::SYS_recvfrom, libc::SYS_recvmsg, libc::SYS_shutdown,
    libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_getsockname, libc::SYS_getpeername,
    // Waiting.
    libc::SYS_ppoll, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    // Memory.
    libc::SYS_brk, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_msync,
    libc::SYS_membarrier,
    // Threads; `seccomp` explains clone3.
    libc::SYS_clone3, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_futex, libc::SYS_gettid,
    libc::SYS_set_tid_address, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity, libc::SYS_getcpu,
    // Signals to the process itself.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    // Time.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep, libc::SYS_gettimeofday,
    // Identity.
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
    libc::SYS_getegid, libc::SYS_getrandom, libc::SYS_sysinfo, libc::SYS_uname,
];

/// Older x86-64 calls that libcs still use.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD: &[c_long] = &[
    libc::SYS_dup2, libc::SYS_pipe, libc::SYS_poll, libc::SYS_epoll_wait, libc::SYS_getrlimit,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[];

/// Calls that are promised only with some arguments.
fn stdio_checked() -> Vec<(c_long, Vec<Check>)> {
    let own = std::process::id();
    let not_executable = |call| (call, vec![without(2, libc::PROT_EXEC)]);
    let mut list = vec![
        not_executable(libc::SYS_mmap),
        not_executable(libc::SYS_mprotect),
        // A thread, not a process.
        (libc::SYS_clone, vec![with(0, libc::CLONE_THREAD)]),
        (libc::SYS_kill, vec![Is(0, own)]),
        (libc::SYS_tgkill, vec![Is(0, own)]),
        // raise(3) and abort(3) in musl, in the first thread.
        (libc::SYS_tkill, vec![Is(0, own)]),
        // Reading limits, not changing them.
        (libc::SYS_prlimit64, vec![Is(0, 0), Null(2)]),
        (libc::SYS_prlimit64, vec![Is(0, own), Null(2)]),
        // fstat(2) in newer libcs.
        (libc::SYS_newfstatat, vec![with(3, libc::AT_EMPTY_PATH)]),
        (libc::SYS_statx, vec![with(2, libc::AT_EMPTY_PATH)]),
        // A datagram socket could be connected to any listener.
        (libc::SYS_socketpair, vec![Is(0, bits(libc::AF_UNIX)), socket_type(libc::SOCK_STREAM)]),
        // send(2), without an address.
        (libc::SYS_sendto, vec![Null(4)]),
    ];
    list.extend(FCNTL.iter().map(|&command| (libc::SYS_fcntl, vec![Is(1, bits(command))])));
    list.extend(IOCTL.iter().map(|&request| (libc::SYS_ioctl, vec![Is(1, request)])));
    list.extend(PRCTL.iter().map(|&option| (libc::SYS_prctl, vec![Is(0, bits(option))])));
    list
}

/// Without F_SETOWN, which sends signals.
const FCNTL: &[c_int] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
];

/// TCGETS is isatty(3).
#[allow(clippy::cast_possible_truncation)] // Requests have 32 bits; musl's constants are signed.
const IOCTL: &[u32] = &[
    libc::FIONBIO as u32,
    libc::FIONREAD as u32,
    libc::FIOCLEX as u32,
    libc::FIONCLEX as u32,
    libc::TCGETS as u32,
];

/// Names of threads, and of the allocator's mappings.
const PRCTL: &[c_int] = &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA];

/// See [`Group::Files`].
fn files() -> Vec<(c_long, Vec<Check>)> {
    // O_TMPFILE is a separate bit together with O_DIRECTORY.
    let creating = libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    let mut list =
        free(&[libc::SYS_flock, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_fstatfs]);
    list.push((libc::SYS_openat, vec![without(2, creating)]));
    #[cfg(target_arch = "x86_64")]
    list.extend([
        (libc::SYS_open, vec![without(1, creating)]),
        (libc::SYS_stat, vec![]),
        (libc::SYS_lstat, vec![]),
    ]);
    list
}

/// See [`Group::MakingFiles`]. Files without a name are not made.
fn making_files() -> Vec<(c_long, Vec<Check>)> {
    let nameless = libc::O_TMPFILE & !libc::O_DIRECTORY;
    let mut list = free(&[
        libc::SYS_flock,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_renameat,
        libc::SYS_renameat2,
    ]);
    list.push((libc::SYS_openat, vec![without(2, nameless)]));
    #[cfg(target_arch = "x86_64")]
    list.extend([
        (libc::SYS_open, vec![without(1, nameless)]),
        (libc::SYS_stat, vec![]),
        (libc::SYS_lstat, vec![]),
        (libc::SYS_rename, vec![]),
    ]);
    list
}

/// See [`Group::Internet`].
fn internet() -> Vec<(c_long, Vec<Check>)> {
    let mut list =
        free(&[libc::SYS_connect, libc::SYS_sendmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg]);
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_DGRAM, libc::SOCK_STREAM] {
            list.push((libc::SYS_socket, vec![Is(0, bits(family)), socket_type(kind)]));
        }
    }
    list
}

/// The argument has all these bits.
const fn with(argument: u8, flags: c_int) -> Check {
    Check::Bits { argument, mask: bits(flags), value: bits(flags) }
}

/// The argument has none of these bits.
const fn without(argument: u8, flags: c_int) -> Check {
    Check::Bits { argument, mask: bits(flags), value: 0 }
}

/// The second argument is this kind of socket, with any flags.
const fn socket_type(kind: c_int) -> Check {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    Check::Bits { argument: 1, mask: !bits(flags), value: bits(kind) }
}

/// clone(2) into new namespaces, like unshare(2).
fn namespaces() -> Vec<(c_long, Vec<Check>)> {
    let flags = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    flags.map(|flag| (libc::SYS_clone, vec![with(0, flag)])).into()
}

/// Calls that neither the daemon nor a checker ever makes: for inspecting other processes, for changing the
/// kernel, mounts, namespaces, the clock or the machine, and calls in which many holes have been found.
#[rustfmt::skip]
const FORBIDDEN: &[c_long] = &[
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd,
    libc::SYS_kcmp, libc::SYS_perf_event_open,
    libc::SYS_bpf, libc::SYS_userfaultfd, libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
    libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_reboot,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_move_mount,
    libc::SYS_mount_setattr, libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig,
    libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_setns, libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_acct, libc::SYS_quotactl,
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_adjtimex, libc::SYS_clock_adjtime,
    libc::SYS_sethostname, libc::SYS_setdomainname, libc::SYS_vhangup,
];
