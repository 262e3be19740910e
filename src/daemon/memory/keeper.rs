//! The open file, and what is done when it fails: that is said once, and it is tried again now and then.
#![forbid(unsafe_code)]

use crate::daemon::now;
use crate::errno::reason;
use crate::escape::escaped_path;
use crate::evidence::Key;
use crate::log;
use crate::memory::{
    Batch, Error, FILE, Found, Opened, Place, Query, Recalled, Settings, Store, Suggested, Tuples,
    Watched,
};
use std::time::{Duration, Instant};

/// What is said while nothing is tried.
const NOTHING: &str = "nothing is remembered";
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(60);
/// How far back rules are judged by what became of their traps, in seconds.
const JUDGED: i64 = 30 * 24 * 60 * 60;
/// Bytes of tuples in a page: with one block more, fewer than a client may be behind.
const PAGE: usize = 400 * 1024;
/// Traps that an engine is told of at its start.
const STANDING: usize = 1000;

/// See the module.
pub struct Keeper {
    settings: Settings,
    longest: Duration,
    store: Option<Store>,
    /// When the last failure was, if that was not yet put right.
    failed_at: Option<Instant>,
}

impl Keeper {
    /// Opens nothing yet. A scan's traps last as long as `longest`.
    pub fn new(settings: Settings, longest: Duration) -> Keeper {
        Keeper { settings, longest, store: None, failed_at: None }
    }

    /// What an engine must know at its start.
    pub fn recall(&mut self) -> Recalled {
        let now = now();
        let longest = i64::try_from(self.longest.as_secs()).unwrap_or(i64::MAX);
        // An operator's may last longer than usual.
        let since = now.saturating_sub(longest.max(JUDGED));
        let recall = |store: &Store| {
            let book = store.book(now.saturating_sub(JUDGED))?;
            Ok(Recalled { book, ..store.recall(since, now, STANDING)? })
        };
        self.use_store(recall).unwrap_or_default()
    }

    /// Writes a batch. What cannot be written is lost, and why is logged and returned.
    pub fn write(&mut self, batch: Batch) -> Option<String> {
        let written = self.use_store(|store| store.write(batch));
        written.err().map(|failure| failure.unwrap_or_else(|| NOTHING.into()))
    }

    /// What is known of these keys.
    pub fn known(&mut self, keys: &[Key]) -> Result<Watched, String> {
        self.use_store(|store| store.known(keys))
            .map_err(|failure| failure.unwrap_or_else(|| NOTHING.into()))
    }

    /// A page of recipients that only strangers write to.
    pub fn suggest(&mut self, from: Option<&[u8]>) -> Result<Suggested, String> {
        self.use_store(|store| store.suggestions(now(), from))
            .map_err(|failure| failure.unwrap_or_else(|| NOTHING.into()))
    }

    /// A page of the tuples of all hosts.
    pub fn tuples(&mut self, since: i64, from: Option<Place>) -> Result<Tuples, String> {
        self.use_store(|store| store.tuples(since, from, PAGE))
            .map_err(|failure| failure.unwrap_or("nothing is remembered".into()))
    }

    /// Finds records.
    pub fn find(
        &mut self,
        query: &Query,
        from: Option<Place>,
        most: usize,
    ) -> Result<Found, String> {
        self.use_store(|store| store.find(query, from, most))
            .map_err(|failure| failure.unwrap_or_else(|| NOTHING.into()))
    }

    /// Works with the file, which is opened if it is time for that. The failure, if there was one now.
    fn use_store<T>(
        &mut self,
        work: impl FnOnce(&Store) -> Result<T, Error>,
    ) -> Result<T, Option<String>> {
        let is_too_soon = self.failed_at.is_some_and(|at| at.elapsed() < PAUSE);
        if self.store.is_none() && !is_too_soon {
            self.store = self.open().map_err(|error| Some(self.fail(&error)))?;
        }
        let Some(store) = &self.store else { return Err(None) };
        match work(store) {
            Ok(done) => {
                if self.failed_at.take().is_some() {
                    log::info("memory: in use again");
                }
                Ok(done)
            }
            Err(error) => {
                // The file has to be opened again.
                self.store = None;
                Err(Some(self.fail(&error)))
            }
        }
    }

    fn open(&self) -> Result<Option<Store>, Error> {
        let Opened { store, set_aside } = Store::open(self.settings.clone(), now())?;
        if let Some((path, what)) = set_aside {
            let path = escaped_path(&path).to_string();
            log::warning(format_args!("memory: {FILE}: {what}; renamed to {path}, begun anew"));
        }
        Ok(Some(store))
    }

    /// Notes a failure, and logs the first.
    fn fail(&mut self, error: &Error) -> String {
        let path = self.settings.directory.join(FILE);
        let failure = match error {
            Error::Io(error) => format!("{}: {}", escaped_path(&path), reason(error)),
            error => format!("{}: {error}", escaped_path(&path)),
        };
        if self.failed_at.replace(Instant::now()).is_none() {
            log::error(format_args!("memory: {failure}; going on without"));
        }
        failure
    }
}
