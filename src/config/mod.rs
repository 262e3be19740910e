//! greytrapper.conf(5): text in, a checked [`Config`] out, or every fault of it as
//! `file:line: message`.
//!
//! The steps are: `input` (files) → `lexer` (text to tokens with places) → `cursor` (macros) → `parse` and
//! `grammar` (tokens to typed statements) → `check` (statements to a [`Config`], values within `bounds`).
//! `settings` and `rules` have the parts of a [`Config`], which displays itself for the way back; `origin`
//! knows where statements were written. `problem` lists what can be wrong, and words it.
//!
//! The daemon and greytrapctl(8) call [`load`]. The content of the text is trusted, since only root can
//! write it, but its form is not: no input causes a panic or unbounded work.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use std::io;
use std::path::Path;

mod allow;
mod bounds;
mod check;
mod cursor;
mod diagnostic;
mod grammar;
mod input;
mod keyword;
mod lexer;
mod list;
mod macros;
pub mod network;
mod origin;
mod parse;
mod pattern;
mod problem;
pub mod rules;
mod settings;
mod source;
mod statement;
mod table;
mod value;

pub use crate::date::Day;
pub use allow::{AllowHelo, AllowUntil, HeloName};
pub use diagnostic::{Diagnostic, Severity};
pub use list::{DnsList, Meaning};
pub use macros::{Define, NotADefine};
pub use network::{Network, Networks};
pub use origin::{Origins, Written};
pub use rules::{RcptRules, Rules};
pub use settings::{Again, Checker, Config, Dns, EngineChoice, Memory, NameServer, Sync};
pub(crate) use source::exposure_of;
pub use source::{Disk, Guarded, Source};
pub(crate) use value::{duration, duration_text};

/// The default configuration file, beside spamd.conf(5).
pub const DEFAULT_FILE: &str = "/etc/mail/greytrapper.conf";

/// The default control socket.
pub const DEFAULT_SOCKET: &str = "/var/run/greytrapper.sock";

/// A usable configuration with its warnings.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings, in the order of the text.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the configuration in `file`, or in [`DEFAULT_FILE`], which may be missing: every value has a
/// default. `defines` override macros of the same name in the text.
///
/// # Errors
/// All faults in the text, errors and warnings, in the order of files and lines.
pub fn load(
    file: Option<&Path>,
    defines: &[Define],
    source: &dyn Source,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut input = input::Input::new(source);
    let text = match input.open_first(file.unwrap_or(Path::new(DEFAULT_FILE))) {
        Ok(text) => text,
        Err(e) if file.is_none() && e.kind() == io::ErrorKind::NotFound => [].into(),
        Err(e) => {
            let problem = problem::Problem::CannotRead { reason: input::reason(&e) };
            input.error(diagnostic::Fault::new(diagnostic::At::whole(0), problem));
            return Err(input.into_diagnostics());
        }
    };
    let mut macros = macros::Macros::new(defines);
    let statements = parse::parse(0, &text, &mut macros, &mut input);
    let config = check::check(statements, &mut input);
    if input.has_errors() {
        return Err(input.into_diagnostics());
    }
    Ok(Loaded { config, warnings: input.into_diagnostics() })
}

/// Reads the addresses and networks in `file`, which has the form of that of `allow file`; with warnings.
///
/// # Errors
/// All faults in the text, errors and warnings, in the order of lines.
pub fn networks(
    file: &Path,
    source: &dyn Source,
) -> Result<(Networks, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut input = input::Input::new(source);
    let found = match input.open_first(file) {
        Ok(text) => table::networks(0, &text, &mut input),
        Err(e) => {
            let problem = problem::Problem::CannotRead { reason: input::reason(&e) };
            input.error(diagnostic::Fault::new(diagnostic::At::whole(0), problem));
            Vec::new()
        }
    };
    if input.has_errors() {
        return Err(input.into_diagnostics());
    }
    let networks = found.into_iter().map(|network| network.value).collect();
    Ok((Networks::new(networks), input.into_diagnostics()))
}

/// Reads a configuration from `text`, as a [`Config`] displays itself, without opening any file. It does
/// not know where its statements were written.
///
/// # Errors
/// The first fault in the text.
pub fn from_text(text: &str) -> Result<Config, String> {
    let path = Path::new("configuration");
    match load(Some(path), &[], &source::Given(text)) {
        Ok(mut loaded) => {
            loaded.config.rules.origins = Origins::default();
            Ok(loaded.config)
        }
        Err(faults) => Err(faults.first().map(ToString::to_string).unwrap_or_default()),
    }
}
