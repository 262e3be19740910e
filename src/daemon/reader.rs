//! The reader of the configuration: reads it, reports to the parent, and exits.
//!
//! It has access to every file that the configuration names, as the user who started the daemon. It sees no
//! bytes from strangers, and has exited before any other process reads some.
#![forbid(unsafe_code)]

use super::life::Life;
use super::messages::{Checked, Needs, ToParent};
use crate::config::{self, Config, Define, Guarded, Loaded};
use std::path::PathBuf;

/// The sources of the configuration in the options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// Macros defined on the command line.
    pub defines: Vec<Define>,
    /// The file, if it is not the default one.
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
        origins: config.rules.origins.clone(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
        needs: needs(&config),
        socket: config.socket,
        scan_every: config.scan_every,
    }
}

/// Which processes a configuration needs.
pub fn needs(config: &Config) -> Needs {
    Needs {
        resolver: config.rules.ask_dns(),
        checker: config.checker.is_some(),
        sync: !config.sync.peers.is_empty() || !config.sync.multicast.is_empty(),
    }
}
