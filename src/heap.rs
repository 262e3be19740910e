//! The C library's heap, asked to give back to the system what is free.
//!
//! A scan of a large database needs a hundred megabytes for a moment, and the daemon then sleeps for minutes:
//! [`keep_little`] is called when a process begins, [`give_back`] when it is about to sleep after work.
//! Only glibc keeps what was freed, and needs to be told; its calls are why there is `unsafe` here.
#![allow(unsafe_code)]

/// From now on large pieces are the system's own mappings, gone when they are freed: glibc begins like that
/// and then learns to keep ever larger ones. Threads share one heap: what [`give_back`] gives back of the
/// others has holes.
pub fn keep_little() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::libc::{M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, mallopt};
        // 128 KiB is what glibc begins with.
        let wanted =
            [(M_MMAP_THRESHOLD, 128 << 10), (M_TRIM_THRESHOLD, 128 << 10), (M_ARENA_MAX, 1)];
        for (option, value) in wanted {
            // SAFETY: two numbers go in; it may be called at any time.
            unsafe { mallopt(option, value) };
        }
    }
}

/// Gives back all pages on which nothing is left.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: a number goes in; it may be called at any time, from any thread.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
