//! Waits for a lock in the kernel's queue, but not for ever.
//!
//! flock(2) either fails at once or waits without a limit. So a thread waits in it, on a descriptor that
//! shares the file's lock, and the caller waits for the thread until a deadline. If the thread obtains the
//! lock after that, it releases it at once. Polling for the lock instead would take long if others use it
//! too, since each attempt may happen while they hold it for a few milliseconds.
#![forbid(unsafe_code)]

use super::ErrorKind;
use crate::threads;
use std::fs::{File, TryLockError};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How often to check whether the wait is over and, if there is no thread, to try the lock.
const STEP: Duration = Duration::from_millis(20);
/// How many threads may still wait for a lock that nobody wants any more.
const MOST_LEFT: usize = 8;
/// The number of such threads.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// How long to wait for a lock, and whom to notify meanwhile.
pub struct Wait<'a> {
    patience: Duration,
    notice_after: Duration,
    notice: &'a mut dyn FnMut(),
    is_over: Option<&'a mut dyn FnMut() -> bool>,
}

/// The kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// `LOCK_EX`.
    Exclusive,
    /// `LOCK_SH`.
    Shared,
}

impl Hold {
    fn attempt(self, file: &File) -> Result<(), TryLockError> {
        match self {
            Hold::Exclusive => file.try_lock(),
            Hold::Shared => file.try_lock_shared(),
        }
    }

    fn obtain(self, file: &File) -> io::Result<()> {
        match self {
            Hold::Exclusive => file.lock(),
            Hold::Shared => file.lock_shared(),
        }
    }
}

impl<'a> Wait<'a> {
    /// Waits for at most 30 s, and calls `notice` once after 1 s: spamd holds the lock for well under a
    /// second, so a process that holds it longer is probably stuck.
    pub fn usual(notice: &'a mut dyn FnMut()) -> Self {
        Wait::new(Duration::from_secs(30), Duration::from_secs(1), notice)
    }

    /// Waits for at most `patience`, and calls `notice` once after `notice_after`.
    pub fn new(patience: Duration, notice_after: Duration, notice: &'a mut dyn FnMut()) -> Self {
        Wait { patience, notice_after, notice, is_over: None }
    }

    /// Calls `is_over` regularly while it waits, and gives up once that is true.
    pub fn unless(self, is_over: &'a mut dyn FnMut() -> bool) -> Self {
        Wait { is_over: Some(is_over), ..self }
    }

    /// Waits until the file is locked; returns how long that took.
    pub(super) fn lock(&mut self, file: &File, hold: Hold) -> Result<Duration, ErrorKind> {
        let start = Instant::now();
        if self.is_over() {
            return Err(ErrorKind::GivenUp);
        }
        if attempt(file, hold)? {
            return Ok(start.elapsed());
        }
        let mut queue = Queue::join(file, hold);
        let mut noticed = false;
        loop {
            let waited = start.elapsed();
            if self.is_over() {
                return Err(ErrorKind::GivenUp);
            }
            if waited >= self.patience {
                return if queue.leave()? { Ok(waited) } else { Err(ErrorKind::Locked) };
            }
            if waited >= self.notice_after && !noticed {
                noticed = true;
                (self.notice)();
            }
            if queue.wait(self.step(waited, noticed), file, hold)? {
                return Ok(start.elapsed());
            }
        }
    }

    fn is_over(&mut self) -> bool {
        self.is_over.as_mut().is_some_and(|is_over| is_over())
    }

    /// How long to wait for the lock before checking anything else.
    fn step(&self, waited: Duration, noticed: bool) -> Duration {
        let left = self.patience.saturating_sub(waited);
        let notice = if noticed { left } else { self.notice_after.saturating_sub(waited) };
        let over = if self.is_over.is_some() { STEP } else { left };
        left.min(notice).min(over)
    }
}

/// Tries to take the lock; returns whether it was obtained.
fn attempt(file: &File, hold: Hold) -> Result<bool, ErrorKind> {
    match hold.attempt(file) {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(ErrorKind::Io(error)),
    }
}

/// A place in the queue for a lock, which is given up when this is dropped.
struct Queue(Option<Place>);

struct Place {
    outcome: Receiver<io::Result<()>>,
    /// Whether the lock is still wanted.
    is_wanted: Arc<Mutex<bool>>,
}

