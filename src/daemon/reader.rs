//! The reader of the configuration: it reads, reports to the parent, and ends.
//!
//! May touch: every file that the configuration names, as whoever started the daemon. It sees no byte
//! that a stranger wrote, and is gone before any other process looks at one.
#![forbid(unsafe_code)]

use super::life::Life;
use super::messages::{Checked, Needs, ToParent};
use crate::config::{self, Config, Define, Guarded, Loaded};
use std::path::PathBuf;

/// Where the configuration is, by the options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// Macros of the command line.
    pub defines: Vec<Define>,
    /// The file, if not the usual one.
    pub file: Option<PathBuf>,
}

/// Reads the configuration and reports.
pub fn run(life: &mut Life, sources: &Sources) -> Result<(), String> {
    let read = match config::load(sources.file.as_deref(), &sources.defines, &Guarded) {
        Ok(loaded) => Ok(checked(loaded)),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
    };
    life.tell(&ToParent::Config(read));
    Ok(())
}

fn checked(Loaded { config, warnings }: Loaded) -> Checked {
    Checked {
        text: config.to_string(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
        needs: needs(&config),
        socket: config.socket,
        scan_every: config.scan_every,
    }
}

fn needs(config: &Config) -> Needs {
    Needs {
        resolver: config.rules.ask_dns(),
        checker: config.checker.is_some(),
        sync: !config.sync.peers.is_empty() || !config.sync.multicast.is_empty(),
    }
}
