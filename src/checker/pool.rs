//! Runs a few programs at a time. In: recipients, each with a ticket. Out: tickets, each with a verdict.
//!
//! The checker process calls; its callback is called on the pool's threads. These exist only while there is
//! something to ask: an idle pool has no threads and causes no wakeups.

use super::run::{GRACE, Program, system};
use super::{Verdict, Why};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The number of programs that run at once: enough that a slow one does not delay others, but no burden on
/// the host or on the service that the program asks.
const WORKERS: usize = 4;

/// After so many timeouts in a row, two for each worker, the waiting recipients are given up: a directory
/// that is down must not delay the scan for each recipient.
const PATIENCE: usize = 2 * WORKERS;

/// Runs the program for each recipient that is submitted. Dropping the pool stops it.
pub struct Pool(Arc<Shared>);

impl Pool {
    /// A pool for `program`, an absolute path, which may take `timeout` for one address. `done` is called
    /// once for each ticket, as soon as there is a verdict. It must neither panic nor stop the pool.
    ///
    /// This opens /dev/null, so it must be called before the sandbox is entered; it fails if that fails.
    pub fn new(
        program: &Path,
        timeout: Duration,
        done: impl Fn(u64, Verdict) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            program: Program::new(program, timeout)?,
            done: Box::new(done),
            state: Mutex::default(),
            stopped: Condvar::new(),
        })))
    }

    /// Puts `address`, without angle brackets, at the end of the queue. After [`Pool::stop`] this does
    /// nothing.
    ///
    /// `done` is called on one of the pool's threads, or on this one if no thread can be created.
    pub fn submit(&self, ticket: u64, address: &[u8]) {
        if self.0.push(Job { ticket, address: address.into() }) {
            let shared = Arc::clone(&self.0);
            let thread = thread::Builder::new().name("checker".to_owned());
            if let Err(error) = thread.spawn(move || shared.work()) {
                self.0.short_of_threads(&error);
            }
        }
    }

    /// Empties the queue, without verdicts.
    pub fn forget_waiting(&self) {
        self.0.lock().waiting.clear();
    }

    /// Empties the queue, kills the running programs with their process groups, and returns when all have
    /// gone, after half a second at the latest. There are no more verdicts.
    pub fn stop(&self) {
        let mut state = self.0.lock();
        state.is_stopped = true;
        state.waiting.clear();
        self.0.stopped.notify_all();
        let workers = self.0.stopped.wait_timeout_while(state, GRACE, |state| state.workers > 0);
        drop(workers);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.0.program).field(&self.0.state).finish()
    }
}

/// The state that the pool shares with its threads.
struct Shared {
    program: Program,
    done: Box<dyn Fn(u64, Verdict) + Send + Sync>,
    state: Mutex<State>,
    /// Notified when `is_stopped` is set, and afterwards whenever a thread ends.
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    /// The number of programs that are running.
    running: usize,
    /// The number of threads.
    workers: usize,
    /// The number of timeouts in a row.
    timeouts: usize,
    is_stopped: bool,
}

#[derive(Debug)]
struct Job {
    ticket: u64,
    address: Box<[u8]>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller must create another thread, which has already been counted.
    fn push(&self, job: Job) -> bool {
        let mut state = self.lock();
        if state.is_stopped {
            return false;
        }
        state.waiting.push_back(job);
        let wanted = state.workers < WORKERS;
        state.workers += usize::from(wanted);
        wanted
    }

    /// The life of a thread.
    fn work(&self) {
        while let Some((job, is_hopeless)) = self.take() {
            let verdict = if is_hopeless {
                Some(Verdict::Unknown(Why::GivenUp))
            } else {
                self.program.ask(&job.address, |time| self.pause(time))
            };
            if let Some(verdict) = verdict
                && self.lock().note(verdict)
            {
                (self.done)(job.ticket, verdict);
            }
        }
    }