impl Queue {
    /// Starts a thread that waits for the lock. If that fails, the lock is polled.
    fn join(file: &File, hold: Hold) -> Queue {
        if WAITING.fetch_add(1, Ordering::Relaxed) > MOST_LEFT {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            return Queue(None);
        }
        let place = Place::new(file, hold);
        if place.is_none() {
            WAITING.fetch_sub(1, Ordering::Relaxed);
        }
        Queue(place)
    }

    /// Waits for at most `time`; returns whether the file is locked.
    fn wait(&self, time: Duration, file: &File, hold: Hold) -> Result<bool, ErrorKind> {
        let Some(place) = &self.0 else {
            thread::sleep(time.min(STEP));
            return attempt(file, hold);
        };
        match place.outcome.recv_timeout(time) {
            Ok(outcome) => outcome.map(|()| true).map_err(ErrorKind::Io),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(ErrorKind::Locked),
        }
    }

    /// Stops waiting; returns whether the file is locked after all.
    fn leave(&mut self) -> Result<bool, ErrorKind> {
        let Some(place) = &self.0 else { return Ok(false) };
        let mut is_wanted = threads::lock(&place.is_wanted);
        *is_wanted = false;
        place
            .outcome
            .try_recv()
            .map_or(Ok(false), |outcome| outcome.map(|()| true))
            .map_err(ErrorKind::Io)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // The caller gives up the file too.
        let _given_up = self.leave();
    }
}

impl Place {
    fn new(file: &File, hold: Hold) -> Option<Place> {
        // The lock belongs to the open file, whichever descriptor was used; it is released with the last
        // one.
        let file = file.try_clone().ok()?;
        let (tell, outcome) = mpsc::channel();
        let is_wanted = Arc::new(Mutex::new(true));
        let still_wanted = Arc::clone(&is_wanted);
        let wait = move || {
            let obtained = hold.obtain(&file);
            let is_wanted = threads::lock(&still_wanted);
            if !*is_wanted {
                // The caller may not have closed the file yet.
                let _late = file.unlock();
            }
            drop(file);
            let _nobody_listens = tell.send(obtained);
            WAITING.fetch_sub(1, Ordering::Relaxed);
        };
        thread::Builder::new().name("lock".into()).spawn(wait).ok()?;
        Some(Place { outcome, is_wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn open(path: &Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn a_lock_obtained_late_is_given_back_at_once() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let holder = open(place.path());
        holder.lock().unwrap();
        let late = open(place.path());
        let mut notice = || ();
        let mut wait = Wait::new(millis(30), Duration::MAX, &mut notice);
        let outcome = wait.lock(&late, Hold::Exclusive);
        assert!(matches!(outcome, Err(ErrorKind::Locked)), "{outcome:?}");
        // The file is still open, and the thread is still waiting.
        drop(holder);
        let third = open(place.path());
        third.lock().unwrap();
        third.unlock().unwrap();
        thread::sleep(millis(50));
        third.try_lock().unwrap();
        drop(late);
    }

    /// If it is polled, a lock that is free only for moments is missed most of the time.
    #[test]
    fn a_lock_that_others_take_in_turns_is_obtained_soon() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let (stop, stopped) = mpsc::channel::<()>();
        let path = place.path().to_path_buf();
        let busy = thread::spawn(move || {
            let mut turns = 0;
            while stopped.try_recv().is_err() {
                let file = open(&path);
                file.lock().unwrap();
                thread::sleep(millis(3));
                drop(file);
                thread::sleep(Duration::from_micros(100));
                turns += 1;
            }
            turns
        });
        thread::sleep(millis(20));
        let mut waited = Duration::ZERO;
        for _ in 0..20 {
            let mut notice = || ();
            let mut wait = Wait::new(Duration::from_secs(20), Duration::MAX, &mut notice);
            waited += wait.lock(&open(place.path()), Hold::Exclusive).unwrap();
        }
        stop.send(()).unwrap();
        assert!(busy.join().unwrap() > 0);
        assert!(waited < Duration::from_secs(3), "20 locks took {waited:?}");
    }

    #[test]
    fn a_wait_that_is_over_is_given_up_at_once() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let holder = open(place.path());
        holder.lock().unwrap();
        let start = Instant::now();
        let mut is_over = || start.elapsed() > millis(40);
        let mut notice = || ();
        let mut wait = Wait::new(Duration::MAX, Duration::MAX, &mut notice).unless(&mut is_over);
        let outcome = wait.lock(&open(place.path()), Hold::Shared);
        assert!(matches!(outcome, Err(ErrorKind::GivenUp)), "{outcome:?}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
