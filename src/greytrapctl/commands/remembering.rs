//! `simulate -M`: a memory of its own, so that one scan after the other remembers.
//!
//! The file is made if it is missing, opened before the sandbox is entered, and written once, after the
//! verdicts are printed. What is no memory, or is damaged, is left alone and is a failure.
#![forbid(unsafe_code)]

use crate::config::Config;
use crate::db::Damage;
use crate::db::snapshot::Snapshot;
use crate::escape::escaped_path;
use crate::evidence::{Entry, Key};
use crate::greytrapctl::console::Failure;
use crate::inquiry::Warnings;
use crate::memory::{Batch, Error, Settings, Store, Watched};
use crate::scan::seen::{self, News};
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module.
pub struct Remembering {
    path: PathBuf,
    store: Store,
    now: i64,
    warnings: Warnings,
    /// Which tuples are known.
    tuples: seen::Known,
    /// Whether tuples are remembered.
    has_tuples: bool,
}

impl Remembering {
    /// Opens the file for a scan at `now`, in seconds since 1970.
    pub fn open(path: &Path, config: &Config, now: i64) -> Result<Remembering, Failure> {
        let said = |error| failure(path, &error);
        let memory = &config.memory;
        let settings = Settings {
            directory: PathBuf::new(),
            verdicts: memory.verdicts,
            tuples: memory.tuples,
            size: memory.size,
        };
        let store = Store::at(path, settings).map_err(said)?;
        let mut warnings = Warnings::default();
        let recalled = store.recall(now, now, 0).map_err(said)?;
        warnings.inherit(recalled.warned);
        // Those of long ago no longer count.
        warnings.note(Vec::new(), now);
        let (tuples, has_tuples) = (seen::Known::until(recalled.until), memory.tuples.is_some());
        Ok(Remembering { path: path.into(), store, now, warnings, tuples, has_tuples })
    }

    /// Hosts that were spared before although they sent a bad message.
    pub fn spared(&self) -> Arc<HashSet<IpAddr>> {
        self.warnings.hosts()
    }

    /// What is known of these keys.
    pub fn known(&self, keys: &[Key]) -> Result<Watched, Failure> {
        self.store.known(keys).map_err(|error| failure(&self.path, &error))
    }

    /// What the daemon would remember of all hosts.
    pub fn news(&self, snapshot: &Snapshot<'_>) -> Result<News, Damage> {
        match self.has_tuples {
            true => seen::news(snapshot, &self.tuples, self.now),
            false => Ok(News::default()),
        }
    }

    /// Writes what a scan has found: hosts that it spares with a bad message, evidence, and what it saw of all
    /// hosts.
    pub fn write(
        mut self,
        spared: Vec<IpAddr>,
        evidence: Vec<(Key, Entry)>,
        News { blocks, white, watched, .. }: News,
    ) -> Result<(), Failure> {
        self.warnings.note(spared, self.now);
        let warned = Some(self.warnings.legacy());
        let now = self.now;
        let batch = Batch { now, evidence, warned, blocks, white, watched, ..Batch::default() };
        self.store.write(batch).map_err(|error| failure(&self.path, &error))
    }
}

fn failure(path: &Path, error: &Error) -> Failure {
    Failure::Because(format!("{}: {error}", escaped_path(path)))
}
