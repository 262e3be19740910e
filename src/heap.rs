//! Makes the C library return free memory to the system.
//!
//! A scan of a large database needs a hundred megabytes for a moment, and the daemon then sleeps for
//! minutes: [`keep_little`] is called when a process begins, [`give_back`] before it sleeps after work.
//! Only glibc keeps freed memory and must be told; its functions need `unsafe`.
#![allow(unsafe_code)]

/// Makes large allocations separate mappings, which are unmapped when they are freed: glibc begins like
/// that, but then keeps ever larger ones. Threads share one heap, since [`give_back`] cannot return other
/// heaps completely.
pub fn keep_little() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use libc::{M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, mallopt};
        // glibc begins with 128 KiB.
        let wanted =
            [(M_MMAP_THRESHOLD, 128 << 10), (M_TRIM_THRESHOLD, 128 << 10), (M_ARENA_MAX, 1)];
        for (option, value) in wanted {
            // SAFETY: two numbers go in; it may be called at any time.
            unsafe { mallopt(option, value) };
        }
    }
}

/// Returns all unused pages to the system.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: a number goes in; it may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