    /// The next recipient, and whether to give it up without asking; `None` ends the thread.
    fn take(&self) -> Option<(Job, bool)> {
        let mut state = self.lock();
        let Some(job) = state.waiting.pop_front() else {
            state.workers -= 1;
            if state.is_stopped {
                self.stopped.notify_all();
            }
            return None;
        };
        state.running += 1;
        Some((job, state.timeouts >= PATIENCE))
    }

    /// Sleeps for `time`; returns false, at once, if the pool is stopped.
    fn pause(&self, time: Duration) -> bool {
        let waited = self.stopped.wait_timeout_while(self.lock(), time, |s| !s.is_stopped);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_stopped
    }

    /// A thread that has been counted could not be created. Other threads do its work; without any, the
    /// recipients get no verdict.
    fn short_of_threads(&self, error: &io::Error) {
        let mut state = self.lock();
        state.workers -= 1;
        if state.workers == 0 {
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.iter().for_each(|job| (self.done)(job.ticket, system(error)));
        }
    }
}

impl State {
    /// Counts timeouts in a row; returns whether the verdict is still wanted.
    fn note(&mut self, verdict: Verdict) -> bool {
        self.running -= 1;
        match verdict {
            Verdict::Unknown(Why::Timeout) => self.timeouts += 1,
            Verdict::Unknown(Why::Address | Why::GivenUp) => {}
            _ => self.timeouts = 0,
        }
        if self.running == 0 && self.waiting.is_empty() {
            self.timeouts = 0;
        }
        !self.is_stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Instant;

    fn pool(program: &str) -> (Pool, Receiver<(u64, Verdict)>) {
        let (sender, receiver) = channel();
        let done = move |ticket, verdict| _ = sender.send((ticket, verdict));
        (Pool::new(Path::new(program), Duration::from_secs(10), done).unwrap(), receiver)
    }

    #[test]
    fn an_idle_pool_has_no_threads() {
        let (pool, verdicts) = pool("/usr/bin/true");
        assert_eq!(Arc::strong_count(&pool.0), 1);
        for ticket in 0..20 {
            pool.submit(ticket, b"user@example.org");
        }
        let mut tickets: Vec<_> = verdicts.iter().take(20).collect();
        tickets.sort_by_key(|(ticket, _)| *ticket);
        assert!(tickets.into_iter().eq((0..20).map(|ticket| (ticket, Verdict::Good))));
        let start = Instant::now();
        while Arc::strong_count(&pool.0) > 1 && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(Arc::strong_count(&pool.0), 1);
        let state = pool.0.lock();
        assert_eq!((state.workers, state.running, state.waiting.len()), (0, 0, 0));
    }

    #[test]
    fn without_any_thread_there_is_a_verdict_all_the_same() {
        let (pool, verdicts) = pool("/usr/bin/true");
        for ticket in [1, 2] {
            assert!(pool.0.push(Job { ticket, address: b"user@example.org"[..].into() }));
        }
        let error = io::Error::from_raw_os_error(11);
        pool.0.short_of_threads(&error);
        assert!(verdicts.try_recv().is_err(), "a thread is left to do the work");
        pool.0.short_of_threads(&error);
        let unknown = Verdict::Unknown(Why::System(11));
        assert!(verdicts.try_iter().eq([(1, unknown), (2, unknown)]));
        assert_eq!(pool.0.lock().workers, 0);
    }

    #[test]
    fn timeouts_count_in_a_row_and_until_all_is_done() {
        let timeout = Verdict::Unknown(Why::Timeout);
        let mut state = State { running: 99, ..State::default() };
        for (verdict, timeouts) in [
            (timeout, 1),
            (timeout, 2),
            (Verdict::Unknown(Why::Address), 2),
            (Verdict::Unknown(Why::GivenUp), 2),
            (Verdict::Bad, 0),
            (timeout, 1),
            (Verdict::Unknown(Why::Signal(9)), 0),
            (timeout, 1),
        ] {
            assert!(state.note(verdict));
            assert_eq!(state.timeouts, timeouts, "{verdict:?}");
        }
        state.running = 1;
        assert!(state.note(timeout));
        assert_eq!(state.timeouts, 0);
    }
}
