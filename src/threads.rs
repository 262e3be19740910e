//! Processes many items with two threads, which pays for a scan of a large database.
//!
//! In: items. Out: results in the same order, independent of which thread did what. `db` reads with it,
//! `scan` judges. If there is no second thread, the first does everything.
#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Calls `work` for each item; returns the results in the order of the items.
pub fn each<T: Send, U: Send>(
    items: impl IntoIterator<IntoIter: ExactSizeIterator<Item = T> + Send>,
    work: impl Fn(T) -> U + Sync,
) -> Vec<U> {
    let items = items.into_iter();
    if items.len() < 2 {
        return items.map(work).collect();
    }
    let queue = Mutex::new(items.enumerate());
    let draw = || {
        let next = || lock(&queue).next();
        let work = |(number, item)| (number, work(item));
        std::iter::from_fn(next).map(work).collect::<Vec<_>>()
    };
    let [mut results, others] = both(draw);
    results.extend(others);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Does the same work in two threads; returns both results.
pub fn both<T: Send>(work: impl Fn() -> T + Sync) -> [T; 2] {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, &work) {
        Ok(other) => {
            let one = work();
            [one, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))]
        }
        Err(_) => [work(), work()],
    })
}

/// Takes a lock, even if a thread has panicked while holding it: [`both`] does not return what that one
/// left.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, 2, 1000] {
            let squares = each(0..count, |n: i32| n * n);
            assert_eq!(squares, (0..count).map(|n| n * n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn two_items_are_worked_on_at_the_same_time() {
        let barrier = std::sync::Barrier::new(2);
        assert_eq!(each([1, 2], |n| (barrier.wait(), n).1), [1, 2]);
    }

    #[test]
    #[should_panic(expected = "two")]
    fn a_panic_is_passed_on() {
        each(0..100, |n| assert!(n != 2, "two"));
    }
}
